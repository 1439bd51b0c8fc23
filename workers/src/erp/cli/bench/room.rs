//! `fairlane bench room`: how long an invoice takes to its customer's mail server, alone and beside more heavy jobs of another
//! tenant than there are slots, through a worker process.

use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{ArgMatches, Args, FromArgMatches};
use fairlane::cli::{CommandEnv, DomainCommand};
use fairlane::db::{Sql, query};
use fairlane::{Job, Tenant, sql};
use futures::future::BoxFuture;
use rust_decimal::Decimal;
use serde::Serialize;

use super::sink::Sink;
use super::{analyze, database, new_tenant};
use crate::erp::jobs::{SendBulkNotifications, SendCampaignChunk};
use crate::erp::registry;
use crate::erp::services::campaigns::{self, NewCampaign};
use crate::erp::services::customers::{self, NewCustomer};
use crate::erp::services::orders::{self, NewLine};
use crate::erp::store::reading;

/// Users of a chunk: a heavy job tells so many, four mails at a time.
const CHUNK_USERS: u32 = 100;
/// Who waits longer has waited in vain.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two invoices, so that they do not keep step with anything.
const PAUSE: Duration = Duration::from_millis(37);

/// `fairlane bench room`.
#[derive(Debug)]
pub struct BenchRoomCommand;

#[derive(Debug, Args)]
struct BenchArgs {
    /// Invoices, one after the other: so many alone, and so many beside the heavy jobs
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    invoices: u32,
    /// Users whom the other tenant's campaign is for; a heavy job tells a hundred
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Jobs at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=256))]
    slots: u16,
    /// Milliseconds that the mail server takes for a mail of the campaign
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    think: u64,
}

/// Waits from just before the order's approval until the mail server has its invoice, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Waits {
    count: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Waits {
    fn of(mut ms: Vec<f64>) -> Self {
        ms.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * ms.len() as f64).ceil() as usize;
            ms.get(rank.max(1) - 1).copied().unwrap_or_default()
        };
        Self { count: ms.len(), p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0) }
    }

    fn line(&self, what: &str) -> String {
        format!(
            "{} invoices {what}: p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
            self.count, self.p50_ms, self.p99_ms, self.max_ms
        )
    }
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    debug_build: bool,
    slots: u16,
    alone: Waits,
    beside: Waits,
    /// Heavy jobs of the other tenant that were not over when the last invoice was out.
    heavy_jobs_left: i64,
}

impl DomainCommand for BenchRoomCommand {
    fn command(&self) -> clap::Command {
        let command = clap::Command::new("room")
            .about("How long an invoice takes beside more heavy jobs of another tenant than there are slots");
        BenchArgs::augment_args(command)
    }

    fn group(&self) -> Option<&'static str> {
        Some("bench")
    }

    fn own_database(&self) -> bool {
        true
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let args = BenchArgs::from_arg_matches(&matches)?;
            let measured = measure(&args, &env).await?;
            let beside = format!(
                "beside heavy jobs of another tenant, of which {} were left for {} slots ({})",
                measured.heavy_jobs_left, measured.slots, measured.database
            );
            let lines = [measured.alone.line("alone"), measured.beside.line(&beside)];
            env.output.result(&measured, None, &lines)?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn measure(args: &BenchArgs, env: &CommandEnv) -> anyhow::Result<Measured> {
    let sink = Sink::start(Duration::from_millis(args.think)).await.context("starting a mail server")?;
    env.fairlane.clone().with(&registry()).announce().await?;
    let (heavy, guest) = (new_tenant(env, &env.fairlane).await?, new_tenant(env, &env.fairlane).await?);
    add_customer(&guest).await?;
    add_users(&heavy, args.users).await?;
    analyze(env).await?;
    let worker = Running::start(&env.worker_url()?, args.slots, sink.port)?;
    // A worker's first jobs wait for its start.
    invoices(&guest, &sink, 1).await?;
    env.output.remark("alone");
    let alone = Waits::of(invoices(&guest, &sink, args.invoices).await?);
    env.output.remark("beside heavy jobs");
    start_campaign(&heavy).await?;
    until_frozen(&heavy, args).await?;
    let beside = Waits::of(invoices(&guest, &sink, args.invoices).await?);
    let heavy_jobs_left = count(&heavy, LEFT, SendCampaignChunk::KIND).await?;
    drop(worker);
    ensure!(
        heavy_jobs_left > i64::from(args.slots),
        "only {heavy_jobs_left} heavy jobs were left for {} slots: nothing is shown; take more --users or less --invoices",
        args.slots
    );
    let debug_build = cfg!(debug_assertions);
    Ok(Measured { database: database(env), debug_build, slots: args.slots, alone, beside, heavy_jobs_left })
}

/// Orders that are approved one after the other; how long each invoice took to the mail server.
async fn invoices(guest: &Tenant, sink: &Sink, count: u32) -> anyhow::Result<Vec<f64>> {
    let mut arrived = sink.invoices.clone();
    let mut waits = Vec::new();
    for _ in 0..count {
        tokio::time::sleep(PAUSE).await;
        let before = *arrived.borrow();
        let mut tx = guest.begin().await?;
        let order = orders::create(&mut tx, guest, "C-1", &[line()]).await?;
        orders::approve(&mut tx, guest, order.id, None).await?;
        let began = Instant::now();
        tx.commit().await?;
        let came = tokio::time::timeout(PATIENCE, arrived.wait_for(|count| *count > before)).await;
        came.context("an invoice did not come within a minute")?.context("the mail server is gone")?;
        waits.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(waits)
}

fn line() -> NewLine {
    NewLine {
        sku: None,
        description: "Widget".into(),
        quantity: Decimal::from(3),
        unit_price: Decimal::new(1999, 2),
        discount: Decimal::ZERO,
        tax_rate: Decimal::from(19),
    }
}

async fn add_customer(tenant: &Tenant) -> anyhow::Result<()> {
    let email = Some("invoice-1@example.com".into());
    let new =
        NewCustomer { code: "C-1".into(), name: "Customer One".into(), email, ..NewCustomer::default() };
    let mut tx = tenant.begin().await?;
    customers::create(&mut tx, tenant, new).await?;
    Ok(tx.commit().await?)
}

async fn add_users(tenant: &Tenant, users: u32) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    query(sql!(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < $2)
         insert into users (tenant_id, name, email)
         select $1, 'User ' || cast(i as text), 'user-' || cast(i as text) || '@example.com' from n"
    ))
    .bind(tenant.id().await?)
    .bind(users)
    .execute(&mut tx.conn())
    .await?;
    Ok(tx.commit().await?)
}

async fn start_campaign(tenant: &Tenant) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    let new = NewCampaign {
        kind: "announcement".into(),
        title: "We are closed on Monday".into(),
        message: "The warehouse moves. From Tuesday on everything is as it was.".into(),
        channels: vec!["in_app".into(), "mail".into()],
        ..NewCampaign::default()
    };
    let id = campaigns::create(&mut tx, tenant, new).await?.id;
    campaigns::send(&mut tx, tenant, id, None).await?;
    Ok(tx.commit().await?)
}

/// Waits until all heavy jobs are queued and have taken the slots they may have.
async fn until_frozen(tenant: &Tenant, args: &BenchArgs) -> anyhow::Result<()> {
    let chunks = i64::from(args.users.div_ceil(CHUNK_USERS));
    let most = chunks.min(i64::from(args.slots) / 2);
    let began = Instant::now();
    while count(tenant, LEFT, SendBulkNotifications::KIND).await? > 0
        || count(tenant, RUNNING, SendCampaignChunk::KIND).await? < most
    {
        ensure!(began.elapsed() < PATIENCE, "the campaign has not begun within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

const LEFT: Sql = sql!("select count(*) as n from fairlane_jobs where tenant_id = $1 and kind = $2");
const RUNNING: Sql = sql!(
    "select count(*) as n from fairlane_jobs where tenant_id = $1 and kind = $2 and state = 'executing'"
);

async fn count(tenant: &Tenant, statement: Sql, kind: &str) -> anyhow::Result<i64> {
    let mut tx = reading(tenant).await?;
    let row = query(statement).bind(tenant.id().await?).bind(kind).fetch_one(&mut tx.conn()).await?;
    Ok(row.get("n")?)
}

/// A worker process; killed when it is dropped.
struct Running(Child);

impl Running {
    fn start(database: &str, slots: u16, port: u16) -> anyhow::Result<Self> {
        let worker = Command::new(std::env::current_exe().context("finding this program")?)
            .args(["work", "--concurrency", &slots.to_string()])
            .env("FAIRLANE_DATABASE_URL", database)
            .env("FAIRLANE_MAIL_TRANSPORT", "smtp")
            .env("FAIRLANE_MAIL_SMTP_HOST", "127.0.0.1")
            .env("FAIRLANE_MAIL_SMTP_PORT", port.to_string())
            .env("FAIRLANE_MAIL_SMTP_TLS", "none")
            .env("FAIRLANE_CAMPAIGNS_CHUNK_USERS", CHUNK_USERS.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting a worker")?;
        Ok(Self(worker))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_by_their_middle_and_their_end() {
        let waits = Waits::of((1..=200).rev().map(f64::from).collect());
        assert_eq!(waits, Waits { count: 200, p50_ms: 100.0, p99_ms: 198.0, max_ms: 200.0 });
    }
}
