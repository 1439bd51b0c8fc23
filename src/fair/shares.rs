//! Virtual time: the worker-seconds a tenant has had, over its weight. Who has had least goes next.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The weight of a tenant that has none of its own.
const WEIGHT: f64 = 1.0;
const NANOS: f64 = 1e9;

#[derive(Debug)]
struct Share {
    /// Virtual nanoseconds.
    time: u64,
    weight: f64,
    /// In how many queues it has work.
    lanes: usize,
    /// The number of its latest turn; before its first one, of the latest turn there was when it came.
    turn: u64,
}

/// A tenant's place in a queue: least served first, then who has waited longest for a turn. Without the second, the same
/// tenant would win every tie: newcomers, and those who were held up, often stand at the same time.
type Place = (u64, u64, i64);

/// The tenants, and in each queue those that have work, least served first.
#[derive(Debug)]
pub(super) struct Shares {
    tenants: HashMap<i64, Share>,
    waiting: Vec<BTreeSet<Place>>,
    /// Those with work that can't use the slots which are free: they hold nobody up, and newcomers don't start at their
    /// time.
    passed_over: BTreeSet<(usize, i64)>,
    /// Those who were passed over because of the slots that long work leaves free, until they can be served like anybody.
    held_up: BTreeSet<(usize, i64)>,
    /// Those of the last plan, which may come to nothing.
    just_held_up: BTreeSet<(usize, i64)>,
    /// How many turns there were.
    turns: u64,
    /// The virtual time at which the last slot was given.
    latest: u64,
}

impl Shares {
    pub(super) fn new(queues: usize) -> Self {
        Self {
            tenants: HashMap::new(),
            waiting: vec![BTreeSet::new(); queues],
            passed_over: BTreeSet::new(),
            held_up: BTreeSet::new(),
            just_held_up: BTreeSet::new(),
            turns: 0,
            latest: 0,
        }
    }

    fn share(&mut self, tenant: i64) -> &mut Share {
        let new = Share { time: 0, weight: WEIGHT, lanes: 0, turn: self.turns };
        self.tenants.entry(tenant).or_insert(new)
    }

    fn place(&mut self, tenant: i64) -> Place {
        let share = self.share(tenant);
        (share.time, share.turn, tenant)
    }

    /// Changes what a tenant's place depends on, wherever it waits.
    fn change(&mut self, tenant: i64, change: impl FnOnce(&mut Share)) {
        let before = self.place(tenant);
        change(self.share(tenant));
        let after = self.place(tenant);
        for queue in &mut self.waiting {
            if queue.remove(&before) {
                queue.insert(after);
            }
        }
    }

    pub(super) fn set_weight(&mut self, tenant: i64, weight: f64) {
        self.share(tenant).weight = if weight.is_finite() && weight > 0.0 { weight } else { WEIGHT };
    }

    pub(super) fn has_work(&self, queue: usize) -> bool {
        !self.waiting[queue].is_empty()
    }

    /// Who has had least, of those with work in a queue.
    pub(super) fn next(&self, queue: usize) -> Option<i64> {
        self.waiting[queue].first().map(|(.., tenant)| *tenant)
    }

    /// A tenant has work in a queue. One that had none anywhere starts at the current virtual time: it neither pays for
    /// having been away nor saves up for later.
    pub(super) fn add(&mut self, queue: usize, tenant: i64) {
        if self.passed_over.contains(&(queue, tenant)) {
            return;
        }
        let now = self.now(queue);
        let share = self.share(tenant);
        if share.lanes == 0 {
            share.time = share.time.max(now);
        }
        let place = self.place(tenant);
        if self.waiting[queue].insert(place) {
            self.share(tenant).lanes += 1;
        }
    }

    /// A tenant has no work in a queue, as far as is known.
    pub(super) fn remove(&mut self, queue: usize, tenant: i64) {
        let place = self.place(tenant);
        if self.waiting[queue].remove(&place) || self.passed_over.remove(&(queue, tenant)) {
            self.share(tenant).lanes -= 1;
        }
        self.held_up.remove(&(queue, tenant));
        self.just_held_up.remove(&(queue, tenant));
    }

    /// A tenant can't use a slot that is free now, although it has work.
    pub(super) fn pass_over(&mut self, queue: usize, tenant: i64) {
        let place = self.place(tenant);
        if self.waiting[queue].remove(&place) {
            self.passed_over.insert((queue, tenant));
        }
    }

    /// Lets one of those wait again: its turn comes as soon as a slot is free, and newcomers are not to start before it.
    pub(super) fn recall(&mut self, queue: usize, tenant: i64) {
        if self.passed_over.remove(&(queue, tenant)) {
            let place = self.place(tenant);
            self.waiting[queue].insert(place);
        }
    }

    /// As [`Shares::pass_over`], and what keeps it from running is the length of its jobs.
    pub(super) fn hold_up(&mut self, queue: usize, tenant: i64) {
        self.pass_over(queue, tenant);
        self.just_held_up.insert((queue, tenant));
    }

    /// A tenant has its turn; what it has work for in this queue is not held up any more when it is `short`.
    pub(super) fn served(&mut self, queue: usize, tenant: i64, short: bool) {
        self.turns += 1;
        let turn = self.turns;
        self.change(tenant, |share| share.turn = turn);
        if short {
            self.held_up.remove(&(queue, tenant));
        }
    }

    /// Whether anybody with work was passed over.
    pub(super) fn has_passed_over(&self) -> bool {
        !self.passed_over.is_empty()
    }

    /// Lets those wait again who were passed over; returns them.
    pub(super) fn call_back(&mut self) -> BTreeSet<(usize, i64)> {
        self.just_held_up.clear();
        let called = std::mem::take(&mut self.passed_over);
        for (queue, tenant) in &called {
            let place = self.place(*tenant);
            self.waiting[*queue].insert(place);
        }
        called
    }

    /// Those who are held up save nothing up for later: none stays behind those who were served. They are moved together,
    /// so that what one is behind the other stays; also with those whose turn had not come yet, who would have been held
    /// up too: otherwise the others would catch up with them while nobody of them is served.
    pub(super) fn keep_up(&mut self) {
        self.held_up.extend(&self.just_held_up);
        let mut group: BTreeMap<i64, usize> = BTreeMap::new();
        for (_, tenant) in &self.held_up {
            *group.entry(*tenant).or_default() += 1;
        }
        // Who also waits where it can be served is not held up.
        group.retain(|tenant, lanes| self.tenants.get(tenant).is_some_and(|share| share.lanes == *lanes));
        let held_up = self.just_held_up.iter().filter(|(_, tenant)| group.contains_key(tenant));
        let times = held_up.filter_map(|(_, tenant)| self.tenants.get(tenant)).map(|share| share.time);
        let Some(first) = times.min() else { return };
        let behind = self.level().saturating_sub(first);
        if behind == 0 {
            return;
        }
        for tenant in group.into_keys() {
            self.change(tenant, |share| share.time = share.time.saturating_add(behind));
        }
    }

    /// The least virtual time of those who wait in a queue, but no later than where the last slot was given: otherwise a
    /// newcomer would tie with a tenant that is far ahead. Who waits in another queue does not matter: one that gets
    /// little, because its queue is a later one, is so far behind that a newcomer at its time would shut out everybody
    /// here.
    fn now(&self, queue: usize) -> u64 {
        self.waiting[queue].first().map_or(self.latest, |(least, ..)| (*least).min(self.latest))
    }

    /// The least virtual time of those who can be served, wherever.
    fn level(&self) -> u64 {
        let least = self.waiting.iter().filter_map(|queue| queue.first()).map(|(time, ..)| *time).min();
        least.map_or(self.latest, |least| least.min(self.latest))
    }

    /// Notes that a slot goes to the tenant that has had least.
    pub(super) fn dispatched(&mut self, tenant: i64) {
        let time = self.share(tenant).time;
        self.latest = self.latest.max(time);
    }

    /// Charges worker-seconds; negative ones give back.
    pub(super) fn charge(&mut self, tenant: i64, seconds: f64) {
        self.charge_jobs(tenant, seconds, 1);
    }

    /// Charges so many jobs; a negative number takes back exactly what they were charged.
    pub(super) fn charge_jobs(&mut self, tenant: i64, seconds_each: f64, jobs: i64) {
        self.change(tenant, |share| {
            let virtual_nanos = (seconds_each / share.weight * NANOS).clamp(-1e18, 1e18) as i64;
            share.time = share.time.saturating_add_signed(virtual_nanos.saturating_mul(jobs));
        });
    }

    /// Forgets tenants that have nothing waiting and are not ahead of anybody: they would start anew just so.
    pub(super) fn forget_idle(&mut self, keep: impl Fn(i64) -> bool) {
        let now = self.level();
        self.tenants.retain(|tenant, share| {
            share.lanes > 0 || share.time > now || share.weight != WEIGHT || keep(*tenant)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_by_weight() {
        let mut shares = Shares::new(1);
        let mut got: HashMap<i64, f64> = HashMap::from([(1, 0.0), (2, 0.0), (3, 0.0)]);
        for (tenant, weight) in [(1, 1.0), (2, 2.0), (3, 4.0)] {
            shares.set_weight(tenant, weight);
            shares.add(0, tenant);
        }
        for _ in 0..7000 {
            let tenant = shares.next(0).unwrap();
            shares.dispatched(tenant);
            shares.charge(tenant, 0.02);
            *got.get_mut(&tenant).unwrap() += 0.02;
        }
        assert!((got[&1] - 20.0).abs() < 0.1 && (got[&2] - 40.0).abs() < 0.1, "{got:?}");
    }

    #[test]
    fn a_newcomer_goes_next_and_does_not_save_up() {
        let mut shares = Shares::new(1);
        shares.add(0, 1);
        for _ in 0..100 {
            shares.dispatched(1);
            shares.charge(1, 1.0);
        }
        shares.add(0, 2);
        assert_eq!(shares.next(0), Some(2));
        shares.charge(2, 1.5);
        assert_eq!(shares.next(0), Some(1), "one job later they are even");
        shares.remove(0, 2);
        for _ in 0..100 {
            shares.dispatched(1);
            shares.charge(1, 1.0);
        }
        shares.add(0, 2);
        shares.charge(2, 1.5);
        assert_eq!(shares.next(0), Some(1), "the time it was away is not owed to it");
    }

    #[test]
    fn those_who_have_had_the_same_take_turns() {
        let mut shares = Shares::new(1);
        (1..=3).for_each(|tenant| shares.add(0, tenant));
        let turns: Vec<i64> = (0..6)
            .map(|_| {
                let tenant = shares.next(0).unwrap();
                shares.served(0, tenant, true);
                tenant
            })
            .collect();
        assert_eq!(turns, [1, 2, 3, 1, 2, 3]);
        shares.add(0, 0);
        assert_eq!(shares.next(0), Some(1), "a newcomer has not waited yet");
    }

    #[test]
    fn a_correction_moves_a_tenant_in_every_queue_it_waits_in() {
        let mut shares = Shares::new(2);
        for queue in 0..2 {
            shares.add(queue, 1);
            shares.add(queue, 2);
        }
        shares.charge(1, 5.0);
        assert_eq!((shares.next(0), shares.next(1)), (Some(2), Some(2)));
        shares.charge(1, -5.0);
        assert_eq!((shares.next(0), shares.next(1)), (Some(1), Some(1)));
    }
}
