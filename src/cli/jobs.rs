//! `jobs`, `cancel`.

use chrono::Utc;
use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use super::args::{Consent, Paging};
use super::confirm::confirm;
use super::exit::{Exit, Failure};
use super::filters::{Filters, resolve_ids};
use super::output::{Page, Record, ago, counted, json, short};
use super::progress::progress;
use super::session::Session;
use crate::admin::jobs::{CallOff, CancelCounts, cancel as cancel_jobs};
use crate::state::JobState;
use crate::store::job_lists::{self, JobRow};

#[derive(Debug, Args)]
pub(super) struct Jobs {
    /// In this state: available, executing, failed ..; several with commas
    #[arg(long, value_delimiter = ',', value_parser = clap::builder::ValueParser::new(state))]
    state: Vec<JobState>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    filters: Filters,
}

#[derive(Debug, Args)]
pub(super) struct Cancel {
    /// Ids, or the ends of ids
    ids: Vec<String>,
    /// In this state; several with commas
    #[arg(long, value_delimiter = ',', value_parser = clap::builder::ValueParser::new(state))]
    state: Vec<JobState>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    filters: Filters,
}

fn state(word: &str) -> Result<JobState, String> {
    word.trim().parse()
}

/// A job of a list.
#[derive(Debug, Serialize)]
pub(super) struct JobRecord {
    pub(super) id: Uuid,
    tenant: String,
    queue: String,
    kind: String,
    state: String,
    priority: i64,
    attempt: i64,
    #[serde(serialize_with = "json::time_option")]
    run_at: Option<chrono::DateTime<Utc>>,
    #[serde(serialize_with = "json::time")]
    created_at: chrono::DateTime<Utc>,
    #[serde(serialize_with = "json::time_option")]
    started_at: Option<chrono::DateTime<Utc>>,
    #[serde(serialize_with = "json::time_option")]
    finished_at: Option<chrono::DateTime<Utc>>,
    progress_done: Option<i64>,
    progress_total: Option<i64>,
}

impl From<JobRow> for JobRecord {
    fn from(row: JobRow) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant,
            queue: row.queue,
            kind: row.kind,
            state: row.state,
            priority: row.priority,
            attempt: row.attempt,
            run_at: row.run_at,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            progress_done: row.progress_done,
            progress_total: row.progress_total,
        }
    }
}

/// The word that people use for a state.
pub(super) fn state_word(state: &str) -> &str {
    if state == "discarded" { "failed" } else { state }
}

impl Record for JobRecord {
    const COLUMNS: &'static [&'static str] = &["ID", "KIND", "TENANT", "QUEUE", "STATE", "ATTEMPT", "WHEN"];

    fn cells(&self) -> Vec<String> {
        let now = Utc::now();
        let when = match self.state.as_str() {
            "scheduled" | "retryable" => self.run_at.unwrap_or(self.created_at),
            "executing" => self.started_at.unwrap_or(self.created_at),
            _ => self.finished_at.unwrap_or(self.created_at),
        };
        vec![
            short(self.id),
            self.kind.clone(),
            self.tenant.clone(),
            self.queue.clone(),
            state_word(&self.state).to_owned(),
            self.attempt.to_string(),
            ago(when, now),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub(super) async fn list(verb: &Jobs, session: &Session) -> anyhow::Result<Exit> {
    let filter = verb.filters.jobs(session, verb.state.clone(), None).await?;
    let after = verb.paging.cursor.as_deref().map(cursor).transpose()?;
    let mut tx = session.fairlane().await?.db().read().await?;
    let listing = job_lists::list(&mut tx.conn(), &filter, after, verb.paging.limit).await?;
    let next_cursor = listing.rows.last().filter(|_| listing.more).map(|row| row.id.to_string());
    let rows = listing.rows.into_iter().map(JobRecord::from).collect();
    session.out.page(&Page { rows, damaged: listing.damaged, next_cursor, more: None }, "No jobs found.")?;
    Ok(Exit::Done)
}

/// The cursor of a page that ended at an id.
pub(super) fn cursor(text: &str) -> anyhow::Result<Uuid> {
    Uuid::parse_str(text).map_err(|_| {
        Failure::usage(format!("\"{text}\" is no cursor"))
            .hint("take it from the end of the page before")
            .into()
    })
}

pub(super) async fn cancel(verb: &Cancel, session: &Session) -> anyhow::Result<Exit> {
    let (ids, unknown) = resolve_ids(session, &verb.ids).await?;
    let chosen = (!verb.ids.is_empty()).then_some(ids);
    let filter = verb.filters.jobs(session, verb.state.clone(), chosen).await?;
    if filter.is_empty() {
        return Err(Failure::usage("which jobs? name ids or a filter")
            .hint("for example: fairlane cancel --kind erp.generate_reports --state scheduled")
            .into());
    }
    let fairlane = session.fairlane().await?;
    let count = job_lists::count_live(&mut fairlane.db().read().await?.conn(), &filter).await?;
    for id in &unknown {
        session.out.warn(&format!("unable to find job with ID [{id}]."));
    }
    if count == 0 {
        return nothing_live(verb, session, unknown.len());
    }
    if verb.consent.dry_run {
        let result = serde_json::json!({ "dry_run": true, "jobs": count });
        session.out.result(&result, None, &[format!("{} would be cancelled.", counted(count, "job"))])?;
        return Ok(Exit::Done);
    }
    confirm(session, verb.consent, &format!("cancel {}", counted(count, "job")))?;
    let target = verb.filters.in_words(session, &verb.ids);
    let operator = session.operator(verb.reason.as_deref());
    let call_off = CallOff { action: "job.cancel", target: &target };
    let bar = progress(session, "Cancel", count);
    let looked = |so_far: CancelCounts| bar.set_position(so_far.cancelled + so_far.requested);
    let counts = cancel_jobs(fairlane.db(), &filter, call_off, &operator, looked).await?;
    bar.finish_and_clear();
    let result = serde_json::json!({
        "cancelled": counts.cancelled, "cancel_requested": counts.requested, "not_found": unknown,
    });
    let mut lines = vec![format!("{} cancelled.", counted(counts.cancelled, "job"))];
    if counts.requested > 0 {
        lines.push(format!("{} will stop at the next await.", counted(counts.requested, "running job")));
    }
    session.out.result(&result, None, &lines)?;
    Ok(if unknown.is_empty() { Exit::Done } else { Exit::Partly })
}

fn nothing_live(verb: &Cancel, session: &Session, unknown: usize) -> anyhow::Result<Exit> {
    if verb.ids.is_empty() {
        let result = serde_json::json!({ "cancelled": 0, "cancel_requested": 0, "not_found": [] });
        session.out.result(&result, None, &["No live job fits.".into()])?;
        return Ok(Exit::Done);
    }
    if unknown == verb.ids.len() {
        return Err(Failure::new(Exit::NotFound, "no such job").hint("list them: fairlane jobs").into());
    }
    Err(Failure::new(Exit::Refused, "nothing to cancel: these jobs are done, cancelled or failed already")
        .hint("look at one: fairlane show ID")
        .into())
}
