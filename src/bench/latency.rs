//! `bench latency`: from a commit to the handler's start, one job at a time on an idle queue.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;

use super::figures::{SPREAD, Spread, ratio};
use super::floor::{self, Bare, Position};
use super::kinds::Noop;
use super::ledger::{Act, Ledger, Record, Reporter};
use super::processes::{Orders, Part, Process, WorkerTask, client, ready_to_go, serve_here};
use super::report::{Findings, Table};
use super::{Bench, QUEUE};
use crate::client::WakeMode;
use crate::db::{DbKind, Dialect, query};
use crate::{Fairlane, Tenant, sql};

/// The channel of the floor's own notifications.
const CHANNEL: &str = "bench_floor";
/// How long a job may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// `fairlane bench latency`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LatencyArgs {
    /// Jobs, one after the other
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    jobs: u64,
    /// How each is queued, and how the worker learns of it
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// Let the worker run in the process that dispatches
    #[arg(long)]
    same_process: bool,
    /// Measure the worker alone
    #[arg(long)]
    no_floor: bool,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

/// How a job is queued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// `tenant.dispatch(..).await`
    #[default]
    Dispatch,
    /// Inside `fairlane.begin()`
    Begin,
    /// Inside the caller's own transaction; the wake-up is fired after its commit
    Wake,
    /// Inside the caller's own transaction, and nobody is woken
    Nowake,
    /// As dispatch, between processes that only poll
    Poll,
}

/// What `bench latency` found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    jobs: u64,
    mode: Mode,
    same_process: bool,
    product: Latency,
    /// Bare insert, notification and claim. PostgreSQL only.
    floor: Option<Latency>,
    /// Product / floor of the medians from the commit.
    ratio_p50: Option<f64>,
}

/// Two ways to look at the same jobs: no client sees the moment of the commit itself.
#[derive(Debug, Clone, Copy, Serialize)]
struct Latency {
    /// From the return of the commit; zero where the handler was quicker.
    from_commit: Spread,
    /// From just before the dispatch, so with the insert and the commit.
    from_dispatch: Spread,
}

pub(crate) async fn measure(args: &LatencyArgs, bench: &Bench) -> anyhow::Result<Found> {
    let tenants = bench.site.add_tenants(1).await?;
    let (mut product, mut floors) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds {
        bench.remark(&format!("round {round} of {}", bench.rounds));
        bench.site.clear().await?;
        product.push(through_the_worker(args, bench, &tenants.slug(0)).await?);
        if bench.site.dialect() == Dialect::Postgres && !args.no_floor {
            bench.site.clear().await?;
            floors.push(bare(args, bench, tenants.first).await?);
        }
    }
    let product = Latency::median_of(&product);
    let floor = (!floors.is_empty()).then(|| Latency::median_of(&floors));
    Ok(Found {
        jobs: args.jobs,
        mode: args.mode,
        same_process: args.same_process,
        product,
        floor,
        ratio_p50: floor.map(|floor| ratio(product.from_commit.p50_ms, floor.from_commit.p50_ms)),
    })
}

async fn through_the_worker(args: &LatencyArgs, bench: &Bench, slug: &str) -> anyhow::Result<Latency> {
    let ledger = Ledger::open()?;
    let polls_only = args.mode == Mode::Poll;
    let wake = if polls_only { WakeMode::Poll } else { WakeMode::Auto };
    let fairlane = client(&bench.site.url, wake).await?;
    let task = WorkerTask { ledger: Some(ledger.path()), polls_only, ..bench.worker() };
    let (mut inside, mut outside) = (None, None);
    if args.same_process {
        inside = Some(serve_here(&fairlane, &task)?);
        bench.site.until_workers(&[std::process::id()]).await?;
    } else {
        outside = Some(bench.start_workers(1, &task).await?);
    }
    let tenant = fairlane.tenant(slug);
    tenant.id().await?;
    let reporter = Reporter::connect(&ledger.path())?;
    for number in 0..args.jobs {
        rest(args.mode).await;
        reporter.queued(0, number);
        queue(args.mode, &fairlane, &tenant, number, &reporter).await?;
        until_begun(&ledger, number).await?;
    }
    for worker in outside.into_iter().flatten() {
        worker.stop().await?;
    }
    if let Some(inside) = inside {
        inside.stop().await?;
    }
    fairlane.db().close().await;
    Ok(Latency::of(&ledger.take()))
}

/// The queue is idle before each job, and the next look of a polling worker is at no fixed distance.
async fn rest(mode: Mode) {
    let polls = matches!(mode, Mode::Nowake | Mode::Poll);
    let longest = if polls { 1000 } else { 30 };
    tokio::time::sleep(Duration::from_millis(10 + fastrand::u64(..longest))).await;
}

async fn queue(
    mode: Mode,
    fairlane: &Fairlane,
    tenant: &Tenant,
    number: u64,
    reporter: &Reporter,
) -> anyhow::Result<()> {
    let dispatch = tenant.dispatch(Noop::new(number));
    match mode {
        Mode::Dispatch | Mode::Poll => {
            dispatch.await?;
            reporter.committed(0, number);
        }
        Mode::Begin => {
            let mut tx = fairlane.begin().await?;
            dispatch.in_tx(&mut tx).await?;
            tx.commit().await?;
            reporter.committed(0, number);
        }
        Mode::Wake | Mode::Nowake => {
            let dispatched = in_a_transaction_of_the_callers(fairlane, dispatch).await?;
            reporter.committed(0, number);
            if mode == Mode::Wake {
                dispatched.wake.fire();
            }
        }
    }
    Ok(())
}

/// As an application does that uses `sqlx` by itself.
async fn in_a_transaction_of_the_callers(
    fairlane: &Fairlane,
    dispatch: crate::Dispatch,
) -> anyhow::Result<crate::Dispatched> {
    if let DbKind::Postgres { pool, .. } = &fairlane.db().kind {
        let mut tx = pool.pool().begin().await?;
        let dispatched = dispatch.in_tx(&mut tx).await?;
        tx.commit().await?;
        return Ok(dispatched);
    }
    let mut tx = fairlane.db().begin().await?;
    let dispatched = dispatch.in_tx(&mut tx).await?;
    tx.commit().await?;
    Ok(dispatched)
}

async fn until_begun(ledger: &Ledger, number: u64) -> anyhow::Result<()> {
    let begun = ledger.until(|records| {
        let mut latest = records.iter().rev().take(8);
        latest.any(|record| record.act == Act::Begin && record.number == number).then_some(())
    });
    let begun = tokio::time::timeout(PATIENCE, begun).await;
    ensure!(begun.is_ok(), "job {number} did not begin within {} s", PATIENCE.as_secs());
    Ok(())
}

/// Bare insert and notification; another process waits for it and claims.
async fn bare(args: &LatencyArgs, bench: &Bench, tenant: i64) -> anyhow::Result<Latency> {
    let ledger = Ledger::open()?;
    let task = ListenTask { url: bench.site.url.clone(), ledger: ledger.path(), jobs: args.jobs };
    let mut listening = Process::start(&Part::Floor(floor::Task::Listen(task))).await?;
    listening.go().await?;
    let (mut inserting, mut notifying) =
        (Bare::connect(&bench.site.url).await?, Bare::connect(&bench.site.url).await?);
    let reporter = Reporter::connect(&ledger.path())?;
    for number in 0..args.jobs {
        rest(Mode::Dispatch).await;
        reporter.queued(0, number);
        floor::insert_one(&mut inserting.conn(), tenant, QUEUE, number).await?;
        reporter.committed(0, number);
        let notify = query(sql!("select pg_notify($1, '')")).bind(CHANNEL);
        notify.fetch_one(&mut notifying.conn()).await?;
        until_begun(&ledger, number).await?;
    }
    let _: u64 = listening.result().await?;
    Ok(Latency::of(&ledger.take()))
}

/// What the process that listens for the floor is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ListenTask {
    url: String,
    ledger: PathBuf,
    jobs: u64,
}

pub(crate) async fn listen(task: &ListenTask, orders: &mut Orders) -> anyhow::Result<u64> {
    let fairlane = client(&task.url, WakeMode::Poll).await?;
    let DbKind::Postgres { pool, .. } = &fairlane.db().kind else {
        anyhow::bail!("notifications are PostgreSQL's")
    };
    let mut listener = PgListener::connect_with(pool.pool()).await?;
    listener.listen(CHANNEL).await?;
    let mut bare = Bare::connect(&task.url).await?;
    let reporter = Reporter::connect(&task.ledger)?;
    ready_to_go(orders).await?;
    let mut done = 0;
    while done < task.jobs {
        listener.recv().await?;
        let claimed = floor::claim(&mut bare.conn(), QUEUE, 16, &mut Position::first()).await?;
        for _ in &claimed {
            reporter.begin(0, done);
            done += 1;
        }
        if !claimed.is_empty() {
            floor::settle(&mut bare.conn(), &claimed).await?;
        }
    }
    Ok(done)
}

impl Latency {
    fn of(records: &[Record]) -> Self {
        let (mut from_commit, mut from_dispatch) = (Vec::new(), Vec::new());
        // One job at a time: its records follow each other, though the handler may be quicker than the acknowledgement.
        for job in records.chunk_by(|left, right| left.number == right.number) {
            let at = |act| job.iter().find(|record| record.act == act).map(|record| record.at);
            if let (Some(queued), Some(committed), Some(begun)) =
                (at(Act::Queued), at(Act::Committed), at(Act::Begin))
            {
                from_commit.push(begun.saturating_sub(committed) as f64 / 1e3);
                from_dispatch.push(begun.saturating_sub(queued) as f64 / 1e3);
            }
        }
        Self { from_commit: Spread::of(from_commit), from_dispatch: Spread::of(from_dispatch) }
    }

    fn median_of(rounds: &[Self]) -> Self {
        let of =
            |figure: fn(&Self) -> Spread| Spread::median_of(&rounds.iter().map(figure).collect::<Vec<_>>());
        Self { from_commit: of(|round| round.from_commit), from_dispatch: of(|round| round.from_dispatch) }
    }

    fn rows(&self, name: &str) -> [Vec<String>; 2] {
        [("the commit", self.from_commit), ("the dispatch", self.from_dispatch)].map(|(since, spread)| {
            [vec![name.to_owned(), since.to_owned()], spread.cells().to_vec()].concat()
        })
    }
}

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let floor = self.floor.iter().flat_map(|floor| floor.rows("floor"));
        let place = if self.same_process { "in one process" } else { "across processes" };
        vec![Table {
            title: format!("{} jobs one at a time, mode {:?}, {place}", self.jobs, self.mode),
            columns: [&["", "SINCE"], &SPREAD[..]].concat(),
            rows: self.product.rows("worker").into_iter().chain(floor).collect(),
        }]
    }
}
