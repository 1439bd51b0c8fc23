//! One tenant floods the queue; 49 others queue one job a second each.

use std::time::Duration;

use serde::Serialize;

use super::FairArgs;
use crate::bench::figures::{SPREAD, Spread, median, per_second, ratio};
use crate::bench::ledger::{Ledger, Record};
use crate::bench::load::{PaceTask, Paced};
use crate::bench::processes::{Part, Process, WorkerTask};
use crate::bench::report::Table;
use crate::bench::site::{Fill, Tenants};
use crate::bench::spans::{spans, waits, worked};
use crate::bench::{Bench, QUEUE};

const QUIET: i64 = 49;
const SLEEP_MS: u64 = 5;
/// Numbers of the quiet tenants' jobs begin here: no job of the flood has one.
const QUIET_NUMBERS: u64 = 1 << 40;
/// Nothing is looked at before a worker has found its stride.
const WARM_UP: Duration = Duration::from_secs(1);

/// What the neighbour costs the quiet tenants, and what is left for it.
#[derive(Debug, Serialize)]
pub(crate) struct Noisy {
    backlog: u64,
    /// Waits of the quiet tenants' jobs, from before the dispatch, without the neighbour and with it.
    quiet_alone: Spread,
    quiet_beside: Spread,
    /// With / without, of the 99th percentiles.
    p99_ratio: f64,
    /// Jobs of quiet tenants that had not begun in the end.
    unserved: u64,
    noisy_alone_per_second: f64,
    noisy_beside_per_second: f64,
    quiet_per_second: f64,
    /// Of what the noisy tenant gets alone, less what the quiet ones take.
    noisy_share_of_the_rest: f64,
    /// Of all slots' time, less the quiet tenants'.
    noisy_share_of_slot_time: f64,
}

/// One phase, on the ledger's clock.
struct Phase {
    records: Vec<Record>,
    from: u64,
    to: u64,
}

pub(super) async fn measure(args: &FairArgs, bench: &Bench) -> anyhow::Result<Noisy> {
    let (noisy, quiet) = (bench.site.add_tenants(1).await?, bench.site.add_tenants(QUIET).await?);
    let (mut alone, mut flood, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.rounds {
        let phases = [(true, false, &mut alone), (false, true, &mut flood), (true, true, &mut beside)];
        for (with_quiet, with_noisy, to) in phases {
            bench.remark(&format!("noisy, round {round}: quiet {with_quiet}, noisy {with_noisy}"));
            let quiet = with_quiet.then_some(quiet);
            to.push(phase(args, bench, quiet, with_noisy.then_some(noisy)).await?);
        }
    }
    Ok(found(args, noisy.first, &alone, &flood, &beside))
}

async fn phase(
    args: &FairArgs,
    bench: &Bench,
    quiet: Option<Tenants>,
    noisy: Option<Tenants>,
) -> anyhow::Result<Phase> {
    bench.site.clear().await?;
    if let Some(tenants) = noisy {
        let sleep_ms = Some(SLEEP_MS);
        let fill = Fill { tenants, jobs: args.backlog, queue: QUEUE, sleep_ms, first_number: 0 };
        bench.site.fill(fill).await?;
    }
    let ledger = Ledger::open()?;
    let slots = Some(args.slots as usize);
    let task = WorkerTask { ledger: Some(ledger.path()), concurrency: slots, ..bench.worker() };
    let workers = bench.start_workers(1, &task).await?;
    tokio::time::sleep(WARM_UP).await;
    let from = ledger.now();
    match quiet {
        Some(tenants) => {
            let task = PaceTask {
                url: bench.site.url.clone(),
                ledger: ledger.path(),
                tenants,
                sleep_ms: Some(SLEEP_MS),
                per_second: QUIET as f64,
                batch: 1,
                seconds: args.seconds,
                first_number: QUIET_NUMBERS,
            };
            let mut load = Process::start(&Part::Pace(task)).await?;
            load.go().await?;
            let _: Paced = load.result().await?;
        }
        None => tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await,
    }
    let to = ledger.now();
    // The last of the quiet jobs may begin yet.
    tokio::time::sleep(WARM_UP).await;
    let records = ledger.take();
    for worker in workers {
        worker.kill().await?;
    }
    Ok(Phase { records, from, to })
}

impl Phase {
    fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1e6
    }

    /// Jobs a second and worker-seconds of the noisy tenant, or of all others.
    fn of(&self, noisy: i64, others: bool) -> (f64, f64) {
        let spans = spans(&self.records, self.to);
        let wanted = |tenant: i64| (tenant == noisy) != others;
        let ended = spans.iter().filter(|s| wanted(s.tenant) && s.done && s.end >= self.from).count();
        let worked = worked(&spans, self.from, self.to).into_iter().filter(|(tenant, _)| wanted(*tenant));
        (ended as f64 / self.seconds(), worked.map(|(_, seconds)| seconds).sum())
    }
}

fn found(args: &FairArgs, noisy: i64, alone: &[Phase], flood: &[Phase], beside: &[Phase]) -> Noisy {
    let of = |phases: &[Phase], others| {
        median(&phases.iter().map(|phase| phase.of(noisy, others).0).collect::<Vec<_>>())
    };
    let waits_of = |phase: &Phase| waits(&phase.records, phase.from, phase.to);
    let spread = |phases: &[Phase]| {
        Spread::median_of(&phases.iter().map(|phase| Spread::of(waits_of(phase).ms)).collect::<Vec<_>>())
    };
    let (quiet_alone, quiet_beside) = (spread(alone), spread(beside));
    let (flood, noisy_beside, quiet) = (of(flood, false), of(beside, false), of(beside, true));
    let slot_time = beside.iter().map(|phase| {
        let all = f64::from(args.slots) * phase.seconds();
        ratio(phase.of(noisy, false).1, all - phase.of(noisy, true).1)
    });
    Noisy {
        backlog: args.backlog,
        quiet_alone,
        quiet_beside,
        p99_ratio: ratio(quiet_beside.p99_ms, quiet_alone.p99_ms),
        unserved: beside.iter().map(|phase| waits_of(phase).unserved).sum(),
        noisy_alone_per_second: flood,
        noisy_beside_per_second: noisy_beside,
        quiet_per_second: quiet,
        noisy_share_of_the_rest: ratio(noisy_beside, flood - quiet),
        noisy_share_of_slot_time: median(&slot_time.collect::<Vec<_>>()),
    }
}

impl Noisy {
    pub(super) fn table(&self) -> Table {
        let row = |name: &str, spread: Spread, noisy: f64| {
            [vec![name.to_owned()], spread.cells().to_vec(), vec![per_second(noisy)]].concat()
        };
        Table {
            title: format!(
                "{QUIET} quiet tenants beside {} jobs of one: p99 {:.2} times, {} not begun; the noisy one gets {:.0} % of \
                 the rest ({:.0} % of the slots' time)",
                self.backlog,
                self.p99_ratio,
                self.unserved,
                self.noisy_share_of_the_rest * 100.0,
                self.noisy_share_of_slot_time * 100.0
            ),
            columns: [&["QUIET TENANTS' WAITS"], &SPREAD[..], &["NOISY JOBS/S"]].concat(),
            rows: vec![
                row("without the neighbour", self.quiet_alone, 0.0),
                row("beside it", self.quiet_beside, self.noisy_beside_per_second),
                row("(noisy alone)", Spread::default(), self.noisy_alone_per_second),
            ],
        }
    }
}
