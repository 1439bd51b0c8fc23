//! `erp sync log list|show`.

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, PageEnd, Record, printable, rfc3339};
use serde::Serialize;

use crate::erp::cli::{Limit, reading};
use crate::erp::store::sync::logs::{self, RecordFailure, SyncLog};

#[derive(Debug, Subcommand)]
pub(in super::super) enum LogVerb {
    /// List the newest runs
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a run, with the records that could not be taken over
    Show {
        /// Its number
        id: i64,
        #[command(flatten)]
        limit: Limit,
        /// Go on behind the record of this id there
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        after: Option<String>,
    },
}

impl Record for SyncLog {
    const COLUMNS: &'static [&'static str] = &[
        "ID",
        "CONNECTION",
        "WHAT",
        "WAY",
        "STATUS",
        "RECORDS",
        "NEW",
        "CHANGED",
        "SAME",
        "REFUSED",
        "DISPUTED",
        "GONE",
        "AT",
    ];

    fn cells(&self) -> Vec<String> {
        let counts = self.counts;
        vec![
            self.id.to_string(),
            self.connection.clone().unwrap_or_else(|| "-".into()),
            self.sync_type.clone(),
            self.direction.clone(),
            self.status.clone(),
            counts.records.to_string(),
            counts.created.to_string(),
            counts.changed.to_string(),
            counts.unchanged.to_string(),
            counts.refused.to_string(),
            counts.disputed.to_string(),
            counts.deleted.to_string(),
            rfc3339(self.created_at),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    log: &'a SyncLog,
    failures: &'a [RecordFailure],
    page: PageEnd,
}

pub(super) async fn run(verb: &LogVerb, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    settle(tenant).await?;
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    match verb {
        LogVerb::List { limit } => {
            let rows = logs::list(&mut tx.conn(), id, limit.and_one()).await?;
            env.output.page(
                &limit.page(rows),
                "nothing was exchanged yet; fairlane erp sync run CONNECTION starts it",
            )?;
        }
        LogVerb::Show { id: run, limit, after } => {
            let log = logs::find(&mut tx.conn(), id, *run).await?;
            let failures =
                logs::failures(&mut tx.conn(), id, *run, after.as_deref(), limit.and_one()).await?;
            let page = limit.page(failures).going_on_after_the(|last| last.external_id.clone());
            if let Some(way) = page.how_to_go_on() {
                env.output.remark(&format!("more with {way}"));
            }
            let mut lines = ending(&log, tenant);
            lines.extend(
                page.rows
                    .iter()
                    .map(|one| printable(&format!("  {}: {} ({})", one.external_id, one.message, one.code))),
            );
            let shown = Shown { log: &log, failures: &page.rows, page: page.end() };
            env.output.result(&shown, Some(&run.to_string()), &lines)?;
        }
    }
    Ok(())
}

/// Ends the runs whose job is gone from the queue.
pub(super) async fn settle(tenant: &Tenant) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let orphaned = logs::has_orphans(&mut reading(tenant).await?.conn(), id).await?;
    if orphaned {
        let mut tx = tenant.begin().await?;
        logs::settle_orphans(&mut tx.conn(), id).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// A run for a person: the counts, and what to do about the rest.
pub(super) fn ending(log: &SyncLog, tenant: &Tenant) -> Vec<String> {
    let (counts, slug) = (log.counts, tenant.slug());
    let name = log.connection.as_deref().unwrap_or("a removed connection");
    let mut lines = vec![format!(
        "run {} {}: {} {} with {name}: {} records, {} new, {} changed, {} the same, {} refused, {} gone; {} requests",
        log.id,
        log.status,
        log.direction,
        log.sync_type,
        counts.records,
        counts.created,
        counts.changed,
        counts.unchanged,
        counts.refused,
        counts.deleted,
        counts.requests
    )];
    if let Some(message) = &log.error_message {
        lines.push(format!("because: {message}"));
    }
    if counts.disputed > 0 {
        lines.push(format!(
            "{} fields are in dispute: fairlane erp sync conflicts list -t {slug}",
            counts.disputed
        ));
    }
    if counts.refused > 0 {
        lines.push(format!("why records were refused: fairlane erp sync log show {} -t {slug}", log.id));
    }
    // What the other system says may be meant for the terminal.
    lines.iter().map(|line| printable(line)).collect()
}
