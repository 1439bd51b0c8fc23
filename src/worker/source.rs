//! The claim loop: the scheduler says whose turn it is, the database gives the jobs, free slots run them.

mod empty;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use apalis_core::error::WorkerError;
use apalis_core::worker::builder::WorkerBuilder;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};
use tracing::{debug, warn};

use super::backend::{Lease, Leases};
use super::claiming::claim_lanes;
use super::control::{Phase, StopReason};
use super::execute::Executor;
use super::handing::Hand;
use super::in_flight::StopCause;
use super::pause::Pause;
use super::process::Process;
use super::suspects::{SuspectTurn, Suspects};
use super::terms::distrust_old_permits;
use crate::client::{Hint, LaneHint};
use crate::error::Result;
use crate::fair::{LaneId, Take};

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
    process.in_flight.stop_all(&StopCause::Shutdown);
}

struct ClaimLoop {
    process: Arc<Process>,
    hand: Hand,
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
        let hand = Hand::new(process.clone(), leases);
        Self { process, hand, hints, suspects: Suspects::default(), parked: 0 }
    }

    /// Until the worker is to stop.
    async fn run(&mut self) {
        self.claim_until_stopped().await;
        self.hand_over_in_time().await;
        // The database does not say what they are about, and nobody waits for it any more.
        self.hand.give_back();
    }

    async fn claim_until_stopped(&mut self) {
        let mut pause = Pause::new();
        loop {
            match self.process.phase() {
                Phase::Draining(_) | Phase::Aborting(_) => return,
                Phase::Paused => {
                    self.hand_over_in_time().await;
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
            if !matches!(tried, Ok(Tried::Asked)) {
                self.hand_over_in_time().await;
            }
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

    /// Hands over what was claimed, but does not keep a process from stopping for it.
    async fn hand_over_in_time(&mut self) {
        let control = self.process.control.clone();
        tokio::select! {
            () = self.hand.over() => {}
            () = too_late_to_claim(&control) => {}
        }
    }

    async fn wait_for(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.process.control.stopping() => {}
        }
    }

    /// Until a lane has work, a slot is free, a lane has rested, or suspects are to be looked for.
    async fn wait_for_work(&mut self) {
        let process = self.process.clone();
        let rested = process.scheduler().next_rest_end().map(|until| until.saturating_sub(process.now()));
        let waits = [rested, self.suspects.next_look()].into_iter().flatten();
        tokio::select! {
            () = tokio::time::sleep(waits.fold(IDLE, Duration::min)) => {}
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
            Some(LaneHint { tenant_id: tenant, priority, keyed }) => {
                let (lane, now) = (LaneId { queue, tenant }, self.process.now());
                let mut scheduler = self.process.scheduler();
                scheduler.hinted(lane, priority, now);
                if keyed {
                    scheduler.has_keys(lane);
                }
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
        distrust_old_permits(&process);
        match self.suspects.turn(&process).await? {
            SuspectTurn::Now => {
                if let Some(tried) = self.claim_suspect().await? {
                    return Ok(tried);
                }
            }
            SuspectTurn::NotNow => {}
            SuspectTurn::Quiet => return Ok(Tried::Nothing),
        }
        let mut takes = self.plan(free);
        if takes.is_empty() {
            return Ok(Tried::Nothing);
        }
        self.claim(&mut takes).await?;
        Ok(Tried::Asked)
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

    /// Takes a suspect and starts nothing beside it; `None` when another worker was quicker.
    async fn claim_suspect(&mut self) -> Result<Option<Tried>> {
        let process = self.process.clone();
        if !process.terms_loaded() {
            return Ok(Some(Tried::Nothing));
        }
        let Some(take) = process.scheduler().plan_suspect(process.now()) else { return Ok(None) };
        let mut takes = vec![take];
        let catch = self.claim(&mut takes).await?;
        if takes.is_empty() {
            // Its rate is used up for a moment: nothing else starts meanwhile.
            return Ok(Some(Tried::Nothing));
        }
        if catch == 0 {
            return Ok(None);
        }
        self.hand.over().await;
        debug!("a suspect runs alone");
        while process.running() > 0 && !process.control.is_stopping() {
            tokio::select! {
                () = process.slot_free.notified() => {}
                () = process.control.stopping() => {}
            }
        }
        self.suspects.look_again();
        Ok(Some(Tried::Asked))
    }

    /// Claims what was planned and hands over what the claim before has brought: the database does not wait for that.
    /// Returns how many jobs were claimed, those set aside included.
    async fn claim(&mut self, takes: &mut Vec<Take>) -> Result<usize> {
        let claimed_at = Instant::now();
        let (caught, ()) = futures::join!(claim_lanes(&self.process, takes), self.hand.over());
        match caught {
            Ok(catch) => {
                let jobs = catch.jobs.len();
                self.hand.note(takes, catch, claimed_at);
                Ok(jobs)
            }
            Err(error) => {
                self.process.scheduler().not_claimed(takes);
                Err(error)
            }
        }
    }
}

/// Ends a while after the signal to stop, or at once at the second one.
async fn too_late_to_claim(control: &super::Control) {
    control.stopping().await;
    tokio::select! {
        () = tokio::time::sleep(LAST_CLAIM) => {}
        () = control.aborted() => {}
    }
}
