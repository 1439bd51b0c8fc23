//! `bench scale`: whether a claim takes longer with more tenants and more rows, and never more than its slots.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::figures::{SPREAD, Spread, ratio};
use super::ledger::Ledger;
use super::processes::{Part, Process, WorkerTask};
use super::report::{Findings, Table};
use super::site::{Fill, Tenants, with_parameter};
use super::spans::peak;
use super::{Bench, QUEUE};
use crate::db::Dialect;
use crate::sql;

const SLEEP_MS: u64 = 5;
/// Rows of the cases that differ in their tenants.
const ROWS_OF_TENANTS: u64 = 100_000;
/// What the planner may be forbidden.
const SWITCHES: [&str; 8] =
    ["indexscan", "bitmapscan", "seqscan", "nestloop", "hashjoin", "mergejoin", "sort", "material"];

/// `fairlane bench scale`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ScaleArgs {
    /// Tenants of the small case
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    few_tenants: i64,
    /// Tenants of the large case
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    many_tenants: i64,
    /// Rows of the small case
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    few_rows: u64,
    /// Rows of the large case
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    many_rows: u64,
    /// How long each case is watched
    #[arg(long, default_value_t = 10.0, value_parser = super::args::above_zero)]
    seconds: f64,
    /// Jobs of a burst into an empty queue (0 leaves the bursts out)
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    burst: u64,
    /// Jobs that the worker runs at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    slots: u32,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

/// What `bench scale` found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    cases: Vec<Case>,
    /// Many tenants / few, of the median claims.
    tenants_ratio: f64,
    /// Many rows / few.
    rows_ratio: f64,
    slots: u32,
    /// PostgreSQL only.
    bursts: Vec<Burst>,
}

/// One size.
#[derive(Debug, Serialize)]
struct Case {
    tenants: i64,
    rows: u64,
    /// Statements that brought something, from their way to the server to the last row.
    claims: Spread,
    rows_per_claim: f64,
}

/// A burst into a queue that was empty when the planner last looked.
#[derive(Debug, Serialize)]
struct Burst {
    /// What the planner was forbidden.
    off: Option<&'static str>,
    /// The most rows that were executing at one time, as an observer saw them; a handler may have ended already.
    executing: i64,
    /// The most handlers that ran at one time.
    running: u64,
    /// The most rows of one claim.
    claimed: u64,
}

pub(crate) async fn measure(args: &ScaleArgs, bench: &Bench) -> anyhow::Result<Found> {
    let few = bench.site.add_tenants(args.few_tenants).await?;
    let many = bench.site.add_tenants(args.many_tenants).await?;
    let rows_of_tenants = ROWS_OF_TENANTS.min(args.many_rows).max(args.many_tenants.unsigned_abs());
    let sizes =
        [(few, args.few_rows), (few, args.many_rows), (few, rows_of_tenants), (many, rows_of_tenants)];
    let mut cases = Vec::new();
    for (tenants, rows) in sizes {
        let mut rounds = Vec::new();
        for round in 1..=bench.rounds {
            bench.remark(&format!("{} tenants, {rows} rows, round {round}", tenants.count));
            rounds.push(claims(args, bench, tenants, rows).await?);
        }
        let (spreads, batches): (Vec<Spread>, Vec<f64>) = rounds.into_iter().unzip();
        cases.push(Case {
            tenants: tenants.count,
            rows,
            claims: Spread::median_of(&spreads),
            rows_per_claim: super::figures::median(&batches),
        });
    }
    let of = |large: usize, small: usize| ratio(cases[large].claims.p50_ms, cases[small].claims.p50_ms);
    let (rows_ratio, tenants_ratio) = (of(1, 0), of(3, 2));
    Ok(Found { cases, tenants_ratio, rows_ratio, slots: args.slots, bursts: bursts(args, bench).await? })
}

async fn claims(
    args: &ScaleArgs,
    bench: &Bench,
    tenants: Tenants,
    rows: u64,
) -> anyhow::Result<(Spread, f64)> {
    bench.site.clear().await?;
    let sleep_ms = Some(SLEEP_MS);
    bench.site.fill(Fill { tenants, jobs: rows, queue: QUEUE, sleep_ms, first_number: 0 }).await?;
    let task = WorkerTask { concurrency: Some(args.slots as usize), ..bench.worker() };
    let since = Instant::now();
    let (worker, claims) = Process::start_traced(&Part::Worker(task)).await?;
    let until = since + Duration::from_secs_f64(args.seconds);
    while worker.count() < rows && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.kill().await?;
    let seen = claims.between(since, Instant::now());
    let claimed: u64 = seen.iter().map(|claim| claim.rows).sum();
    let batch = ratio(claimed as f64, seen.len() as f64);
    Ok((Spread::of(seen.iter().map(|claim| claim.ms)), batch))
}

async fn bursts(args: &ScaleArgs, bench: &Bench) -> anyhow::Result<Vec<Burst>> {
    if bench.site.dialect() == Dialect::Sqlite || args.burst == 0 {
        return Ok(Vec::new());
    }
    let tenant = bench.site.add_tenants(1).await?;
    let mut bursts = Vec::new();
    for off in std::iter::once(None).chain(SWITCHES.map(Some)) {
        bench.remark(&format!("burst, planner without {}", off.unwrap_or("nothing")));
        bursts.push(burst(args, bench, tenant, off).await?);
    }
    Ok(bursts)
}

async fn burst(
    args: &ScaleArgs,
    bench: &Bench,
    tenants: Tenants,
    off: Option<&'static str>,
) -> anyhow::Result<Burst> {
    bench.site.clear().await?;
    bench.site.analyze().await?;
    let ledger = Ledger::open()?;
    let url = bench.site.url.clone();
    let url = off.map_or(url.clone(), |off| with_parameter(&url, &format!("options[enable_{off}]=off")));
    let concurrency = Some(args.slots as usize);
    let task = WorkerTask { url, concurrency, ledger: Some(ledger.path()), ..WorkerTask::default() };
    let (worker, claims) = Process::start_traced(&Part::Worker(task)).await?;
    bench.site.until_workers(&[worker.pid()]).await?;
    let since = Instant::now();
    let sleep_ms = Some(SLEEP_MS);
    bench.site.queue(Fill { tenants, jobs: args.burst, queue: QUEUE, sleep_ms, first_number: 0 }).await?;
    let now = sql!("select count(*) as n from fairlane_jobs where state = 'executing'");
    let mut executing = 0;
    while worker.is_alive() && worker.count() < args.burst {
        executing = executing.max(bench.site.number(now).await?);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    worker.stop().await?;
    let claimed = claims.between(since, Instant::now()).iter().map(|claim| claim.rows).max();
    let running = peak(&ledger.take(), tenants.first);
    Ok(Burst { off, executing, running, claimed: claimed.unwrap_or_default() })
}

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let case = |case: &Case| {
            let size = vec![case.tenants.to_string(), case.rows.to_string()];
            [size, vec![format!("{:.1}", case.rows_per_claim)], case.claims.cells().to_vec()].concat()
        };
        let burst = |burst: &Burst| {
            let seen = [burst.executing.to_string(), burst.running.to_string(), burst.claimed.to_string()];
            [vec![burst.off.unwrap_or("nothing").to_owned()], seen.to_vec()].concat()
        };
        let mut tables = vec![Table {
            title: format!(
                "Claims: {:.2} times with many rows, {:.2} times with many tenants",
                self.rows_ratio, self.tenants_ratio
            ),
            columns: [&["TENANTS", "ROWS", "ROWS/CLAIM"], &SPREAD[..]].concat(),
            rows: self.cases.iter().map(case).collect(),
        }];
        if !self.bursts.is_empty() {
            tables.push(Table {
                title: format!("Bursts into an empty queue, {} slots", self.slots),
                columns: vec!["PLANNER WITHOUT", "EXECUTING", "RUNNING", "LARGEST CLAIM"],
                rows: self.bursts.iter().map(burst).collect(),
            });
        }
        tables
    }
}
