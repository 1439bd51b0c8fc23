//! `erp scanners list|on|off|run`.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use fairlane::Tenant;
use fairlane::admin::{self, Operator};
use fairlane::cli::{CommandEnv, Page, Record, ago};
use fairlane::store::schedules::ScheduleRow;
use serde::Serialize;

use super::reading;
use crate::erp::services::scanners;

#[derive(Debug, Subcommand)]
pub(super) enum Scanners {
    /// List the scanners and when they run
    List,
    /// Turn scanners on, in the tenant's time zone
    On(Which),
    /// Turn scanners off
    Off(Which),
    /// Run scanners now
    Run(Which),
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// Only this one: scan-overdue-invoices, scan-expiring-stock or remove-old-reports
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    kind: String,
    cron: String,
    timezone: String,
    finds: &'static str,
    state: &'static str,
    next_tick_at: DateTime<Utc>,
    last_tick_at: Option<DateTime<Utc>>,
}

impl From<ScheduleRow> for Listed {
    fn from(row: ScheduleRow) -> Self {
        Self {
            finds: scanners::named(&row.name).map(|scanner| scanner.finds).unwrap_or_default(),
            state: if row.paused_at.is_some() { "off" } else { "on" },
            name: row.name,
            kind: row.kind,
            cron: row.cron,
            timezone: row.timezone,
            next_tick_at: row.next_tick_at,
            last_tick_at: row.last_tick_at,
        }
    }
}

impl Record for Listed {
    const COLUMNS: &'static [&'static str] = &["SCANNER", "FINDS", "CRON", "ZONE", "STATE", "NEXT", "LAST"];

    fn cells(&self) -> Vec<String> {
        let now = Utc::now();
        let next = if self.state == "on" { ago(self.next_tick_at, now) } else { "-".into() };
        vec![
            self.name.clone(),
            self.finds.to_owned(),
            self.cron.clone(),
            self.timezone.clone(),
            self.state.to_owned(),
            next,
            self.last_tick_at.map_or("-".into(), |at| ago(at, now)),
        ]
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

pub(super) async fn run(verb: &Scanners, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Scanners::List => {}
        Scanners::On(which) => switch(which, true, tenant).await?,
        Scanners::Off(which) => switch(which, false, tenant).await?,
        Scanners::Run(which) => run_now(which, tenant, env).await?,
    }
    list(tenant, env).await
}

async fn switch(which: &Which, on: bool, tenant: &Tenant) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    scanners::switch(&mut tx, tenant, which.name.as_deref(), on, &actor()).await?;
    Ok(tx.commit().await?)
}

/// Queues their jobs beside the ticks; a tenant that never had the schedules gets them.
async fn run_now(which: &Which, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let only = which.name.as_deref().map(scanners::named).transpose()?;
    let mut tx = tenant.begin().await?;
    scanners::ensure(&mut tx, tenant).await?;
    tx.commit().await?;
    let operator = Operator { actor: actor(), reason: None };
    for scanner in scanners::SCANNERS.iter().filter(|scanner| only.is_none_or(|only| only == *scanner)) {
        admin::schedules::run_now(tenant.fairlane(), tenant.slug(), scanner.name, &operator).await?;
    }
    env.output.remark("Queued; they run where a worker runs: fairlane work --stop-when-empty");
    Ok(())
}

async fn list(tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let rows: Vec<Listed> =
        scanners::stored(&mut tx.conn(), id).await?.into_iter().map(Listed::from).collect();
    let empty = "No scanners yet. Turn them on: fairlane erp scanners on -t TENANT";
    Ok(env.output.page(&Page::from(rows), empty)?)
}

/// Who types, for the audit.
fn actor() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    user.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "fairlane".to_owned())
}
