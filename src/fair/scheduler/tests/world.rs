//! A scheduler and the database as it would be, to which anything can happen.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A scheduler, and the database as it would be.
pub(super) struct World {
    pub(super) scheduler: Scheduler,
    pub(super) waiting: BTreeMap<LaneId, BTreeMap<Key, usize>>,
    /// Everything claimed and not settled, in the order of the claims.
    pub(super) held: Vec<ClaimedJob>,
    pub(super) limits: BTreeMap<(i64, Scope), usize>,
    pub(super) planned: Vec<Take>,
    pub(super) now: Duration,
    pub(super) next_id: u128,
    /// All plans there were.
    pub(super) plans: Vec<Vec<Take>>,
}

impl World {
    pub(super) fn new() -> Self {
        let kinds = vec![(KINDS[0].to_owned(), false), (KINDS[1].to_owned(), true)];
        let settings = SchedulerSettings {
            slots: SLOTS,
            queues: QUEUES,
            floor: 0.1,
            reserve: 0.25,
            ahead: AHEAD,
            kinds,
        };
        Self {
            scheduler: Scheduler::new(settings),
            waiting: BTreeMap::new(),
            held: Vec::new(),
            limits: BTreeMap::new(),
            planned: Vec::new(),
            now: Duration::from_secs(1),
            next_id: 1,
            plans: Vec::new(),
        }
    }

    pub(super) fn after(steps: &[Step]) -> Self {
        let mut world = Self::new();
        steps.iter().for_each(|step| world.take(step));
        world
    }

    pub(super) fn take(&mut self, step: &Step) {
        match step {
            Step::Queue { lane, priority, kind, hint } => self.queue(*lane, *priority, *kind, *hint),
            Step::Look => self.look(),
            Step::Plan { free } if self.planned.is_empty() => self.plan(*free),
            Step::Plan { .. } => {}
            Step::Suspects { lanes } => self.plan_suspect(lanes.clone()),
            Step::Claim { stolen, narrow } => self.claim(*stolen, *narrow),
            Step::Fail => self.scheduler.not_claimed(&std::mem::take(&mut self.planned)),
            Step::Finish { jobs, ms } => {
                for job in self.held.iter().take(*jobs) {
                    self.scheduler.finished(job.id, Some(Duration::from_millis(*ms)));
                }
            }
            Step::Settle { jobs } => self.settle(*jobs),
            Step::Return => self.give_back(),
            Step::Rest { lane, ms } => self.scheduler.rest(*lane, self.now + Duration::from_millis(*ms)),
            Step::Permits { tenant, scope, permits } => self.set_permits(*tenant, *scope, *permits),
            Step::Exchange { kept } => self.exchange(*kept),
            Step::Wait { ms } => self.now += Duration::from_millis(*ms),
        }
    }

    pub(super) fn queue(&mut self, lane: LaneId, priority: i64, kind: usize, hint: bool) {
        let key = Key { priority, run_at: self.now.as_micros() as i64, id: Uuid::from_u128(self.next_id) };
        self.next_id += 1;
        self.waiting.entry(lane).or_default().insert(key, kind);
        if hint {
            self.scheduler.hinted(lane, priority, self.now);
        }
    }

    pub(super) fn look(&mut self) {
        for (lane, jobs) in &self.waiting {
            if let Some((key, kind)) = jobs.first_key_value() {
                let head = Head { key: *key, kind: KINDS[*kind], keyed: false };
                self.scheduler.seen(*lane, head, self.now);
            }
        }
    }

    pub(super) fn plan(&mut self, free: usize) {
        self.planned = self.scheduler.plan(free, self.now);
        let planned: usize = self.planned.iter().map(|take| take.count).sum();
        assert!(planned <= free, "{planned} of {free} free slots");
        let lanes: BTreeSet<LaneId> = self.planned.iter().map(|take| take.lane).collect();
        assert_eq!(lanes.len(), self.planned.len(), "a lane twice: {:?}", self.planned);
        assert!(self.planned.iter().all(|take| take.count > 0), "{:?}", self.planned);
        self.check_permits();
        self.plans.push(self.planned.clone());
    }

    fn check_permits(&self) {
        for ((tenant, scope), permits) in &self.limits {
            let of_scope = |lane: LaneId| {
                lane.tenant == *tenant && (*scope == Scope::Total || *scope == Scope::Queue(lane.queue))
            };
            let running = self.held.iter().filter(|job| of_scope(job.lane)).count();
            let more: usize =
                self.planned.iter().filter(|take| of_scope(take.lane)).map(|take| take.count).sum();
            assert!(more == 0 || running + more <= *permits, "{running} and {more} of {permits} permits");
        }
    }

    /// Suspects wait in these lanes; one is planned for if nothing runs, as in a worker. Its job is not among those that
    /// wait otherwise.
    pub(super) fn plan_suspect(&mut self, lanes: Vec<LaneId>) {
        self.scheduler.suspects_wait(lanes, self.now);
        if self.planned.is_empty() && self.scheduler.running() == 0 {
            self.planned.extend(self.scheduler.plan_suspect(self.now));
            self.check_permits();
        }
    }

    pub(super) fn claim(&mut self, stolen: usize, narrow: Option<usize>) {
        let mut takes = std::mem::take(&mut self.planned);
        if let Some(count) = narrow {
            takes.iter_mut().for_each(|take| self.scheduler.narrow(take, count));
            takes.retain(|take| take.count > 0);
        }
        let short = self.scheduler.short_kinds();
        let mut claimed = Vec::new();
        for take in takes.iter().filter(|take| take.suspect).skip(stolen) {
            let key = Key { priority: 0, run_at: 0, id: Uuid::from_u128(self.next_id) };
            self.next_id += 1;
            let kind = KINDS[0].to_owned();
            claimed.push(ClaimedJob { id: key.id, lane: take.lane, key, kind, keyed: false });
        }
        for take in takes.iter().filter(|take| !take.suspect) {
            let Some(jobs) = self.waiting.get_mut(&take.lane) else { continue };
            let wanted = |kind: usize| match take.only_short {
                true => short.iter().any(|name| name == KINDS[kind]),
                false => kind < 2,
            };
            let later = jobs.iter().filter(|(key, kind)| **key > take.after && wanted(**kind));
            let found: Vec<(Key, usize)> =
                later.take(take.count).skip(stolen).map(|(key, kind)| (*key, *kind)).collect();
            for (key, kind) in found {
                jobs.remove(&key);
                let kind = KINDS[kind].to_owned();
                claimed.push(ClaimedJob { id: key.id, lane: take.lane, key, kind, keyed: false });
            }
        }
        let surplus = self.scheduler.claimed(&takes, &claimed, Duration::from_millis(1), self.now);
        self.held.extend(claimed);
        for id in surplus {
            self.scheduler.finished(id, None);
            self.put_back(id);
        }
    }

    pub(super) fn put_back(&mut self, id: Uuid) {
        let Some(place) = self.held.iter().position(|job| job.id == id) else { return };
        let job = self.held.remove(place);
        let kind = KINDS.iter().position(|kind| *kind == job.kind).unwrap();
        self.waiting.entry(job.lane).or_default().insert(job.key, kind);
        self.scheduler.returned(id, self.now);
        self.scheduler.settled(id, self.now);
    }

    pub(super) fn give_back(&mut self) {
        if let Some(job) = self.held.first() {
            let id = job.id;
            self.scheduler.finished(id, None);
            self.put_back(id);
        }
    }

    pub(super) fn settle(&mut self, jobs: usize) {
        for job in self.held.drain(..jobs.min(self.held.len())) {
            self.scheduler.settled(job.id, self.now);
        }
    }

    pub(super) fn set_permits(&mut self, tenant: i64, scope: Scope, permits: Option<usize>) {
        self.scheduler.set_permits(tenant, scope, permits, self.now);
        match permits {
            Some(permits) => drop(self.limits.insert((tenant, scope), permits)),
            None => drop(self.limits.remove(&(tenant, scope))),
        }
    }

    /// Other processes get what is not used, but for a few; a plan that is made meanwhile takes none of it.
    pub(super) fn exchange(&mut self, kept: usize) {
        let claimants = self.scheduler.claimants();
        let demands = self.scheduler.demands(&claimants);
        for demand in &demands {
            if let Some(permits) = self.limits.get_mut(&(demand.tenant, demand.scope)) {
                *permits = demand.running;
            }
        }
        if self.planned.is_empty() {
            self.plan(SLOTS);
            self.claim(0, None);
        }
        for demand in demands {
            if self.limits.contains_key(&(demand.tenant, demand.scope)) {
                self.set_permits(demand.tenant, demand.scope, Some(kept.max(demand.running)));
            }
        }
    }

    pub(super) fn lift_all_limits(&mut self) {
        for (tenant, scope) in self.limits.keys().copied().collect::<Vec<_>>() {
            self.set_permits(tenant, scope, None);
        }
    }

    pub(super) fn served_and_waiting(&self) -> usize {
        self.waiting.values().flat_map(BTreeMap::values).filter(|kind| **kind < 2).count()
    }

    /// One time round: everybody finishes, and free slots are filled.
    pub(super) fn round(&mut self) {
        self.look();
        // A lane whose first jobs nobody here serves may be given all slots once before it rests.
        for _ in 0..4 {
            self.plan(self.scheduler.free());
            self.claim(0, None);
        }
        let running = self.held.len();
        self.take(&Step::Finish { jobs: running, ms: 20 });
        self.settle(running);
        self.now += Duration::from_millis(1500);
    }
}
