//! Writing what follows, in batches: completions of a few milliseconds share one statement.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::join;
use tokio::sync::{Mutex, mpsc};
use tracing::{error, warn};

use super::hooks;
use super::pause::Pause;
use super::process::Process;
use crate::context::Run;
use crate::db::{Conn, Db, Dialect};
use crate::error::Result;
use crate::outcome::{Failure, Next};
use crate::registry::KindHandler;
use crate::store::complete;
use crate::store::settle::{self, Fence, RunEnd};

/// Most settlements in one transaction: ids and tokens of so many fit into one record of TLS (16 KB). A second record waits
/// for the first one's acknowledgement (the driver leaves Nagle's algorithm on), which comes after 40 ms: with 500 in a batch
/// a worker drained 9,000 no-ops a second over TLS, 23,700 without.
const BATCH: usize = 300;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_millis(2);

/// What is to be written about one run.
pub(crate) struct Settlement {
    pub(crate) end: RunEnd,
    pub(crate) next: Next,
    /// None for a job that never reached a handler.
    pub(crate) run: Option<Arc<Run>>,
    pub(crate) handler: Option<KindHandler>,
    pub(crate) payload: String,
}

/// Writes settlements until the process ends. On PostgreSQL one batch is put together and written while the one before it
/// waits for the disk: with one batch at a time a worker drained 8 % fewer no-ops. SQLite has one writer.
pub(super) async fn run(process: Arc<Process>, settlements: mpsc::UnboundedReceiver<Settlement>) {
    let settlements = Mutex::new(settlements);
    let writer = || settle_batches(&process, &settlements);
    match process.db.dialect() {
        Dialect::Postgres => drop(join!(writer(), writer())),
        Dialect::Sqlite => writer().await,
    }
}

async fn settle_batches(process: &Arc<Process>, settlements: &Mutex<mpsc::UnboundedReceiver<Settlement>>) {
    loop {
        let mut coming = settlements.lock().await;
        let Some(first) = coming.recv().await else { return };
        let mut batch = vec![first];
        gather(&mut coming, &mut batch).await;
        drop(coming);
        settle_until_written(process, batch).await;
    }
}

async fn gather(coming: &mut mpsc::UnboundedReceiver<Settlement>, batch: &mut Vec<Settlement>) {
    let deadline = tokio::time::Instant::now() + GATHER;
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        match tokio::time::timeout_at(deadline, coming.recv_many(batch, room)).await {
            Ok(1..) => {}
            _ => return,
        }
    }
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is in the database.
    Written,
    /// Another worker owns the job: nothing was written, and nothing is to be.
    Lost,
    /// The database refused it for good: the lease runs out and the job comes back.
    NotWritten,
}

impl Outcome {
    fn of(owned: bool) -> Self {
        if owned { Self::Written } else { Self::Lost }
    }
}

/// Tries until the database takes it. While it is away the leases run out, and the fence then discards the result.
async fn settle_until_written(process: &Arc<Process>, mut batch: Vec<Settlement>) {
    let mut pause = Pause::new();
    let outcomes = loop {
        match settle_all(&process.db, &batch).await {
            Ok(owned) => break owned.into_iter().map(Outcome::of).collect(),
            Err(error) if error.is_worth_repeating() => pause.after_error("settling jobs", &error).await,
            Err(error) => {
                warn!(%error, jobs = batch.len(), "a batch could not be settled; trying its jobs one by one");
                break settle_one_by_one(&process.db, &mut batch).await;
            }
        }
    };
    let mut keys = BTreeSet::new();
    for (settlement, outcome) in batch.into_iter().zip(outcomes) {
        let fence = settlement.end.fence;
        let returns = matches!(settlement.next, Next::Release)
            || matches!(settlement.next, Next::Snooze { after } if after.is_zero());
        match outcome {
            Outcome::Written => {
                if returns {
                    process.returned(&fence);
                }
                // Before the job is let go, so that a stopping worker waits for its hook.
                run_failed_hook(process, settlement);
            }
            Outcome::Lost => process.count_stale_write(fence.id),
            Outcome::NotWritten => {}
        }
        keys.extend(process.let_go(&fence));
    }
    if !keys.is_empty()
        && let Err(error) = process.let_in(&keys).await
    {
        // The sweep does it in a moment.
        warn!(%error, "jobs that wait for a key were not let in");
    }
}

/// One bad row must not keep the others from being settled.
async fn settle_one_by_one(db: &Db, batch: &mut [Settlement]) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for settlement in batch {
        outcomes.push(settle_one(db, settlement).await);
    }
    outcomes
}

/// What the database refuses for good gets a second try in the plainest words: a job that comes back for ever would
/// run for ever.
async fn settle_one(db: &Db, settlement: &mut Settlement) -> Outcome {
    let mut pause = Pause::new();
    let mut refused = false;
    loop {
        let job = settlement.end.fence.id;
        match settle_all(db, std::slice::from_ref(settlement)).await {
            Ok(owned) => return Outcome::of(owned.first().copied().unwrap_or(false)),
            Err(error) if error.is_worth_repeating() => pause.after_error("settling a job", &error).await,
            Err(error) if refused => {
                error!(%job, %error, "could not be settled at all; its lease will run out and it will run again");
                return Outcome::NotWritten;
            }
            Err(error) => {
                error!(%job, %error, "the database refused what follows; the job fails instead");
                refused = true;
                let failure =
                    Failure::new("settle_refused", "the database refused to store how this attempt ended");
                settlement.next = Next::Fail { failure };
            }
        }
    }
}

/// Writes a batch in one transaction; tells for each whether this process still owned the job.
pub(crate) async fn settle_all(db: &Db, batch: &[Settlement]) -> Result<Vec<bool>> {
    let completions: Vec<RunEnd> = batch
        .iter()
        .filter(|settlement| settlement.next == Next::Complete && !settlement.is_written())
        .map(|settlement| settlement.end)
        .collect();
    // Completions alone are one statement, its own transaction.
    let alone = completions.len() == batch.len();
    let mut tx = if alone { db.single().await? } else { db.begin().await? };
    let conn = &mut tx.conn();
    let completed = match completions.len() {
        0 => Vec::new(),
        // One that is in the history already fails the batch, which is settled one by one then.
        2.. if alone => complete::complete_new(conn, &completions).await?,
        _ => complete::complete(conn, &completions).await?,
    };
    let mut owned = Vec::with_capacity(batch.len());
    for settlement in batch {
        owned.push(match &settlement.next {
            _ if settlement.is_written() => true,
            Next::Complete => completed.contains(&settlement.end.fence.id),
            next => write(conn, settlement.end, next).await?,
        });
    }
    tx.commit().await?;
    Ok(owned)
}

async fn write(conn: &mut Conn<'_>, end: RunEnd, next: &Next) -> Result<bool> {
    match next {
        Next::Retry { after, failure } => settle::retry(conn, end, *after, failure).await,
        Next::Snooze { after } => settle::snooze(conn, end, *after).await,
        Next::Fail { failure } => settle::fail(conn, end, failure).await,
        Next::Cancel { reason } => settle::cancel(conn, end, reason).await,
        Next::Release => settle::release(conn, end).await,
        Next::Complete => Ok(complete::complete(conn, &[end]).await?.len() == 1),
        Next::Forget => Ok(false),
    }
}

impl Settlement {
    /// For a job that never reached a handler.
    pub(super) fn bare(fence: Fence, next: Next) -> Self {
        Self { end: fence.into(), next, run: None, handler: None, payload: String::new() }
    }

    /// The handler's own transaction has completed the job.
    fn is_written(&self) -> bool {
        self.next == Next::Complete && self.run.as_ref().is_some_and(|run| run.is_completed())
    }
}

fn run_failed_hook(process: &Process, settlement: Settlement) {
    if let (Next::Fail { failure }, Some(handler), Some(run)) =
        (settlement.next, settlement.handler, settlement.run)
    {
        hooks::run_failed(process, &handler, settlement.payload, failure, run);
    }
}
