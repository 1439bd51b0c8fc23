//! Free slots are handed out: least served tenant first, in small portions.

use std::collections::HashMap;
use std::time::Duration;

use super::{AHEAD_COST, Scheduler};
use crate::fair::kinds::Length;
use crate::fair::lane::{Key, LaneId};
use crate::fair::queues::Turn;

/// Most lanes in one claim: slots are handed out in quanta of a fiftieth, at least one.
const MOST_LANES: usize = 50;

/// What to take from one lane in the next claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// The lane.
    pub lane: LaneId,
    /// Jobs after this place only.
    pub after: Key,
    /// Most jobs.
    pub count: usize,
    /// Kinds known to be short only: long work would take the last slots.
    pub only_short: bool,
    /// Jobs of the lane share concurrency keys: the claim looks at those too.
    pub keyed: bool,
    pub(super) turns: Vec<(Turn, usize)>,
    pub(super) cost: Cost,
}

/// Seconds, to the nanosecond: comparable, so that plans can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost(u64);

impl Cost {
    fn of(seconds: f64) -> Self {
        Self((seconds * 1e9) as u64)
    }

    pub(super) fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Scheduler {
    /// Hands out up to `free` slots.
    pub fn plan(&mut self, free: usize, now: Duration) -> Vec<Take> {
        self.charge_what_has_elapsed(now);
        self.wake_rested(now);
        let mut plan =
            Plan::new(free, self.settings.slots.saturating_sub(self.running), self.long_running(now));
        let mut set_aside = Vec::new();
        while plan.left > 0 {
            let Some(turn) = self.order.next(|queue| self.shares.has_work(queue)) else { break };
            let Some(tenant) = self.shares.next(turn.queue) else { break };
            let id = LaneId { queue: turn.queue, tenant };
            if self.take(id, turn, &mut plan, now) == 0 {
                self.shares.remove(id.queue, id.tenant);
                if self.caps.left(id) == 0 {
                    self.parked.insert(id);
                } else {
                    set_aside.push(id);
                }
            }
        }
        for id in set_aside {
            self.shares.add(id.queue, id.tenant);
        }
        self.asked = plan.takes.iter().map(|take| (take.lane, false)).collect();
        plan.takes
    }

    /// Gives a quantum to a lane; returns how many slots that was.
    fn take(&mut self, id: LaneId, turn: Turn, plan: &mut Plan, now: Duration) -> usize {
        let (cost, length) = (self.cost(id), self.length(id));
        let Some(lane) = self.lanes.get(&id) else { return 0 };
        let idle = !self.running_of.contains_key(&id.tenant);
        let planned = plan.places.get(&id).copied();
        let for_long = self.reserve.left_for(length, idle && planned.is_none(), plan.long);
        let only_short = planned.map_or(for_long == 0, |place| plan.takes[place].only_short);
        if only_short && lane.no_short_before > now {
            return 0;
        }
        let room = if only_short { usize::MAX } else { for_long };
        let room = if cost > AHEAD_COST { room.min(plan.slots_left) } else { room };
        let count = plan.quantum.min(plan.left).min(room).min(self.caps.left(id));
        if count == 0 {
            return 0;
        }
        let keyed = lane.keyed;
        let take = plan.take_from(id, lane.start(), only_short, cost);
        take.keyed = keyed;
        take.count += count;
        match take.turns.last_mut() {
            Some((last, given)) if *last == turn => *given += count,
            _ => take.turns.push((turn, count)),
        }
        plan.left -= count;
        plan.slots_left = plan.slots_left.saturating_sub(count);
        plan.long += if length == Length::Short || only_short { 0 } else { count };
        self.shares.dispatched(id.tenant);
        self.shares.charge(id.tenant, cost * count as f64);
        self.order.charge(turn, cost * count as f64);
        self.caps.started(id, count);
        count
    }

    /// Asks for fewer jobs than was planned; the rest of the slots go back.
    pub fn narrow(&mut self, take: &mut Take, count: usize) {
        let surplus = take.count.saturating_sub(count);
        self.refund(take, surplus);
        take.count -= surplus;
    }

    /// The claim failed: what was charged is given back, and the lanes stay as they are.
    pub fn not_claimed(&mut self, takes: &[Take]) {
        self.asked.clear();
        for take in takes {
            self.refund(take, take.count);
        }
    }

    pub(super) fn refund(&mut self, take: &Take, count: usize) {
        let mut left = count;
        for (turn, given) in take.turns.iter().rev() {
            let back = left.min(*given);
            self.order.charge(*turn, -take.cost.seconds() * back as f64);
            left -= back;
        }
        self.shares.charge(take.lane.tenant, -take.cost.seconds() * count as f64);
        self.caps.ended(take.lane, count);
    }
}

/// A plan in the making.
struct Plan {
    left: usize,
    slots_left: usize,
    quantum: usize,
    long: usize,
    takes: Vec<Take>,
    places: HashMap<LaneId, usize>,
}

impl Plan {
    fn new(free: usize, slots_left: usize, long: usize) -> Self {
        let quantum = (free / MOST_LANES).max(1);
        Self { left: free, slots_left, quantum, long, takes: Vec::new(), places: HashMap::new() }
    }

    fn take_from(&mut self, lane: LaneId, after: Key, only_short: bool, cost: f64) -> &mut Take {
        let place = *self.places.entry(lane).or_insert_with(|| {
            let cost = Cost::of(cost);
            let turns = Vec::new();
            self.takes.push(Take { lane, after, count: 0, only_short, keyed: false, turns, cost });
            self.takes.len() - 1
        });
        &mut self.takes[place]
    }
}
