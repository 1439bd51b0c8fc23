//! Tenants that all have work: how worker time is divided.

use std::time::Duration;

use serde::Serialize;

use super::FairArgs;
use crate::bench::figures::{median, ratio};
use crate::bench::ledger::Ledger;
use crate::bench::processes::WorkerTask;
use crate::bench::report::Table;
use crate::bench::site::{Fill, Tenants};
use crate::bench::spans::{Span, largest_lag, spans, worked, worst_jain};
use crate::bench::{Bench, QUEUE};
use crate::cli::Failure;
use crate::db::query;
use crate::sql;

/// In how many processes worker time is divided.
const PROCESSES: [u32; 2] = [1, 4];
const SHORT_MS: u64 = 20;
const LONG_MS: u64 = 1000;
/// Worker time is compared in windows of ten seconds.
const WINDOW: u64 = 10_000_000;
/// Lag is looked at four times a second.
const LAG_STEP: u64 = 250_000;

/// Ten equal tenants, half with long jobs and half with short ones.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Equal {
    workers: u32,
    /// Jain's index of worker-seconds in the worst window of ten seconds.
    worst_jain: f64,
    /// Of all slots' time.
    used: f64,
}

/// Three tenants with weights.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Weights {
    workers: u32,
    weights: [f64; 3],
    /// Of all worker-seconds, by tenant.
    shares: [f64; 3],
    /// The largest error of a share, relative to what it should be.
    error: f64,
}

/// Many tenants with work.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lag {
    tenants: i64,
    longest_job_ms: u64,
    /// The furthest that one was ever behind an equal share.
    largest_lag_ms: f64,
    /// The same, in longest jobs.
    largest_lag_jobs: f64,
}

/// What workers did in a while, on the ledger's clock.
struct Watched {
    spans: Vec<Span>,
    from: u64,
    to: u64,
}

impl Watched {
    fn used(&self, slots: u32) -> f64 {
        let all: f64 = worked(&self.spans, self.from, self.to).values().sum();
        all / (f64::from(slots) * (self.to - self.from) as f64 / 1e6)
    }
}

/// What would measure something else than it says.
pub(super) fn check(args: &FairArgs) -> anyhow::Result<()> {
    match PROCESSES.into_iter().find(|workers| !args.slots.is_multiple_of(*workers)) {
        Some(workers) => {
            Err(Failure::usage(format!("{} slots do not divide among {workers} processes", args.slots))
                .hint("equal and weights run in one process and in four: give a multiple of 4")
                .into())
        }
        None => Ok(()),
    }
}

async fn watch(args: &FairArgs, bench: &Bench, workers: u32) -> anyhow::Result<Watched> {
    let ledger = Ledger::open()?;
    let slots = Some((args.slots / workers) as usize);
    let task = WorkerTask { ledger: Some(ledger.path()), concurrency: slots, ..bench.worker() };
    let running = bench.start_workers(workers, &task).await?;
    let first = ledger.until(|records| records.first().map(|record| record.at)).await;
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    let to = ledger.now();
    let records = ledger.take();
    for worker in running {
        worker.kill().await?;
    }
    Ok(Watched { spans: spans(&records, to), from: first, to })
}

/// Enough that a tenant has work left if it got all slots.
async fn fill(args: &FairArgs, bench: &Bench, tenants: Tenants, sleep_ms: u64) -> anyhow::Result<()> {
    let each = f64::from(args.slots) * args.seconds * 1e3 / sleep_ms as f64;
    let jobs = (each.ceil() as u64).clamp(32, 50_000) * tenants.count.unsigned_abs();
    // Numbers are the tenants' own, so that no two jobs share one.
    let first_number = tenants.first.unsigned_abs() << 32;
    bench.site.fill(Fill { tenants, jobs, queue: QUEUE, sleep_ms: Some(sleep_ms), first_number }).await
}

pub(super) async fn equal(args: &FairArgs, bench: &Bench) -> anyhow::Result<Vec<Equal>> {
    let (long, short) = (bench.site.add_tenants(5).await?, bench.site.add_tenants(5).await?);
    let tenants: Vec<i64> = (long.first..long.first + 10).collect();
    let mut found = Vec::new();
    for workers in PROCESSES {
        let (mut jains, mut used) = (Vec::new(), Vec::new());
        for round in 1..=bench.rounds {
            bench.remark(&format!("equal, round {round}: {workers} worker(s)"));
            bench.site.clear().await?;
            fill(args, bench, long, LONG_MS).await?;
            fill(args, bench, short, SHORT_MS).await?;
            let watched = watch(args, bench, workers).await?;
            let window = WINDOW.min(watched.to - watched.from);
            jains.push(worst_jain(&watched.spans, &tenants, watched.from, watched.to, window));
            used.push(watched.used(args.slots));
        }
        found.push(Equal { workers, worst_jain: median(&jains), used: median(&used) });
    }
    Ok(found)
}

pub(super) async fn weights(args: &FairArgs, bench: &Bench) -> anyhow::Result<Vec<Weights>> {
    const WEIGHTS: [f64; 3] = [1.0, 2.0, 4.0];
    let tenants = bench.site.add_tenants(3).await?;
    for (tenant, weight) in (tenants.first..).zip(WEIGHTS) {
        let mut tx = bench.site.observer.begin().await?;
        query(sql!("update fairlane_tenants set weight = $2, changed_at = {now} where id = $1"))
            .bind(tenant)
            .bind(weight)
            .execute(&mut tx.conn())
            .await?;
        tx.commit().await?;
    }
    let mut found = Vec::new();
    for workers in PROCESSES {
        let mut rounds = Vec::new();
        for round in 1..=bench.rounds {
            bench.remark(&format!("weights, round {round}: {workers} worker(s)"));
            bench.site.clear().await?;
            fill(args, bench, tenants, SHORT_MS).await?;
            let watched = watch(args, bench, workers).await?;
            let worked = worked(&watched.spans, watched.from, watched.to);
            let all: f64 = worked.values().sum();
            rounds.push(
                [0, 1, 2].map(|index| {
                    ratio(worked.get(&(tenants.first + index)).copied().unwrap_or_default(), all)
                }),
            );
        }
        let shares =
            [0, 1, 2].map(|i: usize| median(&rounds.iter().map(|round| round[i]).collect::<Vec<_>>()));
        let sum: f64 = WEIGHTS.iter().sum();
        let errors = shares.iter().zip(WEIGHTS).map(|(share, weight)| (share * sum / weight - 1.0).abs());
        let error = errors.fold(0.0, f64::max);
        found.push(Weights { workers, weights: WEIGHTS, shares, error });
    }
    Ok(found)
}

pub(super) async fn lag(args: &FairArgs, bench: &Bench) -> anyhow::Result<Lag> {
    let tenants = bench.site.add_tenants(args.tenants).await?;
    let all: Vec<i64> = (tenants.first..tenants.first + tenants.count).collect();
    // Twice an equal share, so that nobody runs out before the end.
    let jobs = f64::from(args.slots) * args.seconds * 2e3 / SHORT_MS as f64;
    let jobs = (jobs as u64).max(4 * args.tenants.unsigned_abs());
    let sleep_ms = Some(SHORT_MS);
    let mut lags = Vec::new();
    for round in 1..=bench.rounds {
        bench.remark(&format!("lag, round {round}"));
        bench.site.clear().await?;
        bench.site.fill(Fill { tenants, jobs, queue: QUEUE, sleep_ms, first_number: 0 }).await?;
        let watched = watch(args, bench, 1).await?;
        lags.push(largest_lag(&watched.spans, &all, watched.from, watched.to, LAG_STEP) * 1e3);
    }
    let largest_lag_ms = median(&lags);
    Ok(Lag {
        tenants: args.tenants,
        longest_job_ms: SHORT_MS,
        largest_lag_ms,
        largest_lag_jobs: largest_lag_ms / SHORT_MS as f64,
    })
}

pub(super) fn equal_table(rounds: &[Equal]) -> Table {
    let row = |equal: &Equal| {
        vec![
            equal.workers.to_string(),
            format!("{:.4}", equal.worst_jain),
            format!("{:.0} %", equal.used * 100.0),
        ]
    };
    Table {
        title: format!("Ten equal tenants, jobs of {LONG_MS} ms against {SHORT_MS} ms"),
        columns: vec!["WORKERS", "JAIN, WORST 10 S", "SLOTS USED"],
        rows: rounds.iter().map(row).collect(),
    }
}

pub(super) fn weights_table(rounds: &[Weights]) -> Table {
    let row = |found: &Weights| {
        let shares = found.shares.map(|share| format!("{:.1} %", share * 100.0)).join(" : ");
        vec![found.workers.to_string(), shares, format!("{:.1} %", found.error * 100.0)]
    };
    Table {
        title: "Weights 1 : 2 : 4 (14.3 : 28.6 : 57.1 %)".to_owned(),
        columns: vec!["WORKERS", "SHARES", "LARGEST ERROR"],
        rows: rounds.iter().map(row).collect(),
    }
}

impl Lag {
    pub(super) fn table(&self) -> Table {
        Table {
            title: format!("{} tenants with work, jobs of {} ms", self.tenants, self.longest_job_ms),
            columns: vec!["LARGEST LAG", "IN LONGEST JOBS"],
            rows: vec![vec![
                format!("{:.1} ms", self.largest_lag_ms),
                format!("{:.2}", self.largest_lag_jobs),
            ]],
        }
    }
}
