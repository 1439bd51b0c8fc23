//! Completions: to the history, keys released, listener runs recorded.

use std::time::Duration;

use uuid::Uuid;

use super::settle::{Fence, RunEnd, millis};
use crate::context::JobInfo;
use crate::db::{Conn, Dialect, Sql, query};
use crate::error::{Error, Result};
use crate::sql;

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
