//! What the loops of one worker process share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use uuid::Uuid;

use super::control::{Control, Phase, StopReason};
use super::in_flight::{InFlight, StopCause};
use super::lookout::{Chores, Rotation};
use super::options::WorkerOptions;
use super::pause::Pause;
use super::settle::Settlement;
use super::terms::Terms;
use crate::client::Fairlane;
use crate::context::Run;
use crate::db::Db;
use crate::fair::{Scheduler, SchedulerSettings};
use crate::outcome::Next;
use crate::registry::{KindHandler, Served};
use crate::store::keys::TenantKey;
use crate::store::tenants::TenantNames;
use crate::store::{self, settle::Fence, workers::WorkerRow};

/// How long a stopping worker tries to settle what has run.
const FLUSH_TIME: Duration = Duration::from_secs(5);

/// One worker process: identity, options, what it holds.
pub(crate) struct Process {
    pub(crate) id: Uuid,
    /// The application's client, for handlers.
    pub(crate) fairlane: Fairlane,
    /// Connections of the engine's own.
    pub(crate) db: Db,
    /// The application's runtime, on which handlers run.
    pub(crate) handlers_run_on: Handle,
    pub(crate) options: WorkerOptions,
    pub(crate) control: Control,
    pub(crate) handlers: BTreeMap<String, KindHandler>,
    pub(crate) kinds: Vec<String>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) names: TenantNames,
    /// Cancelled when the worker begins to drain: handlers see it in `ctx.is_stopping()`.
    pub(crate) draining: CancellationToken,
    /// Which tenant goes next.
    scheduler: Mutex<Scheduler>,
    /// What tenants may use; `None` before it was read for the first time.
    terms: RwLock<Option<Arc<Terms>>>,
    /// When permits were last asked for, and given, in milliseconds of [`Process::now`].
    pub(crate) permits_asked_at: AtomicU64,
    /// Notified when a look has found a lane with work.
    pub(crate) work: Notify,
    /// Asks for a look at the queues.
    pub(crate) look_now: Notify,
    /// The last time through all lanes.
    pub(crate) rotations: watch::Sender<Option<Rotation>>,
    /// What the looks have found to do.
    pub(crate) chores: Chores,
    /// Notified when a slot or the last job in flight is done.
    pub(crate) slot_free: Notify,
    /// Running `failed()` hooks.
    pub(crate) hooks: TaskTracker,
    pub(crate) settlements: mpsc::UnboundedSender<Settlement>,
    pub(crate) started: AtomicU64,
    pub(crate) stale_writes: AtomicU64,
    pub(crate) since: Instant,
    subscriptions: Vec<crate::Subscription>,
    pub(crate) in_flight: InFlight,
}

impl Process {
    pub(crate) fn new(
        fairlane: Fairlane,
        db: Db,
        handlers_run_on: Handle,
        served: Served,
        options: WorkerOptions,
        control: Control,
    ) -> (Self, mpsc::UnboundedReceiver<Settlement>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let wanted = |kind: &String| {
            options.kinds.as_ref().is_none_or(|only| {
                only.iter().any(|name| name == kind || kind.split('@').next() == Some(name.as_str()))
            })
        };
        let kinds: Vec<String> = served.kinds.keys().filter(|kind| wanted(kind)).cloned().collect();
        let scheduler = Scheduler::new(SchedulerSettings {
            slots: options.concurrency,
            queues: options.queues.len(),
            floor: options.queue_floor,
            reserve: options.long_reserve,
            ahead: options.claim_ahead,
            kinds: kinds.iter().map(|kind| (kind.clone(), served.kinds[kind].policy.long)).collect(),
        });
        let process = Self {
            id: Uuid::now_v7(),
            kinds,
            scheduler: Mutex::new(scheduler),
            terms: RwLock::new(None),
            permits_asked_at: AtomicU64::new(0),
            work: Notify::new(),
            look_now: Notify::new(),
            rotations: watch::Sender::new(None),
            chores: Chores::default(),
            names: TenantNames::default(),
            slots: Arc::new(Semaphore::new(options.concurrency)),
            fairlane,
            db,
            handlers_run_on,
            options,
            control,
            handlers: served.kinds,
            draining: CancellationToken::new(),
            slot_free: Notify::new(),
            hooks: TaskTracker::new(),
            settlements: sender,
            started: AtomicU64::new(0),
            stale_writes: AtomicU64::new(0),
            since: Instant::now(),
            subscriptions: served.subscriptions,
            in_flight: InFlight::default(),
        };
        (process, receiver)
    }

    /// Registers the process and its subscriptions; waits for the database if it must.
    pub(crate) async fn start(&self) {
        let mut pause = Pause::new();
        while !self.control.is_stopping() {
            let registered = tokio::select! {
                registered = self.register() => registered,
                () = self.control.stopping() => break,
            };
            match registered {
                Ok(()) => break,
                Err(error) => pause.after_error("registering the worker", &error).await,
            }
        }
        info!(
            worker = %self.id,
            queues = self.options.queues.join(","),
            kinds = self.kinds.len(),
            concurrency = self.options.concurrency,
            "worker started"
        );
    }

    async fn register(&self) -> crate::Result<()> {
        let settings = self.fairlane.settings();
        store::subscriptions::announce(&self.db, &self.subscriptions, &settings.kinds).await?;
        let mut tx = self.db.single().await?;
        store::workers::register(&mut tx.conn(), &self.row()).await?;
        tx.commit().await
    }

    fn row(&self) -> WorkerRow {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        let pid = i64::from(std::process::id());
        let name = match self.options.name.as_str() {
            "" => format!("{host}:{pid}"),
            name => name.to_owned(),
        };
        let now = chrono::Utc::now();
        WorkerRow {
            id: self.id,
            name,
            host,
            pid,
            version: env!("CARGO_PKG_VERSION").into(),
            queues: self.options.queues.join(","),
            concurrency: i64::try_from(self.options.concurrency).unwrap_or(i64::MAX),
            lease_ms: i64::try_from(self.options.lease.as_millis()).ok(),
            state: "running".into(),
            running: 0,
            started_at: now,
            seen_at: now,
            stop_requested_at: None,
            stopped_at: None,
            stop_reason: None,
        }
    }

    /// Which tenant goes next.
    pub(crate) fn scheduler(&self) -> MutexGuard<'_, Scheduler> {
        self.scheduler.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What tenants may use.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.terms.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone().unwrap_or_default()
    }

    /// Whether the limits have been read: nothing starts before that.
    pub(crate) fn terms_loaded(&self) -> bool {
        self.terms.read().unwrap_or_else(|poisoned| poisoned.into_inner()).is_some()
    }

    pub(crate) fn set_terms(&self, terms: Terms) {
        *self.terms.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(Arc::new(terms));
        self.work.notify_one();
    }

    /// The scheduler's time.
    pub(crate) fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// The place of a queue in this worker's order; `None` for one it does not serve.
    pub(crate) fn queue(&self, name: &str) -> Option<usize> {
        self.options.queues.iter().position(|queue| queue == name)
    }

    pub(crate) fn serves(&self, kind: &str) -> bool {
        self.kinds.iter().any(|served| served == kind)
    }

    /// A job's handler has returned after this long, and its slot is free; `None` when it never ran.
    pub(crate) fn finished(&self, fence: Fence, ran: Option<Duration>) {
        self.scheduler().finished(fence.id, ran);
        self.slot_free.notify_one();
    }

    /// Gives a job back that never reached a handler.
    pub(crate) fn give_back(&self, fence: Fence) {
        self.finished(fence, None);
        let _ = self.settlements.send(Settlement::bare(fence, Next::Release));
    }

    /// A job goes back to its lane: it may be claimed again at once.
    pub(crate) fn returned(&self, fence: &Fence) {
        self.scheduler().returned(fence.id, self.now());
        self.work.notify_one();
    }

    /// Notes a claimed job; the receiver tells its handler when to stop.
    pub(crate) fn hold(
        &self,
        run: &Arc<Run>,
        key: Option<TenantKey>,
        claimed_at: Instant,
    ) -> watch::Receiver<Option<StopCause>> {
        self.started.fetch_add(1, Ordering::Relaxed);
        self.in_flight.add(run, key, claimed_at)
    }

    /// How many jobs are in flight.
    pub(crate) fn running(&self) -> usize {
        self.in_flight.count()
    }

    /// Forgets a job that is settled; returns the key it shared with others, who may come next.
    pub(crate) fn let_go(&self, fence: &Fence) -> Option<TenantKey> {
        if self.scheduler().settled(fence.id, self.now()) {
            self.chores.terms.notify_one();
        }
        let key = self.in_flight.remove(fence);
        self.slot_free.notify_waiters();
        self.slot_free.notify_one();
        key
    }

    pub(crate) fn count_stale_write(&self, id: Uuid) {
        self.stale_writes.fetch_add(1, Ordering::Relaxed);
        warn!(job = %id, "the lease was lost: the result of this run was discarded");
    }

    /// Waits until everything is settled; a database that is away gets a bounded while, then leases run out instead.
    pub(crate) async fn flush(&self, drained_by: Instant) {
        let settled = async {
            while self.running() > 0 {
                let _ = tokio::time::timeout(Duration::from_millis(50), self.slot_free.notified()).await;
            }
        };
        if tokio::time::timeout(self.patience(), settled).await.is_err() {
            warn!(jobs = self.running(), "stopping without having settled these; their leases will run out");
        }
        self.wait_for_hooks(drained_by).await;
    }

    /// Hooks get what is left of the drain time, or as long as settling had; nobody else would run them again.
    async fn wait_for_hooks(&self, drained_by: Instant) {
        let until = drained_by.max(Instant::now() + FLUSH_TIME);
        self.hooks.close();
        tokio::select! {
            () = self.hooks.wait() => return,
            () = tokio::time::sleep_until(until.into()) => {}
            () = async { self.control.aborted().await; tokio::time::sleep(FLUSH_TIME).await } => {}
        }
        warn!(hooks = self.hooks.len(), "stopping while failed() hooks still run");
    }

    /// Says why it stopped, in the database and in the log.
    pub(crate) async fn finish(&self) -> StopReason {
        let reason = self.control.phase().stop_reason().unwrap_or(StopReason::Interrupted);
        let told = async {
            if self.running() == 0 && self.scheduler().holds_permits() {
                let mut tx = self.db.single().await?;
                store::permits::give_back(&mut tx.conn(), self.id).await?;
                tx.commit().await?;
            }
            let mut tx = self.db.single().await?;
            store::workers::stopped(&mut tx.conn(), self.id, reason.as_str()).await?;
            tx.commit().await
        };
        if let Ok(Err(error)) = tokio::time::timeout(self.patience(), told).await {
            warn!(%error, "could not write that this worker stopped");
        }
        info!(
            worker = %self.id,
            reason = reason.as_str(),
            jobs = self.started.load(Ordering::Relaxed),
            stale_writes = self.stale_writes.load(Ordering::Relaxed),
            seconds = self.since.elapsed().as_secs(),
            "worker stopped"
        );
        reason
    }

    /// How long the last writes may take: after a second signal nobody waits for a database that is away.
    fn patience(&self) -> Duration {
        Duration::from_secs(if matches!(self.phase(), Phase::Aborting(_)) { 1 } else { 5 })
    }

    pub(crate) fn phase(&self) -> Phase {
        self.control.phase()
    }
}
