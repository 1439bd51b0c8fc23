//! Jobs whose lease ran out: back to their queue, with the attempt given back.

use std::time::Duration;

use uuid::Uuid;

use crate::db::{Conn, query};
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
}

/// Takes back up to 500 jobs whose lease has run out. One statement that restates its whole precondition: a job that
/// is completed or renewed in the meantime no longer matches.
///
/// An expired lease alone is a *lost lease*: its worker lives but could not renew. Only when the worker itself has not
/// been seen for a whole lease did a process die; then its jobs are suspects, and a suspect runs alone in its process
/// until it has finished once. A suspect that dies again ran alone, so it is to blame: that counts as a crash.
pub async fn rescue(conn: &mut Conn<'_>, lease: Duration) -> Result<Rescued> {
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
    .bind(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    let mut rescued = Rescued::default();
    for row in &rows {
        let id: Uuid = row.get("id")?;
        if row.get::<i64>("crashes")? >= CRASHES_TO_POISON && poison(conn, id).await? {
            rescued.poisoned.push(id);
        } else {
            rescued.jobs.push(id);
            rescued.queues.push(row.get("queue")?);
        }
    }
    Ok(rescued)
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
    .bind(fingerprint(&row.get::<String>("kind")?, "poison_pill", &message))
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
