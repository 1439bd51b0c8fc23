//! The claim loop: free slots are filled, the first queue first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis_core::error::WorkerError;
use apalis_core::worker::builder::WorkerBuilder;
use tokio::sync::mpsc;
use tracing::{debug, warn};
use uuid::Uuid;

use super::backend::{Lease, Leases};
use super::control::{Phase, StopReason};
use super::execute::{Executor, new_run};
use super::process::{Pause, Process, StopCause};
use super::settle::Settlement;
use crate::error::Result;
use crate::outcome::{Failure, Next};
use crate::store;
use crate::store::claim::{self, ClaimRequest, Claimed};
use crate::store::settle::Fence;

/// How often a busy worker looks for suspects, which must run alone.
const SUSPECTS_EVERY: Duration = Duration::from_millis(500);
/// How long a suspect may keep this worker from starting other jobs.
const QUIET_FOR_SUSPECTS: Duration = Duration::from_secs(2);
/// The pause before the next such try.
const SUSPECTS_AFTER_QUIET: Duration = Duration::from_secs(10);
/// How long a claim that is under way may take after the signal to stop.
const LAST_CLAIM: Duration = Duration::from_secs(2);

/// Claims and runs jobs until the process is to stop and what it had is done or given back.
pub(super) async fn run(process: &Arc<Process>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let executor = Executor::new(process.clone());
    let worker = WorkerBuilder::new(process.id.to_string()).backend(Leases { receiver }).build(executor);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = worker.run_until(async move {
        let _ = stopped.await;
        Ok::<(), WorkerError>(())
    });
    let claiming = async {
        ClaimLoop::new(process.clone(), sender).run().await;
        drain(process).await;
        let _ = stop.send(());
    };
    let (result, ()) = futures::join!(running, claiming);
    if let Err(error) = result {
        warn!(%error, "the executor ended with an error");
    }
}

/// Lets running jobs finish until the deadline or the second signal; then their handlers are stopped. They know from the
/// first moment (`ctx.is_stopping()`), so that one with checkpoints can stop at the next.
async fn drain(process: &Arc<Process>) {
    process.draining.cancel();
    let idle = async {
        while process.running() > 0 {
            let _ = tokio::time::timeout(Duration::from_millis(50), process.slot_free.notified()).await;
        }
    };
    tokio::select! {
        () = idle => return,
        () = tokio::time::sleep(process.options.drain_timeout) => {
            warn!(jobs = process.running(), "the drain time is over: giving running jobs back");
        }
        () = process.control.aborted() => {}
    }
    process.stop_all(&StopCause::Shutdown);
}

struct ClaimLoop {
    process: Arc<Process>,
    leases: mpsc::UnboundedSender<Lease>,
    /// The tenant served last, by queue: the next claim begins after it.
    after: HashMap<String, i64>,
    suspects: Suspects,
}

impl ClaimLoop {
    fn new(process: Arc<Process>, leases: mpsc::UnboundedSender<Lease>) -> Self {
        Self { process, leases, after: HashMap::new(), suspects: Suspects::default() }
    }

    async fn run(&mut self) {
        let wake = self.process.fairlane.waker().local();
        let mut pause = Pause::new();
        loop {
            match self.process.phase() {
                Phase::Draining(_) | Phase::Aborting(_) => return,
                Phase::Paused => {
                    self.wait_for(Duration::from_millis(200)).await;
                    continue;
                }
                Phase::Running => {}
            }
            if self.job_limit_reached() {
                return;
            }
            // A database that hangs must not keep the process from stopping; what is claimed and not heard of any more
            // comes back when its lease is over.
            let control = self.process.control.clone();
            let claimed = tokio::select! {
                claimed = self.claim_once() => claimed,
                () = too_late_to_claim(&control) => return,
            };
            match claimed {
                Ok(0) if self.nothing_left_to_do() => return,
                Ok(0) => {
                    pause.reset();
                    tokio::select! {
                        () = self.wait_for(self.poll_interval()) => {}
                        () = wake.notified() => {}
                        () = self.process.slot_free.notified() => {}
                    }
                }
                Ok(_) => pause.reset(),
                Err(error) => {
                    tokio::select! {
                        () = pause.after_error("claiming jobs", &error) => {}
                        () = self.process.control.stopping() => {}
                    }
                }
            }
        }
    }

    async fn wait_for(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.process.control.stopping() => {}
        }
    }

    /// With jitter, so that many workers do not ask in the same instant; short while something may follow soon.
    fn poll_interval(&self) -> Duration {
        let poll = self.process.options.poll;
        let poll =
            if self.suspects.quiet_since.is_some() { poll.min(Duration::from_millis(100)) } else { poll };
        let poll =
            if self.process.options.stop_when_empty { poll.min(Duration::from_millis(100)) } else { poll };
        poll.mul_f64(0.9 + 0.2 * fastrand::f64())
    }

    fn started(&self) -> u64 {
        self.process.started.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn job_limit_reached(&self) -> bool {
        let reached = self.process.options.job_limit().is_some_and(|limit| self.started() >= limit);
        if reached {
            let once = self.process.options.once;
            self.process.control.stop(if once { StopReason::Once } else { StopReason::MaxJobs });
        }
        reached
    }

    /// Nothing was found and nothing runs whose end could bring more.
    fn nothing_left_to_do(&self) -> bool {
        let options = &self.process.options;
        if self.process.running() > 0 || !(options.once || options.stop_when_empty) {
            return false;
        }
        self.process.control.stop(if options.once { StopReason::Once } else { StopReason::Empty });
        true
    }

    /// Fills the free slots, the first queue first; returns how many jobs were claimed.
    async fn claim_once(&mut self) -> Result<usize> {
        // What became due in the meantime is part of "nothing is due".
        if self.process.options.stop_when_empty || self.process.options.once {
            crate::maintenance::promote_due(&self.process).await?;
        }
        let mut free = self.process.slots.available_permits();
        if let Some(limit) = self.process.options.job_limit() {
            free = free.min(usize::try_from(limit.saturating_sub(self.started())).unwrap_or(usize::MAX));
        }
        if free == 0 {
            return Ok(0);
        }
        match self.look_for_suspects().await? {
            SuspectTurn::Now => {
                if self.claim_suspect().await? {
                    return Ok(1);
                }
            }
            SuspectTurn::Quiet => return Ok(0),
            SuspectTurn::NotNow => {}
        }
        let mut total = 0;
        for queue in self.process.options.queues.clone() {
            if total >= free {
                break;
            }
            total += self.claim_from(&queue, free - total).await?;
        }
        Ok(total)
    }

    /// A suspect runs alone, so it needs a moment in which nothing runs here. One that waits keeps this worker from
    /// starting other jobs, but for a short while only: behind a long job it must not idle every slot, and whoever is
    /// free first takes it.
    async fn look_for_suspects(&mut self) -> Result<SuspectTurn> {
        let suspects = &mut self.suspects;
        if suspects.next_look.is_some_and(|at| Instant::now() < at) && suspects.quiet_since.is_none() {
            return Ok(SuspectTurn::NotNow);
        }
        let process = &self.process;
        suspects.next_look = Some(Instant::now() + SUSPECTS_EVERY);
        if !claim::suspects_waiting(&process.db, &process.options.queues, &process.kinds).await? {
            suspects.quiet_since = None;
            return Ok(SuspectTurn::NotNow);
        }
        if process.running() == 0 {
            suspects.quiet_since = None;
            return Ok(SuspectTurn::Now);
        }
        let since = *suspects.quiet_since.get_or_insert_with(Instant::now);
        if since.elapsed() < QUIET_FOR_SUSPECTS {
            return Ok(SuspectTurn::Quiet);
        }
        suspects.quiet_since = None;
        suspects.next_look = Some(Instant::now() + SUSPECTS_AFTER_QUIET);
        Ok(SuspectTurn::NotNow)
    }

    /// Takes a suspect, if another worker was not quicker, and starts nothing beside it.
    async fn claim_suspect(&mut self) -> Result<bool> {
        for queue in self.process.options.queues.clone() {
            if self.claim_after(&queue, 1, 0, true).await? == 1 {
                debug!("a suspect runs alone");
                while self.process.running() > 0 && !self.process.control.is_stopping() {
                    tokio::select! {
                        () = self.process.slot_free.notified() => {}
                        () = self.process.control.stopping() => {}
                    }
                }
                self.suspects.next_look = None;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn claim_from(&mut self, queue: &str, limit: usize) -> Result<usize> {
        let after = self.after.get(queue).copied().unwrap_or_default();
        let mut claimed = self.claim_after(queue, limit, after, false).await?;
        if claimed < limit && after > 0 {
            // Wrapped round: the tenants before the one served last.
            self.after.insert(queue.to_owned(), 0);
            claimed += self.claim_after(queue, limit - claimed, 0, false).await?;
        }
        Ok(claimed)
    }

    async fn claim_after(&mut self, queue: &str, limit: usize, after: i64, suspects: bool) -> Result<usize> {
        let process = &self.process;
        let request = ClaimRequest {
            queue,
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            kinds: &process.kinds,
            after_tenant: after,
            worker_id: process.id,
            lease: process.options.lease,
            suspects,
        };
        let claimed_at = Instant::now();
        let mut tx = process.db.single().await?;
        let jobs = claim::claim(&mut tx.conn(), &request).await?;
        tx.commit().await?;
        let count = jobs.len();
        let (mut leased, mut events) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Ok(job) => {
                    events.extend(job.event_id);
                    leased.push(job);
                }
                Err(damaged) => {
                    warn!(job = %damaged.id, why = damaged.why, "a damaged row was taken out of the queue");
                    let fence = Fence { id: damaged.id, token: damaged.token };
                    let failure = Failure { code: "damaged_row".into(), message: damaged.why };
                    let _ = self.process.settlements.send(Settlement::bare(fence, Next::Fail { failure }));
                }
            }
        }
        if let Some(last) = leased.iter().map(|job| job.tenant_id).max().filter(|_| !suspects) {
            self.after.insert(queue.to_owned(), last);
        }
        // In flight from here on: renewed by the heartbeat, waited for by the drain.
        let mut leases: Vec<Lease> =
            leased.into_iter().filter_map(|job| self.lease(job, claimed_at)).collect();
        self.release_start_keys(&leases).await;
        let payloads = self.event_payloads(&events).await;
        for mut lease in leases.drain(..) {
            if let Some(payload) = lease.claimed.event_id.and_then(|event| payloads.get(&event)) {
                lease.claimed.payload.clone_from(payload);
            }
            let _ = self.leases.send(lease);
        }
        Ok(count)
    }

    /// Keys that hold until the job is started; a failure costs their early release, not the job.
    async fn release_start_keys(&self, leases: &[Lease]) {
        let jobs = leases.iter().map(|lease| &lease.claimed);
        let started: Vec<Uuid> = jobs.filter(|job| job.holds_start_key).map(|job| job.id).collect();
        if started.is_empty() {
            return;
        }
        let released = async {
            let mut tx = self.process.db.single().await?;
            claim::release_start_keys(&mut tx.conn(), &started).await?;
            tx.commit().await
        };
        if let Err(error) = released.await {
            warn!(%error, "unique keys that hold until the start were not released");
        }
    }

    /// Listener jobs carry their event's payload; one that is missing shows itself as undecodable.
    async fn event_payloads(&self, events: &[Uuid]) -> HashMap<Uuid, String> {
        if events.is_empty() {
            return HashMap::new();
        }
        let mut pause = Pause::new();
        loop {
            match store::events::payloads(&self.process.db, events).await {
                Ok(payloads) => return payloads.into_iter().collect(),
                Err(error) if error.is_transient() => pause.after_error("reading events", &error).await,
                Err(error) => {
                    warn!(%error, "events could not be read");
                    return HashMap::new();
                }
            }
        }
    }

    fn lease(&self, claimed: Claimed, claimed_at: Instant) -> Option<Lease> {
        // Only this loop takes permits, and it never claims more than are free.
        let Ok(permit) = self.process.slots.clone().try_acquire_owned() else {
            let fence = Fence { id: claimed.id, token: claimed.token };
            let _ = self.process.settlements.send(Settlement::bare(fence, Next::Release));
            return None;
        };
        let process = &self.process;
        let run = new_run(&process.fairlane, &claimed, process.options.lease, process.draining.clone());
        let run = Arc::new(run);
        let stop = process.hold(&run, claimed_at);
        Some(Lease { claimed, run, stop, permit })
    }
}

/// What this worker knows about suspects.
#[derive(Default)]
struct Suspects {
    next_look: Option<Instant>,
    /// Since when nothing is started, so that a suspect can run alone.
    quiet_since: Option<Instant>,
}

/// What a look for suspects says.
enum SuspectTurn {
    /// One waits and nothing runs: take it.
    Now,
    /// One waits until what runs is done: start nothing.
    Quiet,
    /// None waits, or none will get its moment here soon.
    NotNow,
}

/// Ends a while after the signal to stop, or at once at the second one.
async fn too_late_to_claim(control: &super::Control) {
    control.stopping().await;
    tokio::select! {
        () = tokio::time::sleep(LAST_CLAIM) => {}
        () = control.aborted() => {}
    }
}
