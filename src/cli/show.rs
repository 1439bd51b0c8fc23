//! `show`: one job from its dispatch to where it stands.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::jobs::state_word;
use super::output::{ago, printable, rfc3339};
use super::session::Session;
use crate::admin::ids::resolve;
use crate::admin::jobs::{Surroundings, why_waiting};
use crate::db::Conn;
use crate::error::Error;
use crate::store::audit::{self, Retry};
use crate::store::job_lists::{self, AttemptRow, JobDetail};
use crate::store::queues::{self, QueueRow};
use crate::store::{tenants, workers};

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The id, or the end of it
    id: String,
    /// Print the payload as well
    #[arg(long)]
    payload: bool,
}

pub(super) async fn show(verb: &Show, session: &Session) -> anyhow::Result<Exit> {
    let tenant_id = session.tenant_id().await?;
    let fairlane = session.fairlane().await?;
    let mut tx = fairlane.db().read().await?;
    let missing = || Error::NotFound { what: "job", name: verb.id.clone() };
    let found = match resolve(&mut tx.conn(), tenant_id, &verb.id).await {
        Ok(id) => job_lists::find(&mut tx.conn(), tenant_id, id).await?,
        Err(Error::NotFound { .. }) => None,
        Err(why) => return Err(why.into()),
    };
    let Some(job) = found else {
        return Err(Failure::new(Exit::NotFound, missing().to_string())
            .hint("list them: fairlane jobs")
            .into());
    };
    let attempts = job_lists::attempts(&mut tx.conn(), job.job.id).await?;
    // Most jobs were never retried by hand: nothing is looked for.
    let retries = match job.generation {
        0 => Vec::new(),
        _ => audit::retries(&mut tx.conn(), job.job.id, job.job.created_at).await?.rows,
    };
    let waiting = waiting(&mut tx.conn(), &job, session.config.worker()?.lease).await?;
    for damaged in &attempts.damaged {
        session.out.warn(&format!("attempt {} can't be read: {}", damaged.id, damaged.why));
    }
    let past = Past { attempts: attempts.rows, retries };
    let document = document(&job, &past, waiting.as_deref(), verb.payload);
    let lines = lines(&job, &past, waiting.as_deref(), verb.payload);
    session.out.result(&document, Some(&job.job.id.to_string()), &lines)?;
    Ok(Exit::Done)
}

/// What is on record of a job's past.
struct Past {
    attempts: Vec<AttemptRow>,
    retries: Vec<Retry>,
}

async fn waiting(conn: &mut Conn<'_>, job: &JobDetail, lease: Duration) -> anyhow::Result<Option<String>> {
    let now = job_lists::now(conn).await?;
    let queues = queues::list(conn, None).await?.rows;
    let empty = QueueRow::empty(&job.job.queue);
    let tenants = tenants::list(conn).await?.rows;
    let mut workers = workers::list(conn, lease).await?.rows;
    workers.retain(|worker| matches!(worker.state.as_str(), "running" | "paused"));
    let around = Surroundings {
        queue: queues.iter().find(|queue| queue.name == job.job.queue).unwrap_or(&empty),
        tenant: tenants.iter().find(|tenant| tenant.slug == job.job.tenant),
        workers: &workers,
        now,
    };
    Ok(why_waiting(job, &around))
}

fn document(job: &JobDetail, past: &Past, waiting: Option<&str>, payload: bool) -> Value {
    let row = &job.job;
    let time = |at: Option<DateTime<Utc>>| at.map(rfc3339);
    let mut document = json!({
        "id": row.id, "tenant": row.tenant, "queue": row.queue, "kind": row.kind, "state": row.state,
        "priority": row.priority, "attempt": row.attempt, "max_attempts": job.max_attempts, "runs": job.runs,
        "generation": job.generation, "created_at": rfc3339(row.created_at), "run_at": time(row.run_at),
        "started_at": time(row.started_at), "finished_at": time(row.finished_at), "waiting_because": waiting,
        "event_id": job.event_id, "unique_key": job.unique_key, "concurrency_key": job.concurrency_key, "correlation_id": job.correlation_id,
        "causation_id": job.causation_id, "worker_id": job.worker_id, "lease_until": time(job.lease_until),
        "cancel_requested_at": time(job.cancel_requested_at), "reason": job.reason, "code": job.code,
        "error": job.error, "group": job.group,
        "progress_done": row.progress_done, "progress_total": row.progress_total,
        "attempts": past.attempts.iter().map(attempt_document).collect::<Vec<_>>(),
        "retries": past.retries.iter().map(retry_document).collect::<Vec<_>>(),
    });
    if payload && let Some(fields) = document.as_object_mut() {
        // A damaged payload is shown as the text it is.
        let value = serde_json::from_str(&job.payload).unwrap_or(Value::String(job.payload.clone()));
        fields.insert("payload".into(), value);
    }
    document
}

fn attempt_document(attempt: &AttemptRow) -> Value {
    json!({
        "run": attempt.run, "attempt": attempt.attempt, "generation": attempt.generation,
        "worker_id": attempt.worker_id, "started_at": attempt.started_at.map(rfc3339),
        "finished_at": rfc3339(attempt.finished_at), "outcome": attempt.outcome, "code": attempt.code,
        "error": attempt.error,
    })
}

fn retry_document(retry: &Retry) -> Value {
    json!({ "at": rfc3339(retry.at), "actor": retry.actor, "reason": retry.reason })
}

fn lines(job: &JobDetail, past: &Past, waiting: Option<&str>, payload: bool) -> Vec<String> {
    let row = &job.job;
    let now = Utc::now();
    let mut lines = vec![
        format!("Job       {}", row.id),
        format!("Kind      {}", printable(&row.kind)),
        format!("Tenant    {}", printable(&row.tenant)),
        format!("Queue     {}, priority {}", printable(&row.queue), row.priority),
        format!("State     {}", state_word(&row.state)),
    ];
    lines.extend(waiting.map(|why| format!("Waiting   {}", printable(why))));
    let most = job.max_attempts.map_or(String::new(), |most| format!(" of {most}"));
    lines.push(format!(
        "Attempts  {}{most} ({} starts, {} retries by hand)",
        row.attempt, job.runs, job.generation
    ));
    if let Some(done) = row.progress_done {
        let total = row.progress_total.map_or(String::new(), |total| format!(" of {total}"));
        lines.push(format!("Progress  {done}{total}"));
    }
    lines.extend(job.event_id.map(|id| format!("Event     {id}")));
    lines.extend(job.unique_key.as_ref().map(|key| format!("Unique    {}", printable(key))));
    lines.extend(job.concurrency_key.as_ref().map(|key| format!("Key       {}", printable(key))));
    lines.extend(job.cancel_requested_at.map(|at| format!("Cancel    asked for {}", ago(at, now))));
    lines.extend(job.reason.as_ref().map(|reason| format!("Reason    {}", printable(reason))));
    lines.push(String::new());
    lines.extend(timeline(job, past, now));
    if let Some(error) = &job.error {
        lines.push(String::new());
        let code = job.code.as_deref().unwrap_or_default();
        lines.push(format!("Error     [{}] group {}", printable(code), job.group.as_deref().unwrap_or("?")));
        lines.extend(error.lines().map(|line| format!("  {}", printable(line))));
    }
    if payload {
        lines.push(String::new());
        lines.push("Payload".into());
        let parsed: Option<Value> = serde_json::from_str(&job.payload).ok();
        let text = parsed.and_then(|value| serde_json::to_string_pretty(&value).ok());
        lines.extend(
            text.unwrap_or_else(|| job.payload.clone()).lines().map(|line| format!("  {}", printable(line))),
        );
    }
    lines
}

fn timeline(job: &JobDetail, past: &Past, now: DateTime<Utc>) -> Vec<String> {
    let row = &job.job;
    let at = |at: DateTime<Utc>| format!("{} ({})", at.format("%Y-%m-%d %H:%M:%S"), ago(at, now));
    let mut events: Vec<_> = past.attempts.iter().map(attempt_event).collect();
    events.extend(past.retries.iter().map(retry_event));
    events.sort_by_key(|(when, _)| *when);
    let mut lines = vec![format!("  {}  dispatched", at(row.created_at))];
    lines.extend(events.into_iter().map(|(when, what)| format!("  {}  {what}", at(when))));
    if row.state == "executing" {
        lines.extend(row.started_at.map(|since| format!("  {}  attempt {} started", at(since), row.attempt)));
    }
    lines
        .extend(row.run_at.filter(|run_at| *run_at > now).map(|run_at| format!("  {}  may run", at(run_at))));
    let ended = row.finished_at.map(|finished| format!("  {}  {}", at(finished), state_word(&row.state)));
    lines.extend(ended);
    lines
}

fn attempt_event(attempt: &AttemptRow) -> (DateTime<Utc>, String) {
    let error = attempt.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default();
    let what = format!("attempt {} {}: {}", attempt.attempt, printable(&attempt.outcome), printable(error));
    (attempt.finished_at, what)
}

fn retry_event(retry: &Retry) -> (DateTime<Utc>, String) {
    let reason = retry.reason.as_ref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
    (retry.at, format!("retried by {}{reason}", printable(&retry.actor)))
}
