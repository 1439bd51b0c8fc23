//! `workers`, `restart`.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::args::duration;
use super::exit::Exit;
use super::filters::known_queue;
use super::output::{Page, Record, ago, counted, json as as_json, short};
use super::session::Session;
use crate::admin::workers::{self as admin, WorkerFilter};
use crate::store::listing::Listing;
use crate::store::workers::{self, WorkerRow};

/// How often a waiting restart looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Workers {
    /// Those that have stopped as well
    #[arg(short, long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct Restart {
    /// Only the workers of this name
    #[arg(long)]
    name: Option<String>,
    /// Only those on this machine
    #[arg(long)]
    host: Option<String>,
    /// Only those that serve this queue
    #[arg(long)]
    queue: Option<String>,
    /// Wait until they have stopped, and say who did
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this
    #[arg(long, value_parser = duration, default_value = "60s", value_name = "LENGTH")]
    timeout: Duration,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct WorkerRecord {
    id: Uuid,
    name: String,
    host: String,
    pid: i64,
    version: String,
    queues: Vec<String>,
    running: i64,
    concurrency: i64,
    state: String,
    #[serde(serialize_with = "as_json::time")]
    started_at: DateTime<Utc>,
    #[serde(serialize_with = "as_json::time")]
    seen_at: DateTime<Utc>,
    #[serde(serialize_with = "as_json::time_option")]
    stop_requested_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "as_json::time_option")]
    stopped_at: Option<DateTime<Utc>>,
    stop_reason: Option<String>,
}

impl From<WorkerRow> for WorkerRecord {
    fn from(row: WorkerRow) -> Self {
        Self {
            state: row.state,
            id: row.id,
            name: row.name,
            host: row.host,
            pid: row.pid,
            version: row.version,
            queues: row.queues.split(',').map(str::to_owned).collect(),
            running: row.running,
            concurrency: row.concurrency,
            started_at: row.started_at,
            seen_at: row.seen_at,
            stop_requested_at: row.stop_requested_at,
            stopped_at: row.stopped_at,
            stop_reason: row.stop_reason,
        }
    }
}

impl Record for WorkerRecord {
    const COLUMNS: &'static [&'static str] =
        &["ID", "NAME", "HOST", "PID", "QUEUES", "SLOTS", "STATE", "STARTED", "SEEN"];

    fn cells(&self) -> Vec<String> {
        let now = Utc::now();
        let state = match &self.stop_reason {
            Some(reason) => format!("{}: {reason}", self.state),
            None => self.state.clone(),
        };
        vec![
            short(self.id),
            self.name.clone(),
            self.host.clone(),
            self.pid.to_string(),
            self.queues.join(","),
            format!("{}/{}", self.running, self.concurrency),
            state,
            ago(self.started_at, now),
            ago(self.seen_at, now),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

async fn all(session: &Session) -> anyhow::Result<Listing<WorkerRow>> {
    let mut tx = session.fairlane().await?.db().read().await?;
    Ok(workers::list(&mut tx.conn(), session.config.worker()?.lease).await?)
}

pub(super) async fn list(verb: &Workers, session: &Session) -> anyhow::Result<Exit> {
    let listing = all(session).await?;
    let shown = listing.rows.into_iter().filter(|row| verb.all || row.state != "stopped");
    let rows: Vec<_> = shown.map(WorkerRecord::from).collect();
    let page = Page { rows, damaged: listing.damaged, next_cursor: None, more: None };
    session.out.page(&page, "No workers are running. Start one: fairlane work")?;
    Ok(Exit::Done)
}

pub(super) async fn restart(verb: &Restart, session: &Session) -> anyhow::Result<Exit> {
    if let Some(queue) = &verb.queue {
        known_queue(session, queue).await?;
    }
    let filter = WorkerFilter { name: verb.name.clone(), host: verb.host.clone(), queue: verb.queue.clone() };
    let operator = session.operator(verb.reason.as_deref());
    let asked = admin::restart(session.fairlane().await?, &filter, &operator).await?;
    if !verb.wait || asked.is_empty() {
        let line =
            format!("{} asked to finish what they run and stop.", counted(asked.len() as i64, "worker"));
        session.out.result(&json!({ "asked": asked, "stopped": [], "silent": [] }), None, &[line])?;
        return Ok(Exit::Done);
    }
    let silent = wait(session, &asked, verb.timeout).await?;
    let stopped: Vec<_> = asked.iter().filter(|id| !silent.contains(id)).collect();
    let mut lines = vec![format!("{} of {} workers have stopped.", stopped.len(), asked.len())];
    lines.extend(silent.iter().map(|id| format!("  {id} has not")));
    session.out.result(&json!({ "asked": asked, "stopped": stopped, "silent": silent }), None, &lines)?;
    Ok(if silent.is_empty() { Exit::Done } else { Exit::Partly })
}

/// Waits until all have stopped; returns those that have not.
async fn wait(session: &Session, asked: &[Uuid], longest: Duration) -> anyhow::Result<Vec<Uuid>> {
    let begun = Instant::now();
    loop {
        let listing = all(session).await?;
        let alive = |id: &&Uuid| listing.rows.iter().any(|row| row.id == **id && row.stopped_at.is_none());
        let silent: Vec<Uuid> = asked.iter().filter(alive).copied().collect();
        if silent.is_empty() || begun.elapsed() >= longest {
            return Ok(silent);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
