//! The scheduler of one worker process.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use uuid::Uuid;

use super::caps::{Caps, Scope};
use super::kinds::{KindId, Kinds, LONG, Length};
use super::lane::{Key, Lane, LaneId};
use super::queues::{QueueOrder, Turn};
use super::shares::Shares;
use super::slots::Reserve;

/// Most lanes in one claim: slots are handed out in quanta of a fiftieth, at least one.
const MOST_LANES: usize = 50;
/// What a job is taken to cost before anybody has seen one of its lane or kind.
const UNKNOWN_COST: f64 = 0.01;
/// What a job costs at least, so that jobs which do nothing are shared by count.
const LEAST_COST: f64 = 0.000_5;
/// How much the latest run counts in a lane's average.
const LATEST: f64 = 0.2;
/// Jobs that run no longer than this may be claimed ahead of a free slot.
const AHEAD_COST: f64 = 0.001;
/// How much work may be claimed ahead, a slot.
const AHEAD_TIME: f64 = 0.005;
/// The pause after short jobs were looked for among long ones in vain, for each such search.
const SHORT_SEARCH_PAUSE: Duration = Duration::from_millis(500);
/// More lanes than this are worth tidying up.
const MANY_LANES: usize = 4096;

/// What a scheduler is made for.
#[derive(Debug, Clone)]
pub struct SchedulerSettings {
    /// Jobs that run at the same time.
    pub slots: usize,
    /// Queues, the first before the second.
    pub queues: usize,
    /// The share of worker time that later queues get while they have work.
    pub floor: f64,
    /// The share of the slots that long work leaves free.
    pub reserve: f64,
    /// Most jobs claimed ahead of free slots, while jobs run shorter than a millisecond.
    pub ahead: usize,
    /// The kinds served, and whether each is declared long.
    pub kinds: Vec<(String, bool)>,
}

/// The first job of a lane, as discovery found it.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Its place.
    pub key: Key,
    /// Its kind.
    pub kind: &'a str,
    /// Whether it shares a concurrency key with others.
    pub keyed: bool,
}

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
    turns: Vec<(Turn, usize)>,
    cost: Cost,
}

/// Seconds, to the nanosecond: comparable, so that plans can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost(u64);

impl Cost {
    fn of(seconds: f64) -> Self {
        Self((seconds * 1e9) as u64)
    }

    fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// A job that was claimed.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// Its id.
    pub id: Uuid,
    /// Where it was taken from.
    pub lane: LaneId,
    /// Its place there.
    pub key: Key,
    /// Its kind.
    pub kind: String,
    /// Whether it shares a concurrency key with others.
    pub keyed: bool,
}

/// What a process could use of a limited scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The tenant.
    pub tenant: i64,
    /// What is limited.
    pub scope: Scope,
    /// Jobs of it that are claimed and not settled.
    pub running: usize,
    /// Jobs it could run, those included.
    pub wanted: usize,
}

#[derive(Debug)]
struct Job {
    lane: LaneId,
    key: Key,
    kind: Option<KindId>,
    turn: Turn,
    started: Duration,
    charged: f64,
    running: bool,
}

/// Which tenant goes next, in one process.
#[derive(Debug)]
pub struct Scheduler {
    settings: SchedulerSettings,
    reserve: Reserve,
    kinds: Kinds,
    lanes: HashMap<LaneId, Lane>,
    shares: Shares,
    order: QueueOrder,
    caps: Caps,
    /// Lanes that have work and are not asked before a time.
    resting: BTreeSet<(Duration, LaneId)>,
    /// Lanes that have work and no permit.
    parked: BTreeSet<LaneId>,
    /// Lanes of the claim that is under way about which there is news.
    asked: HashMap<LaneId, bool>,
    /// Everything claimed and not settled.
    jobs: HashMap<Uuid, Job>,
    running: usize,
    /// Running jobs by tenant; a tenant without has no entry.
    running_of: HashMap<i64, usize>,
    /// Seconds a job runs, on average of the latest of all lanes.
    mean: Option<f64>,
}

impl Scheduler {
    /// A scheduler that knows nothing yet.
    pub fn new(settings: SchedulerSettings) -> Self {
        Self {
            reserve: Reserve::new(settings.slots, settings.reserve),
            kinds: Kinds::new(settings.kinds.iter().cloned()),
            lanes: HashMap::new(),
            shares: Shares::new(settings.queues),
            order: QueueOrder::new(settings.queues, settings.floor),
            caps: Caps::default(),
            resting: BTreeSet::new(),
            parked: BTreeSet::new(),
            asked: HashMap::new(),
            jobs: HashMap::new(),
            running: 0,
            running_of: HashMap::new(),
            mean: None,
            settings,
        }
    }

    /// How many jobs may be claimed now: the free slots, and more while jobs are so short that a slot would wait for the
    /// database.
    pub fn free(&self) -> usize {
        let most = self.settings.slots + self.ahead();
        // What has run and is not settled yet holds leases too: a database that settles slowly must not be buried.
        let free = most.saturating_sub(self.running).min((2 * most).saturating_sub(self.jobs.len()));
        // While jobs wait for slots there is no hurry: one claim of many costs what several of a few would.
        if self.running > self.settings.slots && free < most / 4 { 0 } else { free }
    }

    fn ahead(&self) -> usize {
        match self.mean {
            Some(mean) if mean <= AHEAD_COST => {
                let slots = self.settings.slots as f64;
                self.settings.ahead.min((slots * AHEAD_TIME / mean.max(1e-6)) as usize)
            }
            _ => 0,
        }
    }

    /// How many jobs are claimed and have not returned.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether a lane may have work for a free slot.
    pub fn has_work(&self) -> bool {
        (0..self.settings.queues).any(|queue| self.shares.has_work(queue))
    }

    /// Whether work waits for a permit, by tenant and queue.
    pub fn parked(&self) -> impl Iterator<Item = LaneId> {
        self.parked.iter().copied()
    }

    /// Names of the kinds known to be short, for takes that want only those.
    pub fn short_kinds(&self) -> Vec<String> {
        self.kinds.short()
    }

    /// When the first lane that rests may be asked again.
    pub fn next_rest_end(&self) -> Option<Duration> {
        self.resting.first().map(|(until, _)| *until)
    }

    /// Discovery found this job at the front of a lane.
    pub fn seen(&mut self, id: LaneId, head: Head<'_>, now: Duration) {
        if id.queue >= self.settings.queues || self.jobs.contains_key(&head.key.id) {
            return;
        }
        let kind = self.kinds.find(head.kind);
        let lane = self.lanes.entry(id).or_insert_with(|| Lane::starting_at(head.key.just_before()));
        if kind.is_none() && lane.rest_until > now {
            return;
        }
        lane.seen(head.key);
        lane.foreign_head = kind.is_none();
        lane.keyed |= head.keyed;
        lane.kind = kind.or(lane.kind);
        self.has_news(id, now);
    }

    /// Somebody has queued a job of this priority in a lane.
    pub fn hinted(&mut self, id: LaneId, priority: i64, now: Duration) {
        if id.queue >= self.settings.queues {
            return;
        }
        let lane = self.lanes.entry(id).or_insert_with(|| Lane::starting_at(Key::START));
        if priority < lane.start().priority {
            lane.lower(Key::of_priority(priority));
        }
        self.has_news(id, now);
    }

    /// A claimed job goes back to its lane.
    pub fn returned(&mut self, job: Uuid, now: Duration) {
        if let Some(job) = self.jobs.get(&job) {
            let (id, key) = (job.lane, job.key);
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.seen(key);
            }
            self.has_news(id, now);
        }
    }

    fn has_news(&mut self, id: LaneId, now: Duration) {
        if let Some(news) = self.asked.get_mut(&id) {
            *news = true;
        }
        self.make_ready(id, now);
    }

    fn make_ready(&mut self, id: LaneId, now: Duration) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.ready = true;
        if lane.rest_until > now {
            self.resting.insert((lane.rest_until, id));
            self.shares.remove(id.queue, id.tenant);
        } else if self.caps.left(id) == 0 {
            self.parked.insert(id);
            self.shares.remove(id.queue, id.tenant);
        } else {
            self.shares.add(id.queue, id.tenant);
        }
    }

    fn is_exhausted(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.ready = false;
        }
        self.parked.remove(&id);
        self.shares.remove(id.queue, id.tenant);
    }

    /// A lane is not asked before this time: its tenant has used up its rate.
    pub fn rest(&mut self, id: LaneId, until: Duration) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.rest(until);
            if lane.ready {
                self.resting.insert((lane.rest_until, id));
            }
            self.shares.remove(id.queue, id.tenant);
        }
    }

    /// A tenant's share relative to the others.
    pub fn set_weight(&mut self, tenant: i64, weight: f64) {
        self.shares.set_weight(tenant, weight);
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

    /// Jobs of a scope that are claimed and not settled.
    pub fn held(&self, tenant: i64, scope: Scope) -> usize {
        let within = |job: &&Job| {
            job.lane.tenant == tenant && (scope == Scope::Total || scope == Scope::Queue(job.lane.queue))
        };
        self.jobs.values().filter(within).count()
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
    pub fn demands(&self) -> Vec<Demand> {
        let mut waiting: HashMap<(i64, Scope), bool> =
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
        let free = self.settings.slots.saturating_sub(self.running);
        let demand = |((tenant, scope), waits)| {
            let running = self.held(tenant, scope);
            let wanted = if waits { running + free.max(1) } else { running };
            Demand { tenant, scope, running, wanted }
        };
        waiting.into_iter().map(demand).collect()
    }

    fn unpark(&mut self, tenant: i64, now: Duration) {
        let lanes: Vec<LaneId> = self.parked.iter().filter(|id| id.tenant == tenant).copied().collect();
        for id in lanes {
            self.parked.remove(&id);
            self.make_ready(id, now);
        }
    }

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

    /// The claim brought these; returns those that would take the last slots, to be given back.
    pub fn claimed(
        &mut self,
        takes: &[Take],
        jobs: &[ClaimedJob],
        took: Duration,
        now: Duration,
    ) -> Vec<Uuid> {
        let asked = std::mem::take(&mut self.asked);
        for take in takes {
            let of_lane = || jobs.iter().filter(|job| job.lane == take.lane);
            let got = of_lane().count();
            let last = of_lane().map(|job| job.key).max();
            self.refund(take, take.count.saturating_sub(got));
            self.note_claim(take, got, last, took, now);
            if asked.get(&take.lane) == Some(&true) {
                self.make_ready(take.lane, now);
            }
        }
        jobs.iter().filter(|job| !self.start(job, takes, now)).map(|job| job.id).collect()
    }

    /// The claim failed: what was charged is given back, and the lanes stay as they are.
    pub fn not_claimed(&mut self, takes: &[Take]) {
        self.asked.clear();
        for take in takes {
            self.refund(take, take.count);
        }
    }

    fn refund(&mut self, take: &Take, count: usize) {
        let mut left = count;
        for (turn, given) in take.turns.iter().rev() {
            let back = left.min(*given);
            self.order.charge(*turn, -take.cost.seconds() * back as f64);
            left -= back;
        }
        self.shares.charge(take.lane.tenant, -take.cost.seconds() * count as f64);
        self.caps.ended(take.lane, count);
    }

    fn note_claim(&mut self, take: &Take, got: usize, last: Option<Key>, took: Duration, now: Duration) {
        let full = got >= take.count;
        let Some(lane) = self.lanes.get_mut(&take.lane) else { return };
        if take.only_short {
            // What was passed over is found again: the cursor stays.
            if !full {
                lane.no_short_before = now + SHORT_SEARCH_PAUSE.max(took * 50);
            }
            return;
        }
        lane.advance(take.after, last, full);
        if !full {
            if got == 0 && lane.foreign_head {
                lane.searched_in_vain(now, took);
            }
            self.is_exhausted(take.lane);
        }
    }

    /// Notes a claimed job; `false` when it would take one of the last slots although it is long.
    fn start(&mut self, job: &ClaimedJob, takes: &[Take], now: Duration) -> bool {
        let Some(take) = takes.iter().find(|take| take.lane == job.lane) else { return true };
        let kind = self.kinds.find(&job.kind);
        let turn =
            take.turns.first().map_or(
                Turn { queue: job.lane.queue, out_of_order: false, passes_over: false },
                |(turn, _)| *turn,
            );
        if let Some(lane) = self.lanes.get_mut(&job.lane) {
            lane.kind = kind.or(lane.kind);
            lane.keyed |= job.keyed;
        }
        let declared = kind.map_or(Length::Short, |kind| self.kinds.length(kind));
        let idle = !self.running_of.contains_key(&job.lane.tenant);
        let fits = declared != Length::Long
            || self.length(job.lane) == Length::Short
            || self.reserve.left_for(declared, idle, self.long_running(now)) > 0;
        let (lane, key, charged) = (job.lane, job.key, take.cost.seconds());
        self.jobs.insert(job.id, Job { lane, key, kind, turn, started: now, charged, running: true });
        self.running += 1;
        *self.running_of.entry(lane.tenant).or_default() += 1;
        fits
    }

    /// A job's handler has returned after this long; `None` when it never ran.
    pub fn finished(&mut self, id: Uuid, ran: Option<Duration>) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.running) else { return };
        job.running = false;
        self.running -= 1;
        let (lane_id, turn, kind, charged) = (job.lane, job.turn, job.kind, job.charged);
        if let Entry::Occupied(mut count) = self.running_of.entry(lane_id.tenant) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        let seconds = ran.map_or(0.0, |ran| ran.as_secs_f64());
        let owed = if ran.is_some() { seconds.max(LEAST_COST) } else { 0.0 };
        self.shares.charge(lane_id.tenant, owed - charged);
        self.order.charge(turn, owed - charged);
        if ran.is_some() {
            if let Some(kind) = kind {
                self.kinds.ran(kind, seconds);
            }
            if let Some(lane) = self.lanes.get_mut(&lane_id) {
                lane.cost = Some(average(lane.cost, seconds));
            }
            self.mean = Some(average(self.mean, seconds));
        }
    }

    /// A job is settled: its place under its tenant's limits is free.
    pub fn settled(&mut self, id: Uuid, now: Duration) {
        self.finished(id, None);
        if let Some(job) = self.jobs.remove(&id)
            && self.caps.is_limited(job.lane.tenant)
        {
            self.caps.ended(job.lane, 1);
            self.unpark(job.lane.tenant, now);
        }
    }

    /// Forgets lanes that have been empty, and tenants who would start anew just so.
    pub fn tidy(&mut self) {
        if self.lanes.len() <= MANY_LANES {
            return;
        }
        let busy: std::collections::HashSet<LaneId> = self.jobs.values().map(|job| job.lane).collect();
        self.lanes.retain(|id, lane| lane.ready || busy.contains(id));
        let lanes = &self.lanes;
        self.shares.forget_idle(|tenant| lanes.keys().any(|id| id.tenant == tenant));
    }

    /// A running job that outlasts its charge is charged what has elapsed, no more: charging ahead would make the big
    /// lane's time swing.
    fn charge_what_has_elapsed(&mut self, now: Duration) {
        for job in self.jobs.values_mut().filter(|job| job.running) {
            let elapsed = now.saturating_sub(job.started);
            let excess = elapsed.as_secs_f64() - job.charged;
            if excess > 0.0 {
                job.charged += excess;
                self.shares.charge(job.lane.tenant, excess);
                self.order.charge(job.turn, excess);
            }
            if elapsed >= LONG {
                let seconds = elapsed.as_secs_f64();
                if let Some(kind) = job.kind {
                    self.kinds.is_running_long(kind, seconds);
                }
                if let Some(lane) = self.lanes.get_mut(&job.lane) {
                    lane.cost = Some(lane.cost.map_or(seconds, |cost| cost.max(seconds)));
                }
            }
        }
    }

    fn wake_rested(&mut self, now: Duration) {
        while let Some((until, id)) = self.resting.first().copied().filter(|(until, _)| *until <= now) {
            self.resting.remove(&(until, id));
            if self.lanes.get(&id).is_some_and(|lane| lane.ready) {
                self.make_ready(id, now);
            }
        }
    }

    /// Running jobs that are or may be long.
    fn long_running(&self, now: Duration) -> usize {
        let is_long = |job: &&Job| {
            job.running && (now.saturating_sub(job.started) >= LONG || self.length(job.lane) != Length::Short)
        };
        self.jobs.values().filter(is_long).count()
    }

    /// How long the lane's jobs run: its own measure, else its kind's.
    fn length(&self, id: LaneId) -> Length {
        let Some(lane) = self.lanes.get(&id) else { return Length::Unknown };
        match (lane.cost, lane.kind) {
            (Some(cost), _) if cost >= LONG.as_secs_f64() => Length::Long,
            (Some(_), _) => Length::Short,
            (None, Some(kind)) => self.kinds.length(kind),
            (None, None) => Length::Unknown,
        }
    }

    fn cost(&self, id: LaneId) -> f64 {
        let lane = self.lanes.get(&id);
        let of_kind = || lane.and_then(|lane| lane.kind).and_then(|kind| self.kinds.mean(kind));
        lane.and_then(|lane| lane.cost).or_else(of_kind).unwrap_or(UNKNOWN_COST).max(LEAST_COST)
    }
}

fn average(mean: Option<f64>, latest: f64) -> f64 {
    mean.map_or(latest, |mean| mean + LATEST * (latest - mean))
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
