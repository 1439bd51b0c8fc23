//! Suspects: jobs whose process died under them. Each runs alone, so that it harms nobody else, and under the limits of
//! its tenant, as all others do.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::process::Process;
use crate::error::Result;
use crate::fair::{LaneId, SuspectChance};
use crate::store::suspects::{self, SuspectLane};

/// How often a busy worker looks for suspects.
const EVERY: Duration = Duration::from_millis(500);
/// How long a suspect may keep this worker from starting other jobs.
const QUIET: Duration = Duration::from_secs(2);
/// The pause before the next such try.
const AFTER_QUIET: Duration = Duration::from_secs(10);
/// How long a quiet worker waits until it looks again, if nothing wakes it.
const WHILE_QUIET: Duration = Duration::from_millis(100);

/// What this worker knows about suspects.
#[derive(Default)]
pub(super) struct Suspects {
    next_look: Option<Instant>,
    /// Since when nothing is started, so that a suspect can run alone.
    quiet_since: Option<Instant>,
    /// Whether the last look has found any.
    waiting: bool,
}

/// What a look for suspects says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SuspectTurn {
    /// One may run and nothing else does: take it.
    Now,
    /// One waits until what runs is done, or for a moment only: start nothing.
    Quiet,
    /// None waits, or none will get its moment here soon.
    NotNow,
}

impl Suspects {
    /// A suspect runs alone, so it needs a moment in which nothing runs here. One that may run keeps this worker from
    /// starting other jobs, but for a short while only: behind a long job it must not idle every slot, and whoever is
    /// free first takes it. One whose tenant has no permit to spare, or has used up its rate, keeps nobody waiting.
    pub(super) async fn turn(&mut self, process: &Process) -> Result<SuspectTurn> {
        if self.next_look.is_some_and(|at| Instant::now() < at) && !self.wants_quiet() {
            return Ok(SuspectTurn::NotNow);
        }
        if !process.chores.suspects.load(Ordering::Relaxed) && !self.waiting {
            return Ok(SuspectTurn::NotNow);
        }
        self.next_look = Some(Instant::now() + EVERY);
        let lanes = self.waiting(process).await?;
        let chance = process.scheduler().suspects_wait(lanes, process.now());
        match chance {
            SuspectChance::Later => {
                self.quiet_since = None;
                Ok(SuspectTurn::NotNow)
            }
            SuspectChance::Now if process.running() == 0 => Ok(SuspectTurn::Now),
            SuspectChance::Now => Ok(self.be_quiet(process, WHILE_QUIET)),
            SuspectChance::In(wait) => Ok(self.be_quiet(process, wait)),
        }
    }

    fn be_quiet(&mut self, process: &Process, wait: Duration) -> SuspectTurn {
        let since = *self.quiet_since.get_or_insert_with(Instant::now);
        if since.elapsed() < QUIET {
            self.next_look = Some(Instant::now() + wait);
            return SuspectTurn::Quiet;
        }
        self.quiet_since = None;
        self.next_look = Some(Instant::now() + AFTER_QUIET);
        // Until then the permit that was kept for it serves others, here or elsewhere.
        process.scheduler().suspects_wait(Vec::new(), process.now());
        SuspectTurn::NotNow
    }

    /// Lanes with suspects that a worker of these queues and kinds may run, whether its tenants' limits let it now or not.
    async fn waiting(&mut self, process: &Process) -> Result<Vec<LaneId>> {
        let mut tx = process.db.read().await?;
        let found = suspects::waiting(&mut tx.conn(), &process.options.queues, &process.kinds).await?;
        drop(tx);
        let lane =
            |lane: SuspectLane| Some(LaneId { queue: process.queue(&lane.queue)?, tenant: lane.tenant_id });
        let lanes: Vec<LaneId> = found.into_iter().filter_map(lane).collect();
        self.waiting = !lanes.is_empty();
        Ok(lanes)
    }

    /// Whether none waits that this worker could run sooner or later.
    pub(super) async fn none_waits(&mut self, process: &Process) -> Result<bool> {
        Ok(!process.chores.suspects.load(Ordering::Relaxed) || self.waiting(process).await?.is_empty())
    }

    /// Whether nothing is started just now.
    pub(super) fn wants_quiet(&self) -> bool {
        self.quiet_since.is_some()
    }

    /// How long until the next look, while there is something to look for.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let at = self.next_look.filter(|_| self.waiting)?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// One has run, or was set aside: the next one may be looked for at once.
    pub(super) fn look_again(&mut self) {
        (self.next_look, self.quiet_since) = (None, None);
    }
}
