//! What follows an attempt, written. Every statement carries `(id, token)`: zero rows mean the lease was lost.

use std::time::Duration;

use uuid::Uuid;

use crate::context::JobInfo;
use crate::db::{Conn, Dialect, Sql, query};
use crate::error::{Error, Result};
use crate::fingerprint::fingerprint;
use crate::outcome::Failure;
use crate::sql;

/// Attempt errors kept from a job's beginning, and as many from its end.
pub(super) const ERRORS_KEPT: i64 = 10;

/// A job and the fence under which this process may write about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The job.
    pub id: Uuid,
    /// The token of the claim.
    pub token: Uuid,
}

/// Completes jobs: to the history, keys released, listener runs recorded. Returns those that were still owned.
///
/// By primary key, the fence as a filter (`is true` keeps the planner from making a join of it): settling by anything
/// else was quadratic in another store. History is written by the same statement that removes the job.
pub async fn complete(conn: &mut Conn<'_>, fences: &[Fence]) -> Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = fences.iter().map(|fence| fence.id).collect();
    let rows = match conn.dialect() {
        Dialect::Postgres => {
            query(sql!(
                "with done as (
                    delete from fairlane_jobs where id = any($1) and state = 'executing'
                        and ((id, token) in (select * from unnest($1::uuid[], $2::uuid[]))) is true
                    returning *
                 ), history as (
                    insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, event_id,
                        attempt, runs, generation, worker_id, correlation_id, causation_id, trace, progress_done,
                        progress_total, created_at, started_at, finished_at)
                    select id, tenant_id, queue, kind, priority, 'completed', payload, event_id, attempt, runs,
                        generation, worker_id, correlation_id, causation_id, trace, progress_done, progress_total,
                        created_at, started_at, {now}
                    from done
                    on conflict (id) do nothing
                 ), listener_runs as (
                    insert into fairlane_listener_runs (tenant_id, event_id, listener, job_id, finished_at)
                    select tenant_id, event_id, kind, id, {now} from done where event_id is not null
                    on conflict do nothing
                 ), keys as (
                    delete from fairlane_unique_keys k using done
                    where k.job_id = done.id and k.scope <> 'idempotency' and done.unique_mode <> 'for_period'
                 )
                 select id from done"
            ))
            .bind(ids)
            .bind(fences.iter().map(|fence| fence.token).collect::<Vec<_>>())
            .fetch_all(conn)
            .await?
        }
        Dialect::Sqlite => complete_step_by_step(conn, ids, fences).await?,
    };
    rows.iter().map(|row| row.get("id")).collect()
}

async fn complete_step_by_step(
    conn: &mut Conn<'_>,
    ids: Vec<Uuid>,
    fences: &[Fence],
) -> Result<Vec<crate::db::Row>> {
    // In pairs: all jobs of one claim share its token, so an old fence of one beside a new fence of another would pass
    // a list of ids and a list of tokens.
    let owned = query(sql!(
        "select id from fairlane_jobs
         where id {in:$1} and state = 'executing' and (id || ' ' || token) {in:$2}"
    ))
    .bind(ids)
    .bind(fences.iter().map(|fence| format!("{} {}", fence.id, fence.token)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let ids: Vec<Uuid> = owned.iter().map(|row| row.get("id")).collect::<Result<_>>()?;
    for statement in [
        sql!(
            "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, event_id, attempt,
                runs, generation, worker_id, correlation_id, causation_id, trace, progress_done, progress_total,
                created_at, started_at, finished_at)
             select id, tenant_id, queue, kind, priority, 'completed', payload, event_id, attempt, runs, generation,
                worker_id, correlation_id, causation_id, trace, progress_done, progress_total, created_at, started_at,
                {now}
             from fairlane_jobs where id {in:$1}
             on conflict (id) do nothing"
        ),
        sql!(
            "insert into fairlane_listener_runs (tenant_id, event_id, listener, job_id, finished_at)
             select tenant_id, event_id, kind, id, {now} from fairlane_jobs where id {in:$1} and event_id is not null
             on conflict do nothing"
        ),
        sql!(
            "delete from fairlane_unique_keys where scope <> 'idempotency' and job_id in (
                select id from fairlane_jobs where id {in:$1} and unique_mode <> 'for_period')"
        ),
        sql!("delete from fairlane_jobs where id {in:$1}"),
    ] {
        query(statement).bind(ids.clone()).execute(conn).await?;
    }
    Ok(owned)
}

/// Completes one job inside its handler's transaction. For a listener, the run record is the proof of *once*: when it
/// exists already, this delivery is a repeat and everything it did is rolled back.
///
/// # Errors
/// [`Error::AlreadyHandled`], [`Error::LeaseLost`].
pub(crate) async fn complete_one(conn: &mut Conn<'_>, job: &JobInfo, token: Uuid) -> Result<()> {
    if let Some(event) = job.event_id {
        let first = query(sql!(
            "insert into fairlane_listener_runs (tenant_id, event_id, listener, job_id, finished_at)
             values ($1, $2, $3, $4, {now}) on conflict do nothing"
        ))
        .bind(job.tenant_id)
        .bind(event)
        .bind(job.kind.as_str())
        .bind(job.id)
        .execute(conn)
        .await?;
        if first == 0 {
            return Err(Error::AlreadyHandled { event, listener: job.kind.clone() });
        }
    }
    let owned = complete(conn, &[Fence { id: job.id, token }]).await?;
    if owned.len() == 1 { Ok(()) } else { Err(Error::LeaseLost { job: job.id }) }
}

/// Whether this listener has handled this event before; asked before the handler starts.
pub(crate) async fn handled_before(conn: &mut Conn<'_>, job: &JobInfo) -> Result<bool> {
    let Some(event) = job.event_id else { return Ok(false) };
    let row = query(sql!(
        "select exists (select 1 from fairlane_listener_runs
            where tenant_id = $1 and event_id = $2 and listener = $3) as handled"
    ))
    .bind(job.tenant_id)
    .bind(event)
    .bind(job.kind.as_str())
    .fetch_one(conn)
    .await?;
    row.get("handled")
}

/// Puts a failed attempt back to wait for the next; `false` when the lease was lost.
pub async fn retry(conn: &mut Conn<'_>, fence: Fence, after: Duration, failure: &Failure) -> Result<bool> {
    if lock_owned(conn, fence).await?.is_none() {
        return Ok(false);
    }
    record_attempt(conn, fence, "retry", failure).await?;
    let touched = query(sql!(
        "update fairlane_jobs set state = 'retryable', run_at = {now} + {ms:$3}, token = null, lease_until = null,
            suspect = false, crashes = 0
         where id = $1 and token = $2 and state = 'executing'"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(millis(after))
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Puts a job back for later and gives the attempt back; `false` when the lease was lost.
pub async fn snooze(conn: &mut Conn<'_>, fence: Fence, after: Duration) -> Result<bool> {
    let touched = query(sql!(
        "update fairlane_jobs set state = case when $3 > 0 then 'scheduled' else 'available' end,
            run_at = {now} + {ms:$3}, token = null, lease_until = null, attempt = attempt - 1, suspect = false, crashes = 0
         where id = $1 and token = $2 and state = 'executing'"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(millis(after))
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Gives an interrupted job back at once, with its attempt; `false` when the lease was lost.
pub async fn release(conn: &mut Conn<'_>, fence: Fence) -> Result<bool> {
    let touched = query(sql!(
        "update fairlane_jobs set state = 'available', token = null, lease_until = null, attempt = attempt - 1,
            interruptions = interruptions + 1
         where id = $1 and token = $2 and state = 'executing'"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Moves a job to the failed jobs, with all it needs to be retried; `false` when the lease was lost.
pub async fn fail(conn: &mut Conn<'_>, fence: Fence, failure: &Failure) -> Result<bool> {
    let Some(kind) = lock_owned(conn, fence).await? else { return Ok(false) };
    record_attempt(conn, fence, "failed", failure).await?;
    let code = storable_code(&failure.code);
    let group = fingerprint(&kind, &code, &storable(&failure.message));
    query(sql!(
        "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, event_id, attempt, runs,
            generation, max_attempts, timeout_ms, crashes, unique_key, unique_mode, unique_for_ms, concurrency_key,
            correlation_id, causation_id, trace, checkpoint, progress_done, progress_total, code, error, fingerprint,
            created_at, failed_at)
         select id, tenant_id, queue, kind, priority, payload, event_id, attempt, runs, generation, max_attempts,
            timeout_ms, crashes, unique_key, unique_mode, unique_for_ms, concurrency_key, correlation_id, causation_id,
            trace, checkpoint, progress_done, progress_total, $3, $4, $5, created_at, {now}
         from fairlane_jobs where id = $1 and token = $2 and state = 'executing'
         on conflict (id) do update set code = excluded.code, error = excluded.error, failed_at = excluded.failed_at,
            fingerprint = excluded.fingerprint, attempt = excluded.attempt, runs = excluded.runs"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(code)
    .bind(storable(&failure.message))
    .bind(group)
    .execute(conn)
    .await?;
    remove(conn, fence).await
}

/// Moves a job to the history as cancelled; `false` when the lease was lost.
pub async fn cancel(conn: &mut Conn<'_>, fence: Fence, reason: &str) -> Result<bool> {
    if lock_owned(conn, fence).await?.is_none() {
        return Ok(false);
    }
    query(sql!(
        "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, reason, payload, event_id,
            attempt, runs, generation, worker_id, correlation_id, causation_id, trace, progress_done, progress_total,
            created_at, started_at, finished_at)
         select id, tenant_id, queue, kind, priority, 'cancelled', $3, payload, event_id, attempt, runs, generation,
            worker_id, correlation_id, causation_id, trace, progress_done, progress_total, created_at, started_at, {now}
         from fairlane_jobs where id = $1 and token = $2 and state = 'executing'
         on conflict (id) do nothing"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(storable(reason))
    .execute(conn)
    .await?;
    remove(conn, fence).await
}

/// The kind of a job that is still owned, locked until the transaction ends: what takes several statements writes
/// all of it or nothing, also when a rescue comes in between.
async fn lock_owned(conn: &mut Conn<'_>, fence: Fence) -> Result<Option<String>> {
    let row = query(sql!(
        "select kind from fairlane_jobs where id = $1 and token = $2 and state = 'executing' {lock}"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("kind")).transpose()
}

/// Takes a job out of the live table and releases the keys that hold until it is done.
async fn remove(conn: &mut Conn<'_>, fence: Fence) -> Result<bool> {
    query(sql!(
        "delete from fairlane_unique_keys where job_id = $1 and scope <> 'idempotency' and exists (
            select 1 from fairlane_jobs
            where id = $1 and token = $2 and state = 'executing' and unique_mode <> 'for_period')"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .execute(conn)
    .await?;
    let touched =
        query(sql!("delete from fairlane_jobs where id = $1 and token = $2 and state = 'executing'"))
            .bind(fence.id)
            .bind(fence.token)
            .execute(conn)
            .await?;
    Ok(touched == 1)
}

/// Writes an attempt's error; keeps the first ten and the last ten of a job.
async fn record_attempt(conn: &mut Conn<'_>, fence: Fence, outcome: &str, failure: &Failure) -> Result<()> {
    let recorded = query(sql!(
        "insert into fairlane_attempts (job_id, run, tenant_id, attempt, generation, worker_id, started_at, finished_at,
            outcome, code, error)
         select id, runs, tenant_id, attempt, generation, worker_id, started_at, {now}, $3, $4, $5
         from fairlane_jobs where id = $1 and token = $2 and state = 'executing'
         on conflict (job_id, run) do nothing"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(outcome)
    .bind(storable_code(&failure.code))
    .bind(storable(&failure.message))
    .execute(conn)
    .await?;
    if recorded == 1 { forget_middle_attempts(conn, fence.id).await } else { Ok(()) }
}

/// Keeps the first ten and the last ten attempts of a job.
pub(super) async fn forget_middle_attempts(conn: &mut Conn<'_>, job: Uuid) -> Result<()> {
    query(Sql {
        postgres: "delete from fairlane_attempts where job_id = $1 and run in (
            select run from fairlane_attempts where job_id = $1 order by run
            offset $2 limit greatest(0, (select count(*) from fairlane_attempts where job_id = $1) - 2 * $2))",
        sqlite: "delete from fairlane_attempts where job_id = $1 and run in (
            select run from fairlane_attempts where job_id = $1 order by run
            limit max(0, (select count(*) from fairlane_attempts where job_id = $1) - 2 * $2) offset $2)",
    })
    .bind(job)
    .bind(ERRORS_KEPT)
    .execute(conn)
    .await?;
    Ok(())
}

/// Error texts come from anywhere: without the NUL that PostgreSQL refuses, and not without end.
fn storable(text: &str) -> String {
    const LONGEST: usize = 8000;
    without_nul(text, LONGEST)
}

/// Codes are a handler's own words, so they may hold anything that a message may.
fn storable_code(code: &str) -> String {
    const LONGEST: usize = 100;
    without_nul(code, LONGEST)
}

fn without_nul(text: &str, longest: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(longest).collect()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2000)
}
