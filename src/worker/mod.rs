//! The worker: claims jobs, runs them, settles them, until it is told to stop.
//!
//! ```text
//! lookout.rs    which lanes have work, and what else wants doing
//! source.rs     claim loop: free slots -> fair::Scheduler -> store::claim -> leases
//! claiming.rs   one claim, with the rates and keys that only the database can keep
//! keys.rs       keys that jobs share: their configured limits, and who comes next
//! handing.rs    what was claimed on its way to the executor
//! terms.rs      limits and weights of tenants; the permits this process holds
//! suspects.rs   jobs whose process died under them run alone, within their tenants' limits
//! backend.rs    the leases' way to the executor, as an apalis Backend
//! execute.rs    one attempt: handler in a task of its own, timeout, cancellation, panic -> outcome::decide
//! gate.rs       a slot, and the time at which it may start
//! attempt_limits.rs  how often and how long it may try: dispatch, configuration, kind, worker
//! settle.rs     what follows, written in batches and fenced
//! hooks.rs      failed() hooks, for which a stopping worker waits
//! heartbeat.rs  leases renewed from a thread of its own, so that no handler can starve them
//! control.rs    stop, pause, resume; why a worker stops
//! limits.rs     --max-time, --memory
//! vital.rs      the engine's own tasks: the worker stops when one of them dies
//! wake.rs       what other processes queue starts before the next poll
//! process.rs    what the loops share; in_flight.rs: the jobs it holds; pause.rs: waiting for a database that is away
//! ```
//! None of the loops holds a database transaction while a job runs, and none of them ends with a database error: they
//! wait, with jitter, until the database is back.

mod attempt_limits;
mod backend;
mod claiming;
mod control;
mod execute;
mod gate;
mod handing;
mod heartbeat;
pub(crate) mod hooks;
mod in_flight;
mod keys;
mod limits;
mod lookout;
mod options;
mod pause;
mod process;
mod run;
mod settle;
mod signals;
mod source;
mod suspects;
mod terms;
mod vital;
mod wake;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

pub use control::{Control, StopReason};
pub use options::WorkerOptions;
pub use signals::listen_to_signals;

pub(crate) use attempt_limits::AttemptLimits;
pub(crate) use execute::{Place, attempt};
pub(crate) use gate::Gate;
pub(crate) use lookout::tell_scheduler;
pub(crate) use pause::Pause;
pub(crate) use process::Process;
pub(crate) use run::{new_run, run_of};
pub(crate) use settle::{Settlement, settle_all};
pub(crate) use vital::{RUNNING, VitalTasks};

use crate::client::Fairlane;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::maintenance;
use crate::registry::{Registry, Served};

/// Connections for claiming, settling, maintenance and listening; handlers have the application's own.
const ENGINE_CONNECTIONS: u32 = 5;

/// A worker process, before it runs.
///
/// ```no_run
/// # async fn example(fairlane: fairlane::Fairlane, registry: fairlane::Registry<()>) -> fairlane::Result<()> {
/// use fairlane::worker::Worker;
///
/// let stopped = Worker::new(&fairlane)
///     .serve(registry, ())
///     .queues(["high", "default", "low"])
///     .concurrency(16)
///     .run_until(async { let _ = tokio::signal::ctrl_c().await; })
///     .await?;
/// println!("stopped: {}", stopped.as_str());
/// # Ok(()) }
/// ```
pub struct Worker {
    fairlane: Fairlane,
    served: Served,
    options: WorkerOptions,
    control: Control,
}

impl Worker {
    /// A worker on this client's database, with the default options.
    pub fn new(fairlane: &Fairlane) -> Self {
        Self {
            fairlane: fairlane.clone(),
            served: Served::default(),
            options: WorkerOptions::default(),
            control: Control::new(),
        }
    }

    /// Serves a registry's jobs and listeners; several registries, each with its own state, share one worker.
    pub fn serve<S: Clone + Send + Sync + 'static>(mut self, registry: Registry<S>, state: S) -> Self {
        self.served.extend(registry.bind(state));
        self
    }

    pub(crate) fn serve_bound(mut self, served: Served) -> Self {
        self.served.extend(served);
        self
    }

    /// The queues to drain, the first before the second and so on.
    pub fn queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.options.queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// How many jobs may run at the same time.
    pub fn concurrency(mut self, slots: usize) -> Self {
        self.options.concurrency = slots;
        self
    }

    /// Everything at once.
    pub fn options(mut self, options: WorkerOptions) -> Self {
        self.options = options;
        self
    }

    /// Obeys this handle, which may have been told to stop already.
    pub(crate) fn controlled_by(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// A handle to stop, pause and resume it from elsewhere.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Runs until `shutdown` ends, or one of the options' limits is reached, then drains.
    ///
    /// # Errors
    /// Options or registries that can't be served, and a part of the engine that died. Never the database: a worker
    /// waits for it.
    pub async fn run_until(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<StopReason> {
        self.check()?;
        let control = self.control.clone();
        let _gives_back_when_dropped = AbortOnDrop(control.clone());
        let waits_for_shutdown = AbortOnDropHandle::new(tokio::spawn(async move {
            shutdown.await;
            control.stop(StopReason::Interrupted);
        }));
        let handlers_run_on = Handle::current();
        let (done, finished) = tokio::sync::oneshot::channel();
        let refused =
            |why: std::io::Error| Error::Refused { what: "starting a worker".into(), why: why.to_string() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
        std::thread::Builder::new()
            .name("fairlane-engine".into())
            .spawn(move || {
                let _ = done.send(runtime.block_on(self.run_engine(handlers_run_on)));
            })
            .map_err(refused)?;
        let stopped = finished.await.unwrap_or_else(|_| {
            Err(Error::Refused { what: RUNNING.into(), why: "its engine panicked".into() })
        });
        drop(waits_for_shutdown);
        stopped
    }

    /// Claims, settles, keeps leases: on a thread and on connections of its own, so that handlers which block the
    /// application's runtime stop nothing but themselves.
    async fn run_engine(self, handlers_run_on: Handle) -> Result<StopReason> {
        let db = self.own_connections().await?;
        let mut vital = VitalTasks::default();
        let (process, settlements) =
            Process::new(self.fairlane, db, handlers_run_on, self.served, self.options, self.control);
        let process = Arc::new(process);
        process.start().await;
        let drained_by = tokio::spawn(drain_end(process.clone()));
        vital.spawn("settler", settle::run(process.clone(), settlements));
        let (heartbeat, ended) = heartbeat::start(process.clone())?;
        vital.spawn("heartbeat", ended);
        vital.spawn("listening for wake-ups", wake::listen(process.clone()));
        vital.spawn("watch over limits of tenants", terms::run(process.clone()));
        vital.spawn("lookout", lookout::run(process.clone()));
        vital.spawn("watch over limits", limits::watch(process.clone()));
        maintenance::start(&process, &mut vital);

        let ran = Box::pin(vital.watch_over(&process.control, source::run(&process))).await;

        process.flush(drained_by.await.unwrap_or_else(|_| Instant::now())).await;
        vital.shutdown().await;
        heartbeat.stop().await;
        let reason = process.finish().await;
        ran.map(|()| reason)
    }

    /// Waits for the database if it must.
    async fn own_connections(&self) -> Result<Db> {
        let mut pause = Pause::new();
        loop {
            match self.fairlane.db().reopen(ENGINE_CONNECTIONS).await {
                Ok(own) => return Ok(own.unwrap_or_else(|| self.fairlane.db().clone())),
                Err(error) if error.is_transient() && !self.control.is_stopping() => {
                    pause.after_error("connecting", &error).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn check(&self) -> Result<()> {
        let refused = |why: String| Err(Error::Refused { what: "starting a worker".into(), why });
        if !self.served.conflicts.is_empty() {
            return refused(format!(
                "these kinds are registered twice: {}",
                self.served.conflicts.join(", ")
            ));
        }
        if self.served.kinds.is_empty() {
            return refused("it serves no kind of job; give it a registry".into());
        }
        if self.options.queues.is_empty() || self.options.concurrency == 0 {
            return refused("it needs at least one queue and one slot".into());
        }
        if self.options.heartbeat.saturating_mul(2) > self.options.lease {
            return refused("the heartbeat must come at least twice in a lease".into());
        }
        Ok(())
    }
}

/// When the time to drain is over, known as soon as the worker is told to stop.
async fn drain_end(process: Arc<Process>) -> Instant {
    process.control.stopping().await;
    let now = Instant::now();
    now.checked_add(process.options.drain_timeout).unwrap_or(now)
}

/// A worker whose future is dropped gives back what it runs.
struct AbortOnDrop(Control);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("options", &self.options).finish_non_exhaustive()
    }
}
