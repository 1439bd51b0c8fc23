//! What a process does when something happens to it: the loops of `worker/`, without their waiting.

use std::time::Duration;

use uuid::Uuid;

use super::chance::Chance;
use super::database::Database;
use super::process::{Claim, PAGE};
use super::scenario::Latency;
use super::world::{Event, World};
use crate::fair::{Demand, Head, PermitTurns};

/// How long the first of a batch of settlements waits for others, and the most of one batch, as in `worker/settle.rs`.
const GATHER: Duration = Duration::from_millis(2);
const BATCH: usize = 300;

impl World<'_> {
    pub(super) fn look(&mut self, process: usize) {
        let look = self.latency(self.scenario.latency.look);
        self.after(look, Event::Looked(process));
    }

    /// A page of lanes is here.
    pub(super) fn looked(&mut self, process: usize) {
        let one = &mut self.processes[process];
        let heads = self.database.heads(one.looked_at, PAGE);
        for (lane, key, kind) in &heads {
            let head = Head { key: *key, kind: &self.scenario.kinds[*kind].name, keyed: false };
            one.scheduler.seen(*lane, head, self.now);
        }
        one.looked_at = heads.last().filter(|_| heads.len() == PAGE).map(|(lane, ..)| *lane);
        if one.looked_at.is_none() {
            one.first_rotation = false;
            one.scheduler.tidy();
        }
        self.try_to_claim(process);
        let pace = self.processes[process].pace(self.scenario.latency.look);
        self.after(pace, Event::Look(process));
    }

    pub(super) fn try_to_claim(&mut self, process: usize) {
        let (takes, wants_permits) = self.processes[process].plan(self.now);
        if !takes.is_empty() {
            let took = self.latency(self.scenario.latency.claim);
            self.processes[process].claim = Some(Claim { takes, took, caught: Vec::new() });
            self.after(Latency::halves(took).0, Event::Claim(process));
        }
        if wants_permits {
            self.ring(process);
        }
    }

    /// The database carries the claim out.
    pub(super) fn claim(&mut self, process: usize) {
        let one = &mut self.processes[process];
        let short = one.scheduler.short_kinds();
        let Some(claim) = &mut one.claim else { return };
        let is_short = |kind: usize| short.contains(&self.scenario.kinds[kind].name);
        claim.caught = self.database.claim(&claim.takes, is_short);
        for (_, taken) in &claim.caught {
            self.record.claimed(taken.lane, self.now);
        }
        let back = Latency::halves(claim.took).1;
        self.after(back, Event::Claimed(process));
    }

    /// What was claimed is here.
    pub(super) fn claimed(&mut self, process: usize) {
        let (jobs, surplus) = self.processes[process].claimed(self.scenario, self.now);
        for id in jobs {
            self.processes[process].queued.push_back(id);
        }
        self.fill_slots(process);
        for id in surplus {
            self.gather(process, id, true);
        }
        self.try_to_claim(process);
    }

    fn fill_slots(&mut self, process: usize) {
        while self.processes[process].slots_free > 0 {
            let Some(id) = self.processes[process].queued.pop_front() else { return };
            let Some(job) = self.database.taken(id) else { continue };
            self.processes[process].slots_free -= 1;
            self.running.insert(id, self.now);
            self.record.started(job.lane, job.queued, self.now);
            let runs = self.scenario.kinds[job.kind].runs.draw(&mut chance_of(self.seed, id));
            self.after(runs, Event::Ended(process, id));
        }
    }

    /// A handler has returned.
    pub(super) fn ended(&mut self, process: usize, id: Uuid) {
        let (Some(began), Some(job)) = (self.running.remove(&id), self.database.taken(id)) else { return };
        self.record.ran(job.lane, began, self.now, true);
        let one = &mut self.processes[process];
        one.scheduler.finished(id, Some(self.now.saturating_sub(began)));
        one.slots_free += 1;
        self.fill_slots(process);
        self.gather(process, id, false);
        self.try_to_claim(process);
    }

    fn gather(&mut self, process: usize, id: Uuid, returned: bool) {
        let settler = &mut self.processes[process].settler;
        settler.gathered.push((id, returned));
        if !std::mem::replace(&mut settler.busy, true) {
            self.after(GATHER, Event::Gathered(process));
        }
    }

    /// The batch is as large as it gets.
    pub(super) fn settle(&mut self, process: usize) {
        let settler = &mut self.processes[process].settler;
        let batch = settler.gathered.len().min(BATCH);
        settler.writing = settler.gathered.drain(..batch).collect();
        let took = self.latency(self.scenario.latency.settle);
        self.after(took, Event::Settled(process));
    }

    /// The batch is written.
    pub(super) fn settled(&mut self, process: usize) {
        let one = &mut self.processes[process];
        let mut wanted_elsewhere = false;
        for (id, returned) in std::mem::take(&mut one.settler.writing) {
            if let Some(job) = self.database.settle(id, returned) {
                self.record.settled(job.lane);
                if returned {
                    self.record.queued(job.lane, 1, self.now);
                }
            }
            if returned {
                one.scheduler.returned(id, self.now);
            }
            wanted_elsewhere |= one.scheduler.settled(id, self.now);
        }
        one.settler.busy = !one.settler.gathered.is_empty();
        if one.settler.busy {
            self.after(GATHER, Event::Gathered(process));
        }
        if wanted_elsewhere {
            self.ring(process);
        }
        self.try_to_claim(process);
    }

    /// Permits are wanted now.
    fn ring(&mut self, process: usize) {
        let desk = &mut self.processes[process].desk;
        if desk.wishes.is_some() {
            desk.rung = true;
        } else {
            self.begin_round(process);
        }
    }

    pub(super) fn alarm(&mut self, process: usize, alarm: u64) {
        if self.processes[process].desk.alarm == alarm {
            self.begin_round(process);
        }
    }

    /// A process says which permits it could use; until it has the answer, those that are free stay so.
    pub(super) fn begin_round(&mut self, process: usize) {
        let one = &mut self.processes[process];
        one.desk.alarm += 1;
        let claimants = one.scheduler.claimants();
        let demands = one.scheduler.demands(&claimants);
        let turns = &one.desk.turns;
        let wish = |demand: Demand| {
            let of_demand = |limit: &&super::record::LimitAccount| {
                (limit.tenant, limit.scope) == (demand.tenant, demand.scope)
            };
            let limit = self.record.limits.iter().find(of_demand)?.limit;
            Some((demand, limit, turns.is_over(demand.tenant, demand.scope, self.now)))
        };
        let wishes: Vec<_> = demands.into_iter().filter_map(wish).collect();
        if wishes.is_empty() {
            let alarm = one.desk.alarm;
            if one.scheduler.limits_anything() {
                self.after(PermitTurns::pause(false), Event::Alarm(process, alarm));
            }
            return;
        }
        (one.desk.wishes, one.desk.began) = (Some(wishes), self.now);
        let half = Latency::halves(self.scenario.latency.exchange).0;
        let half = self.latency(half);
        self.after(half, Event::Exchange(process));
    }

    /// The database divides.
    pub(super) fn exchange(&mut self, process: usize) {
        let desk = &mut self.processes[process].desk;
        desk.grants = divide(&mut self.database, process, desk.wishes.iter().flatten());
        let half = Latency::halves(self.scenario.latency.exchange).1;
        let half = self.latency(half);
        self.after(half, Event::Exchanged(process));
    }

    /// The answer is here.
    pub(super) fn exchanged(&mut self, process: usize) {
        let one = &mut self.processes[process];
        let wishes = one.desk.wishes.take().unwrap_or_default();
        for ((demand, ..), grant) in wishes.into_iter().zip(std::mem::take(&mut one.desk.grants)) {
            one.desk.turns.granted(demand.tenant, demand.scope, grant, one.desk.began);
            one.scheduler.set_permits(demand.tenant, demand.scope, Some(grant.usable), self.now);
        }
        let pause = PermitTurns::pause(one.scheduler.parked().next().is_some());
        let pause = if std::mem::take(&mut one.desk.rung) { Duration::ZERO } else { pause };
        one.desk.alarm += 1;
        let alarm = one.desk.alarm;
        self.after(pause, Event::Alarm(process, alarm));
        self.try_to_claim(process);
    }
}

fn divide<'w>(
    database: &mut Database,
    process: usize,
    wishes: impl Iterator<Item = &'w (Demand, usize, bool)>,
) -> Vec<crate::fair::Grant> {
    wishes.map(|(demand, limit, over)| database.exchange(process, demand, *limit, *over)).collect()
}

/// A job runs as long in every simulation with this seed, whoever runs it when.
fn chance_of(seed: u64, id: Uuid) -> Chance {
    Chance::of(seed, id.as_u128() as u64)
}
