//! The scheduler of one worker process: what it knows of lanes, and which of them wait for a slot.
//!
//! | file | idea |
//! |---|---|
//! | `plan.rs` | free slots are handed out |
//! | `jobs.rs` | what is claimed, what runs, what it has cost |
//! | `permits.rs` | limited tenants: what this process may run, and could use |
//! | `room.rs` | long work makes room for those who have nothing running |
//! | `suspects.rs` | jobs whose process died: each runs alone |

mod jobs;
mod permits;
mod plan;
mod room;
mod suspects;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

pub use jobs::ClaimedJob;
pub use permits::Demand;
pub use plan::Take;
pub use suspects::SuspectChance;

use super::caps::Caps;
use super::kinds::{Kinds, LONG, Length};
use super::lane::{Key, Lane, LaneId};
use super::queues::QueueOrder;
use super::shares::Shares;
use super::slots::Reserve;
use jobs::Job;

/// What a job is taken to cost before anybody has seen one of its lane or kind.
const UNKNOWN_COST: f64 = 0.01;
/// What a job costs at least, so that jobs which do nothing are shared by count.
const LEAST_COST: f64 = 0.000_5;
/// Jobs that run no longer than this may be claimed ahead of a free slot.
const AHEAD_COST: f64 = 0.001;
/// How much work may be claimed ahead, a slot.
const AHEAD_TIME: f64 = 0.005;
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

/// What the claim that is under way asks of a lane.
#[derive(Debug)]
struct Asked {
    count: usize,
    /// Whether work was heard of meanwhile.
    news: bool,
}

impl Asked {
    fn for_jobs(count: usize) -> Self {
        Self { count, news: false }
    }
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
    /// Lanes in which suspects wait, the first before the second.
    suspects: Vec<LaneId>,
    /// The lanes of the claim that is under way.
    asked: HashMap<LaneId, Asked>,
    /// Everything claimed and not settled; in order, so that the same input always gives the same plans.
    jobs: BTreeMap<Uuid, Job>,
    running: usize,
    /// Running jobs by tenant; a tenant without has no entry.
    running_of: HashMap<i64, usize>,
    /// Whether somebody whose jobs are too long to be claimed ahead was passed over in the last claim, for want of a slot.
    /// Until its turn has come nothing is claimed ahead: a flood of short jobs would never leave a slot free.
    short_of_slots: bool,
    /// The same of the claim that is under way.
    short_in_plan: bool,
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
            suspects: Vec::new(),
            asked: HashMap::new(),
            jobs: BTreeMap::new(),
            running: 0,
            running_of: HashMap::new(),
            short_of_slots: false,
            short_in_plan: false,
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
            _ if self.short_of_slots => 0,
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
        self.shares.has_passed_over() || (0..self.settings.queues).any(|queue| self.shares.has_work(queue))
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

    /// Jobs of a lane that is known share keys with others: its claims take them too, and look at their keys.
    pub fn has_keys(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.keyed = true;
        }
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
        if let Some(asked) = self.asked.get_mut(&id) {
            asked.news = true;
        }
        self.make_ready(id, now);
    }

    fn make_ready(&mut self, id: LaneId, now: Duration) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.ready = true;
        if lane.rest_until > now {
            self.resting.insert((lane.rest_until, id));
            self.shares.remove(id.queue, id.tenant);
        } else if !self.parked.contains(&id) || self.caps.unused(id) > 0 {
            self.parked.remove(&id);
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

    /// Forgets lanes that have been empty, and tenants who would start anew just so.
    pub fn tidy(&mut self) {
        if self.lanes.len() <= MANY_LANES {
            return;
        }
        let busy: HashSet<LaneId> = self.jobs.values().map(|job| job.lane).collect();
        self.lanes.retain(|id, lane| lane.ready || busy.contains(id));
        let known: HashSet<i64> = self.lanes.keys().map(|id| id.tenant).collect();
        self.shares.forget_idle(|tenant| known.contains(&tenant));
    }

    fn wake_rested(&mut self, now: Duration) {
        while let Some((until, id)) = self.resting.first().copied().filter(|(until, _)| *until <= now) {
            self.resting.remove(&(until, id));
            if self.lanes.get(&id).is_some_and(|lane| lane.ready) {
                self.make_ready(id, now);
            }
        }
    }

    /// How long the lane's jobs run: as its kind is declared, else its own measure, else its kind's. A measure must not speak for
    /// what is declared: a lane has jobs of several kinds, and the short ones before would let long ones take the last slots.
    fn length(&self, id: LaneId) -> Length {
        let Some(lane) = self.lanes.get(&id) else { return Length::Unknown };
        match (lane.cost, lane.kind) {
            (_, Some(kind)) if self.kinds.is_declared_long(kind) => Length::Long,
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
