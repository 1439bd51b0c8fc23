//! `bench idle`: what a worker costs that has nothing to do.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::figures::median;
use super::report::{Findings, Table};
use super::server::{Activity, ServerCpu};
use super::{Bench, machine};

/// `fairlane bench idle`.
#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArgs {
    /// How long it is watched
    #[arg(long, default_value_t = 60.0, value_parser = super::args::above_zero)]
    seconds: f64,
    /// How long it may settle down before
    #[arg(long, default_value_t = 10.0, value_parser = super::args::from_zero)]
    settle: f64,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

/// What `bench idle` found: medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    seconds: f64,
    /// Of one core: 0.01 is a hundredth.
    worker_cpu_share: Option<f64>,
    server_cpu_share: Option<f64>,
    rss_bytes: Option<u64>,
    /// Transactions a second, in which single statements count as one each. PostgreSQL only.
    transactions_per_second: Option<f64>,
    /// Scans of tables and indexes a second, of which one query may do several. PostgreSQL only.
    table_scans_per_second: Option<f64>,
}

/// One round.
struct Round {
    worker_cpu: Option<f64>,
    server_cpu: Option<f64>,
    rss: Option<u64>,
    transactions: Option<f64>,
    scans: Option<f64>,
}

pub(crate) async fn measure(args: &IdleArgs, bench: &Bench) -> anyhow::Result<Found> {
    bench.site.add_tenants(100).await?;
    let mut rounds = Vec::new();
    for round in 1..=bench.rounds {
        bench.remark(&format!("round {round} of {}", bench.rounds));
        rounds.push(watch(args, bench).await?);
    }
    let of = |figure: fn(&Round) -> Option<f64>| {
        let figures: Option<Vec<f64>> = rounds.iter().map(figure).collect();
        figures.map(|figures| median(&figures))
    };
    Ok(Found {
        seconds: args.seconds,
        worker_cpu_share: of(|round| round.worker_cpu),
        server_cpu_share: of(|round| round.server_cpu),
        rss_bytes: rounds.iter().filter_map(|round| round.rss).max(),
        transactions_per_second: of(|round| round.transactions),
        table_scans_per_second: of(|round| round.scans),
    })
}

async fn watch(args: &IdleArgs, bench: &Bench) -> anyhow::Result<Round> {
    let workers = bench.start_workers(1, &bench.worker()).await?;
    let pid = workers.first().map(super::processes::Process::pid).unwrap_or_default();
    tokio::time::sleep(Duration::from_secs_f64(args.settle)).await;
    let (since, worker) = (Instant::now(), machine::cpu_seconds(pid));
    let (server, activity) = (ServerCpu::now(&bench.site).await?, Activity::now(&bench.site).await?);
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    let seconds = since.elapsed().as_secs_f64();
    let (worker_after, server_after) = (machine::cpu_seconds(pid), ServerCpu::now(&bench.site).await?);
    let after = Activity::now(&bench.site).await?;
    let activity = after.zip(activity);
    let round = Round {
        worker_cpu: worker_after.zip(worker).map(|(after, before)| (after - before) / seconds),
        server_cpu: server_after.zip(server).map(|(after, before)| after.since(&before) / seconds),
        rss: machine::rss_bytes(pid),
        transactions: activity
            .as_ref()
            .map(|(after, before)| (after.transactions - before.transactions) as f64 / seconds),
        scans: activity.map(|(after, before)| (after.scans - before.scans) as f64 / seconds),
    };
    for worker in workers {
        worker.stop().await?;
    }
    Ok(round)
}

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let percent = |share: Option<f64>| share.map(|share| format!("{:.2} %", share * 100.0));
        let rate = |rate: Option<f64>| rate.map(|rate| format!("{rate:.2}"));
        let cells = [
            percent(self.worker_cpu_share),
            percent(self.server_cpu_share),
            self.rss_bytes.map(super::figures::megabytes),
            rate(self.transactions_per_second),
            rate(self.table_scans_per_second),
        ];
        vec![Table {
            title: format!("A worker with nothing to do, for {} s (shares of one core)", self.seconds),
            columns: vec!["WORKER CPU", "SERVER CPU", "MEMORY", "TRANSACTIONS/S", "TABLE SCANS/S"],
            rows: vec![cells.map(Option::unwrap_or_default).to_vec()],
        }]
    }
}
