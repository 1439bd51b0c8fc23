//! Free slots are handed out: least served tenant first, in small portions.

use std::collections::HashMap;
use std::time::Duration;

use super::{AHEAD_COST, Asked, Scheduler};
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
    /// Jobs of the lane share concurrency keys: the claim takes those too, and looks at their keys.
    pub keyed: bool,
    /// The lane's first suspect instead of its ordinary jobs.
    pub suspect: bool,
    pub(super) portions: Vec<Portion>,
    pub(super) cost: Cost,
}

/// Slots given in one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portion {
    turn: Turn,
    count: usize,
    /// By how much it has changed what later queues are owed.
    owed: i64,
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

impl Portion {
    /// The part of what is owed that so many of its slots have changed.
    fn owed_for(&self, count: usize) -> i64 {
        if count == self.count { self.owed } else { self.owed * count as i64 / self.count as i64 }
    }
}

impl Take {
    /// For a suspect, of which nobody knows whether it has a key.
    pub(super) fn of_suspect(lane: LaneId, cost: f64) -> Self {
        Self { keyed: true, suspect: true, ..Self::new(lane, Key::START, false, cost) }
    }

    /// A suspect goes before every queue: those it passes over are owed their part of its time.
    pub(super) fn before_all_queues(queue: usize) -> Turn {
        Turn { queue, out_of_order: false, passes_over: true }
    }

    fn new(lane: LaneId, after: Key, only_short: bool, cost: f64) -> Self {
        let (cost, portions) = (Cost::of(cost), Vec::new());
        Self { lane, after, count: 0, only_short, keyed: false, suspect: false, portions, cost }
    }

    fn give(&mut self, portion: Portion) {
        self.count += portion.count;
        match self.portions.last_mut() {
            Some(last) if last.turn == portion.turn => {
                last.count += portion.count;
                last.owed += portion.owed;
            }
            _ => self.portions.push(portion),
        }
    }

    /// Keeps the first slots.
    fn keep(&mut self, count: usize) {
        let mut left = count.min(self.count);
        self.count = left;
        for portion in &mut self.portions {
            let kept = left.min(portion.count);
            portion.owed -= portion.owed_for(portion.count - kept);
            portion.count = kept;
            left -= kept;
        }
        self.portions.retain(|portion| portion.count > 0);
    }

    /// The turn in which the slot of the job in this place was given.
    pub(super) fn turn(&self, place: usize) -> Option<Turn> {
        let mut before = 0;
        let within = |portion: &&Portion| {
            before += portion.count;
            place < before
        };
        self.portions.iter().find(within).or(self.portions.last()).map(|portion| portion.turn)
    }
}

impl Scheduler {
    /// Hands out up to `free` slots.
    pub fn plan(&mut self, free: usize, now: Duration) -> Vec<Take> {
        self.charge_what_has_elapsed(now);
        self.wake_rested(now);
        let mut plan =
            Plan::new(free, self.settings.slots.saturating_sub(self.running), self.long_running(now));
        self.call_back_passed_over();
        let mut next_for_slots = Vec::new();
        while plan.left > 0 {
            let Some(turn) = self.order.next(|queue| self.shares.has_work(queue)) else { break };
            let Some(tenant) = self.shares.next(turn.queue) else { break };
            let id = LaneId { queue: turn.queue, tenant };
            match self.take(id, turn, &mut plan, now) {
                Given::Slots => {}
                Given::NoSlot => {
                    next_for_slots.push(id);
                    self.shares.pass_over(id.queue, id.tenant);
                }
                Given::NothingNow => self.shares.pass_over(id.queue, id.tenant),
                Given::NothingLong => self.shares.hold_up(id.queue, id.tenant),
            }
        }
        self.short_in_plan = !next_for_slots.is_empty();
        next_for_slots.into_iter().for_each(|id| self.shares.recall(id.queue, id.tenant));
        self.asked = plan.takes.iter().map(|take| (take.lane, Asked::for_jobs(take.count))).collect();
        plan.takes
    }

    /// Who could not use a slot at the last plan may be able to now. Lanes whose permits are used up are looked at again
    /// when one is free; not before the claim is over, which may bring less than was planned.
    fn call_back_passed_over(&mut self) {
        for (queue, tenant) in self.shares.call_back() {
            let id = LaneId { queue, tenant };
            if self.caps.unused(id) == 0 {
                self.shares.remove(queue, tenant);
                self.parked.insert(id);
            }
        }
    }

    /// Gives a quantum to a lane.
    fn take(&mut self, id: LaneId, turn: Turn, plan: &mut Plan, now: Duration) -> Given {
        let (cost, length) = (self.cost(id), self.length(id));
        let Some(lane) = self.lanes.get(&id) else { return Given::NothingNow };
        let idle = !self.running_of.contains_key(&id.tenant);
        let planned = plan.places.get(&id).copied();
        let for_long = self.reserve.left_for(length, idle && planned.is_none(), plan.long);
        let only_short = planned.map_or(for_long == 0, |place| plan.takes[place].only_short);
        if only_short && lane.no_short_before > now {
            return Given::NothingLong;
        }
        let room = if only_short { usize::MAX } else { for_long };
        let room = if cost > AHEAD_COST { room.min(plan.slots_left) } else { room };
        let count = plan.quantum.min(plan.left).min(room).min(self.caps.left(id));
        if count == 0 {
            return match room {
                0 if for_long == 0 => Given::NothingLong,
                0 if self.caps.left(id) > 0 => Given::NoSlot,
                _ => Given::NothingNow,
            };
        }
        let keyed = lane.keyed;
        let take = plan.take_from(id, lane.start(), only_short, cost);
        take.keyed = keyed;
        self.shares.dispatched(id.tenant);
        self.give_slots(take, turn, count);
        plan.left -= count;
        plan.slots_left = plan.slots_left.saturating_sub(count);
        plan.long += if length == Length::Short || only_short { 0 } else { count };
        Given::Slots
    }

    /// Charges so many slots to the lane, its queue and its tenant's permits.
    pub(super) fn give_slots(&mut self, take: &mut Take, turn: Turn, count: usize) {
        let seconds = take.cost.seconds();
        take.give(Portion { turn, count, owed: self.order.charge(turn, seconds * count as f64) });
        self.shares.charge_jobs(take.lane.tenant, seconds, count as i64);
        self.caps.started(take.lane, count);
    }

    /// Asks for fewer jobs than was planned; the rest of the slots go back.
    pub fn narrow(&mut self, take: &mut Take, count: usize) {
        let surplus = take.count.saturating_sub(count);
        self.refund(take, surplus);
        take.keep(count);
        if let Some(asked) = self.asked.get_mut(&take.lane) {
            asked.count = take.count;
        }
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
        for portion in take.portions.iter().rev() {
            let back = left.min(portion.count);
            let seconds = take.cost.seconds();
            self.order.take_back(portion.turn, seconds * back as f64, portion.owed_for(back));
            left -= back;
        }
        self.shares.charge_jobs(take.lane.tenant, take.cost.seconds(), -(count as i64));
        self.caps.ended(take.lane, count);
    }
}

/// What a lane got of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Slots,
    /// Its permits are used up or being exchanged.
    NothingNow,
    /// Its jobs are too long to be claimed ahead of a free slot.
    NoSlot,
    /// Its jobs are or may be long, and would take the last slots.
    NothingLong,
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
            self.takes.push(Take::new(lane, after, only_short, cost));
            self.takes.len() - 1
        });
        &mut self.takes[place]
    }
}
