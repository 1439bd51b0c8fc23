//! Jobs whose lease ran out: back to their queue, with the attempt given back.

use std::time::Duration;

use uuid::Uuid;

use crate::db::{Conn, Dialect, query};
use crate::error::Result;
use crate::fingerprint::fingerprint;
use crate::sql;

/// A job that crashed its process this many times while it ran alone is a poison pill.
pub const CRASHES_TO_POISON: i64 = 3;

/// What a rescue found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Jobs back in their queues.
    pub jobs: Vec<Uuid>,
    /// Their queues, for the wake-up.
    pub queues: Vec<String>,
    /// Jobs that crashed alone too often; they failed for good.
    pub poisoned: Vec<Uuid>,
    /// Rows whose id can't be read, as they are stored; they were suspended, so that nobody trips over them again.
    pub damaged: Vec<String>,
}

/// Takes back up to 500 jobs whose lease has run out. One statement that restates its whole precondition: a job that
/// is completed or renewed in the meantime no longer matches.
///
/// An expired lease alone is a *lost lease*: its worker lives but could not renew. Only when the worker itself has not
/// been seen for a whole lease did a process die; then its jobs are suspects, and a suspect runs alone in its process
/// until it has finished once. A suspect that dies again ran alone, so it is to blame: that counts as a crash.
pub async fn rescue(conn: &mut Conn<'_>, lease: Duration) -> Result<Rescued> {
    let mut rescued = Rescued { damaged: park_damaged(conn, lease).await?, ..Rescued::default() };
    let rows = query(sql!(
        "with expired as materialized (
            select j.id as job_id, not exists (
                select 1 from fairlane_workers w where w.id = j.worker_id and w.state <> 'stopped'
                    and w.seen_at > {now} - {ms:$1}) as died
            from fairlane_jobs j
            where j.state = 'executing' and j.lease_until < {now}
            order by j.lease_until limit 500 {skip_locked}
         )
         update fairlane_jobs
         set state = 'available', token = null, lease_until = null, attempt = attempt - 1,
            crashes = crashes + case when expired.died and suspect then 1 else 0 end,
            leases_lost = leases_lost + case when expired.died then 0 else 1 end,
            suspect = suspect or expired.died
         from expired
         where id = expired.job_id and state = 'executing' and lease_until < {now}
         returning id, queue, crashes"
    ))
    .bind(millis(lease))
    .fetch_all(conn)
    .await?;
    for row in &rows {
        let Ok(id) = row.get::<Uuid>("id") else { continue };
        if row.get::<i64>("crashes").unwrap_or_default() >= CRASHES_TO_POISON && poison(conn, id).await? {
            rescued.poisoned.push(id);
        } else {
            rescued.jobs.push(id);
            // A queue whose name can't be read has no worker to wake.
            rescued.queues.extend(row.get::<String>("queue").ok());
        }
    }
    Ok(rescued)
}

/// SQLite stores anything in any column. A row whose id is none could never be settled or claimed: it rests until
/// somebody mends it. A lease whose end is no time would never run out: it gets one that does.
async fn park_damaged(conn: &mut Conn<'_>, lease: Duration) -> Result<Vec<String>> {
    if conn.dialect() == Dialect::Postgres {
        return Ok(Vec::new());
    }
    query(sql!("update fairlane_jobs set lease_until = {now} + {ms:$1} where state = 'executing' and lease_until >= ''"))
        .bind(millis(lease))
        .execute(conn)
        .await?;
    let rows = query(sql!(concat!(
        "update fairlane_jobs set state = 'suspended', token = null, lease_until = null
         where state = 'executing' and lease_until < {now} and not (",
        readable_id!("id"),
        ") returning quote(id) as key"
    )))
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().map(|row| row.get("key").unwrap_or_else(|_| "?".to_owned())).collect())
}

fn millis(lease: Duration) -> i64 {
    i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)
}

/// Fails a job that killed its process again and again.
async fn poison(conn: &mut Conn<'_>, id: Uuid) -> Result<bool> {
    let row = query(sql!("select kind from fairlane_jobs where id = $1 and state = 'available' {lock}"))
        .bind(id)
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(false) };
    let message = format!("its process died {CRASHES_TO_POISON} times while it ran alone");
    query(sql!(
        "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, event_id, attempt, runs,
            generation, max_attempts, timeout_ms, crashes, unique_key, unique_mode, unique_for_ms, concurrency_key,
            correlation_id, causation_id, trace, checkpoint, progress_done, progress_total, code, error, fingerprint,
            created_at, failed_at)
         select id, tenant_id, queue, kind, priority, payload, event_id, attempt, runs, generation, max_attempts,
            timeout_ms, crashes, unique_key, unique_mode, unique_for_ms, concurrency_key, correlation_id, causation_id,
            trace, checkpoint, progress_done, progress_total, 'poison_pill', $2, $3, created_at, {now}
         from fairlane_jobs where id = $1 and state = 'available'
         on conflict (id) do update set code = excluded.code, error = excluded.error, failed_at = excluded.failed_at,
            fingerprint = excluded.fingerprint, attempt = excluded.attempt, runs = excluded.runs"
    ))
    .bind(id)
    .bind(message.as_str())
    .bind(fingerprint(&row.get::<String>("kind").unwrap_or_default(), "poison_pill", &message))
    .execute(conn)
    .await?;
    query(sql!(
        "delete from fairlane_unique_keys where job_id = $1 and scope <> 'idempotency' and exists (
            select 1 from fairlane_jobs where id = $1 and unique_mode <> 'for_period')"
    ))
    .bind(id)
    .execute(conn)
    .await?;
    let gone = query(sql!("delete from fairlane_jobs where id = $1 and state = 'available'"))
        .bind(id)
        .execute(conn)
        .await?;
    Ok(gone == 1)
}
