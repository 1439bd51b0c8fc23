//! `events list|show`.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::args::{Paging, past};
use super::exit::{Exit, Failure};
use super::jobs::{cursor, state_word};
use super::output::{Page, Record, ago, json as as_json, printable, rfc3339, short};
use super::session::Session;
use crate::admin::ids::resolve_event;
use crate::error::Error;
use crate::store::event_log::{self, Delivery, EventDetail, EventFilter, EventRow};

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// List events, the newest first
    List(List),
    /// Show one event, and what its listeners did
    Show(Show),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Of this name
    #[arg(long)]
    name: Option<String>,
    /// From this time on
    #[arg(long, value_parser = past, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    /// Until this time
    #[arg(long, value_parser = past, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The id, or the end of it
    id: String,
    /// Print the payload as well
    #[arg(long)]
    payload: bool,
}

#[derive(Debug, Serialize)]
struct EventRecord {
    id: Uuid,
    tenant: String,
    name: String,
    version: i64,
    aggregate_type: Option<String>,
    aggregate_id: Option<String>,
    actor: Option<String>,
    #[serde(serialize_with = "as_json::time")]
    occurred_at: DateTime<Utc>,
}

impl From<EventRow> for EventRecord {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant,
            name: row.name,
            version: row.version,
            aggregate_type: row.aggregate_type,
            aggregate_id: row.aggregate_id,
            actor: row.actor,
            occurred_at: row.occurred_at,
        }
    }
}

impl Record for EventRecord {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "TENANT", "ABOUT", "ACTOR", "WHEN"];

    fn cells(&self) -> Vec<String> {
        let about = match (&self.aggregate_type, &self.aggregate_id) {
            (Some(kind), Some(id)) => format!("{kind} {id}"),
            _ => "-".to_owned(),
        };
        vec![
            short(self.id),
            self.name.clone(),
            self.tenant.clone(),
            about,
            self.actor.clone().unwrap_or_else(|| "-".into()),
            ago(self.occurred_at, Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub(super) async fn run(verb: &Events, session: &Session) -> anyhow::Result<Exit> {
    match verb {
        Events::List(verb) => list(verb, session).await,
        Events::Show(verb) => show(verb, session).await,
    }
}

async fn list(verb: &List, session: &Session) -> anyhow::Result<Exit> {
    let filter = EventFilter {
        tenant_id: session.tenant_id().await?,
        name: verb.name.clone(),
        since: verb.since,
        until: verb.until,
    };
    let after = verb.paging.cursor.as_deref().map(cursor).transpose()?;
    let mut tx = session.fairlane().await?.db().read().await?;
    let listing = event_log::list(&mut tx.conn(), &filter, after, verb.paging.limit).await?;
    let next_cursor = listing.rows.last().filter(|_| listing.more).map(|row| row.id.to_string());
    let rows: Vec<_> = listing.rows.into_iter().map(EventRecord::from).collect();
    session
        .out
        .page(&Page { rows, damaged: listing.damaged, next_cursor, more: None }, "No events found.")?;
    Ok(Exit::Done)
}

async fn show(verb: &Show, session: &Session) -> anyhow::Result<Exit> {
    let tenant_id = session.tenant_id().await?;
    let mut tx = session.fairlane().await?.db().read().await?;
    let id = resolve_event(&mut tx.conn(), tenant_id, &verb.id).await?;
    let Some(event) = event_log::find(&mut tx.conn(), tenant_id, id).await? else {
        let missing = Error::NotFound { what: "event", name: verb.id.clone() };
        return Err(Failure::new(Exit::NotFound, missing.to_string())
            .hint("list them: fairlane events list")
            .into());
    };
    let deliveries = event_log::deliveries(&mut tx.conn(), &event).await?;
    let document = document(&event, &deliveries, verb.payload);
    session.out.result(&document, Some(&id.to_string()), &lines(&event, &deliveries, verb.payload))?;
    Ok(Exit::Done)
}

/// done, pending, failed, cancelled or missing: what a reader asks of a listener.
fn outcome(delivery: &Delivery) -> &str {
    match delivery.state.as_deref() {
        Some("completed") => "done",
        Some("discarded") => "failed",
        Some("cancelled") => "cancelled",
        Some("executing") => "running",
        Some(_) => "pending",
        None => "missing",
    }
}

fn document(event: &EventDetail, deliveries: &[Delivery], payload: bool) -> Value {
    let row = &event.event;
    let listeners: Vec<_> = deliveries
        .iter()
        .map(|delivery| {
            json!({
                "listener": delivery.listener, "outcome": outcome(delivery), "state": delivery.state,
                "job_id": delivery.job_id, "finished_at": delivery.finished_at.map(rfc3339), "error": delivery.error,
            })
        })
        .collect();
    let mut document = json!({
        "id": row.id, "tenant": row.tenant, "name": row.name, "version": row.version,
        "aggregate_type": row.aggregate_type, "aggregate_id": row.aggregate_id, "actor": row.actor,
        "source": event.source, "correlation_id": event.correlation_id, "causation_id": event.causation_id,
        "trace": event.trace, "occurred_at": rfc3339(row.occurred_at), "listeners": listeners,
    });
    if payload && let Some(fields) = document.as_object_mut() {
        let value = serde_json::from_str(&event.payload).unwrap_or(Value::String(event.payload.clone()));
        fields.insert("payload".into(), value);
    }
    document
}

fn lines(event: &EventDetail, deliveries: &[Delivery], payload: bool) -> Vec<String> {
    let row = &event.event;
    let now = Utc::now();
    let mut lines = vec![
        format!("Event     {}", row.id),
        format!("Name      {} (version {})", printable(&row.name), row.version),
        format!("Tenant    {}", printable(&row.tenant)),
        format!("When      {} ({})", row.occurred_at.format("%Y-%m-%d %H:%M:%S"), ago(row.occurred_at, now)),
        String::new(),
    ];
    if deliveries.is_empty() {
        lines.push("  no listener follows it".into());
    }
    for delivery in deliveries {
        let job = delivery.job_id.map(short).unwrap_or_default();
        let state = delivery.state.as_deref().map(state_word).unwrap_or("no job");
        let error = delivery.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default();
        lines.push(format!(
            "  {:8} {}  {state} {job}  {}",
            outcome(delivery),
            printable(&delivery.listener),
            printable(error)
        ));
    }
    if payload {
        lines.push(String::new());
        lines.push(format!("Payload   {}", printable(&event.payload)));
    }
    lines
}
