//! `bench drain`: how fast workers empty a queue, beside bare loops that claim and settle the same rows.

use anyhow::ensure;
use clap::Args;
use serde::Serialize;

use super::figures::{median, megabytes, per_second, ratio};
use super::floor::{self, DrainTask};
use super::processes::{Part, Process, WorkerTask};
use super::report::{Findings, Table};
use super::server::ServerCpu;
use super::site::{Drained, Fill};
use super::{Bench, QUEUE, machine};
use crate::db::Dialect;
use crate::sql;

/// Connections of a worker on which jobs travel: it claims on one and settles on two.
const HOT_CONNECTIONS: u32 = 3;

/// `fairlane bench drain`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DrainArgs {
    /// No-op jobs that are queued
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    jobs: u64,
    /// Tenants they belong to, in turn
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    tenants: i64,
    /// Worker processes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Jobs that one worker runs at the same time (default: the worker's own)
    #[arg(long, value_parser = super::args::slots)]
    concurrency: Option<usize>,
    /// Rows of a claim and a settle of the floor (default: as many as the workers took)
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    floor_batch: Option<i64>,
    /// Measure the workers alone
    #[arg(long)]
    no_floor: bool,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

/// What `bench drain` found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    jobs: u64,
    tenants: i64,
    workers: u32,
    product: Speed,
    floor: Option<Speed>,
    /// Product / floor: the median of the rounds' ratios.
    ratio: Option<f64>,
    ratios: Vec<f64>,
    worker_cpu_seconds: Option<f64>,
    server_cpu_seconds: Option<f64>,
    /// Of workers and server together.
    cpu_seconds_per_100k: Option<f64>,
    /// The most memory one worker process had resident.
    peak_rss_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Speed {
    jobs_per_second: f64,
    seconds: Vec<f64>,
    connections: u32,
    /// Rows of one statement, on average.
    claim_batch: f64,
    settle_batch: f64,
}

/// One round of the product.
struct Round {
    drained: Drained,
    worker_cpu: Option<f64>,
    server_cpu: Option<f64>,
    peak_rss: Option<u64>,
}

pub(crate) async fn measure(args: &DrainArgs, bench: &Bench) -> anyhow::Result<Found> {
    let tenants = bench.site.add_tenants(args.tenants).await?;
    let fill = Fill { tenants, jobs: args.jobs, queue: QUEUE, sleep_ms: None, first_number: 0 };
    let (mut rounds, mut floors) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds {
        bench.remark(&format!("round {round} of {}: workers", bench.rounds));
        bench.site.clear().await?;
        bench.site.fill(fill).await?;
        let measured = workers(args, bench).await?;
        if !args.no_floor {
            bench.remark(&format!("round {round} of {}: floor", bench.rounds));
            bench.site.clear().await?;
            bench.site.fill(fill).await?;
            floors.push(bare(args, bench, &measured.drained).await?);
        }
        rounds.push(measured);
    }
    Ok(found(args, connections(args, bench), &rounds, &floors))
}

async fn workers(args: &DrainArgs, bench: &Bench) -> anyhow::Result<Round> {
    let server_before = ServerCpu::now(&bench.site).await?;
    let task = WorkerTask { concurrency: args.concurrency, ..bench.worker() };
    let workers = bench.start_workers(args.workers, &task).await?;
    while workers.iter().map(Process::count).sum::<u64>() < args.jobs {
        ensure!(workers.iter().all(Process::is_alive), "a worker ended before the queue was empty");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let settled = sql!("select count(*) as n from fairlane_job_history");
    bench.site.until(settled, |settled| settled.unsigned_abs() >= args.jobs).await?;
    let server_after = ServerCpu::now(&bench.site).await?;
    let pids: Vec<u32> = workers.iter().map(Process::pid).collect();
    let round = Round {
        drained: bench.site.drained().await?,
        worker_cpu: pids.iter().map(|pid| machine::cpu_seconds(*pid)).sum(),
        server_cpu: server_after.zip(server_before).map(|(after, before)| after.since(&before)),
        peak_rss: pids.iter().filter_map(|pid| machine::peak_rss_bytes(*pid)).max(),
    };
    for worker in workers {
        worker.stop().await?;
    }
    Ok(round)
}

/// As many connections, and as many rows a statement, as the workers had.
async fn bare(args: &DrainArgs, bench: &Bench, product: &Drained) -> anyhow::Result<Drained> {
    let batch = |statements: u64| {
        let rows = args.jobs.div_ceil(statements.max(1));
        args.floor_batch.unwrap_or_else(|| rows.cast_signed())
    };
    let task = DrainTask {
        url: bench.site.url.clone(),
        queue: QUEUE.to_owned(),
        connections: connections(args, bench),
        claim_batch: batch(product.claims),
        settle_batch: batch(product.settles),
    };
    let mut process = Process::start(&Part::Floor(floor::Task::Drain(task))).await?;
    process.go().await?;
    let rows: u64 = process.result().await?;
    ensure!(rows == args.jobs, "the floor drained {rows} of {} jobs", args.jobs);
    bench.site.drained().await
}

/// SQLite has one writer: a second connection would only wait.
fn connections(args: &DrainArgs, bench: &Bench) -> u32 {
    match bench.site.dialect() {
        Dialect::Postgres => args.workers * HOT_CONNECTIONS,
        Dialect::Sqlite => 1,
    }
}

fn found(args: &DrainArgs, connections: u32, rounds: &[Round], floors: &[Drained]) -> Found {
    let drained: Vec<Drained> = rounds.iter().map(|round| round.drained).collect();
    let ratios: Vec<f64> =
        drained.iter().zip(floors).map(|(product, floor)| ratio(floor.seconds, product.seconds)).collect();
    let of = |figure: fn(&Round) -> Option<f64>| {
        let figures: Option<Vec<f64>> = rounds.iter().map(figure).collect();
        figures.map(|figures| median(&figures))
    };
    let (worker, server) = (of(|round| round.worker_cpu), of(|round| round.server_cpu));
    let cpu = worker.map(|worker| worker + server.unwrap_or_default());
    Found {
        jobs: args.jobs,
        tenants: args.tenants,
        workers: args.workers,
        product: Speed::of(&drained, connections),
        floor: (!floors.is_empty()).then(|| Speed::of(floors, connections)),
        ratio: (!ratios.is_empty()).then(|| median(&ratios)),
        ratios,
        worker_cpu_seconds: worker,
        server_cpu_seconds: server,
        cpu_seconds_per_100k: cpu.map(|cpu| cpu * 1e5 / args.jobs as f64),
        peak_rss_bytes: rounds.iter().filter_map(|round| round.peak_rss).max(),
    }
}

impl Speed {
    fn of(rounds: &[Drained], connections: u32) -> Self {
        let of = |figure: fn(&Drained) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        Self {
            jobs_per_second: of(|round| ratio(round.jobs as f64, round.seconds)),
            seconds: rounds.iter().map(|round| round.seconds).collect(),
            connections,
            claim_batch: of(|round| ratio(round.jobs as f64, round.claims as f64)),
            settle_batch: of(|round| ratio(round.jobs as f64, round.settles as f64)),
        }
    }

    fn row(&self, name: &str, ratio: Option<f64>) -> Vec<String> {
        vec![
            name.to_owned(),
            per_second(self.jobs_per_second),
            ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.connections.to_string(),
            format!("{:.1}", self.claim_batch),
            format!("{:.1}", self.settle_batch),
            self.seconds.iter().map(|seconds| format!("{seconds:.2}")).collect::<Vec<_>>().join(" "),
        ]
    }
}

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let mut rows = vec![self.product.row("workers", self.ratio)];
        rows.extend(self.floor.as_ref().map(|floor| floor.row("floor", None)));
        let seconds = |seconds: Option<f64>| seconds.map(|s| format!("{s:.2} s")).unwrap_or_default();
        let cost = vec![
            seconds(self.worker_cpu_seconds),
            seconds(self.server_cpu_seconds),
            seconds(self.cpu_seconds_per_100k),
            self.peak_rss_bytes.map(megabytes).unwrap_or_default(),
        ];
        vec![
            Table {
                title: format!(
                    "{} no-op jobs of {} tenants, {} worker(s)",
                    self.jobs, self.tenants, self.workers
                ),
                columns: vec!["", "JOBS/S", "RATIO", "CONNECTIONS", "CLAIM ROWS", "SETTLE ROWS", "SECONDS"],
                rows,
            },
            Table {
                title: "What it cost".to_owned(),
                columns: vec!["WORKER CPU", "SERVER CPU", "BOTH PER 100K", "PEAK MEMORY"],
                rows: vec![cost],
            },
        ]
    }
}
