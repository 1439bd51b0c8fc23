//! Writing what follows, in batches: completions of a few milliseconds share one statement.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::{error, warn};

use super::process::{Pause, Process};
use crate::context::Run;
use crate::db::{Conn, Db};
use crate::error::Result;
use crate::outcome::Next;
use crate::registry::KindHandler;
use crate::store::settle::{self, Fence};

/// Most settlements in one transaction.
const BATCH: usize = 500;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_millis(2);
/// How long a `failed` hook may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// What is to be written about one run.
pub(crate) struct Settlement {
    pub(crate) fence: Fence,
    pub(crate) next: Next,
    /// None for a job that never reached a handler.
    pub(crate) run: Option<Arc<Run>>,
    pub(crate) handler: Option<KindHandler>,
    pub(crate) payload: String,
}

/// Writes settlements until the process ends.
pub(super) async fn run(process: Arc<Process>, mut settlements: mpsc::UnboundedReceiver<Settlement>) {
    while let Some(first) = settlements.recv().await {
        let mut batch = vec![first];
        gather(&mut settlements, &mut batch).await;
        settle_until_written(&process, batch).await;
    }
}

async fn gather(settlements: &mut mpsc::UnboundedReceiver<Settlement>, batch: &mut Vec<Settlement>) {
    let deadline = tokio::time::Instant::now() + GATHER;
    while batch.len() < BATCH {
        match tokio::time::timeout_at(deadline, settlements.recv()).await {
            Ok(Some(settlement)) => batch.push(settlement),
            _ => return,
        }
    }
}

/// Tries until the database takes it. While it is away the leases run out, and the fence then discards the result.
async fn settle_until_written(process: &Arc<Process>, batch: Vec<Settlement>) {
    let mut pause = Pause::new();
    let db = &process.db;
    let owned = loop {
        match settle_all(db, &batch).await {
            Ok(owned) => break owned,
            Err(error) if error.is_transient() => pause.after_error("settling jobs", &error).await,
            Err(error) => {
                warn!(%error, jobs = batch.len(), "a batch could not be settled; trying its jobs one by one");
                break settle_one_by_one(db, &batch).await;
            }
        }
    };
    let mut woken = false;
    for (settlement, owned) in batch.into_iter().zip(owned) {
        process.let_go(&settlement.fence);
        if !owned {
            process.count_stale_write(settlement.fence.id);
            continue;
        }
        woken |= matches!(settlement.next, Next::Release | Next::Snooze { .. });
        run_failed_hook(&process.handlers_run_on, settlement);
    }
    if woken {
        process.fairlane.waker().local().notify_one();
    }
}

/// One bad row must not keep the others from being settled.
async fn settle_one_by_one(db: &Db, batch: &[Settlement]) -> Vec<bool> {
    let mut owned = Vec::with_capacity(batch.len());
    for settlement in batch {
        owned.push(match settle_all(db, std::slice::from_ref(settlement)).await {
            Ok(written) => written.first().copied().unwrap_or(false),
            Err(error) => {
                error!(job = %settlement.fence.id, %error, "could not be settled; its lease will run out");
                true
            }
        });
    }
    owned
}

/// Writes a batch in one transaction; tells for each whether this process still owned the job.
pub(crate) async fn settle_all(db: &Db, batch: &[Settlement]) -> Result<Vec<bool>> {
    let completions: Vec<Fence> = batch
        .iter()
        .filter(|settlement| settlement.next == Next::Complete && !settlement.is_written())
        .map(|settlement| settlement.fence)
        .collect();
    // Completions alone are one statement, its own transaction.
    let alone = completions.len() == batch.len();
    let mut tx = if alone { db.single().await? } else { db.begin().await? };
    let conn = &mut tx.conn();
    let completed =
        if completions.is_empty() { Vec::new() } else { settle::complete(conn, &completions).await? };
    let mut owned = Vec::with_capacity(batch.len());
    for settlement in batch {
        owned.push(match &settlement.next {
            _ if settlement.is_written() => true,
            Next::Complete => completed.contains(&settlement.fence.id),
            next => write(conn, settlement.fence, next).await?,
        });
    }
    tx.commit().await?;
    Ok(owned)
}

async fn write(conn: &mut Conn<'_>, fence: Fence, next: &Next) -> Result<bool> {
    match next {
        Next::Retry { after, failure } => settle::retry(conn, fence, *after, failure).await,
        Next::Snooze { after } => settle::snooze(conn, fence, *after).await,
        Next::Fail { failure } => settle::fail(conn, fence, failure).await,
        Next::Cancel { reason } => settle::cancel(conn, fence, reason).await,
        Next::Release => settle::release(conn, fence).await,
        Next::Complete => Ok(settle::complete(conn, &[fence]).await?.len() == 1),
        Next::Forget => Ok(false),
    }
}

impl Settlement {
    /// For a job that never reached a handler.
    pub(super) fn bare(fence: Fence, next: Next) -> Self {
        Self { fence, next, run: None, handler: None, payload: String::new() }
    }

    /// The handler's own transaction has completed the job.
    fn is_written(&self) -> bool {
        self.next == Next::Complete && self.run.as_ref().is_some_and(|run| run.is_completed())
    }
}

fn run_failed_hook(handlers_run_on: &Handle, settlement: Settlement) {
    let (Next::Fail { failure }, Some(handler), Some(run)) =
        (settlement.next, settlement.handler, settlement.run)
    else {
        return;
    };
    handlers_run_on.spawn(async move {
        let id = settlement.fence.id;
        let hook = (handler.failed)(settlement.payload, failure.message, run);
        if tokio::time::timeout(HOOK_TIMEOUT, hook).await.is_err() {
            warn!(job = %id, "the failed() hook did not end in time");
        }
    });
}
