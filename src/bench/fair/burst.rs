//! One job of a newcomer behind somebody else's: long jobs on every slot, a flood in a more urgent queue.

use std::time::Duration;

use serde::Serialize;

use super::FairArgs;
use crate::bench::figures::{SPREAD, Spread};
use crate::bench::kinds::Sleep;
use crate::bench::ledger::{Act, Ledger, Reporter};
use crate::bench::processes::{WorkerTask, client};
use crate::bench::report::Table;
use crate::bench::site::{Fill, Tenants};
use crate::bench::{Bench, QUEUE};
use crate::client::WakeMode;

/// Long enough that no run of a bench sees the end of one.
const LONG_MS: u64 = 600_000;
/// The queue before the newcomer's.
const URGENT: &str = "high";
/// Jobs in it.
const FLOOD: u64 = 100_000;
const NEWCOMERS: u64 = 1 << 40;
/// Newcomers of a round behind a flood.
const TRIES: u64 = 5;

/// When newcomers' jobs began.
#[derive(Debug, Serialize)]
pub(crate) struct Start {
    /// From before the dispatch to the handler's start; those that did not begin count with the time they had.
    waits: Spread,
    not_begun: u64,
    /// How long each was waited for.
    patience_seconds: f64,
}

pub(super) async fn long(args: &FairArgs, bench: &Bench) -> anyhow::Result<Start> {
    let (slow, newcomer) = (bench.site.add_tenants(1).await?, bench.site.add_tenants(1).await?);
    let mut rounds = Rounds::new(args);
    for round in 1..=bench.rounds {
        bench.remark(&format!("long, round {round}"));
        let jobs = u64::from(args.slots);
        let fill = Fill { tenants: slow, jobs, queue: QUEUE, sleep_ms: Some(LONG_MS), first_number: 0 };
        rounds.run(args, bench, fill, newcomer, 1).await?;
    }
    Ok(rounds.found())
}

pub(super) async fn urgent(args: &FairArgs, bench: &Bench) -> anyhow::Result<Start> {
    let (flooding, newcomer) = (bench.site.add_tenants(1).await?, bench.site.add_tenants(1).await?);
    let mut rounds = Rounds::new(args);
    for round in 1..=bench.rounds {
        bench.remark(&format!("urgent, round {round}"));
        let jobs = FLOOD.min(args.backlog);
        let fill = Fill { tenants: flooding, jobs, queue: URGENT, sleep_ms: Some(5), first_number: 0 };
        rounds.run(args, bench, fill, newcomer, TRIES).await?;
    }
    Ok(rounds.found())
}

struct Rounds {
    waits: Vec<f64>,
    not_begun: u64,
    patience: Duration,
}

impl Rounds {
    fn new(args: &FairArgs) -> Self {
        Self { waits: Vec::new(), not_begun: 0, patience: Duration::from_secs_f64(args.seconds) }
    }

    /// Fills the queue, lets a worker fill its slots, and then lets the newcomer's jobs come one after the other.
    async fn run(
        &mut self,
        args: &FairArgs,
        bench: &Bench,
        fill: Fill<'_>,
        newcomer: Tenants,
        tries: u64,
    ) -> anyhow::Result<()> {
        bench.site.clear().await?;
        bench.site.fill(fill).await?;
        let ledger = Ledger::open()?;
        let slots = Some(args.slots as usize);
        let task = WorkerTask { ledger: Some(ledger.path()), concurrency: slots, ..bench.worker() };
        let workers = bench.start_workers(1, &task).await?;
        ledger.until(|records| (!records.is_empty()).then_some(())).await;
        // Whatever the worker means to start by now, it has.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let fairlane = client(&bench.site.url, WakeMode::Auto).await?;
        let tenant = fairlane.tenant(newcomer.slug(0));
        tenant.id().await?;
        let reporter = Reporter::connect(&ledger.path())?;
        for number in NEWCOMERS..NEWCOMERS + tries {
            ledger.take();
            let queued = ledger.now();
            reporter.queued(newcomer.first, number);
            tenant.dispatch(Sleep::new(number, 5)).queue(QUEUE).await?;
            let begun = ledger.until(|records| {
                let begun = records.iter().find(|r| r.act == Act::Begin && r.number == number);
                begun.map(|begun| begun.at)
            });
            match tokio::time::timeout(self.patience, begun).await {
                Ok(begun) => self.waits.push((begun - queued) as f64 / 1e3),
                Err(_) => {
                    self.not_begun += 1;
                    self.waits.push(self.patience.as_secs_f64() * 1e3);
                }
            }
        }
        fairlane.db().close().await;
        for worker in workers {
            worker.kill().await?;
        }
        Ok(())
    }

    fn found(self) -> Start {
        Start {
            waits: Spread::of(self.waits),
            not_begun: self.not_begun,
            patience_seconds: self.patience.as_secs_f64(),
        }
    }
}

impl Start {
    pub(super) fn table(&self, title: &str) -> Table {
        Table {
            title: format!("{title}: {} of {} not begun", self.not_begun, self.waits.count),
            columns: [&["WAITED"], &SPREAD[..]].concat(),
            rows: vec![[vec![String::new()], self.waits.cells().to_vec()].concat()],
        }
    }
}
