//! Jobs whose lease ran out: back to their queue, with the attempt given back.

use std::time::Duration;

use uuid::Uuid;

use crate::context::JobInfo;
use crate::db::{Conn, Dialect, Row, Sql, query};
use crate::error::{Error, Result};
use crate::fingerprint::fingerprint;
use crate::outcome::Failure;
use crate::sql;
use crate::store::attempts::{ERRORS_KEPT, forget_middle_attempts};

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
/// An expired lease alone is a *lost lease*: its worker lives but could not renew, or it stopped in order and could not
/// settle any more. Only when the worker itself has not been seen for a whole lease did a process die; then its jobs are suspects, and a suspect runs alone in its process
/// until it has finished once. A suspect that dies again ran alone, so it is to blame: that counts as a crash.
///
/// The run counts as worker time up to its last heartbeat: nobody knows how much longer it went on.
pub async fn rescue(conn: &mut Conn<'_>, lease: Duration) -> Result<Rescued> {
    let mut rescued = Rescued { damaged: park_damaged(conn, lease).await?, ..Rescued::default() };
    let rows = query(RESCUE).bind(millis(lease)).fetch_all(conn).await?;
    record_ends(conn, &rows).await?;
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

/// The statement of [`rescue`] with the milliseconds between a run's start and its last heartbeat.
macro_rules! rescue_statement {
    ($worked:literal) => {
        concat!(
            "with expired as materialized (
                select j.id as job_id, not exists (
                    select 1 from fairlane_workers w where w.id = j.worker_id and (w.state = 'stopped'
                        or w.seen_at > {now} - {ms:$1})) as died
                from fairlane_jobs j
                where j.state = 'executing' and j.lease_until < {now}
                order by j.lease_until limit 500 {skip_locked}
             )
             update fairlane_jobs
             set state = 'available', token = null, lease_until = null, attempt = attempt - 1,
                crashes = crashes + case when expired.died and suspect then 1 else 0 end,
                leases_lost = leases_lost + case when expired.died then 0 else 1 end,
                suspect = suspect or expired.died,
                worked_ms = worked_ms + ",
            $worked,
            "
             from expired
             where id = expired.job_id and state = 'executing' and lease_until < {now}
             returning id, queue, crashes, runs, not exists (
                    select 1 from fairlane_workers w where w.id = worker_id and (w.state = 'stopped'
                        or w.seen_at > {now} - {ms:$1})) as died"
        )
    };
}

/// Each heartbeat set the lease's end one lease ahead, so the last one was that long before it.
const RESCUE: Sql = Sql {
    postgres: rescue_statement!(
        "coalesce(greatest(0, extract(epoch from lease_until - {ms:$1} - started_at) * 1000)::bigint, 0)"
    ),
    sqlite: rescue_statement!(
        "case when typeof(started_at) = 'integer' then max(0, lease_until - {ms:$1} - started_at) / 1000 else 0 end"
    ),
};

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

/// Writes of each run that its process died or that it lost its lease: nobody else is left to say so.
async fn record_ends(conn: &mut Conn<'_>, rescued: &[Row]) -> Result<()> {
    let (mut crashed, mut lost) = (Vec::new(), Vec::new());
    for row in rescued {
        // Rows without a readable id are parked.
        let Ok(id) = row.get::<Uuid>("id") else { continue };
        if row.get("died").unwrap_or(false) { &mut crashed } else { &mut lost }.push(id);
    }
    record_end(conn, crashed, "crashed", "process_died", "its worker process died").await?;
    record_end(conn, lost, "lease_lost", "lease_lost", "its worker could not renew the lease").await?;
    for row in rescued {
        if let (Ok(runs), Ok(id)) = (row.get::<i64>("runs"), row.get::<Uuid>("id"))
            && runs > 2 * ERRORS_KEPT
        {
            forget_middle_attempts(conn, id).await?;
        }
    }
    Ok(())
}

/// The attempt was given back already; the row says which one it was.
async fn record_end(
    conn: &mut Conn<'_>,
    jobs: Vec<Uuid>,
    outcome: &str,
    code: &str,
    error: &str,
) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    query(sql!(
        "insert into fairlane_attempts (job_id, run, tenant_id, attempt, generation, worker_id, started_at, finished_at,
            outcome, code, error)
         select id, runs, tenant_id, attempt + 1, generation, worker_id, started_at, {now}, $2, $3, $4
         from fairlane_jobs where id {in:$1}
         on conflict (job_id, run) do nothing"
    ))
    .bind(jobs)
    .bind(outcome)
    .bind(code)
    .bind(error)
    .execute(conn)
    .await?;
    Ok(())
}

/// What the `failed()` hook of a poison pill is told.
#[derive(Debug)]
pub(crate) struct PoisonPill {
    pub(crate) job: JobInfo,
    /// Its own payload; a listener's is its event's.
    pub(crate) payload: String,
    pub(crate) failure: Failure,
    pub(crate) checkpoint: Option<serde_json::Value>,
}

/// The poison pills among the failed jobs; a damaged one shows itself as an error of its own.
pub(crate) async fn poison_pills(conn: &mut Conn<'_>, ids: &[Uuid]) -> Result<Vec<Result<PoisonPill>>> {
    let rows = query(sql!(
        "select j.id, t.slug, j.tenant_id, j.kind, j.queue, j.attempt, j.runs, j.event_id, j.correlation_id, j.trace,
            j.created_at, j.payload, j.code, j.error, j.checkpoint
         from fairlane_failed_jobs j join fairlane_tenants t on t.id = j.tenant_id
         where j.id {in:$1}"
    ))
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().map(poison_pill).collect())
}

fn poison_pill(row: &Row) -> Result<PoisonPill> {
    let count = |column: &str| -> Result<u32> {
        u32::try_from(row.get::<i64>(column)?)
            .map_err(|_| Error::Damaged(format!("column {column} is no count")))
    };
    let job = JobInfo {
        id: row.get("id")?,
        tenant: row.get("slug")?,
        tenant_id: row.get("tenant_id")?,
        kind: row.get("kind")?,
        queue: row.get("queue")?,
        attempt: count("attempt")?.saturating_add(1),
        run: count("runs")?,
        event_id: row.get("event_id")?,
        correlation_id: row.get("correlation_id")?,
        trace: row.get("trace")?,
        created_at: row.get("created_at")?,
    };
    Ok(PoisonPill {
        job,
        payload: row.get::<serde_json::Value>("payload")?.to_string(),
        failure: Failure { code: row.get("code")?, message: row.get("error")? },
        checkpoint: row.get("checkpoint")?,
    })
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
            correlation_id, causation_id, trace, checkpoint, progress_done, progress_total, worked_ms, code, error,
            fingerprint, created_at, failed_at)
         select id, tenant_id, queue, kind, priority, payload, event_id, attempt, runs, generation, max_attempts,
            timeout_ms, crashes, unique_key, unique_mode, unique_for_ms, concurrency_key, correlation_id, causation_id,
            trace, checkpoint, progress_done, progress_total, worked_ms, 'poison_pill', $2, $3, created_at, {now}
         from fairlane_jobs where id = $1 and state = 'available'
         on conflict (id) do update set code = excluded.code, error = excluded.error, failed_at = excluded.failed_at,
            fingerprint = excluded.fingerprint, attempt = excluded.attempt, runs = excluded.runs,
            worked_ms = excluded.worked_ms"
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
