//! What follows an attempt, written. Every statement carries `(id, token)`: zero rows mean the lease was lost.

use std::time::Duration;

use uuid::Uuid;

use super::attempts::{record_attempt, storable, storable_code};
use crate::db::{Conn, query};
use crate::error::Result;
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

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2000)
}
