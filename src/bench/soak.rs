//! `bench soak`: hours of steady work with kills now and then; in the end every job is counted.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::Bench;
use super::figures::ratio;
use super::ledger::Ledger;
use super::limits::kill_one;
use super::load::Paced;
use super::processes::{Part, Process, WorkerTask};
use super::report::{Findings, Table};
use super::series::{Interval, Series, table};
use super::spans::{Fates, fates};
use super::steady::load;
use crate::sql;

const LEASE: Duration = Duration::from_secs(2);
/// How long the last jobs may take once nothing more is queued.
const LAST_JOBS: Duration = Duration::from_secs(120);

/// `fairlane bench soak`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SoakArgs {
    /// How long
    #[arg(long, default_value_t = 2.0, value_parser = super::args::above_zero)]
    hours: f64,
    /// Jobs a second
    #[arg(long, default_value_t = 200.0, value_parser = super::args::above_zero)]
    rate: f64,
    /// Worker processes; the first is never killed, for its memory to be watched
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=64))]
    workers: u32,
    /// Seconds between kills
    #[arg(long, default_value_t = 60.0, value_parser = super::args::above_zero)]
    kill_every: f64,
    /// Tenants
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    tenants: i64,
    /// Keep the bench's database
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What `bench soak` found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    reached_per_second: f64,
    kills: u64,
    fates: Fates,
    /// Jobs left in the live table, and failed ones.
    left: i64,
    failed: i64,
    first_wait_p99_ms: f64,
    last_wait_p99_ms: f64,
    rss_bytes_per_hour: f64,
    intervals: Vec<Interval>,
}

pub(crate) async fn measure(args: &SoakArgs, bench: &Bench) -> anyhow::Result<Found> {
    let tenants = bench.site.add_tenants(args.tenants).await?;
    let ledger = Ledger::open()?;
    let lease_ms = Some(LEASE.as_millis() as u64);
    let task = WorkerTask { ledger: Some(ledger.path()), lease_ms, ..bench.worker() };
    let first = bench.start_workers(1, &task).await?;
    let mut others = bench.start_workers(args.workers - 1, &task).await?;
    let pid = first.first().map(Process::pid).unwrap_or_default();
    let mut load = Process::start(&Part::Pace(load(bench, &ledger, tenants, args.rate))).await?;
    load.go().await?;
    let mut series = Series::keeping_records();
    let (since, mut kills) = (Instant::now(), 0);
    let until = Duration::from_secs_f64(args.hours * 3600.0);
    while since.elapsed() < until {
        let left = until.saturating_sub(since.elapsed()).as_secs_f64();
        series.watch(bench, &ledger, None, pid, ("soak", args.kill_every.min(left))).await?;
        kill_one(bench, &ledger, &mut others, &task).await?;
        kills += 1;
    }
    load.say_stop().await?;
    let paced: Paced = load.result().await?;
    let live = sql!("select count(*) as n from fairlane_jobs");
    // What is left after that is the finding.
    let _ = tokio::time::timeout(LAST_JOBS, bench.site.until(live, |live| live == 0)).await;
    series.backlog(&ledger);
    let p99 = |interval: Option<&Interval>| interval.map_or(0.0, |interval| interval.waits.p99_ms);
    let found = Found {
        reached_per_second: ratio(paced.jobs as f64, paced.seconds),
        kills,
        fates: fates(series.records()),
        left: bench.site.number(live).await?,
        failed: bench.site.number(sql!("select count(*) as n from fairlane_failed_jobs")).await?,
        first_wait_p99_ms: p99(series.intervals.first()),
        last_wait_p99_ms: p99(series.intervals.last()),
        rss_bytes_per_hour: 60.0
            * series.slope_per_minute(|interval| interval.rss_bytes.unwrap_or_default() as f64),
        intervals: series.intervals,
    };
    for worker in first.into_iter().chain(others) {
        worker.stop().await?;
    }
    Ok(found)
}

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let fates = &self.fates;
        let counts = [
            fates.acknowledged,
            fates.lost,
            fates.ended_twice,
            fates.began_again,
            fates.overlapped,
            self.left.unsigned_abs(),
            self.failed.unsigned_abs(),
        ];
        let columns =
            vec!["ACKNOWLEDGED", "LOST", "ENDED TWICE", "BEGAN AGAIN", "OVERLAPPED", "LEFT", "FAILED"];
        let title = format!(
            "{} kills at {:.0} jobs/s; memory {:+.2} MB an hour",
            self.kills,
            self.reached_per_second,
            self.rss_bytes_per_hour / 1e6
        );
        let counts = counts.map(|count| count.to_string()).to_vec();
        vec![Table { title, columns, rows: vec![counts] }, table("Over time".to_owned(), &self.intervals)]
    }
}
