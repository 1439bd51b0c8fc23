//! `bench enqueue`: single dispatches beside bare inserts, `dispatch_all` beside COPY.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::figures::{median, per_second, ratio};
use super::floor::{self, InsertTask, Inserted};
use super::kinds::Noop;
use super::processes::{Orders, Part, Process, WorkerTask, client, ready_to_go};
use super::report::{Findings, Table};
use super::{Bench, QUEUE};
use crate::Tenant;
use crate::client::WakeMode;
use crate::db::Dialect;

/// `fairlane bench enqueue`.
#[derive(Debug, Clone, Args)]
pub(crate) struct EnqueueArgs {
    /// Jobs that are dispatched at the same time, each on a connection of its own
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=20))]
    connections: u32,
    /// How long single jobs are dispatched
    #[arg(long, default_value_t = 10.0, conflicts_with = "jobs", value_parser = super::args::above_zero)]
    seconds: f64,
    /// Dispatch so many single jobs instead
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    jobs: Option<u64>,
    /// Jobs of one `dispatch_all` (0 leaves it out)
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(0..=20_000_000))]
    bulk: u64,
    /// What the worker process beside it does
    #[arg(long, value_enum, default_value_t)]
    worker: Beside,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

/// What the worker process beside the dispatches does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Beside {
    /// Listens for wake-ups and starts nothing: it is paused.
    #[default]
    Listens,
    /// Runs the jobs as they come.
    Drains,
    /// There is none.
    None,
}

/// What a process that dispatches is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    url: String,
    tenant: String,
    connections: u32,
    jobs: Option<u64>,
    seconds: f64,
    /// All jobs in one `dispatch_all`.
    bulk: bool,
}

/// What `bench enqueue` found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    connections: u32,
    worker: Beside,
    single: Pair,
    bulk_jobs: u64,
    bulk: Option<Pair>,
}

/// The product and its floor, in rows a second.
#[derive(Debug, Default, Serialize)]
struct Pair {
    product_per_second: f64,
    floor_per_second: f64,
    /// Product / floor: the median of the rounds' ratios.
    ratio: f64,
    ratios: Vec<f64>,
    /// What the floor is.
    floor: &'static str,
}

pub(crate) async fn measure(args: &EnqueueArgs, bench: &Bench) -> anyhow::Result<Found> {
    let tenants = bench.site.add_tenants(1).await?;
    let (slug, tenant) = (tenants.slug(0), tenants.first);
    let worker = worker_beside(args, bench).await?;
    let (mut single, mut bulk) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds {
        bench.remark(&format!("round {round} of {}", bench.rounds));
        bench.site.clear().await?;
        let product = dispatch(args, bench, &slug, None).await?;
        bench.site.clear().await?;
        single.push((product, bare_inserts(args, bench, tenant).await?));
        if args.bulk > 0 {
            bench.site.clear().await?;
            let product = dispatch(args, bench, &slug, Some(args.bulk)).await?;
            bench.site.clear().await?;
            bulk.push((product, bare_bulk(args, bench, tenant).await?));
        }
    }
    if let Some(worker) = worker {
        worker.stop().await?;
    }
    let postgres = bench.site.dialect() == Dialect::Postgres;
    let (one, many) = match postgres {
        true => ("single-row inserts by prepared statement", "COPY by the owner"),
        false => ("single-row inserts on the one writer", "inserts of many rows by one connection"),
    };
    Ok(Found {
        connections: args.connections,
        worker: args.worker,
        single: Pair::of(&single, one),
        bulk_jobs: args.bulk,
        bulk: (!bulk.is_empty()).then(|| Pair::of(&bulk, many)),
    })
}

async fn worker_beside(args: &EnqueueArgs, bench: &Bench) -> anyhow::Result<Option<Process>> {
    if args.worker == Beside::None {
        return Ok(None);
    }
    let task = WorkerTask { paused: args.worker == Beside::Listens, ..bench.worker() };
    Ok(bench.start_workers(1, &task).await?.pop())
}

async fn dispatch(
    args: &EnqueueArgs,
    bench: &Bench,
    tenant: &str,
    bulk: Option<u64>,
) -> anyhow::Result<Inserted> {
    let task = Task {
        url: bench.site.url.clone(),
        tenant: tenant.to_owned(),
        connections: args.connections,
        jobs: bulk.or(args.jobs),
        seconds: args.seconds,
        bulk: bulk.is_some(),
    };
    let mut process = Process::start(&Part::Enqueue(task)).await?;
    process.go().await?;
    process.result().await
}

async fn bare_inserts(args: &EnqueueArgs, bench: &Bench, tenant: i64) -> anyhow::Result<Inserted> {
    let task = InsertTask {
        url: bench.site.url.clone(),
        queue: QUEUE.to_owned(),
        tenant,
        connections: if bench.site.dialect() == Dialect::Sqlite { 1 } else { args.connections },
        jobs: args.jobs,
        seconds: args.seconds,
    };
    let mut process = Process::start(&Part::Floor(floor::Task::Insert(task))).await?;
    process.go().await?;
    process.result().await
}

async fn bare_bulk(args: &EnqueueArgs, bench: &Bench, tenant: i64) -> anyhow::Result<Inserted> {
    let task = floor::BulkTask {
        // As the login that was named: only the owner may COPY into a table under row-level security.
        url: bench.site.observer.options().url.clone(),
        queue: QUEUE.to_owned(),
        tenant,
        jobs: args.bulk,
    };
    let mut process = Process::start(&Part::Floor(floor::Task::Bulk(task))).await?;
    process.go().await?;
    let inserted: Inserted = process.result().await?;
    ensure!(inserted.rows == args.bulk, "the floor stored {} of {} rows", inserted.rows, args.bulk);
    Ok(inserted)
}

/// Dispatches, in a process of its own.
pub(crate) async fn run(task: Task, orders: &mut Orders) -> anyhow::Result<Inserted> {
    let fairlane = client(&task.url, WakeMode::Auto).await?;
    let tenant = fairlane.tenant(task.tenant.clone());
    tenant.id().await?;
    ready_to_go(orders).await?;
    let since = Instant::now();
    let rows = if task.bulk {
        tenant.dispatch_all((0..task.jobs.unwrap_or_default()).map(Noop::new)).await?
    } else {
        dispatch_singly(&tenant, &task, since).await?
    };
    Ok(Inserted { rows, seconds: since.elapsed().as_secs_f64() })
}

async fn dispatch_singly(tenant: &Tenant, task: &Task, since: Instant) -> anyhow::Result<u64> {
    let next = Arc::new(AtomicU64::new(0));
    let until = since + Duration::from_secs_f64(task.seconds);
    let loops = (0..task.connections)
        .map(|_| tokio::spawn(dispatch_until(tenant.clone(), next.clone(), task.jobs, until)));
    let mut rows = 0;
    for done in futures::future::join_all(loops).await {
        rows += done??;
    }
    Ok(rows)
}

/// One after the other, until all are dispatched or the time is over.
async fn dispatch_until(
    tenant: Tenant,
    next: Arc<AtomicU64>,
    jobs: Option<u64>,
    until: Instant,
) -> crate::Result<u64> {
    let mut rows = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if jobs.map_or_else(|| Instant::now() >= until, |jobs| number >= jobs) {
            return Ok(rows);
        }
        tenant.dispatch(Noop::new(number)).await?;
        rows += 1;
    }
}

impl Pair {
    fn of(rounds: &[(Inserted, Inserted)], floor: &'static str) -> Self {
        let of = |figure: fn(&(Inserted, Inserted)) -> f64| rounds.iter().map(figure).collect::<Vec<_>>();
        let ratios = of(|(product, floor)| ratio(product.per_second(), floor.per_second()));
        Self {
            product_per_second: median(&of(|(product, _)| product.per_second())),
            floor_per_second: median(&of(|(_, floor)| floor.per_second())),
            ratio: median(&ratios),
            ratios,
            floor,
        }
    }

    fn row(&self, name: String) -> Vec<String> {
        vec![
            name,
            per_second(self.product_per_second),
            per_second(self.floor_per_second),
            format!("{:.2}", self.ratio),
            self.floor.to_owned(),
        ]
    }
}

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let mut rows = vec![self.single.row(format!("dispatch, {} at a time", self.connections))];
        rows.extend(self.bulk.as_ref().map(|bulk| bulk.row(format!("dispatch_all of {}", self.bulk_jobs))));
        vec![Table {
            title: "Jobs queued".to_owned(),
            columns: vec!["", "JOBS/S", "FLOOR/S", "RATIO", "FLOOR"],
            rows,
        }]
    }
}
