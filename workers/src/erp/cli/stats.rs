//! `fairlane stats pending|failed|unread|imports|reports`.

use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, DomainCommand, Page, Record, ago, short};
use fairlane::db::Tx;
use futures::future::BoxFuture;

use super::{Limit, reading};
use crate::erp::store::figures::{self, Failed, Imports, Pending, Reports, Unread};

/// `fairlane stats ...`: what people count who watch over the queue.
#[derive(Debug)]
pub struct StatsCommand;

#[derive(Debug, Args)]
struct StatsArgs {
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Debug, Subcommand)]
enum Figure {
    /// Jobs that wait or run, by queue; of one tenant with -t
    Pending,
    /// The newest failed jobs; of one tenant with -t
    Failed {
        #[command(flatten)]
        limit: Limit,
    },
    /// A tenant's unread notifications, by user
    Unread,
    /// A tenant's imports, by type and status
    Imports,
    /// A tenant's finished reports by type, and how many seconds they took
    Reports,
}

impl Record for Pending {
    const COLUMNS: &'static [&'static str] = &["QUEUE", "PENDING"];

    fn cells(&self) -> Vec<String> {
        vec![self.queue.clone(), self.pending.to_string()]
    }

    fn id(&self) -> String {
        self.queue.clone()
    }
}

impl Record for Failed {
    const COLUMNS: &'static [&'static str] = &["ID", "KIND", "QUEUE", "FAILED", "EXCEPTION"];

    fn cells(&self) -> Vec<String> {
        let failed = ago(self.failed_at, chrono::Utc::now());
        vec![short(self.id), self.kind.clone(), self.queue.clone(), failed, self.exception.clone()]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Record for Unread {
    const COLUMNS: &'static [&'static str] = &["USER", "NAME", "UNREAD"];

    fn cells(&self) -> Vec<String> {
        vec![self.user_id.to_string(), self.name.clone(), self.unread.to_string()]
    }

    fn id(&self) -> String {
        self.user_id.to_string()
    }
}

impl Record for Imports {
    const COLUMNS: &'static [&'static str] = &["TYPE", "STATUS", "IMPORTS"];

    fn cells(&self) -> Vec<String> {
        vec![self.import_type.clone(), self.status.clone(), self.total.to_string()]
    }

    fn id(&self) -> String {
        self.import_type.clone()
    }
}

impl Record for Reports {
    const COLUMNS: &'static [&'static str] = &["TYPE", "AVERAGE", "REPORTS"];

    fn cells(&self) -> Vec<String> {
        vec![self.report_type.clone(), format!("{:.1}s", self.avg_time), self.total.to_string()]
    }

    fn id(&self) -> String {
        self.report_type.clone()
    }
}

impl DomainCommand for StatsCommand {
    fn command(&self) -> clap::Command {
        let about = "Counts: pending and failed jobs, unread notifications, imports, reports";
        StatsArgs::augment_args(clap::Command::new("stats").about(about))
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            print(&StatsArgs::from_arg_matches(&matches)?.figure, &env).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn print(figure: &Figure, env: &CommandEnv) -> anyhow::Result<()> {
    let out = env.output;
    match figure {
        Figure::Pending => {
            let (mut tx, tenant) = of_one_or_all(env).await?;
            let rows = figures::pending(&mut tx.conn(), tenant).await?;
            out.page(&Page::from(rows), "No job waits or runs.")?;
        }
        Figure::Failed { limit } => {
            let (mut tx, tenant) = of_one_or_all(env).await?;
            let rows = figures::failed(&mut tx.conn(), tenant, limit.and_one()).await?;
            out.page(&limit.page(rows), "No job has failed.")?;
        }
        Figure::Unread => {
            let (mut tx, tenant) = of_one(env).await?;
            let rows = figures::unread(&mut tx.conn(), tenant).await?;
            out.page(&Page::from(rows), "Everything is read.")?;
        }
        Figure::Imports => {
            let (mut tx, tenant) = of_one(env).await?;
            let rows = figures::imports(&mut tx.conn(), tenant).await?;
            out.page(&Page::from(rows), "Nothing was imported yet.")?;
        }
        Figure::Reports => {
            let (mut tx, tenant) = of_one(env).await?;
            let rows = figures::reports(&mut tx.conn(), tenant).await?;
            out.page(&Page::from(rows), "No report is finished yet.")?;
        }
    }
    Ok(())
}

/// The tables of the ERP show a tenant's rows to that tenant alone.
async fn of_one(env: &CommandEnv) -> anyhow::Result<(Tx, i64)> {
    let tenant: Tenant = env.fairlane.tenant(env.required_tenant()?);
    Ok((reading(&tenant).await?, tenant.id().await?))
}

/// The queue's tables may be counted over all tenants.
async fn of_one_or_all(env: &CommandEnv) -> anyhow::Result<(Tx, Option<i64>)> {
    match env.tenant {
        Some(_) => of_one(env).await.map(|(tx, tenant)| (tx, Some(tenant))),
        None => Ok((env.fairlane.db().read().await?, None)),
    }
}
