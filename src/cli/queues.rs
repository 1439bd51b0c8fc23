//! `queues`, `pause`, `resume`, `clear`.

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::args::{Consent, future};
use super::confirm::confirm;
use super::exit::{Exit, Failure};
use super::filters::{known_queue, known_queue_or_force};
use super::output::{Page, Record, ago, counted, json as as_json, span};
use super::progress::progress;
use super::session::Session;
use super::tenants;
use crate::admin::jobs::{CallOff, CancelCounts, cancel};
use crate::admin::queues as admin;
use crate::state::JobState;
use crate::store::job_lists::{self, JobFilter};
use crate::store::listing::DamagedRow;
use crate::store::queues::{self, QueueRow};

#[derive(Debug, Args)]
pub(super) struct Queues {}

#[derive(Debug, Args)]
pub(super) struct Pause {
    /// The queue; with -t and no queue, the tenant
    queue: Option<String>,
    /// All queues
    #[arg(long, conflicts_with = "queue")]
    all: bool,
    /// Until this time: 2h, 14:30, 2026-11-05T06:00:00Z
    #[arg(long, value_parser = future, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// Pause a queue that nobody has used yet
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The queue; with -t and no queue, the tenant
    queue: Option<String>,
    /// All queues
    #[arg(long, conflicts_with = "queue")]
    all: bool,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Clear {
    /// The queue
    #[arg(required_unless_present = "queue_option")]
    queue: Option<String>,
    /// The queue, as Laravel spells it
    #[arg(long = "queue", hide = true)]
    queue_option: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

/// A queue of a list.
#[derive(Debug, Serialize)]
struct QueueRecord {
    queue: String,
    ready: i64,
    scheduled: i64,
    retryable: i64,
    suspended: i64,
    running: i64,
    failed: i64,
    oldest_ready_seconds: Option<i64>,
    state: &'static str,
    #[serde(serialize_with = "as_json::time_option")]
    paused_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "as_json::time_option")]
    paused_until: Option<DateTime<Utc>>,
    paused_by: Option<String>,
    pause_reason: Option<String>,
    damaged: Option<String>,
}

impl QueueRecord {
    fn new(row: QueueRow, now: DateTime<Utc>) -> Self {
        Self {
            oldest_ready_seconds: age(&row, now),
            queue: row.name,
            ready: row.ready,
            scheduled: row.scheduled,
            retryable: row.retryable,
            suspended: row.suspended,
            running: row.running,
            failed: row.failed,
            state: match (&row.damaged, row.paused_at) {
                (Some(_), _) => "damaged",
                (None, Some(_)) => "paused",
                (None, None) => "ok",
            },
            paused_at: row.paused_at,
            paused_until: row.paused_until.filter(|_| row.paused_at.is_some()),
            paused_by: row.paused_by,
            pause_reason: row.pause_reason,
            damaged: row.damaged,
        }
    }
}

pub(super) fn age(row: &QueueRow, now: DateTime<Utc>) -> Option<i64> {
    row.oldest_ready_at.map(|at| (now - at).num_seconds().max(0))
}

impl Record for QueueRecord {
    const COLUMNS: &'static [&'static str] =
        &["QUEUE", "READY", "OLDEST", "SCHEDULED", "RETRYING", "SUSPENDED", "RUNNING", "FAILED", "STATE"];

    fn cells(&self) -> Vec<String> {
        let mut state = self.state.to_owned();
        if let Some(at) = self.paused_at {
            let by = self.paused_by.as_deref().unwrap_or("somebody");
            state = format!("paused by {by} {}", ago(at, Utc::now()));
        }
        if let Some(reason) = self.pause_reason.as_ref().filter(|_| self.paused_at.is_some()) {
            state.push_str(&format!(": {reason}"));
        }
        if let Some(why) = &self.damaged {
            state = format!("DAMAGED: {why}");
        }
        vec![
            self.queue.clone(),
            self.ready.to_string(),
            self.oldest_ready_seconds.map_or("-".to_owned(), span),
            self.scheduled.to_string(),
            self.retryable.to_string(),
            self.suspended.to_string(),
            self.running.to_string(),
            self.failed.to_string(),
            state,
        ]
    }

    fn id(&self) -> String {
        self.queue.clone()
    }
}

/// The queues there are.
pub(super) struct AllQueues {
    /// In the order workers serve them, then those that only have rows, by name.
    pub(super) rows: Vec<QueueRow>,
    /// Those whose name can't be read.
    pub(super) damaged: Vec<DamagedRow>,
    /// The time at which they were so.
    pub(super) now: DateTime<Utc>,
}

pub(super) async fn all(session: &Session) -> anyhow::Result<AllQueues> {
    let tenant_id = session.tenant_id().await?;
    let mut tx = session.fairlane().await?.db().read().await?;
    let now = job_lists::now(&mut tx.conn()).await?;
    let listing = queues::list(&mut tx.conn(), tenant_id).await?;
    let mut found = listing.rows;
    let mut ordered = Vec::new();
    for name in session.config.worker()?.queues {
        match found.iter().position(|row| row.name == name) {
            Some(place) => ordered.push(found.remove(place)),
            None => ordered.push(QueueRow::empty(&name)),
        }
    }
    ordered.extend(found);
    Ok(AllQueues { rows: ordered, damaged: listing.damaged, now })
}

pub(super) async fn list(_: &Queues, session: &Session) -> anyhow::Result<Exit> {
    let AllQueues { rows, damaged, now } = all(session).await?;
    let rows: Vec<_> = rows.into_iter().map(|row| QueueRecord::new(row, now)).collect();
    session.out.page(&Page { rows, damaged, next_cursor: None, more: None }, "No queues.")?;
    Ok(Exit::Done)
}

pub(super) async fn pause(verb: &Pause, session: &Session) -> anyhow::Result<Exit> {
    let operator = session.operator(verb.reason.as_deref());
    let fairlane = session.fairlane().await?;
    if let Some(slug) = tenant_alone(session, verb.queue.as_deref(), verb.all)? {
        if verb.until.is_some() {
            return Err(Failure::usage("a tenant is paused until it is resumed; leave --until out").into());
        }
        return tenants::pause(session, slug, verb.reason.as_deref()).await;
    }
    let names = chosen(session, verb.queue.as_deref(), verb.all).await?;
    if !verb.force {
        for name in &names {
            known_queue_or_force(session, name).await?;
        }
    }
    for name in &names {
        admin::pause(fairlane, name, verb.until, &operator).await?;
    }
    said(session, "paused", &names, true)
}

pub(super) async fn resume(verb: &Resume, session: &Session) -> anyhow::Result<Exit> {
    let operator = session.operator(verb.reason.as_deref());
    let fairlane = session.fairlane().await?;
    if let Some(slug) = tenant_alone(session, verb.queue.as_deref(), verb.all)? {
        return tenants::resume(session, slug, verb.reason.as_deref()).await;
    }
    let mut resumed = Vec::new();
    for name in chosen(session, verb.queue.as_deref(), verb.all).await? {
        if verb.queue.is_some() {
            known_queue(session, &name).await?;
        }
        if admin::resume(fairlane, &name, &operator).await? {
            resumed.push(name);
        }
    }
    said(session, "resumed", &resumed, !resumed.is_empty())
}

/// The tenant, where the tenant itself is meant.
fn tenant_alone<'a>(session: &'a Session, queue: Option<&str>, all: bool) -> anyhow::Result<Option<&'a str>> {
    let tenant = session.globals.tenant.as_deref();
    if tenant.is_some() && (queue.is_some() || all) {
        return Err(Failure::usage(
            "a queue is paused for all tenants, a tenant in all queues: name one of them",
        )
        .hint("one tenant: fairlane tenants pause SLUG   one queue: fairlane pause QUEUE")
        .into());
    }
    Ok(tenant)
}

async fn chosen(session: &Session, queue: Option<&str>, every: bool) -> anyhow::Result<Vec<String>> {
    if every {
        return Ok(all(session).await?.rows.into_iter().map(|row| row.name).collect());
    }
    match queue {
        Some(queue) => Ok(vec![queue.to_owned()]),
        None => Err(Failure::usage("which queue? name it, or --all, or a tenant with -t")
            .hint("list them: fairlane queues")
            .into()),
    }
}

fn said(session: &Session, done: &str, queues: &[String], changed: bool) -> anyhow::Result<Exit> {
    let line = match changed {
        false => format!("Nothing to do: not {}.", if done == "paused" { "running" } else { "paused" }),
        true => format!("Queue {} {done}.", queues.join(", ")),
    };
    let result = json!({ "queues": queues, "tenant": null, "changed": changed, "state": done });
    session.out.result(&result, None, &[line])?;
    Ok(Exit::Done)
}

pub(super) async fn clear(verb: &Clear, session: &Session) -> anyhow::Result<Exit> {
    let queue = verb.queue_option.clone().or(verb.queue.clone()).unwrap_or_default();
    known_queue(session, &queue).await?;
    let filter = JobFilter {
        tenant_id: session.tenant_id().await?,
        queue: Some(queue.clone()),
        states: vec![JobState::Scheduled, JobState::Available, JobState::Retryable, JobState::Suspended],
        ..JobFilter::default()
    };
    let fairlane = session.fairlane().await?;
    let count = job_lists::count_live(&mut fairlane.db().read().await?.conn(), &filter).await?;
    if verb.consent.dry_run {
        let result = json!({ "dry_run": true, "jobs": count });
        session.out.result(&result, None, &[format!("{} would be called off.", counted(count, "job"))])?;
        return Ok(Exit::Done);
    }
    if count > 0 {
        confirm(
            session,
            verb.consent,
            &format!("call off {} of queue {queue}", counted(count, "waiting job")),
        )?;
    }
    let operator = session.operator(verb.reason.as_deref());
    let mut target = format!("queue:{queue}");
    target.extend(session.globals.tenant.iter().map(|tenant| format!(" tenant:{tenant}")));
    let call_off = CallOff { action: "queue.clear", target: &target };
    let bar = progress(session, "Clear", count);
    let looked = |so_far: CancelCounts| bar.set_position(so_far.cancelled);
    let counts = cancel(fairlane.db(), &filter, call_off, &operator, looked).await?;
    bar.finish_and_clear();
    let result = json!({ "queue": queue, "cleared": counts.cancelled });
    let line =
        format!("{} of queue {queue} called off; running ones go on.", counted(counts.cancelled, "job"));
    session.out.result(&result, None, &[line])?;
    Ok(Exit::Done)
}
