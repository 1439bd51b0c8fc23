//! `fairlane bench valuation`: many movements valued by a worker process.

mod load;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{ArgMatches, Args, FromArgMatches};
use fairlane::cli::{CommandEnv, DomainCommand};
use fairlane::db::{Conn, query};
use fairlane::{Tenant, sql};
use futures::future::BoxFuture;
use rust_decimal::Decimal;
use serde::Serialize;

use super::{analyze, database, new_tenant};
use crate::erp::services::valuation::{NewRun, request};
use crate::erp::store::valuation::runs::{self, Run};
use crate::erp::valuation::Scope;

/// `fairlane bench valuation`.
#[derive(Debug)]
pub struct BenchValuationCommand;

#[derive(Debug, Args)]
struct BenchArgs {
    /// Movements of all products together
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(i64).range(1..=100_000_000))]
    movements: i64,
    /// Products, half of them valued by layers and half by the average
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    products: i64,
    /// What a pool is
    #[arg(long, default_value = "product")]
    scope: Scope,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    movements: i64,
    products: i64,
    scope: Scope,
    debug_build: bool,
    /// From the start of the worker process to its end.
    seconds: f64,
    movements_per_second: f64,
    peak_rss_bytes: u64,
    value: Decimal,
}

impl DomainCommand for BenchValuationCommand {
    fn command(&self) -> clap::Command {
        let command = clap::Command::new("valuation")
            .about("Movements a second that a worker process values, and its memory");
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
            bench(&args, &env).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn bench(args: &BenchArgs, env: &CommandEnv) -> anyhow::Result<()> {
    let measured = measure(args, env).await?;
    let lines = [
        format!(
            "{} movements of {} products on {}: {:.1} s, {:.0} movements/s",
            measured.movements,
            measured.products,
            measured.database,
            measured.seconds,
            measured.movements_per_second
        ),
        format!("peak memory of the worker process: {:.0} MB", measured.peak_rss_bytes as f64 / 1e6),
    ];
    env.output.result(&measured, None, &lines)?;
    Ok(())
}

async fn measure(args: &BenchArgs, env: &CommandEnv) -> anyhow::Result<Measured> {
    let tenant = new_tenant(env, &env.fairlane).await?;
    env.output.remark("loading");
    let each = (args.movements / args.products).max(1);
    load::load(&tenant, args.products, each).await?;
    analyze(env).await?;
    let mut tx = tenant.begin().await?;
    let new = NewRun { scope: args.scope, ..NewRun::default() };
    let requested = request(&mut tx, &tenant, &new).await?;
    tx.commit().await?;
    env.output.remark("valuing");
    let (seconds, peak_rss_bytes) = work(&env.worker_url()?).await?;
    let movements = each * args.products;
    let run = check(&tenant, requested.run_id, movements).await?;
    Ok(Measured {
        database: database(env),
        movements,
        products: args.products,
        scope: args.scope,
        debug_build: cfg!(debug_assertions),
        seconds,
        movements_per_second: movements as f64 / seconds,
        peak_rss_bytes,
        value: run.new_value,
    })
}

/// A worker process until nothing is left to do: how long it took, and the largest memory it had.
async fn work(database: &str) -> anyhow::Result<(f64, u64)> {
    let began = Instant::now();
    let mut worker = Command::new(std::env::current_exe().context("finding this program")?)
        .args(["work", "--queue", "low", "--stop-when-empty"])
        .env("FAIRLANE_DATABASE_URL", database)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting a worker")?;
    let mut peak = 0;
    let status = loop {
        // The high-water mark is the system's own: nothing is missed between two looks.
        peak = peak.max(high_water(worker.id()).unwrap_or_default());
        if let Some(status) = worker.try_wait()? {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    ensure!(status.success(), "the worker ended with {status}");
    Ok((began.elapsed().as_secs_f64(), peak))
}

/// The largest resident memory a process has had, where the system tells.
fn high_water(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// All of them are valued, and the values of the movements come to those of the stock.
async fn check(tenant: &Tenant, run: i64, movements: i64) -> anyhow::Result<Run> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let conn = &mut tx.conn();
    let run = runs::find(conn, id, run).await?.context("the run is not in the log")?;
    ensure!(
        run.status == "completed" && run.refused == 0,
        "the valuation is {}: {:?}",
        run.status,
        run.error
    );
    let valued: i64 = query(sql!("select count(*) as n from movement_valuations where tenant_id = $1"))
        .bind(id)
        .fetch_one(conn)
        .await?
        .get("n")?;
    ensure!(valued == movements, "{valued} of {movements} movements are valued");
    let (moved, worth) = (sum(conn, id, MOVED).await?, sum(conn, id, WORTH).await?);
    ensure!(moved == worth && worth == run.new_value, "movements come to {moved}, the stock to {worth}");
    Ok(run)
}

const MOVED: fairlane::db::Sql = sql!("select value from movement_valuations where tenant_id = $1");
const WORTH: fairlane::db::Sql = sql!("select value from stock_valuations where tenant_id = $1");

async fn sum(conn: &mut Conn<'_>, tenant: i64, statement: fairlane::db::Sql) -> anyhow::Result<Decimal> {
    use futures::TryStreamExt as _;
    let mut rows = query(statement).bind(tenant).fetch(conn)?;
    let mut sum = Decimal::ZERO;
    while let Some(row) = rows.try_next().await? {
        sum += row.get::<Decimal>("value")?;
    }
    Ok(sum)
}
