//! Limited tenants: what this process may run of them, and what it could use.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::Scheduler;
use crate::fair::caps::Scope;
use crate::fair::lane::LaneId;

/// What a process could use of a limited scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The tenant.
    pub tenant: i64,
    /// What is limited.
    pub scope: Scope,
    /// Jobs of it that are claimed and not settled, or may be in a moment.
    pub running: usize,
    /// Jobs it could run, those included.
    pub wanted: usize,
}

impl Scheduler {
    /// The lanes whose work waits for a permit, suspects included.
    pub fn parked(&self) -> impl Iterator<Item = LaneId> {
        self.parked.iter().copied().chain(self.suspects_without_permit())
    }

    /// How many jobs of a scope this process may run; `None` lifts the limit.
    pub fn set_permits(&mut self, tenant: i64, scope: Scope, permits: Option<usize>, now: Duration) {
        match permits {
            Some(permits) => {
                let running = self.held(tenant, scope);
                self.caps.set(tenant, scope, permits, running);
            }
            None => self.caps.lift(tenant, scope),
        }
        self.unpark(tenant, now);
    }

    /// Jobs of a scope that are claimed and not settled, or may be in a moment by the claim that is under way.
    pub fn held(&self, tenant: i64, scope: Scope) -> usize {
        let within = |lane: LaneId| {
            lane.tenant == tenant && (scope == Scope::Total || scope == Scope::Queue(lane.queue))
        };
        let asked = self.asked.iter().filter(|(lane, _)| within(**lane)).map(|(_, asked)| asked.count);
        self.jobs.values().filter(|job| within(job.lane)).count() + asked.sum::<usize>()
    }

    /// Whether every tenant has a limit in total, also those nobody has set one for.
    pub fn limit_everyone(&mut self, everyone: bool) {
        self.caps.limit_everyone(everyone);
    }

    /// From now on these scopes are limited, and no others. One that was not limited before has no permits yet.
    pub fn keep_limits(&mut self, limited: &[(i64, Scope)], now: Duration) {
        let limited: BTreeSet<(i64, Scope)> = limited.iter().copied().collect();
        let known: BTreeSet<(i64, Scope)> =
            self.caps.all().map(|(tenant, scope, _)| (tenant, scope)).collect();
        for (tenant, scope) in known.difference(&limited) {
            self.set_permits(*tenant, *scope, None, now);
        }
        let held = self.held_by_lane();
        for (tenant, scope) in limited.difference(&known) {
            self.caps.begin(*tenant, *scope, self.within(&held, *tenant, *scope));
        }
    }

    /// Whether there is anything to exchange permits for, now or later.
    pub fn limits_anything(&self) -> bool {
        self.caps.limit_anything()
    }

    /// Whether this process may hold permits.
    pub fn holds_permits(&self) -> bool {
        self.caps.all().next().is_some()
    }

    /// Whether it holds one.
    pub fn holds_any(&self) -> bool {
        self.caps.all().any(|(_, _, permits)| permits > 0)
    }

    /// The database has not been heard of for so long that its permits may be over: nothing limited starts.
    pub fn forget_permits(&mut self) {
        self.caps.forget();
    }

    /// The limited scopes for which permits are to be exchanged: those with work that waits, the total of tenants that wait
    /// for their first permit, and those of which something runs or is held here. Who is idle costs nothing, however many
    /// are limited.
    pub fn claimants(&self) -> Vec<(i64, Scope)> {
        let mut claimants: BTreeSet<(i64, Scope)> = self.caps.in_use().collect();
        claimants.extend(self.parked().map(|id| (id.tenant, Scope::Total)));
        let ready = self.lanes.iter().filter(|(_, lane)| lane.ready).map(|(id, _)| *id);
        for id in ready.chain(self.suspects.iter().copied()) {
            claimants
                .extend(scopes_of(id).into_iter().filter(|scope| self.caps.is_limited(scope.0, scope.1)));
        }
        claimants.into_iter().collect()
    }

    /// What this process could use of these scopes.
    ///
    /// With this, their permits that are not used are on offer: until they are set again nothing starts on them, or a job
    /// would run on a permit that the exchange has just given to another process.
    pub fn demands(&mut self, scopes: &[(i64, Scope)]) -> Vec<Demand> {
        let held = self.held_by_lane();
        let of_suspects: BTreeSet<(i64, Scope)> =
            self.suspects.iter().flat_map(|lane| scopes_of(*lane)).collect();
        let free = self.settings.slots.saturating_sub(self.running);
        let mut demands = Vec::with_capacity(scopes.len());
        for (tenant, scope) in scopes.iter().copied() {
            let running = self.within(&held, tenant, scope);
            let more = match self.has_work_within(tenant, scope) {
                true => free.max(1),
                // It runs alone: there is never more than one.
                false => usize::from(of_suspects.contains(&(tenant, scope))),
            };
            let wanted = running + more;
            self.caps.offer(tenant, scope, wanted > 0);
            demands.push(Demand { tenant, scope, running, wanted });
        }
        demands
    }

    fn has_work_within(&self, tenant: i64, scope: Scope) -> bool {
        let waits = |queue: usize| {
            let id = LaneId { queue, tenant };
            self.parked.contains(&id) || self.lanes.get(&id).is_some_and(|lane| lane.ready)
        };
        match scope {
            Scope::Total => (0..self.settings.queues).any(waits),
            Scope::Queue(queue) => waits(queue),
        }
    }

    fn held_by_lane(&self) -> HashMap<LaneId, usize> {
        let mut held: HashMap<LaneId, usize> =
            self.asked.iter().map(|(lane, asked)| (*lane, asked.count)).collect();
        for job in self.jobs.values() {
            *held.entry(job.lane).or_default() += 1;
        }
        held
    }

    fn within(&self, held: &HashMap<LaneId, usize>, tenant: i64, scope: Scope) -> usize {
        let of_queue = |queue: usize| held.get(&LaneId { queue, tenant }).copied().unwrap_or(0);
        match scope {
            Scope::Total => (0..self.settings.queues).map(of_queue).sum(),
            Scope::Queue(queue) => of_queue(queue),
        }
    }

    pub(super) fn unpark(&mut self, tenant: i64, now: Duration) {
        for queue in 0..self.settings.queues {
            let id = LaneId { queue, tenant };
            if self.parked.contains(&id) {
                self.make_ready(id, now);
            }
        }
    }
}

fn scopes_of(lane: LaneId) -> [(i64, Scope); 2] {
    [(lane.tenant, Scope::Total), (lane.tenant, Scope::Queue(lane.queue))]
}
