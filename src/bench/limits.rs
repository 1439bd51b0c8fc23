//! `bench limits`: whether limits hold over many processes, under kills as well, and what they cost.

mod tables;

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::figures::{median, ratio};
use super::ledger::{Ledger, Record};
use super::processes::{Process, WorkerTask};
use super::site::{Fill, Tenants};
use super::spans::{busiest_window, peak, spans, worked};
use super::{Bench, QUEUE};
use crate::cli::Failure;
use crate::db::query;
use crate::sql;

/// The jobs of limited tenants.
const SLEEP_MS: u64 = 500;
/// The jobs of the others.
const OTHERS_MS: u64 = 20;
/// What a killed worker held comes back after this long.
const LEASE: Duration = Duration::from_secs(2);

/// `fairlane bench limits`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LimitsArgs {
    /// Worker processes
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    processes: u32,
    /// Jobs that run at the same time, over all of them
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    slots: u32,
    /// Limits of concurrency, with commas
    #[arg(long, value_delimiter = ',', default_value = "1,4,64", value_parser = clap::value_parser!(u32).range(1..=1000))]
    caps: Vec<u32>,
    /// Limits of starts, as COUNT/SECONDS, with commas
    #[arg(long, value_delimiter = ',', default_value = "100/1,5/10", value_parser = rate)]
    rates: Vec<Rate>,
    /// How long each is watched
    #[arg(long, default_value_t = 30.0, value_parser = super::args::above_zero)]
    seconds: f64,
    /// How often a worker is killed
    #[arg(long, default_value_t = 2.0, value_parser = super::args::above_zero)]
    kill_every: f64,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

/// So many starts in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Rate {
    count: u32,
    seconds: u32,
}

fn rate(text: &str) -> Result<Rate, String> {
    let (count, seconds) = text.split_once('/').ok_or("give COUNT/SECONDS: 100/1")?;
    match (count.parse(), seconds.parse()) {
        (Ok(count @ 1..), Ok(seconds @ 1..)) => Ok(Rate { count, seconds }),
        _ => Err("give COUNT/SECONDS, both at least 1: 100/1".to_owned()),
    }
}

/// What `bench limits` found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    processes: u32,
    slots: u32,
    caps: Vec<Cap>,
    cost: Cost,
    rates: Vec<RateFound>,
}

/// A limit of concurrency.
#[derive(Debug, Serialize)]
struct Cap {
    cap: u32,
    /// The most that ran at one time, in all rounds.
    peak: u64,
    /// Worker-seconds of what the limit allows.
    used: f64,
    peak_with_kills: u64,
    /// In the second half of a run whose first half saw the kills: a slot that leaked is missing here.
    used_after_kills: f64,
    kills: u64,
}

/// What limits cost.
#[derive(Debug, Serialize)]
struct Cost {
    /// Jobs a second of one tenant without a limit, and with one of all slots.
    unlimited_per_second: f64,
    at_capacity_per_second: f64,
    /// What the limit takes of the throughput: 0.1 is a tenth.
    cost_of_capacity_limit: f64,
    /// Jobs a second of ten other tenants, alone and beside a tenant with a limit of one.
    others_alone_per_second: f64,
    others_beside_per_second: f64,
    /// What they lose beyond the one slot.
    delay_of_others: f64,
}

/// A limit of starts.
#[derive(Debug, Serialize)]
struct RateFound {
    rate: Rate,
    /// The most starts in any window of that length, in all rounds.
    busiest_window: usize,
    /// Starts of what the limit allows.
    used: f64,
}

/// What was seen in a while, on the ledger's clock.
struct Watched {
    records: Vec<Record>,
    from: u64,
    to: u64,
    kills: u64,
}

pub(crate) async fn measure(args: &LimitsArgs, bench: &Bench) -> anyhow::Result<Found> {
    check(args)?;
    let mut caps = Vec::new();
    for cap in &args.caps {
        caps.push(cap_holds(args, bench, *cap).await?);
    }
    let cost = cost(args, bench).await?;
    let mut rates = Vec::new();
    for rate in &args.rates {
        rates.push(rate_holds(args, bench, *rate).await?);
    }
    Ok(Found { processes: args.processes, slots: args.slots, caps, cost, rates })
}

/// What would measure something else than it says.
fn check(args: &LimitsArgs) -> anyhow::Result<()> {
    let LimitsArgs { slots, processes, .. } = args;
    if !slots.is_multiple_of(*processes) {
        return Err(Failure::usage(format!("{slots} slots do not divide among {processes} processes"))
            .hint("--slots counts those of all processes: give a multiple of --processes")
            .into());
    }
    Ok(())
}

async fn cap_holds(args: &LimitsArgs, bench: &Bench, cap: u32) -> anyhow::Result<Cap> {
    let tenant = bench.site.add_tenants(1).await?;
    limit_concurrency(bench, tenant, cap).await?;
    let (mut quiet, mut killed) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds {
        for with_kills in [false, true] {
            bench.remark(&format!("limit {cap}, round {round}, kills: {with_kills}"));
            bench.site.clear().await?;
            fill(args, bench, tenant, SLEEP_MS).await?;
            let watched = watch(args, bench, args.seconds, with_kills).await?;
            if with_kills { killed.push(watched) } else { quiet.push(watched) }
        }
    }
    let used = |watched: &Watched, from: u64| {
        let worked = worked(&spans(&watched.records, watched.to), from, watched.to);
        let seconds = (watched.to - from) as f64 / 1e6;
        ratio(
            worked.get(&tenant.first).copied().unwrap_or_default(),
            f64::from(cap.min(args.slots)) * seconds,
        )
    };
    let peak_of = |rounds: &[Watched]| {
        rounds.iter().map(|watched| peak(&watched.records, tenant.first)).max().unwrap_or_default()
    };
    Ok(Cap {
        cap,
        peak: peak_of(&quiet),
        used: median(&quiet.iter().map(|watched| used(watched, watched.from)).collect::<Vec<_>>()),
        peak_with_kills: peak_of(&killed),
        used_after_kills: median(
            &killed.iter().map(|w| used(w, u64::midpoint(w.from, w.to))).collect::<Vec<_>>(),
        ),
        kills: killed.iter().map(|watched| watched.kills).sum(),
    })
}

/// Runs the workers for a while. Kills come in the first half, less the time in which leases run out.
async fn watch(args: &LimitsArgs, bench: &Bench, seconds: f64, kills: bool) -> anyhow::Result<Watched> {
    let ledger = Ledger::open()?;
    let task = WorkerTask {
        ledger: Some(ledger.path()),
        concurrency: Some((args.slots / args.processes) as usize),
        lease_ms: Some(LEASE.as_millis() as u64),
        ..bench.worker()
    };
    let mut workers = bench.start_workers(args.processes, &task).await?;
    ledger.until(|records| (!records.is_empty()).then_some(())).await;
    // Permits find their places.
    tokio::time::sleep(LEASE.min(Duration::from_secs_f64(seconds))).await;
    let (from, since) = (ledger.now(), Instant::now());
    let kill_until = Duration::from_secs_f64(seconds / 2.0).saturating_sub(2 * LEASE);
    let mut killed = 0;
    while kills && since.elapsed() < kill_until {
        tokio::time::sleep(Duration::from_secs_f64(args.kill_every)).await;
        kill_one(bench, &ledger, &mut workers, &task).await?;
        killed += 1;
    }
    tokio::time::sleep(Duration::from_secs_f64(seconds).saturating_sub(since.elapsed())).await;
    let to = ledger.now();
    let records = ledger.take();
    for worker in workers {
        worker.kill().await?;
    }
    Ok(Watched { records, from, to, kills: killed })
}

/// SIGKILL for one of them, and another in its place.
pub(super) async fn kill_one(
    bench: &Bench,
    ledger: &Ledger,
    workers: &mut Vec<Process>,
    task: &WorkerTask,
) -> anyhow::Result<()> {
    let victim = workers.swap_remove(fastrand::usize(..workers.len()));
    let pid = victim.pid();
    victim.kill().await?;
    ledger.gone(pid);
    workers.extend(bench.start_workers(1, task).await?);
    Ok(())
}

async fn cost(args: &LimitsArgs, bench: &Bench) -> anyhow::Result<Cost> {
    let [free, capped, single] = [
        bench.site.add_tenants(1).await?,
        bench.site.add_tenants(1).await?,
        bench.site.add_tenants(1).await?,
    ];
    let others = bench.site.add_tenants(10).await?;
    limit_concurrency(bench, capped, args.slots).await?;
    limit_concurrency(bench, single, 1).await?;
    let mut rates = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for round in 1..=bench.rounds {
        bench.remark(&format!("cost of limits, round {round}"));
        let cases: [(&[(Tenants, u64)], Tenants); 4] = [
            (&[(free, SLEEP_MS)], free),
            (&[(capped, SLEEP_MS)], capped),
            (&[(others, OTHERS_MS)], others),
            (&[(single, SLEEP_MS), (others, OTHERS_MS)], others),
        ];
        for ((queued, counted), rates) in cases.into_iter().zip(&mut rates) {
            bench.site.clear().await?;
            for (tenants, sleep_ms) in queued {
                fill(args, bench, *tenants, *sleep_ms).await?;
            }
            rates.push(watch(args, bench, args.seconds, false).await?.per_second(counted));
        }
    }
    let [unlimited, at_capacity, alone, beside] = rates.map(|rates| median(&rates));
    let left = f64::from(args.slots.saturating_sub(1).max(1)) / f64::from(args.slots);
    Ok(Cost {
        unlimited_per_second: unlimited,
        at_capacity_per_second: at_capacity,
        cost_of_capacity_limit: 1.0 - ratio(at_capacity, unlimited),
        others_alone_per_second: alone,
        others_beside_per_second: beside,
        delay_of_others: 1.0 - ratio(beside, alone * left),
    })
}

async fn rate_holds(args: &LimitsArgs, bench: &Bench, rate: Rate) -> anyhow::Result<RateFound> {
    let tenant = bench.site.add_tenants(1).await?;
    limit_starts(bench, tenant, rate).await?;
    // Whole starts are counted: one of fewer than fifty is more than the two hundredths that a share is read to.
    let periods = (50.0 / f64::from(rate.count)).max(3.0);
    let seconds = args.seconds.max(periods * f64::from(rate.seconds));
    let jobs = (seconds / f64::from(rate.seconds) * f64::from(rate.count) * 2.0) as u64 + 1000;
    let (mut busiest, mut used) = (0, Vec::new());
    for round in 1..=bench.rounds {
        bench.remark(&format!("{} starts in {} s, round {round}", rate.count, rate.seconds));
        bench.site.clear().await?;
        let fill = Fill { tenants: tenant, jobs, queue: QUEUE, sleep_ms: None, first_number: 0 };
        bench.site.fill(fill).await?;
        let watched = watch(args, bench, seconds, false).await?;
        let window = u64::from(rate.seconds) * 1_000_000;
        busiest = busiest.max(busiest_window(&watched.records, tenant.first, window));
        let allowed = seconds / f64::from(rate.seconds) * f64::from(rate.count);
        used.push(ratio(watched.begun(tenant.first) as f64, allowed));
    }
    Ok(RateFound { rate, busiest_window: busiest, used: median(&used) })
}

impl Watched {
    fn begun(&self, tenant: i64) -> usize {
        let spans = spans(&self.records, self.to);
        spans.iter().filter(|span| span.tenant == tenant && span.begin >= self.from).count()
    }

    fn per_second(&self, tenants: Tenants) -> f64 {
        let counted = tenants.first..tenants.first + tenants.count;
        let spans = spans(&self.records, self.to);
        let ended = spans.iter().filter(|s| counted.contains(&s.tenant) && s.done && s.end >= self.from);
        ended.count() as f64 / ((self.to - self.from) as f64 / 1e6)
    }
}

/// Enough for all slots and twice the time.
async fn fill(args: &LimitsArgs, bench: &Bench, tenants: Tenants, sleep_ms: u64) -> anyhow::Result<()> {
    let jobs = f64::from(args.slots) * (args.seconds + 5.0) * 2e3 / sleep_ms as f64;
    let first_number = tenants.first.unsigned_abs() << 32;
    let (jobs, sleep_ms) = (jobs as u64, Some(sleep_ms));
    bench.site.fill(Fill { tenants, jobs, queue: QUEUE, sleep_ms, first_number }).await
}

async fn limit_concurrency(bench: &Bench, tenant: Tenants, cap: u32) -> anyhow::Result<()> {
    let mut tx = bench.site.observer.begin().await?;
    query(sql!(
        "insert into fairlane_limits (tenant_id, scope, concurrency, changed_at) values ($1, 'total', $2, {now})"
    ))
    .bind(tenant.first)
    .bind(cap)
    .execute(&mut tx.conn())
    .await?;
    Ok(tx.commit().await?)
}

async fn limit_starts(bench: &Bench, tenant: Tenants, rate: Rate) -> anyhow::Result<()> {
    let mut tx = bench.site.observer.begin().await?;
    query(sql!(
        "insert into fairlane_limits (tenant_id, scope, start_count, start_period_ms, changed_at)
         values ($1, 'total', $2, $3, {now})"
    ))
    .bind(tenant.first)
    .bind(rate.count)
    .bind(rate.seconds * 1000)
    .execute(&mut tx.conn())
    .await?;
    Ok(tx.commit().await?)
}
