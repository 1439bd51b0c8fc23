//! Calling jobs off: waiting ones at once, running ones by asking their worker.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::job_lists::{JobFilter, matching};
use crate::db::{Conn, Sql, query};
use crate::error::Result;
use crate::sql;

/// What a batch of cancellations did.
#[derive(Debug, Default)]
pub struct Cancelled {
    /// Jobs that moved to the history.
    pub waiting: Vec<Uuid>,
    /// Running jobs whose worker was asked to stop them.
    pub running: Vec<Uuid>,
    /// The place after the last job looked at; `None` when nothing is left.
    pub next: Option<Uuid>,
}

const PAGE: Sql = Sql {
    postgres: concat!(
        "select id, state from fairlane_jobs where ",
        matching!(),
        " and state = any($10) and created_at <= $11 and id > $12 order by id limit $13 for no key update"
    ),
    // Ids that can't be read are left where they are: a page full of them would end the set.
    sqlite: concat!(
        "select id, state from fairlane_jobs where ",
        matching!(),
        " and state in (select value from json_each($10)) and created_at <= $11 and id > $12 and ",
        readable_id!("id"),
        " order by id limit $13"
    ),
};

/// Cancels the next live jobs of a set that was fixed at `fixed_at`, in order of their ids.
///
/// The rows are locked first, so that a job can't be claimed between the history's insert and the live table's delete.
pub async fn cancel_page(
    conn: &mut Conn<'_>,
    filter: &JobFilter,
    fixed_at: DateTime<Utc>,
    after: Uuid,
    reason: &str,
    limit: i64,
) -> Result<Cancelled> {
    let rows = filter.bind(query(PAGE)).bind(fixed_at).bind(after).bind(limit).fetch_all(conn).await?;
    let mut cancelled = Cancelled::default();
    for row in &rows {
        // A damaged id or state is nobody's job to cancel: it stays, and the others go on.
        let (Ok(id), Ok(state)) = (row.get("id"), row.get::<String>("state")) else { continue };
        if state == "executing" {
            cancelled.running.push(id);
        } else {
            cancelled.waiting.push(id);
        }
        cancelled.next = Some(id);
    }
    if (rows.len() as i64) < limit {
        cancelled.next = None;
    }
    move_to_history(conn, &cancelled.waiting, reason).await?;
    ask_workers(conn, &cancelled.running, reason).await?;
    Ok(cancelled)
}

async fn move_to_history(conn: &mut Conn<'_>, ids: &[Uuid], reason: &str) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    query(sql!(
        "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, reason, payload, event_id,
            attempt, runs, generation, worker_id, correlation_id, causation_id, trace, progress_done, progress_total,
            worked_ms, created_at, started_at, finished_at)
         select id, tenant_id, queue, kind, priority, 'cancelled', $2, payload, event_id, attempt, runs, generation,
            worker_id, correlation_id, causation_id, trace, progress_done, progress_total, worked_ms, created_at,
            started_at, {now}
         from fairlane_jobs where id {in:$1} and state <> 'executing'
         on conflict (id) do nothing"
    ))
    .bind(ids)
    .bind(reason)
    .execute(conn)
    .await?;
    query(sql!(
        "delete from fairlane_unique_keys where scope <> 'idempotency' and job_id in (
            select id from fairlane_jobs where id {in:$1} and state <> 'executing' and unique_mode <> 'for_period')"
    ))
    .bind(ids)
    .execute(conn)
    .await?;
    query(sql!("delete from fairlane_jobs where id {in:$1} and state <> 'executing'"))
        .bind(ids)
        .execute(conn)
        .await?;
    Ok(())
}

async fn ask_workers(conn: &mut Conn<'_>, ids: &[Uuid], reason: &str) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    query(sql!(
        "update fairlane_jobs set cancel_requested_at = coalesce(cancel_requested_at, {now}), cancel_reason = $2
         where id {in:$1} and state = 'executing'"
    ))
    .bind(ids)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(())
}
