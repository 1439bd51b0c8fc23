//! What follows an attempt, written. Every statement carries `(id, token)`: zero rows mean the lease was lost.

use std::time::Duration;

use uuid::Uuid;

use super::attempts::{record_attempt, storable, storable_code};
use crate::context::JobInfo;
use crate::db::{Conn, Dialect, Sql, query};
use crate::error::{Error, Result};
use crate::fingerprint::fingerprint;
use crate::outcome::Failure;
use crate::sql;

/// A job and the fence under which this process may write about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The job.
    pub id: Uuid,
    /// The token of the claim.
    pub token: Uuid,
}

/// The end of a run: the job, the fence, and the time its handler took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunEnd {
    /// The job and the fence.
    pub fence: Fence,
    /// From the handler's start to its end.
    pub worked: Duration,
}

/// A job that is settled without its handler having run.
impl From<Fence> for RunEnd {
    fn from(fence: Fence) -> Self {
        Self { fence, worked: Duration::ZERO }
    }
}

/// The completion on PostgreSQL. `$3` are the milliseconds that runs took, by job: nothing at all when none took any.
macro_rules! complete_on_postgres {
    ($when_in_history:literal) => {
        concat!(
            "with done as (
                delete from fairlane_jobs where id = any($1)
                    and ((id, token) in (select * from unnest($1::uuid[], $2::uuid[]))) is true
                returning *
             ), history as (
                insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, event_id,
                    attempt, runs, generation, worker_id, correlation_id, causation_id, trace, progress_done,
                    progress_total, worked_ms, created_at, started_at, finished_at)
                select id, tenant_id, queue, kind, priority, 'completed', payload, event_id, attempt, runs,
                    generation, worker_id, correlation_id, causation_id, trace, progress_done, progress_total,
                    worked_ms + case when $3::jsonb is null then 0 else coalesce(($3 ->> id::text)::bigint, 0) end,
                    created_at, started_at, {now}
                from done",
            $when_in_history,
            "), listener_runs as (
                insert into fairlane_listener_runs (tenant_id, event_id, listener, job_id, finished_at)
                select tenant_id, event_id, kind, id, {now} from done where event_id is not null
                on conflict do nothing
             ), keys as (
                delete from fairlane_unique_keys k using done
                where k.job_id = done.id and k.scope <> 'idempotency' and done.unique_mode <> 'for_period'
             )
             select id from done"
        )
    };
}

/// An id that was dispatched twice at one moment, by two callers, can be in the history already.
const COMPLETE: &str = complete_on_postgres!(" on conflict (id) do nothing");
const COMPLETE_NEW: &str = complete_on_postgres!("");

/// Completes jobs: to the history, keys released, listener runs recorded. Returns those that were still owned.
///
/// By primary key, the fence as a filter (`is true` keeps the planner from making a join of it): settling by anything
/// else was quadratic in another store, and in this one: with `state = 'executing'` beside the fence PostgreSQL took the
/// index of all leases and compared each with every id (74,000 leases: 2 s a batch of 500). A row has a token exactly
/// while it is executing, so the fence says it all. History is written by the same statement that removes the job. The
/// times travel as an object by id, whose keys are found by halving: a join with a second list would be the planner's to
/// guess.
pub async fn complete<E: Into<RunEnd> + Copy>(conn: &mut Conn<'_>, ends: &[E]) -> Result<Vec<Uuid>> {
    let ends: Vec<RunEnd> = ends.iter().map(|end| (*end).into()).collect();
    complete_by(conn, &ends, COMPLETE).await
}

/// The same for jobs that are taken to be in no history yet, as nearly all are: looking for conflicts costs a sixth of the
/// statement.
///
/// # Errors
/// Of the database, also when one of them is in the history; then none is completed.
pub async fn complete_new(conn: &mut Conn<'_>, ends: &[RunEnd]) -> Result<Vec<Uuid>> {
    complete_by(conn, ends, COMPLETE_NEW).await
}

async fn complete_by(conn: &mut Conn<'_>, ends: &[RunEnd], postgres: &'static str) -> Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = ends.iter().map(|end| end.fence.id).collect();
    let rows = match conn.dialect() {
        Dialect::Postgres => {
            let took_time = ends.iter().any(|end| !end.worked.is_zero());
            query(Sql { postgres, sqlite: "" })
                .bind(ids)
                .bind(ends.iter().map(|end| end.fence.token).collect::<Vec<_>>())
                .bind(took_time.then(|| worked_by_id(ends.iter().filter(|end| !end.worked.is_zero()))))
                .fetch_all(conn)
                .await?
        }
        Dialect::Sqlite => complete_step_by_step(conn, ids, ends).await?,
    };
    rows.iter().map(|row| row.get("id")).collect()
}

fn worked_by_id<'e>(ends: impl IntoIterator<Item = &'e RunEnd>) -> serde_json::Value {
    ends.into_iter()
        .map(|end| (end.fence.id.to_string(), millis(end.worked).into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

async fn complete_step_by_step(
    conn: &mut Conn<'_>,
    ids: Vec<Uuid>,
    ends: &[RunEnd],
) -> Result<Vec<crate::db::Row>> {
    // In pairs: all jobs of one claim share its token, so an old fence of one beside a new fence of another would pass
    // a list of ids and a list of tokens.
    let owned = query(sql!(
        "select id from fairlane_jobs
         where id {in:$1} and state = 'executing' and (id || ' ' || token) {in:$2}"
    ))
    .bind(ids)
    .bind(ends.iter().map(|end| format!("{} {}", end.fence.id, end.fence.token)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let ids: Vec<Uuid> = owned.iter().map(|row| row.get("id")).collect::<Result<_>>()?;
    let owned_ends: Vec<RunEnd> = ends.iter().filter(|end| ids.contains(&end.fence.id)).copied().collect();
    query(sql!(
        "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, event_id, attempt,
            runs, generation, worker_id, correlation_id, causation_id, trace, progress_done, progress_total, worked_ms,
            created_at, started_at, finished_at)
         select id, tenant_id, queue, kind, priority, 'completed', payload, event_id, attempt, runs, generation,
            worker_id, correlation_id, causation_id, trace, progress_done, progress_total, worked_ms + run.ms,
            created_at, started_at, {now}
         from (select key as job_id, value as ms from json_each($1)) run cross join fairlane_jobs on id = run.job_id
         where true
         on conflict (id) do nothing"
    ))
    .bind(worked_by_id(&owned_ends))
    .execute(conn)
    .await?;
    for statement in [
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
pub(crate) async fn complete_one(
    conn: &mut Conn<'_>,
    job: &JobInfo,
    token: Uuid,
    worked: Duration,
) -> Result<()> {
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
    let owned = complete(conn, &[RunEnd { fence: Fence { id: job.id, token }, worked }]).await?;
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
pub async fn retry(
    conn: &mut Conn<'_>,
    end: impl Into<RunEnd>,
    after: Duration,
    failure: &Failure,
) -> Result<bool> {
    let RunEnd { fence, worked } = end.into();
    if lock_owned(conn, fence).await?.is_none() {
        return Ok(false);
    }
    record_attempt(conn, fence, "retry", failure).await?;
    let touched = query(sql!(
        "update fairlane_jobs set state = 'retryable', run_at = {now} + {ms:$3}, token = null, lease_until = null,
            suspect = false, crashes = 0, worked_ms = worked_ms + $4
         where id = $1 and token = $2 and state = 'executing'"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(millis(after))
    .bind(millis(worked))
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Puts a job back for later and gives the attempt back; `false` when the lease was lost. One that is to come again at once
/// keeps its place, before later ones of its lane and key.
pub async fn snooze(conn: &mut Conn<'_>, end: impl Into<RunEnd>, after: Duration) -> Result<bool> {
    let RunEnd { fence, worked } = end.into();
    let touched = query(sql!(
        "update fairlane_jobs set state = case when $3 > 0 then 'scheduled' else 'available' end,
            run_at = case when $3 > 0 then {now} + {ms:$3} else run_at end, token = null, lease_until = null,
            attempt = attempt - 1, suspect = false, crashes = 0,
            worked_ms = worked_ms + $4
         where id = $1 and token = $2 and state = 'executing'"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(millis(after))
    .bind(millis(worked))
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Gives an interrupted job back at once, with its attempt; `false` when the lease was lost.
pub async fn release(conn: &mut Conn<'_>, end: impl Into<RunEnd>) -> Result<bool> {
    let RunEnd { fence, worked } = end.into();
    let touched = query(sql!(
        "update fairlane_jobs set state = 'available', token = null, lease_until = null, attempt = attempt - 1,
            interruptions = interruptions + 1, worked_ms = worked_ms + $3
         where id = $1 and token = $2 and state = 'executing'"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(millis(worked))
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Moves a job to the failed jobs, with all it needs to be retried; `false` when the lease was lost.
pub async fn fail(conn: &mut Conn<'_>, end: impl Into<RunEnd>, failure: &Failure) -> Result<bool> {
    let RunEnd { fence, worked } = end.into();
    let Some(kind) = lock_owned(conn, fence).await? else { return Ok(false) };
    record_attempt(conn, fence, "failed", failure).await?;
    let code = storable_code(&failure.code);
    let group = fingerprint(&kind, &code, &storable(&failure.message));
    query(sql!(
        "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, event_id, attempt, runs,
            generation, max_attempts, timeout_ms, crashes, unique_key, unique_mode, unique_for_ms, concurrency_key,
            correlation_id, causation_id, trace, checkpoint, progress_done, progress_total, worked_ms, code, error,
            fingerprint, created_at, failed_at)
         select id, tenant_id, queue, kind, priority, payload, event_id, attempt, runs, generation, max_attempts,
            timeout_ms, crashes, unique_key, unique_mode, unique_for_ms, concurrency_key, correlation_id, causation_id,
            trace, checkpoint, progress_done, progress_total, worked_ms + $6, $3, $4, $5, created_at, {now}
         from fairlane_jobs where id = $1 and token = $2 and state = 'executing'
         on conflict (id) do update set code = excluded.code, error = excluded.error, failed_at = excluded.failed_at,
            fingerprint = excluded.fingerprint, attempt = excluded.attempt, runs = excluded.runs,
            worked_ms = excluded.worked_ms"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(code)
    .bind(storable(&failure.message))
    .bind(group)
    .bind(millis(worked))
    .execute(conn)
    .await?;
    remove(conn, fence).await
}

/// Moves a job to the history as cancelled; `false` when the lease was lost.
pub async fn cancel(conn: &mut Conn<'_>, end: impl Into<RunEnd>, reason: &str) -> Result<bool> {
    let RunEnd { fence, worked } = end.into();
    if lock_owned(conn, fence).await?.is_none() {
        return Ok(false);
    }
    query(sql!(
        "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, reason, payload, event_id,
            attempt, runs, generation, worker_id, correlation_id, causation_id, trace, progress_done, progress_total,
            worked_ms, created_at, started_at, finished_at)
         select id, tenant_id, queue, kind, priority, 'cancelled', $3, payload, event_id, attempt, runs, generation,
            worker_id, correlation_id, causation_id, trace, progress_done, progress_total, worked_ms + $4, created_at,
            started_at, {now}
         from fairlane_jobs where id = $1 and token = $2 and state = 'executing'
         on conflict (id) do nothing"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(storable(reason))
    .bind(millis(worked))
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2000)
}
