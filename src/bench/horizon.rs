//! `bench horizon`: a steady load beside a transaction that keeps every dead row from being removed.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::Bench;
use super::figures::{median, milliseconds, ratio};
use super::ledger::Ledger;
use super::load::{PaceTask, Paced, SnapshotTask};
use super::processes::{Part, Process, WorkerTask};
use super::report::{Findings, Table};
use super::series::{Interval, Series, table};

/// Intervals after the snapshot is let go: short, to see when it is as before.
const RECOVERY_INTERVALS: u32 = 6;

/// `fairlane bench horizon`.
#[derive(Debug, Clone, Args)]
pub(crate) struct HorizonArgs {
    /// How long the snapshot is held
    #[arg(long, default_value_t = 10.0, value_parser = super::args::above_zero)]
    minutes: f64,
    /// How long the load runs before that, for comparison
    #[arg(long, default_value_t = 1.0, value_parser = super::args::above_zero)]
    baseline_minutes: f64,
    /// Jobs a second
    #[arg(long, default_value_t = 500.0, value_parser = super::args::above_zero)]
    rate: f64,
    /// Tenants they belong to
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    tenants: i64,
    /// Keep the bench's database
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What `bench horizon` found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    jobs_per_second: f64,
    /// What the load reached: less, where the database could not keep up.
    reached_per_second: f64,
    baseline_claim_p99_ms: f64,
    /// The median over the intervals beside the snapshot, and the worst of them.
    held_claim_p99_ms: f64,
    worst_claim_p99_ms: f64,
    /// Held / baseline.
    claim_p99_ratio: f64,
    largest_backlog: usize,
    /// Seconds after the snapshot until claims took at most twice the baseline; null when they did not in a minute.
    recovered_after_seconds: Option<f64>,
    intervals: Vec<Interval>,
}

pub(crate) async fn measure(args: &HorizonArgs, bench: &Bench) -> anyhow::Result<Found> {
    let tenants = bench.site.add_tenants(args.tenants).await?;
    let ledger = Ledger::open()?;
    let task = WorkerTask { ledger: Some(ledger.path()), ..bench.worker() };
    let (worker, claims) = Process::start_traced(&Part::Worker(task)).await?;
    bench.site.until_workers(&[worker.pid()]).await?;
    let load = PaceTask {
        url: bench.site.url.clone(),
        ledger: ledger.path(),
        tenants,
        sleep_ms: None,
        per_second: args.rate,
        batch: 1,
        seconds: f64::MAX,
        first_number: 0,
    };
    let mut load = Process::start(&Part::Pace(load)).await?;
    load.go().await?;
    // Connections, plans and caches are warm before anything counts.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut series = Series::default();
    series.backlog(&ledger);
    let (claims, pid) = (Some(&claims), worker.pid());
    for seconds in minutes(args.baseline_minutes) {
        series.watch(bench, &ledger, claims, pid, ("baseline", seconds)).await?;
    }
    let mut snapshot = Process::start(&Part::Snapshot(SnapshotTask { url: bench.site.url.clone() })).await?;
    snapshot.go().await?;
    for seconds in minutes(args.minutes) {
        series.watch(bench, &ledger, claims, pid, ("held", seconds)).await?;
    }
    snapshot.stop().await?;
    let step = (args.baseline_minutes * 60.0 / f64::from(RECOVERY_INTERVALS)).min(10.0);
    for _ in 0..RECOVERY_INTERVALS {
        series.watch(bench, &ledger, claims, pid, ("recovery", step)).await?;
    }
    load.say_stop().await?;
    let paced: Paced = load.result().await?;
    worker.stop().await?;
    Ok(found(args, paced, series.intervals))
}

/// Whole minutes, and what is left.
pub(super) fn minutes(minutes: f64) -> impl Iterator<Item = f64> {
    let whole = minutes.floor() as usize;
    let rest = (minutes.fract() * 60.0).round();
    std::iter::repeat_n(60.0, whole).chain((rest > 0.0).then_some(rest))
}

fn found(args: &HorizonArgs, paced: Paced, intervals: Vec<Interval>) -> Found {
    let p99 = |phase: &str| -> Vec<f64> {
        let of = intervals.iter().filter(|interval| interval.phase == phase);
        of.filter_map(|interval| interval.claims.filter(|c| c.count > 0).map(|c| c.p99_ms)).collect()
    };
    let (baseline, held) = (median(&p99("baseline")), p99("held"));
    let mut after = 0.0;
    let recovered = intervals.iter().filter(|interval| interval.phase == "recovery").find_map(|interval| {
        after += interval.seconds;
        let claims = interval.claims.filter(|claims| claims.count > 0)?;
        (claims.p99_ms <= 2.0 * baseline).then_some(after)
    });
    Found {
        jobs_per_second: args.rate,
        reached_per_second: ratio(paced.jobs as f64, paced.seconds),
        baseline_claim_p99_ms: baseline,
        held_claim_p99_ms: median(&held),
        worst_claim_p99_ms: held.iter().copied().fold(0.0, f64::max),
        claim_p99_ratio: ratio(median(&held), baseline),
        largest_backlog: intervals.iter().map(|interval| interval.backlog).max().unwrap_or_default(),
        recovered_after_seconds: recovered,
        intervals,
    }
}

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let recovered = self
            .recovered_after_seconds
            .map_or("not recovered".to_owned(), |seconds| format!("recovered within {seconds:.0} s"));
        let title = format!(
            "{:.0} jobs/s beside a held snapshot: claim p99 {} ms, {:.2} times the baseline; {recovered}",
            self.reached_per_second,
            milliseconds(self.held_claim_p99_ms),
            self.claim_p99_ratio
        );
        vec![table(title, &self.intervals)]
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn minutes_come_one_by_one_with_the_rest_last() {
        assert_eq!(super::minutes(2.5).collect::<Vec<_>>(), [60.0, 60.0, 30.0]);
        assert_eq!(super::minutes(0.05).collect::<Vec<_>>(), [3.0]);
    }
}
