//! Worker processes, for people: who is there, and asking them to stop.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::listing::{Listing, read_all};
use crate::db::{Conn, Row, query};
use crate::error::Result;
use crate::sql;

/// A worker process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// One per process start.
    pub id: Uuid,
    /// The name it was given, or host and pid.
    pub name: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: i64,
    /// The release it runs.
    pub version: String,
    /// The queues it drains, in order, with commas.
    pub queues: String,
    /// Its slots.
    pub concurrency: i64,
    /// The length of its leases in milliseconds, where it said so.
    pub lease_ms: Option<i64>,
    /// running, paused, draining or stopped; on lists also lost.
    pub state: String,
    /// Slots taken when it was last seen.
    pub running: i64,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last wrote.
    pub seen_at: DateTime<Utc>,
    /// When somebody asked it to stop.
    pub stop_requested_at: Option<DateTime<Utc>>,
    /// When it stopped.
    pub stopped_at: Option<DateTime<Utc>>,
    /// Why it stopped.
    pub stop_reason: Option<String>,
}

impl WorkerRow {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            host: row.get("host")?,
            pid: row.get("pid")?,
            version: row.get("version")?,
            queues: row.get("queues")?,
            concurrency: row.get("concurrency")?,
            lease_ms: row.get("lease_ms")?,
            state: row.get("state")?,
            running: row.get("running")?,
            started_at: row.get("started_at")?,
            seen_at: row.get("seen_at")?,
            stop_requested_at: row.get("stop_requested_at")?,
            stopped_at: row.get("stopped_at")?,
            stop_reason: row.get("stop_reason")?,
        })
    }
}

/// Registers a process that starts.
pub async fn register(conn: &mut Conn<'_>, worker: &WorkerRow) -> Result<()> {
    query(sql!(
        "insert into fairlane_workers (id, name, host, pid, version, queues, concurrency, lease_ms, state, started_at, seen_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'running', {now}, {now})
         on conflict (id) do nothing"
    ))
    .bind(worker.id)
    .bind(worker.name.as_str())
    .bind(worker.host.as_str())
    .bind(worker.pid)
    .bind(worker.version.as_str())
    .bind(worker.queues.as_str())
    .bind(worker.concurrency)
    .bind(worker.lease_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// Says that a process is there and how busy; returns whether somebody asked it to stop.
pub async fn seen(conn: &mut Conn<'_>, id: Uuid, state: &str, running: i64) -> Result<bool> {
    let row = query(sql!(
        "update fairlane_workers set seen_at = {now}, state = $2, running = $3 where id = $1
         returning stop_requested_at is not null as stop"
    ))
    .bind(id)
    .bind(state)
    .bind(running)
    .fetch_optional(conn)
    .await?;
    row.map_or(Ok(false), |row| row.get("stop"))
}

/// Says that a process has stopped, and why.
pub async fn stopped(conn: &mut Conn<'_>, id: Uuid, reason: &str) -> Result<()> {
    query(sql!(
        "update fairlane_workers set seen_at = {now}, stopped_at = {now}, stop_reason = $2, state = 'stopped', running = 0
         where id = $1"
    ))
    .bind(id)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(())
}

/// All known processes, the newest first. One that fell silent is `lost`: when the leases of its jobs are over, when a job
/// was taken back from it, or when it has not been seen for one of its leases (as the configuration has them, where it did
/// not say) and no job of it has a longer one.
pub async fn list(conn: &mut Conn<'_>, lease: Duration) -> Result<Listing<WorkerRow>> {
    let rows = query(sql!(
        "select cast(w.id as text) as key, w.id, w.name, w.host, w.pid, w.version, w.queues, w.concurrency, w.lease_ms, w.running,
            w.started_at, w.seen_at, w.stop_requested_at, w.stopped_at, w.stop_reason,
            case when w.state = 'stopped' then w.state
                when w.seen_at < {now} - {ms:coalesce(w.lease_ms, $1)} and coalesce(held.until, w.seen_at) < {now} then 'lost'
                when held.until < {now} and w.seen_at < held.until then 'lost'
                when exists (
                    select 1 from fairlane_attempts a where a.finished_at > w.seen_at and a.worker_id = w.id
                        and a.outcome in ('crashed', 'lease_lost')) then 'lost'
                else w.state end as state
         from fairlane_workers w left join (
            select worker_id, max(lease_until) as until from fairlane_jobs where state = 'executing' group by worker_id
         ) held on held.worker_id = w.id
         order by w.started_at desc, w.id"
    ))
    .bind(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    read_all(&rows, i64::MAX, WorkerRow::read)
}

/// Asks running processes to finish what they run and stop; returns whom. Empty filters mean all of them.
pub async fn request_stop(
    conn: &mut Conn<'_>,
    name: Option<&str>,
    host: Option<&str>,
    queue: Option<&str>,
) -> Result<Vec<Uuid>> {
    let rows = query(sql!(
        "update fairlane_workers set stop_requested_at = {now}
         where state <> 'stopped' and stop_requested_at is null
            and ($1 is null or name = $1) and ($2 is null or host = $2)
            and ($3 is null or replace(',' || queues || ',', ',' || $3 || ',', '') <> ',' || queues || ',')
         returning id"
    ))
    .bind(name)
    .bind(host)
    .bind(queue)
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().filter_map(|row| row.get("id").ok()).collect())
}
