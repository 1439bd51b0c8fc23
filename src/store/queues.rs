//! Queues: what waits in them, and whether they may run.

use chrono::{DateTime, Utc};

use super::listing::{Listing, read_all};
use crate::db::{Column, Conn, Row, query};
use crate::error::Result;
use crate::sql;

/// A queue as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueRow {
    /// Its name.
    pub name: String,
    /// Jobs that may run now.
    pub ready: i64,
    /// Jobs that wait for their time.
    pub scheduled: i64,
    /// Jobs that wait for their next attempt.
    pub retryable: i64,
    /// Jobs set aside: until their concurrency key is free, or because their row is damaged.
    pub suspended: i64,
    /// Jobs that a worker has.
    pub running: i64,
    /// Failed jobs.
    pub failed: i64,
    /// Since when the oldest ready job may run.
    pub oldest_ready_at: Option<DateTime<Utc>>,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Until when.
    pub paused_until: Option<DateTime<Utc>>,
    /// By whom.
    pub paused_by: Option<String>,
    /// Why.
    pub pause_reason: Option<String>,
    /// What of it can't be read; the rest is right.
    pub damaged: Option<String>,
}

impl QueueRow {
    /// A queue nobody has used yet.
    pub fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ready: 0,
            scheduled: 0,
            retryable: 0,
            suspended: 0,
            running: 0,
            failed: 0,
            oldest_ready_at: None,
            paused_at: None,
            paused_until: None,
            paused_by: None,
            pause_reason: None,
            damaged: None,
        }
    }

    /// Jobs that wait for whatever reason.
    pub fn waiting(&self) -> i64 {
        self.ready + self.scheduled + self.retryable + self.suspended
    }
}

/// All queues that have jobs, failed jobs or a row of their own, by name; counts of all tenants or of one.
pub async fn list(conn: &mut Conn<'_>, tenant_id: Option<i64>) -> Result<Listing<QueueRow>> {
    let rows = query(sql!(
        "select names.name as key, names.name, coalesce(ready, 0) as ready, coalesce(scheduled, 0) as scheduled,
            coalesce(retryable, 0) as retryable, coalesce(suspended, 0) as suspended, coalesce(running, 0) as running,
            coalesce(failed, 0) as failed, oldest_ready_at,
            case when q.paused_until is null or q.paused_until > {now} then q.paused_at end as paused_at,
            q.paused_until, q.paused_by, q.pause_reason
         from (
            select name from fairlane_queues union select queue from fairlane_jobs
            union select queue from fairlane_failed_jobs union select queue from fairlane_subscriptions) names
         left join fairlane_queues q on q.name = names.name
         left join (
            select queue, count(*) filter (where state = 'available') as ready,
                count(*) filter (where state = 'scheduled') as scheduled,
                count(*) filter (where state = 'retryable') as retryable,
                count(*) filter (where state = 'suspended') as suspended,
                count(*) filter (where state = 'executing') as running,
                min(run_at) filter (where state = 'available') as oldest_ready_at
            from fairlane_jobs where $1 is null or tenant_id = $1 group by queue) live on live.queue = names.name
         left join (
            select queue, count(*) as failed
            from fairlane_failed_jobs where $1 is null or tenant_id = $1 group by queue) dead on dead.queue = names.name
         order by names.name"
    ))
    .bind(tenant_id)
    .fetch_all(conn)
    .await?;
    read_all(&rows, i64::MAX, read)
}

/// A pause or an age that can't be read leaves the counts beside it right: the queue is shown, and says what is damaged.
fn read(row: &Row) -> Result<QueueRow> {
    let mut damaged = None;
    Ok(QueueRow {
        name: row.get("name")?,
        ready: row.get("ready")?,
        scheduled: row.get("scheduled")?,
        retryable: row.get("retryable")?,
        suspended: row.get("suspended")?,
        running: row.get("running")?,
        failed: row.get("failed")?,
        oldest_ready_at: readable(row, "oldest_ready_at", &mut damaged),
        paused_at: readable(row, "paused_at", &mut damaged),
        paused_until: readable(row, "paused_until", &mut damaged),
        paused_by: readable(row, "paused_by", &mut damaged),
        pause_reason: readable(row, "pause_reason", &mut damaged),
        damaged,
    })
}

fn readable<T>(row: &Row, column: &str, damaged: &mut Option<String>) -> Option<T>
where
    Option<T>: Column,
{
    row.get(column).unwrap_or_else(|why| {
        damaged.get_or_insert_with(|| why.to_string());
        None
    })
}

/// Names of queues that a filter or a pause may mean.
pub async fn names(conn: &mut Conn<'_>) -> Result<Vec<String>> {
    let rows = query(sql!(
        "select name from fairlane_queues union select distinct queue from fairlane_jobs
         union select distinct queue from fairlane_failed_jobs union select queue from fairlane_subscriptions
         order by 1"
    ))
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().filter_map(|row| row.get("name").ok()).collect())
}

/// Stops a queue from starting jobs, for good or until a time.
pub async fn pause(
    conn: &mut Conn<'_>,
    name: &str,
    until: Option<DateTime<Utc>>,
    by: &str,
    reason: Option<&str>,
) -> Result<()> {
    query(sql!(
        "insert into fairlane_queues (name, paused_at, paused_until, paused_by, pause_reason)
         values ($1, {now}, $2, $3, $4)
         on conflict (name) do update set paused_at = excluded.paused_at, paused_until = excluded.paused_until,
            paused_by = excluded.paused_by, pause_reason = excluded.pause_reason"
    ))
    .bind(name)
    .bind(until)
    .bind(by)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets a queue start jobs again; returns whether it was paused.
pub async fn resume(conn: &mut Conn<'_>, name: &str) -> Result<bool> {
    let touched = query(sql!(
        "update fairlane_queues set paused_at = null, paused_until = null, paused_by = null, pause_reason = null
         where name = $1 and paused_at is not null"
    ))
    .bind(name)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}
