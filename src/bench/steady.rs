//! `bench steady`: minutes of enqueue and drain below capacity; what is flat stays flat.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::figures::{per_second, ratio};
use super::horizon::minutes;
use super::ledger::Ledger;
use super::load::{PaceTask, Paced};
use super::processes::{Part, Process, WorkerTask};
use super::report::{Findings, Table};
use super::series::{Interval, Series, table};
use super::site::{Fill, Tenants};
use super::{Bench, QUEUE};
use crate::sql;

const SLEEP_MS: u64 = 1;

/// `fairlane bench steady`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SteadyArgs {
    /// How long
    #[arg(long, default_value_t = 10.0, value_parser = super::args::above_zero)]
    minutes: f64,
    /// Of the capacity, which is measured first
    #[arg(long, default_value_t = 0.6, value_parser = super::args::load)]
    load: f64,
    /// Jobs a second, instead
    #[arg(long, value_parser = super::args::above_zero)]
    rate: Option<f64>,
    /// Jobs with which the capacity is measured
    #[arg(long, default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    capacity_jobs: u64,
    /// Tenants they belong to
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    tenants: i64,
    /// Keep the bench's database
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What `bench steady` found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// What one worker drains; null where the rate was given.
    capacity_per_second: Option<f64>,
    jobs_per_second: f64,
    reached_per_second: f64,
    first_wait_p99_ms: f64,
    last_wait_p99_ms: f64,
    /// By a line through all intervals.
    wait_p99_ms_per_minute: f64,
    table_bytes_per_minute: f64,
    dead_rows_per_minute: f64,
    intervals: Vec<Interval>,
}

pub(crate) async fn measure(args: &SteadyArgs, bench: &Bench) -> anyhow::Result<Found> {
    let tenants = bench.site.add_tenants(args.tenants).await?;
    let capacity = match args.rate {
        Some(_) => None,
        None => Some(capacity(args, bench, tenants).await?),
    };
    let rate = args.rate.unwrap_or(capacity.unwrap_or_default() * args.load).max(1.0);
    bench.remark(&format!("{rate:.0} jobs/s"));
    bench.site.clear().await?;
    let ledger = Ledger::open()?;
    let task = WorkerTask { ledger: Some(ledger.path()), ..bench.worker() };
    let mut workers = bench.start_workers(1, &task).await?;
    let mut load = Process::start(&Part::Pace(load(bench, &ledger, tenants, rate))).await?;
    load.go().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut series = Series::default();
    series.backlog(&ledger);
    let pid = workers.first().map(Process::pid).unwrap_or_default();
    for seconds in minutes(args.minutes) {
        series.watch(bench, &ledger, None, pid, ("steady", seconds)).await?;
    }
    load.say_stop().await?;
    let paced: Paced = load.result().await?;
    if let Some(worker) = workers.pop() {
        worker.stop().await?;
    }
    let p99 = |interval: Option<&Interval>| interval.map_or(0.0, |interval| interval.waits.p99_ms);
    Ok(Found {
        capacity_per_second: capacity,
        jobs_per_second: rate,
        reached_per_second: ratio(paced.jobs as f64, paced.seconds),
        first_wait_p99_ms: p99(series.intervals.first()),
        last_wait_p99_ms: p99(series.intervals.last()),
        wait_p99_ms_per_minute: series.slope_per_minute(|interval| interval.waits.p99_ms),
        table_bytes_per_minute: series.slope_per_minute(|interval| interval.table.bytes as f64),
        dead_rows_per_minute: series
            .slope_per_minute(|interval| interval.table.dead_rows.unwrap_or_default() as f64),
        intervals: series.intervals,
    })
}

/// A commit every five milliseconds at the least: single dispatches could not queue as fast as workers drain.
pub(super) fn load(bench: &Bench, ledger: &Ledger, tenants: Tenants, per_second: f64) -> PaceTask {
    PaceTask {
        url: bench.site.url.clone(),
        ledger: ledger.path(),
        tenants,
        sleep_ms: Some(SLEEP_MS),
        per_second,
        batch: (per_second / 200.0).ceil().max(1.0) as u64,
        seconds: f64::MAX,
        first_number: 0,
    }
}

async fn capacity(args: &SteadyArgs, bench: &Bench, tenants: Tenants) -> anyhow::Result<f64> {
    bench.remark("capacity");
    let (jobs, sleep_ms) = (args.capacity_jobs, Some(SLEEP_MS));
    bench.site.fill(Fill { tenants, jobs, queue: QUEUE, sleep_ms, first_number: 0 }).await?;
    let workers = bench.start_workers(1, &bench.worker()).await?;
    while workers.iter().any(|worker| worker.is_alive() && worker.count() < jobs) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let settled = sql!("select count(*) as n from fairlane_job_history");
    bench.site.until(settled, |settled| settled.unsigned_abs() >= jobs).await?;
    let drained = bench.site.drained().await?;
    for worker in workers {
        worker.stop().await?;
    }
    Ok(ratio(drained.jobs as f64, drained.seconds))
}

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let capacity =
            self.capacity_per_second.map(|c| format!(" of {} that one worker drains", per_second(c)));
        let title = format!(
            "{} jobs/s{}: p99 {:+.2} ms a minute, table {:+.2} MB, dead rows {:+.0}",
            per_second(self.reached_per_second),
            capacity.unwrap_or_default(),
            self.wait_p99_ms_per_minute,
            self.table_bytes_per_minute / 1e6,
            self.dead_rows_per_minute
        );
        vec![table(title, &self.intervals)]
    }
}
