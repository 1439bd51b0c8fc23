//! What a handler gets beside its payload: the tenant, its state, and the one transaction it may have.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::client::{Dispatch, Fairlane, Origin, Publish, Tenant};
use crate::db::{Db, Dialect};
use crate::error::{Error, Result};
use crate::transaction::Transaction;
use crate::{Event, Job, JobResult, store};

/// A running job, as its handler sees it.
///
/// Cheap to clone. `ctx.state` is what the worker was given with the registry.
#[derive(Debug, Clone)]
pub struct Context<S> {
    /// The application's own state.
    pub state: S,
    run: Arc<Run>,
}

/// The facts of one run of a job.
#[derive(Debug, Clone)]
pub struct JobInfo {
    /// The job's id: the same over all attempts, so the right idempotency key for services outside.
    pub id: Uuid,
    /// The slug of the tenant it runs for.
    pub tenant: String,
    /// The tenant's number, for `tenant_id = $1`.
    pub tenant_id: i64,
    /// What kind of job it is.
    pub kind: String,
    /// The queue it waited in.
    pub queue: String,
    /// Which attempt this is, from 1; attempts that were given back do not count.
    pub attempt: u32,
    /// Which start this is, from 1; never given back.
    pub run: u32,
    /// The event that caused it, for listeners.
    pub event_id: Option<Uuid>,
    /// Ties together everything that one first cause led to.
    pub correlation_id: Option<Uuid>,
    /// W3C trace context of the dispatch.
    pub trace: Option<String>,
    /// When it was dispatched.
    pub created_at: DateTime<Utc>,
}

/// One run of one job: what the handler, its transactions and the worker share.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) fairlane: Fairlane,
    pub(crate) job: JobInfo,
    pub(crate) token: Uuid,
    pub(crate) lease: Duration,
    pub(crate) checkpoint: std::sync::Mutex<Option<serde_json::Value>>,
    /// Set when somebody wants the handler to stop.
    pub(crate) stop: CancellationToken,
    /// Set when the worker begins to drain.
    pub(crate) draining: CancellationToken,
    /// Set when others wait for its slot who have nothing running.
    pub(crate) asked_for_room: AtomicBool,
    /// Set by `complete_in`: there is nothing left to settle.
    pub(crate) completed: AtomicBool,
    /// Set when the handler overran its time but could not be stopped: whatever it still writes is refused.
    pub(crate) void: AtomicBool,
    /// When the handler was started.
    pub(crate) handler_since: OnceLock<Instant>,
    /// When it ended; a handler that is stopped has no end of its own.
    pub(crate) handler_until: OnceLock<Instant>,
    /// When the open transaction began, where there is one.
    pub(crate) transaction_since: std::sync::Mutex<Option<Instant>>,
    /// Moved by every committed checkpoint or progress: the timeout counts from here.
    pub(crate) last_progress: std::sync::Mutex<Instant>,
    /// Moved by every commit: each renews the lease.
    pub(crate) last_commit: std::sync::Mutex<Instant>,
}

tokio::task_local! {
    /// The run whose handler this task executes.
    static CURRENT: Arc<Run>;
}

/// Runs a handler so that dispatches from inside it can see its open transaction.
pub(crate) async fn in_run<F: Future>(run: Arc<Run>, handler: F) -> F::Output {
    CURRENT.scope(run, handler).await
}

/// On SQLite a second writer would wait for the transaction this very handler holds, until the lease is over.
pub(crate) fn refuse_second_writer(db: &Db) -> Result<()> {
    let held = CURRENT.try_with(|run| {
        db.dialect() == Dialect::Sqlite && run.fairlane.db().same_as(db) && run.open_since().is_some()
    });
    if held.unwrap_or(false) { Err(Error::WouldDeadlock) } else { Ok(()) }
}

impl Run {
    pub(crate) fn open_since(&self) -> Option<Instant> {
        *lock(&self.transaction_since)
    }

    pub(crate) fn set_open(&self, since: Option<Instant>) {
        *lock(&self.transaction_since) = since;
    }

    /// A transaction of the handler was committed; its fence was written at `fenced_at`.
    pub(crate) fn note_commit(
        &self,
        fenced_at: Instant,
        checkpoint: Option<serde_json::Value>,
        progress: bool,
    ) {
        *lock(&self.last_commit) = fenced_at;
        if progress || checkpoint.is_some() {
            *lock(&self.last_progress) = Instant::now();
        }
        if checkpoint.is_some() {
            *lock(&self.checkpoint) = checkpoint;
        }
    }

    /// Worker time since the handler started, in whole milliseconds.
    pub(crate) fn worked(&self) -> Duration {
        whole_millis(self.ran().unwrap_or_default(), fastrand::f64())
    }

    /// Worker time so far, or of the whole run once it has ended; `None` before it begins.
    pub(crate) fn ran(&self) -> Option<Duration> {
        let since = *self.handler_since.get()?;
        Some(self.handler_until.get().map_or_else(|| since.elapsed(), |until| until.duration_since(since)))
    }

    pub(crate) fn begin(&self) {
        let now = Instant::now();
        self.handler_since.get_or_init(|| now);
        *lock(&self.last_progress) = now;
    }

    pub(crate) fn end(&self) {
        self.handler_until.get_or_init(Instant::now);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.handler_since.get().is_some()
    }

    pub(crate) fn last_commit(&self) -> Instant {
        *lock(&self.last_commit)
    }

    pub(crate) fn last_progress(&self) -> Instant {
        *lock(&self.last_progress)
    }

    pub(crate) fn make_void(&self) {
        self.void.store(true, Ordering::SeqCst);
    }

    /// Refuses the writes of a handler whose run is over.
    pub(crate) fn check_not_void(&self) -> Result<()> {
        if self.void.load(Ordering::SeqCst) { Err(Error::LeaseLost { job: self.job.id }) } else { Ok(()) }
    }

    pub(crate) fn is_completed(&self) -> bool {
        self.completed.load(Ordering::SeqCst)
    }
}

/// Rounds by chance (from 0 to 1), so that the sum over many short runs is their sum and not nothing.
fn whole_millis(time: Duration, chance: f64) -> Duration {
    let millis = time.as_secs_f64() * 1000.0 + chance;
    Duration::from_millis(millis as u64)
}

/// A poisoned lock here guards plain values: what is in it is still right.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl<S> Context<S> {
    pub(crate) fn new(state: S, run: Arc<Run>) -> Self {
        Self { state, run }
    }

    /// The facts of this run.
    pub fn job(&self) -> &JobInfo {
        &self.run.job
    }

    /// The tenant this job runs for, to publish and dispatch outside a transaction.
    pub fn tenant(&self) -> Tenant {
        self.run.fairlane.tenant(&self.run.job.tenant).caused_by(self.origin())
    }

    /// The client, for what concerns all tenants.
    pub fn fairlane(&self) -> &Fairlane {
        &self.run.fairlane
    }

    /// Publishes an event of this tenant, caused by this job.
    pub fn publish<E: Event>(&self, event: E) -> Publish {
        self.tenant().publish(event)
    }

    /// Dispatches a job of this tenant, caused by this job.
    pub fn dispatch<J: Job>(&self, job: J) -> Dispatch {
        self.tenant().dispatch(job)
    }

    /// The only transaction a handler gets: the tenant is set, and its commit succeeds only while this worker still
    /// owns the job. One at a time; on SQLite it holds the file's writer, so keep it short (half a lease at most).
    pub async fn begin(&self) -> Result<Transaction> {
        Transaction::for_run(self.run.clone()).await
    }

    /// Commits the handler's effects, its follow-up events and its own completion together, exactly once.
    ///
    /// For a listener it also records that this listener has handled this event: a repeated delivery changes nothing.
    /// End the handler with it: `ctx.complete_in(tx).await`.
    pub async fn complete_in(&self, mut tx: Transaction) -> JobResult {
        self.run.check_not_void()?;
        let (job, token, worked) = (&self.run.job, self.run.token, self.run.worked());
        store::complete::complete_one(&mut tx.conn(), job, token, worked).await?;
        tx.commit_completed().await?;
        self.run.completed.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// The last committed checkpoint of this job, whichever worker wrote it.
    ///
    /// # Errors
    /// When it is not a `T`: a checkpoint of another release.
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let stored = lock(&self.run.checkpoint).clone();
        stored
            .map(serde_json::from_value)
            .transpose()
            .map_err(|why| Error::Damaged(format!("checkpoint: {why}")))
    }

    /// Stores a checkpoint on its own; with effects, use [`Transaction::checkpoint`] in their transaction.
    pub async fn save_checkpoint<T: Serialize + Sync>(&self, value: &T) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.checkpoint(value)?;
        tx.commit().await
    }

    /// Tells how far the job is, for `fairlane show` and progress bars.
    pub async fn progress(&self, done: u64, total: Option<u64>) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.progress(done, total);
        tx.commit().await
    }

    /// Whether the handler should go back to the queue at its next checkpoint, with `JobError::snooze(Duration::ZERO)`: it is
    /// to stop soon ([`Context::is_stopping`]), or it has run for `worker.yield_after` (10 s) and a tenant with nothing
    /// running waits for a slot. It goes on from its checkpoint, and the attempt does not count.
    ///
    /// ```
    /// # use fairlane::{Context, JobError, JobResult};
    /// # async fn next_page(page: u32) -> fairlane::Result<Option<u32>> { Ok(None) }
    /// async fn all_pages(ctx: &Context<()>) -> JobResult {
    ///     let mut page = ctx.checkpoint()?.unwrap_or(0);
    ///     while let Some(next) = next_page(page).await? {
    ///         page = next;
    ///         ctx.save_checkpoint(&page).await?;
    ///         if ctx.should_yield() {
    ///             return Err(JobError::snooze(std::time::Duration::ZERO));
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn should_yield(&self) -> bool {
        self.is_stopping() || self.run.asked_for_room.load(Ordering::Relaxed)
    }

    /// Whether the handler should stop soon: it was cancelled, its lease was lost, or the worker drains. One with
    /// checkpoints returns `JobError::snooze` at the next; one without finishes, within the drain time.
    pub fn is_stopping(&self) -> bool {
        self.run.stop.is_cancelled() || self.run.draining.is_cancelled()
    }

    /// The id to give to services outside as idempotency key: the same over all attempts.
    pub fn idempotency_key(&self) -> String {
        self.run.job.id.to_string()
    }

    fn origin(&self) -> Origin {
        let job = &self.run.job;
        let cause = job.event_id.unwrap_or(job.id);
        Origin {
            causation_id: Some(cause),
            correlation_id: Some(job.correlation_id.unwrap_or(cause)),
            trace: job.trace.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_runs_add_up_to_what_they_took() {
        let short = Duration::from_micros(250);
        let sum: Duration = (0..1000).map(|i| whole_millis(short, f64::from(i) / 1000.0)).sum();
        assert_eq!(sum, 1000 * short);
        assert_eq!(whole_millis(Duration::from_millis(40), 0.999), Duration::from_millis(40));
    }
}
