//! `erp report run|list|show|link|open|cancel|delete|schedule`.

mod files;
mod follow;
mod schedule;

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Exit, Failure, Record, printable, rfc3339};

use super::{Limit, reading, user_of};
use crate::erp::reports::{FileFormat, Grouping, Period, Relative, ReportRequest, ReportType};
use crate::erp::services::reports as service;
use crate::erp::store::reports as store;
use crate::erp::store::reports::Report as Row;
use files::{copy, refuse_place};
use schedule::ReportSchedule;

#[derive(Debug, Subcommand)]
pub(super) enum Report {
    /// Make a report
    Run(Run),
    /// List the newest reports
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a report: what was asked for, how far it is, its file
    Show {
        /// Its number
        id: i64,
    },
    /// Print a link that opens a report for some days
    Link {
        /// Its number
        id: i64,
    },
    /// Open a report by a link: write its file
    Open {
        /// The link, or the end of it behind the last slash
        link: String,
        /// Write it here; without it under its own name in this folder
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Overwrite the file if it exists
        #[arg(long)]
        force: bool,
    },
    /// Stop a report, or take it out of the queue
    Cancel {
        /// Its number
        id: i64,
    },
    /// Delete a report and its file
    Delete {
        /// Its number
        id: i64,
    },
    /// Reports that are made by themselves: every day, week or month
    #[command(subcommand)]
    Schedule(ReportSchedule),
}

/// What is asked for.
#[derive(Debug, Args)]
pub(in crate::erp::cli) struct Asked {
    /// What it is about
    #[arg(value_enum)]
    report: ReportType,
    /// The time zone of the days; else the tenant's
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// What a row stands for
    #[arg(long, value_enum)]
    by: Option<Grouping>,
    /// How the file is written
    #[arg(long, value_enum, default_value = "html")]
    format: FileFormat,
}

impl Asked {
    fn request(&self, period: Period) -> ReportRequest {
        ReportRequest {
            report: self.report,
            period,
            zone: self.zone.clone(),
            by: self.by,
            format: self.format,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    asked: Asked,
    /// The first day
    #[arg(long, value_name = "DAY", requires = "to", required_unless_present = "period")]
    from: Option<NaiveDate>,
    /// The last day, which is included
    #[arg(long, value_name = "DAY", requires = "from")]
    to: Option<NaiveDate>,
    /// Days counted from today, in place of --from and --to
    #[arg(long, value_enum, conflicts_with_all = ["from", "to"])]
    period: Option<Relative>,
    /// The address of the user who is told when it is there
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Stay until it is there
    #[arg(long)]
    follow: bool,
    /// Stay until it is there, and write it here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Overwrite the file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] =
        &["ID", "REPORT", "FROM", "TO", "ZONE", "FORMAT", "STATUS", "ROWS", "BYTES", "AT"];

    fn cells(&self) -> Vec<String> {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        vec![
            self.id.to_string(),
            self.report_type.clone(),
            or_none(self.period_from.map(|day| day.to_string())),
            or_none(self.period_to.map(|day| day.to_string())),
            or_none(self.zone.clone()),
            or_none(self.format.clone()),
            state(self).to_owned(),
            or_none(self.row_count.map(|rows| rows.to_string())),
            or_none(self.bytes.map(|bytes| bytes.to_string())),
            rfc3339(self.created_at),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

fn state(report: &Row) -> &str {
    match (report.removed_at, &report.result) {
        (Some(_), _) => "removed",
        (None, Some(result)) => result,
        (None, None) => &report.status,
    }
}

pub(super) async fn run(verb: &Report, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Report::Run(asked) => ask(asked, tenant, env).await,
        Report::List { limit } => list(*limit, tenant, env).await,
        Report::Show { id } => {
            let report = follow::find(tenant, *id).await?;
            Ok(env.output.result(&report, Some(&id.to_string()), &lines(&report, tenant))?)
        }
        Report::Link { id } => files::link(*id, tenant, env).await,
        Report::Open { link, out, force } => files::open(link, out.as_deref(), *force, tenant, env).await,
        Report::Cancel { id } => {
            let mut tx = tenant.begin().await?;
            let report = service::cancel(&mut tx, tenant, *id).await?;
            tx.commit().await?;
            let line = match report.result {
                Some(_) => format!("Report {id} is cancelled."),
                None => format!("Report {id} stops soon."),
            };
            Ok(env.output.result(&report, Some(&id.to_string()), &[line])?)
        }
        Report::Delete { id } => files::delete(*id, tenant, env).await,
        Report::Schedule(verb) => schedule::run(verb, tenant, env).await,
    }
}

async fn ask(asked: &Run, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let period = match (asked.period, asked.from, asked.to) {
        (Some(relative), ..) => Period::Relative(relative),
        (None, Some(from), Some(to)) => Period::Days { from, to },
        _ => return Err(Failure::usage("which days? --from and --to, or --period").into()),
    };
    if let Some(out) = &asked.out {
        refuse_place(out, asked.force)?;
    }
    let request = asked.asked.request(period);
    let mut tx = tenant.begin().await?;
    let user = user_of(&mut tx, tenant.id().await?, asked.user.as_deref()).await?;
    let report = service::request(&mut tx, tenant, &request, user).await?;
    tx.commit().await?;
    let id = report.id;
    if !asked.follow && asked.out.is_none() {
        let line =
            format!("report {id} is queued; look at it: fairlane erp report show {id} -t {}", tenant.slug());
        return Ok(env.output.result(&report, Some(&id.to_string()), &[line])?);
    }
    let report = follow::follow(tenant, env, id).await?;
    if report.result.as_deref() != Some("completed") {
        let why = report.error_message.as_deref().unwrap_or("it was cancelled");
        return Err(Failure::new(Exit::Failed, format!("report {id} was not made: {why}"))
            .hint(format!("fairlane erp report show {id} -t {}", tenant.slug()))
            .into());
    }
    if let Some(out) = &asked.out {
        copy(&report, out, tenant, env).await?;
    }
    Ok(env.output.result(&report, Some(&id.to_string()), &lines(&report, tenant))?)
}

async fn list(limit: Limit, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    follow::settle(tenant).await?;
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let rows = store::list(&mut tx.conn(), id, limit.and_one()).await?;
    let empty = "No reports yet. Make one: fairlane erp report run sales --period yesterday -t TENANT";
    Ok(env.output.page(&limit.page(rows), empty)?)
}

/// A report for a person.
fn lines(report: &Row, tenant: &Tenant) -> Vec<String> {
    let day = |day: Option<NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
    let mut lines = vec![format!(
        "report {}: {} of {} to {} ({}), {}",
        report.id,
        report.report_type,
        day(report.period_from),
        day(report.period_to),
        report.zone.as_deref().unwrap_or("-"),
        state(report)
    )];
    if let (Some(name), Some(rows), Some(bytes)) = (&report.file_name, report.row_count, report.bytes) {
        lines.push(format!("{name}: {rows} rows, {bytes} bytes, from {} rows read", report.read_rows));
    }
    if let Some(why) = &report.error_message {
        lines.push(format!("because: {why}"));
    }
    if report.file_key.is_some() {
        let until = report.expires_at.map(rfc3339).unwrap_or_default();
        lines.push(format!(
            "kept until {until}; a link: fairlane erp report link {} -t {}",
            report.id,
            tenant.slug()
        ));
    }
    lines.iter().map(|line| printable(line)).collect()
}
