//! One worker process: its real scheduler, its slots, and its loops as far as they wait for something.

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

use super::database::Taken;
use super::scenario::Scenario;
use crate::fair::{
    ClaimedJob, Demand, Grant, LaneId, PermitTurns, Scheduler, SchedulerSettings, Scope, Take,
};

/// Lanes of one look, as `worker/lookout.rs` takes them.
pub(super) const PAGE: usize = 200;
/// How often a busy worker looks; and looking takes a twentieth of its time at most.
const BUSY: Duration = Duration::from_millis(50);
const BUSY_SHARE: u32 = 20;
/// How often an idle worker looks.
const IDLE: Duration = Duration::from_secs(1);

/// A claim that is under way.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) takes: Vec<Take>,
    pub(super) took: Duration,
    pub(super) caught: Vec<(Uuid, Taken)>,
}

/// What is to be written about jobs, and what is being written.
#[derive(Debug, Default)]
pub(super) struct Settler {
    /// Job, and whether it goes back to its lane.
    pub(super) gathered: Vec<(Uuid, bool)>,
    pub(super) writing: Vec<(Uuid, bool)>,
    /// Whether it gathers or writes.
    pub(super) busy: bool,
}

/// Where permits are exchanged.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) turns: PermitTurns,
    /// The exchange under way.
    pub(super) wishes: Option<Vec<(Demand, usize, bool)>>,
    pub(super) began: Duration,
    pub(super) grants: Vec<Grant>,
    /// Whether another one is wanted as soon as this one is over.
    pub(super) rung: bool,
    /// Counts the alarms that were set: only the last one counts.
    pub(super) alarm: u64,
}

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) scheduler: Scheduler,
    pub(super) claim: Option<Claim>,
    pub(super) slots_free: usize,
    /// Claimed ahead of a free slot.
    pub(super) queued: VecDeque<Uuid>,
    pub(super) settler: Settler,
    pub(super) desk: Desk,
    /// Lanes that waited for a permit at the last plan.
    parked: usize,
    /// The lane looked at last.
    pub(super) looked_at: Option<LaneId>,
    /// Whether it has begun to work: before, it hears nothing.
    pub(super) started: bool,
    /// The first time through all lanes there is no pause between pages.
    pub(super) first_rotation: bool,
}

impl Process {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let worker = &scenario.worker;
        let mut scheduler = Scheduler::new(SchedulerSettings {
            slots: worker.slots,
            queues: worker.queues.len(),
            floor: worker.floor,
            reserve: worker.reserve,
            ahead: worker.ahead,
            kinds: scenario.kinds.iter().map(|kind| (kind.name.clone(), kind.long)).collect(),
        });
        let mut limited: Vec<(i64, Scope)> = Vec::new();
        for tenant in scenario.tenants() {
            let group = &scenario.groups[tenant.group];
            scheduler.set_weight(tenant.id, group.weight);
            limited.extend(group.limits.iter().map(|(scope, _)| (tenant.id, *scope)));
        }
        scheduler.keep_limits(&limited, Duration::ZERO);
        Self {
            scheduler,
            claim: None,
            slots_free: worker.slots,
            queued: VecDeque::new(),
            settler: Settler::default(),
            desk: Desk::default(),
            parked: 0,
            looked_at: None,
            started: false,
            first_rotation: true,
        }
    }

    /// What the free slots are to be filled with, and whether a lane has run out of permits since the last time.
    pub(super) fn plan(&mut self, now: Duration) -> (Vec<Take>, bool) {
        let free = if self.claim.is_some() { 0 } else { self.scheduler.free() };
        if free == 0 {
            return (Vec::new(), false);
        }
        let takes = self.scheduler.plan(free, now);
        let before = std::mem::replace(&mut self.parked, self.scheduler.parked().count());
        (takes, self.parked > before)
    }

    /// The claim is back: jobs for the slots, and jobs that go back at once because long work would take the last ones.
    pub(super) fn claimed(&mut self, scenario: &Scenario, now: Duration) -> (Vec<Uuid>, Vec<Uuid>) {
        let Some(claim) = self.claim.take() else { return (Vec::new(), Vec::new()) };
        let job = |(id, taken): &(Uuid, Taken)| ClaimedJob {
            id: *id,
            lane: taken.lane,
            key: taken.key,
            kind: scenario.kinds[taken.kind].name.clone(),
            keyed: false,
        };
        let jobs: Vec<ClaimedJob> = claim.caught.iter().map(job).collect();
        let surplus = self.scheduler.claimed(&claim.takes, &jobs, claim.took, now);
        for id in &surplus {
            self.scheduler.finished(*id, None);
        }
        let leased = jobs.iter().map(|job| job.id).filter(|id| !surplus.contains(id)).collect();
        (leased, surplus)
    }

    /// How long until the next look.
    pub(super) fn pace(&self, look: Duration) -> Duration {
        if self.first_rotation {
            return Duration::ZERO;
        }
        let busy = self.scheduler.running() > 0 || self.scheduler.has_work() || self.looked_at.is_some();
        if busy { BUSY.max(look * BUSY_SHARE).min(IDLE) } else { IDLE }
    }
}
