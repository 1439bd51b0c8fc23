//! Limited tenants: what this process may run of them, and what it could use.

use std::collections::{BTreeMap, BTreeSet};
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
        let known: Vec<(i64, Scope)> = self.caps.all().map(|(tenant, scope, _)| (tenant, scope)).collect();
        for (tenant, scope) in known.iter().filter(|scope| !limited.contains(scope)) {
            self.set_permits(*tenant, *scope, None, now);
        }
        for (tenant, scope) in limited.iter().filter(|scope| !known.contains(scope)) {
            self.set_permits(*tenant, *scope, Some(0), now);
        }
    }

    /// Whether this process may hold permits.
    pub fn holds_permits(&self) -> bool {
        self.caps.all().next().is_some()
    }

    /// The database has not been heard of for so long that its permits may be over: nothing limited starts.
    pub fn forget_permits(&mut self, now: Duration) {
        let known: Vec<(i64, Scope)> = self.caps.all().map(|(tenant, scope, _)| (tenant, scope)).collect();
        for (tenant, scope) in known {
            self.set_permits(tenant, scope, Some(0), now);
        }
    }

    /// What this process could use of each limited scope, and of the total of tenants that wait for their first permit.
    ///
    /// With this, permits that are not used are on offer: until they are set again nothing starts on them, or a job would
    /// run on a permit that the exchange has just given to another process.
    pub fn demands(&mut self) -> Vec<Demand> {
        self.caps.offer();
        let mut waiting: BTreeMap<(i64, Scope), bool> =
            self.caps.all().map(|(tenant, scope, _)| ((tenant, scope), false)).collect();
        for id in &self.parked {
            waiting.entry((id.tenant, Scope::Total)).or_insert(true);
        }
        for (id, _) in self.lanes.iter().filter(|(_, lane)| lane.ready) {
            for scope in [Scope::Total, Scope::Queue(id.queue)] {
                if let Some(waits) = waiting.get_mut(&(id.tenant, scope)) {
                    *waits = true;
                }
            }
        }
        let of_suspects = self.scopes_of_suspects(&mut waiting);
        let free = self.settings.slots.saturating_sub(self.running);
        let demand = |((tenant, scope), waits)| {
            let running = self.held(tenant, scope);
            let more = match waits {
                true => free.max(1),
                // It runs alone: there is never more than one.
                false => usize::from(of_suspects.contains(&(tenant, scope))),
            };
            Demand { tenant, scope, running, wanted: running + more }
        };
        waiting.into_iter().map(demand).collect()
    }

    /// The limited scopes in which suspects wait; the total of a tenant that waits for its first permit is one of them.
    fn scopes_of_suspects(&self, waiting: &mut BTreeMap<(i64, Scope), bool>) -> BTreeSet<(i64, Scope)> {
        let mut scopes = BTreeSet::new();
        for id in &self.suspects {
            if self.caps.unused(*id) == 0 {
                waiting.entry((id.tenant, Scope::Total)).or_insert(false);
            }
            let of_lane = [(id.tenant, Scope::Total), (id.tenant, Scope::Queue(id.queue))];
            scopes.extend(of_lane.into_iter().filter(|scope| waiting.contains_key(scope)));
        }
        scopes
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
