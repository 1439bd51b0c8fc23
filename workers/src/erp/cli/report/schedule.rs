//! `erp report schedule add|list|remove`: ordinary schedules whose jobs are reports of days counted from the tick.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use fairlane::admin::Operator;
use fairlane::admin::schedules::{self as admin, NewSchedule};
use fairlane::cli::{CommandEnv, Exit, Failure, Page, Record, ago, printable};
use fairlane::store::schedules;
use fairlane::{Job, Tenant};
use serde::Serialize;

use super::super::reading;
use super::Asked;
use crate::erp::jobs::GenerateReport;
use crate::erp::reports::{Period, Relative};
use crate::erp::store::profiles;

#[derive(Debug, Subcommand)]
pub(in crate::erp::cli) enum ReportSchedule {
    /// Make a report by itself from now on, or change when that is
    Add(Add),
    /// List the reports that are made by themselves
    List,
    /// Make it no more; what was made stays
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::erp::cli) struct Add {
    /// Its name, unique among the tenant's schedules
    name: String,
    #[command(flatten)]
    asked: Asked,
    /// How often: of yesterday, of the last week, of the last month
    #[arg(long, value_enum)]
    every: Every,
    /// Other days than the usual ones
    #[arg(long, value_enum)]
    period: Option<Relative>,
    /// When, as minute and hour of the zone; else 05:00
    #[arg(long, default_value = "05:00", value_name = "HH:MM")]
    at: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Every {
    /// Every day, of the day before
    Day,
    /// Every Monday, of the week before
    Week,
    /// Every first of a month, of the month before
    Month,
}

impl Every {
    fn cron(self, hour: u32, minute: u32) -> String {
        match self {
            Self::Day => format!("{minute} {hour} * * *"),
            Self::Week => format!("{minute} {hour} * * 1"),
            Self::Month => format!("{minute} {hour} 1 * *"),
        }
    }

    fn period(self) -> Relative {
        match self {
            Self::Day => Relative::Yesterday,
            Self::Week => Relative::LastWeek,
            Self::Month => Relative::LastMonth,
        }
    }
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    report: String,
    period: String,
    cron: String,
    timezone: String,
    next_tick_at: DateTime<Utc>,
    last_tick_at: Option<DateTime<Utc>>,
}

impl Record for Listed {
    const COLUMNS: &'static [&'static str] = &["NAME", "REPORT", "PERIOD", "CRON", "ZONE", "NEXT", "LAST"];

    fn cells(&self) -> Vec<String> {
        let now = Utc::now();
        vec![
            self.name.clone(),
            self.report.clone(),
            self.period.clone(),
            self.cron.clone(),
            self.timezone.clone(),
            ago(self.next_tick_at, now),
            self.last_tick_at.map_or("-".into(), |at| ago(at, now)),
        ]
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

pub(super) async fn run(verb: &ReportSchedule, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        ReportSchedule::Add(new) => add(new, tenant, env).await,
        ReportSchedule::List => list(tenant, env).await,
        ReportSchedule::Remove { name } => {
            // Only what this verb has made: the others are `fairlane schedule`'s.
            if !found(tenant).await?.iter().any(|row| row.name == *name) {
                return Err(Failure::new(
                    Exit::NotFound,
                    format!("schedule \"{name}\" of a report does not exist"),
                )
                .hint("list them: fairlane erp report schedule list")
                .into());
            }
            admin::remove(tenant.fairlane(), tenant.slug(), name, &operator()).await?;
            env.output.remark(&printable(&format!("{name} is made no more.")));
            list(tenant, env).await
        }
    }
}

async fn add(new: &Add, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let time = chrono::NaiveTime::parse_from_str(&new.at, "%H:%M").map_err(|_| {
        Failure::usage(format!("--at {}: it must be an hour and a minute such as 05:00", new.at))
    })?;
    let request = new.asked.request(Period::Relative(new.period.unwrap_or(new.every.period())));
    let id = tenant.id().await?;
    let zone = profiles::find(&mut reading(tenant).await?.conn(), id).await?.timezone;
    // What is wrong with it is said now, and not every morning.
    let checked = request.resolve(zone, |zone| Utc::now().with_timezone(&zone).date_naive())?;
    let payload = serde_json::to_value(GenerateReport { report_id: None, request: Some(request) })?;
    use chrono::Timelike;
    let schedule = NewSchedule {
        name: new.name.clone(),
        cron: new.every.cron(time.hour(), time.minute()),
        timezone: checked.range.zone.name().to_owned(),
        kind: GenerateReport::KIND.to_owned(),
        payload,
        queue: GenerateReport::POLICY.queue.to_owned(),
        priority: GenerateReport::POLICY.priority,
        missed: "once".into(),
    };
    admin::put(tenant.fairlane(), tenant.slug(), schedule, &operator()).await?;
    list(tenant, env).await
}

async fn found(tenant: &Tenant) -> anyhow::Result<Vec<schedules::ScheduleRow>> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let rows = schedules::list(&mut tx.conn(), Some(id)).await?.rows;
    Ok(rows.into_iter().filter(|row| row.kind == GenerateReport::KIND).collect())
}

async fn list(tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let word = |row: &schedules::ScheduleRow, field: &str| {
        row.payload["request"][field].as_str().unwrap_or("-").to_owned()
    };
    let rows = found(tenant).await?.into_iter().map(|row| Listed {
        report: word(&row, "report"),
        period: word(&row, "period"),
        name: row.name,
        cron: row.cron,
        timezone: row.timezone,
        next_tick_at: row.next_tick_at,
        last_tick_at: row.last_tick_at,
    });
    let empty =
        "No reports are made by themselves. Add one: fairlane erp report schedule add NAME sales --every day";
    Ok(env.output.page(&Page::from(rows.collect::<Vec<_>>()), empty)?)
}

/// Who types, for the audit.
fn operator() -> Operator {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let actor = user.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "fairlane".to_owned());
    Operator { actor, reason: None }
}
