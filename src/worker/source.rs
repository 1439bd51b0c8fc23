//! The claim loop: the scheduler says whose turn it is, the database gives the jobs, free slots run them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use apalis_core::error::WorkerError;
use apalis_core::worker::builder::WorkerBuilder;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};
use tracing::{debug, warn};
use uuid::Uuid;

use super::backend::{Lease, Leases};
use super::claiming::{Catch, StartTime, claim_lanes};
use super::control::{Phase, StopReason};
use super::execute::{Executor, new_run};
use super::process::{Pause, Process, StopCause};
use super::settle::Settlement;
use super::suspects::{SuspectTurn, Suspects};
use crate::client::Hint;
use crate::error::Result;
use crate::fair::{ClaimedJob, LaneId, Take};
use crate::outcome::{Failure, Next};
use crate::store;
use crate::store::claim::{self, Claimed, Unreadable};
use crate::store::keys::TenantKey;
use crate::store::settle::Fence;

/// How long a claim that is under way may take after the signal to stop.
const LAST_CLAIM: Duration = Duration::from_secs(2);
/// The longest time between two tries while nobody says that there is work.
const IDLE: Duration = Duration::from_secs(1);

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
    hints: broadcast::Receiver<Hint>,
    suspects: Suspects,
    /// Lanes that waited for a permit at the last plan.
    parked: usize,
}

/// What a try to claim came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// Jobs were asked for: there may be more.
    Asked,
    /// There was no free slot, or no lane to ask.
    Nothing,
}

impl ClaimLoop {
    fn new(process: Arc<Process>, leases: mpsc::UnboundedSender<Lease>) -> Self {
        let hints = process.fairlane.waker().listen();
        Self { process, leases, hints, suspects: Suspects::default(), parked: 0 }
    }

    async fn run(&mut self) {
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
            self.take_hints();
            // A database that hangs must not keep the process from stopping; what is claimed and not heard of any more
            // comes back when its lease is over.
            let control = self.process.control.clone();
            let tried = tokio::select! {
                tried = self.claim_once() => tried,
                () = too_late_to_claim(&control) => return,
            };
            match tried {
                Ok(Tried::Nothing) if self.nothing_left_to_do().await => return,
                Ok(Tried::Nothing) => {
                    pause.reset();
                    self.wait_for_work().await;
                }
                Ok(Tried::Asked) => pause.reset(),
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

    /// Until a lane has work, a slot is free, or a lane has rested.
    async fn wait_for_work(&mut self) {
        let process = self.process.clone();
        let rested = process.scheduler().next_rest_end().map(|until| until.saturating_sub(process.now()));
        let idle = if self.suspects.wants_quiet() { Duration::from_millis(100) } else { IDLE };
        tokio::select! {
            () = tokio::time::sleep(rested.map_or(idle, |rested| idle.min(rested))) => {}
            () = process.work.notified() => {}
            () = process.slot_free.notified() => {}
            hint = self.hints.recv() => match hint {
                Ok(hint) => self.take_hint(&hint),
                Err(RecvError::Lagged(_)) => process.look_now.notify_one(),
                // The client lives as long as the process.
                Err(RecvError::Closed) => self.wait_for(IDLE).await,
            },
            () = process.control.stopping() => {}
        }
    }

    fn take_hints(&mut self) {
        loop {
            match self.hints.try_recv() {
                Ok(hint) => self.take_hint(&hint),
                Err(TryRecvError::Lagged(_)) => self.process.look_now.notify_one(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn take_hint(&self, hint: &Hint) {
        let Some(queue) = self.process.queue(&hint.queue) else { return };
        match hint.lane {
            Some((tenant, priority)) => {
                let now = self.process.now();
                self.process.scheduler().hinted(LaneId { queue, tenant }, priority, now);
            }
            None => self.process.look_now.notify_one(),
        }
    }

    fn started(&self) -> u64 {
        self.process.started.load(Ordering::Relaxed)
    }

    fn job_limit_reached(&self) -> bool {
        let reached = self.process.options.job_limit().is_some_and(|limit| self.started() >= limit);
        if reached {
            let once = self.process.options.once;
            self.process.control.stop(if once { StopReason::Once } else { StopReason::MaxJobs });
        }
        reached
    }

    /// Nothing runs whose end could bring more, and a look that began now finds nothing.
    async fn nothing_left_to_do(&mut self) -> bool {
        let process = self.process.clone();
        if !(process.options.once || process.options.stop_when_empty) || process.running() > 0 {
            return false;
        }
        let now = Instant::now();
        let mut rotations = process.rotations.subscribe();
        process.look_now.notify_one();
        let rotation = tokio::select! {
            found = rotations.wait_for(|last| last.is_some_and(|last| last.began >= now)) => {
                found.ok().and_then(|last| *last)
            }
            () = process.control.stopping() => None,
        };
        let empty = rotation.is_some_and(|rotation| rotation.empty);
        if !empty || process.scheduler().has_work() || process.running() > 0 {
            return false;
        }
        if process.chores.suspects.load(Ordering::Relaxed) {
            self.suspects.look_again();
            if !matches!(self.suspects.turn(&process).await, Ok(SuspectTurn::NotNow)) {
                self.suspects.look_again();
                return false;
            }
        }
        process.control.stop(if process.options.once { StopReason::Once } else { StopReason::Empty });
        true
    }

    /// Fills the free slots.
    async fn claim_once(&mut self) -> Result<Tried> {
        let process = self.process.clone();
        let mut free = process.scheduler().free();
        if let Some(limit) = process.options.job_limit() {
            let left = usize::try_from(limit.saturating_sub(self.started())).unwrap_or(usize::MAX);
            free =
                free.min(left).min(process.options.concurrency.saturating_sub(process.scheduler().running()));
        }
        if free == 0 {
            return Ok(Tried::Nothing);
        }
        match self.suspects.turn(&process).await? {
            SuspectTurn::Now if self.claim_suspect().await? => return Ok(Tried::Asked),
            SuspectTurn::Now | SuspectTurn::NotNow => {}
            SuspectTurn::Quiet => return Ok(Tried::Nothing),
        }
        let mut takes = self.plan(free);
        if takes.is_empty() {
            return Ok(Tried::Nothing);
        }
        let claimed_at = Instant::now();
        match claim_lanes(&process, &mut takes).await {
            Ok(catch) => {
                self.hand_over(&takes, catch, claimed_at).await;
                Ok(Tried::Asked)
            }
            Err(error) => {
                process.scheduler().not_claimed(&takes);
                Err(error)
            }
        }
    }

    /// Whose turn it is. Nothing before the limits are known; a lane that has just run out of permits asks for more.
    fn plan(&mut self, free: usize) -> Vec<Take> {
        let process = &self.process;
        if !process.terms_loaded() {
            return Vec::new();
        }
        let mut scheduler = process.scheduler();
        let takes = scheduler.plan(free, process.now());
        let parked = scheduler.parked().count();
        if parked > self.parked {
            process.chores.terms.notify_one();
        }
        self.parked = parked;
        takes
    }

    /// Takes a suspect, if another worker was not quicker, and starts nothing beside it.
    async fn claim_suspect(&mut self) -> Result<bool> {
        let process = self.process.clone();
        let claimed_at = Instant::now();
        let mut tx = process.db.single().await?;
        let (queues, kinds, names) = (&process.options.queues, &process.kinds, &process.names);
        let (worker, lease) = (process.id, process.options.lease);
        let claimed = claim::claim_suspect(&mut tx.conn(), queues, kinds, worker, lease, names).await?;
        tx.commit().await?;
        let Some(job) = claimed else { return Ok(false) };
        debug!("a suspect runs alone");
        self.hand_over(&[], Catch { jobs: vec![job], ..Catch::default() }, claimed_at).await;
        while process.running() > 0 && !process.control.is_stopping() {
            tokio::select! {
                () = process.slot_free.notified() => {}
                () = process.control.stopping() => {}
            }
        }
        self.suspects.look_again();
        Ok(true)
    }

    /// Notes what was claimed and gives it to the executor.
    async fn hand_over(&self, takes: &[Take], catch: Catch, claimed_at: Instant) {
        let process = &self.process;
        let mut leased: Vec<Claimed> = Vec::with_capacity(catch.jobs.len());
        for job in catch.jobs {
            match job {
                Ok(job) => leased.push(job),
                Err(damaged) => fail_damaged(process, damaged),
            }
        }
        let known: Vec<ClaimedJob> = leased.iter().map(|job| scheduled(process, job)).collect();
        let now = process.now();
        let mut surplus = {
            let mut scheduler = process.scheduler();
            let surplus = scheduler.claimed(takes, &known, claimed_at.elapsed(), now);
            for (lane, rest) in catch.resting {
                scheduler.rest(lane, now + rest);
            }
            for id in &catch.aside {
                scheduler.settled(*id, now);
            }
            surplus
        };
        leased.retain(|job| !catch.aside.contains(&job.id));
        // Jobs of a lane nobody knew to have keys: their claim has not looked at them.
        surplus.extend(leased.iter().filter(|job| takes_without_keys(takes, process, job)).map(|job| job.id));
        let (surplus, leased): (Vec<_>, Vec<_>) =
            leased.into_iter().partition(|job| surplus.contains(&job.id));
        for job in surplus {
            let fence = Fence { id: job.id, token: job.token };
            process.finished(fence, None);
            let _ = process.settlements.send(Settlement::bare(fence, Next::Release));
        }
        // In flight from here on: renewed by the heartbeat, waited for by the drain.
        let start =
            |job: &Claimed| catch.windows.get(&job.id).map(|window| StartTime::of(*window, claimed_at));
        let leases: Vec<Lease> =
            leased.into_iter().map(|job| self.lease(start(&job), job, claimed_at)).collect();
        self.release_start_keys(&leases).await;
        let events: Vec<Uuid> = leases.iter().filter_map(|lease| lease.claimed.event_id).collect();
        let payloads = self.event_payloads(&events).await;
        for mut lease in leases {
            if let Some(payload) = lease.claimed.event_id.and_then(|event| payloads.get(&event)) {
                lease.claimed.payload.clone_from(payload);
            }
            let _ = self.leases.send(lease);
        }
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

    fn lease(&self, start: Option<StartTime>, claimed: Claimed, claimed_at: Instant) -> Lease {
        let process = &self.process;
        let run = new_run(&process.fairlane, &claimed, process.options.lease, process.draining.clone());
        let run = Arc::new(run);
        let stop = process.hold(&run, TenantKey::of(&claimed), claimed_at);
        Lease { claimed, run, start, stop }
    }
}

fn scheduled(process: &Process, job: &Claimed) -> ClaimedJob {
    // A claim names only queues of this worker.
    let queue = process.queue(&job.queue).unwrap_or_default();
    ClaimedJob {
        id: job.id,
        lane: LaneId { queue, tenant: job.tenant_id },
        key: job.key,
        kind: job.kind.clone(),
        keyed: job.concurrency_key.is_some(),
    }
}

fn takes_without_keys(takes: &[Take], process: &Process, job: &Claimed) -> bool {
    let queue = process.queue(&job.queue).unwrap_or_default();
    let lane = LaneId { queue, tenant: job.tenant_id };
    job.concurrency_key.is_some() && takes.iter().any(|take| take.lane == lane && !take.keyed)
}

/// A row that can't be read is that job's problem: it fails, and its neighbours run.
fn fail_damaged(process: &Process, damaged: Unreadable) {
    warn!(job = %damaged.id, why = damaged.why, "a damaged row was taken out of the queue");
    let fence = Fence { id: damaged.id, token: damaged.token };
    let failure = Failure { code: "damaged_row".into(), message: damaged.why };
    let _ = process.settlements.send(Settlement::bare(fence, Next::Fail { failure }));
}

/// Ends a while after the signal to stop, or at once at the second one.
async fn too_late_to_claim(control: &super::Control) {
    control.stopping().await;
    tokio::select! {
        () = tokio::time::sleep(LAST_CLAIM) => {}
        () = control.aborted() => {}
    }
}
