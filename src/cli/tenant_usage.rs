//! `tenants usage`.

use chrono::NaiveTime;
use clap::Args;
use serde::Serialize;

use super::exit::Exit;
use super::output::{Page, Record};
use super::session::Session;
use crate::store::job_lists;
use crate::store::usage::{self, UsageRow};

#[derive(Debug, Args)]
pub(super) struct Usage {
    /// The tenant; without it, all of them
    pub(super) slug: Option<String>,
    /// How many days, today included
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
}

/// What a tenant used on one day.
#[derive(Debug, Serialize)]
struct UsageRecord {
    tenant: String,
    /// Null for jobs that have not finished.
    day: Option<String>,
    worked_seconds: f64,
    jobs: i64,
    failures: i64,
}

impl From<UsageRow> for UsageRecord {
    fn from(row: UsageRow) -> Self {
        Self {
            tenant: row.tenant,
            day: row.day,
            worked_seconds: row.worked_ms as f64 / 1000.0,
            jobs: row.jobs,
            failures: row.failures,
        }
    }
}

impl Record for UsageRecord {
    const COLUMNS: &'static [&'static str] = &["TENANT", "DAY (UTC)", "WORKED", "JOBS", "FAILURES"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.tenant.clone(),
            self.day.clone().unwrap_or_else(|| "not finished".to_owned()),
            format!("{:.3}s", self.worked_seconds),
            self.jobs.to_string(),
            self.failures.to_string(),
        ]
    }

    fn id(&self) -> String {
        self.tenant.clone()
    }
}

pub(super) async fn usage(verb: &Usage, session: &Session) -> anyhow::Result<Exit> {
    let tenant_id = match verb.slug.as_ref().or(session.globals.tenant.as_ref()) {
        Some(slug) => Some(session.known_tenant(slug).await?),
        None => None,
    };
    let mut tx = session.fairlane().await?.db().read().await?;
    let today = job_lists::now(&mut tx.conn()).await?.date_naive().and_time(NaiveTime::MIN).and_utc();
    let from = today - chrono::Duration::days(i64::from(verb.days) - 1);
    let listing = usage::list(&mut tx.conn(), tenant_id, from).await?;
    let rows = listing.rows.into_iter().map(UsageRecord::from).collect();
    let page = Page { rows, damaged: listing.damaged, next_cursor: None, more: None };
    session.out.page(&page, "Nothing was used.")?;
    Ok(Exit::Done)
}
