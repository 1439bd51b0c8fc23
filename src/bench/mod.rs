//! `fairlane bench`: what this machine and its database give, beside what bare statements get from them.
//!
//! | file | what it holds |
//! |---|---|
//! | [`site`] | a database of the bench's own, also for benches of an application |
//! | [`processes`] | workers, load and floors: this program again, as processes of their own |
//! | [`ledger`] | who began and ended what, by a clock outside the workers |
//! | [`floor`] | bare statements on the same tables |
//! | [`kinds`] | the benches' own kinds of job |
//! | [`machine`], [`server`] | processors and memory, of processes and of the database's server |
//! | [`load`] | jobs at a steady pace, a snapshot held open |
//! | [`spans`] | what the ledger's records mean: waits, shares, peaks |
//! | [`statements`] | how long claims take |
//! | [`series`] | all of that over a long time |
//! | [`args`] | numbers that make sense |
//! | [`figures`], [`report`] | medians and percentiles; what is printed |
//!
//! One file a verb beside these; docs/PERFORMANCE.md says what each measures. [`simulate`] needs no database.

mod args;
pub(crate) mod drain;
pub(crate) mod enqueue;
pub(crate) mod fair;
mod figures;
mod floor;
pub(crate) mod horizon;
pub(crate) mod idle;
mod kinds;
pub(crate) mod latency;
mod ledger;
pub(crate) mod limits;
mod load;
mod machine;
mod processes;
mod report;
pub(crate) mod scale;
mod series;
mod server;
pub(crate) mod simulate;
mod site;
pub(crate) mod soak;
mod spans;
mod statements;
pub(crate) mod steady;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Output;
use crate::db::{Db, DbOptions};
use crate::store::migrate::{MigrationLine, engine_line};
use processes::{Part, Process, WorkerTask};
use report::{Circumstances, Report};
use site::Site;

pub(crate) use processes::run_part;
pub(crate) use report::Findings;
pub(crate) use site::worker_url;

/// The queue of the benches' jobs: one that workers drain by default.
const QUEUE: &str = "default";

/// What all benches take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// How often everything is measured; the medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Keep the bench's database
    #[arg(long)]
    pub(crate) keep: bool,
}

/// A bench at work.
#[derive(Debug)]
pub(crate) struct Bench {
    site: Site,
    out: Output,
    rounds: u32,
}

impl Common {
    /// For what takes minutes and is looked at once.
    pub(crate) fn once(keep: bool) -> Self {
        Self { rounds: 1, keep }
    }
}

impl Bench {
    /// The database, under the login that was named.
    pub(crate) fn observer(&self) -> &Db {
        &self.site.observer
    }

    /// Says on a terminal how far it is.
    fn remark(&self, text: &str) {
        self.out.remark(text);
    }

    /// The task of a worker with the default options.
    fn worker(&self) -> WorkerTask {
        WorkerTask { url: self.site.url.clone(), ..WorkerTask::default() }
    }

    /// Starts workers and waits until they have registered.
    async fn start_workers(&self, count: u32, task: &WorkerTask) -> anyhow::Result<Vec<Process>> {
        let mut workers = Vec::new();
        for _ in 0..count {
            workers.push(Process::start(&Part::Worker(task.clone())).await?);
        }
        let pids: Vec<u32> = workers.iter().map(Process::pid).collect();
        self.site.until_workers(&pids).await?;
        Ok(workers)
    }
}

/// Measures on a database of its own, and prints.
pub(crate) async fn run<T: Findings>(
    name: &'static str,
    named: &DbOptions,
    common: &Common,
    out: Output,
    measure: impl AsyncFnOnce(&Bench) -> anyhow::Result<T>,
) -> anyhow::Result<()> {
    let measured = on_own_database(named, vec![engine_line()], common, out, async |bench| {
        Ok((circumstances(&bench.site).await?, measure(bench).await?))
    });
    let (circumstances, result) = measured.await?;
    report::print(&Report { bench: name, circumstances, rounds: common.rounds, result }, &out)?;
    Ok(())
}

/// Makes the database, measures, and removes the database, whatever came of it.
pub(crate) async fn on_own_database<T>(
    named: &DbOptions,
    lines: Vec<MigrationLine>,
    common: &Common,
    out: Output,
    measure: impl AsyncFnOnce(&Bench) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if cfg!(debug_assertions) {
        out.warn(
            "this program was built without optimisation: its figures mean nothing (cargo run --release)",
        );
    }
    // Before there is anything to remove; a signal that comes meanwhile is heard below.
    let mut signals = Signals::listen()?;
    let site = Site::make(named, lines, common.keep).await?;
    let bench = Bench { site, out, rounds: common.rounds };
    let measured = tokio::select! {
        measured = measure(&bench) => measured,
        signal = signals.received() => Err(anyhow::anyhow!("interrupted by {signal}")),
    };
    if let Some(kept) = bench.site.close().await {
        out.remark(&kept);
    }
    measured
}

/// What ends a bench before its time. The processes it has started end when it does.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hang_up.recv() => "SIGHUP",
        }
    }
}

async fn circumstances(site: &Site) -> anyhow::Result<Circumstances> {
    Ok(Circumstances::on(site.version().await?, site.settings().await?))
}
