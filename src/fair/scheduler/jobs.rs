//! What is claimed and what runs, and what that has cost.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use uuid::Uuid;

use super::plan::Take;
use super::{LEAST_COST, Scheduler};
use crate::fair::kinds::{KindId, LONG, Length};
use crate::fair::lane::{Key, LaneId};
use crate::fair::queues::Turn;

/// How much the latest run counts in a lane's average.
const LATEST: f64 = 0.2;
/// The pause after short jobs were looked for among long ones in vain, for each such search.
const SHORT_SEARCH_PAUSE: Duration = Duration::from_millis(500);

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

#[derive(Debug)]
pub(super) struct Job {
    pub(super) lane: LaneId,
    pub(super) key: Key,
    pub(super) kind: Option<KindId>,
    pub(super) turn: Turn,
    pub(super) started: Duration,
    pub(super) charged: f64,
    pub(super) running: bool,
    /// When it was asked to make room.
    pub(super) asked_for_room: Option<Duration>,
}

impl Scheduler {
    /// The claim brought these; returns those that would take the last slots, to be given back.
    pub fn claimed(
        &mut self,
        takes: &[Take],
        jobs: &[ClaimedJob],
        took: Duration,
        now: Duration,
    ) -> Vec<Uuid> {
        let asked = std::mem::take(&mut self.asked);
        if !takes.is_empty() {
            self.short_of_slots = self.short_in_plan;
        }
        let mut caught: HashMap<LaneId, (usize, Option<Key>)> = HashMap::with_capacity(takes.len());
        for job in jobs {
            let (got, last) = caught.entry(job.lane).or_default();
            *got += 1;
            *last = (*last).max(Some(job.key));
        }
        for take in takes {
            let (got, last) = caught.get(&take.lane).copied().unwrap_or_default();
            self.refund(take, take.count.saturating_sub(got));
            self.note_claim(take, got, last, took, now);
            if got > 0 {
                let short = self.length(take.lane) == Length::Short && !take.only_short;
                self.shares.served(take.lane.queue, take.lane.tenant, short);
            }
            if asked.get(&take.lane).is_some_and(|asked| asked.news) {
                self.make_ready(take.lane, now);
            }
        }
        self.shares.keep_up();
        let mut places: HashMap<LaneId, (&Take, usize)> =
            takes.iter().map(|take| (take.lane, (take, 0))).collect();
        let mut surplus = Vec::new();
        for job in jobs {
            let Some((take, place)) = places.get_mut(&job.lane) else { continue };
            if !self.start(job, take, *place, now) {
                surplus.push(job.id);
            }
            *place += 1;
        }
        surplus
    }

    fn note_claim(&mut self, take: &Take, got: usize, last: Option<Key>, took: Duration, now: Duration) {
        if take.suspect {
            // The cursor is about ordinary jobs.
            return;
        }
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
    fn start(&mut self, job: &ClaimedJob, take: &Take, place: usize, now: Duration) -> bool {
        let kind = self.kinds.find(&job.kind);
        let in_order = Turn { queue: job.lane.queue, out_of_order: false, passes_over: false };
        let turn = take.turn(place).unwrap_or(in_order);
        if let Some(lane) = self.lanes.get_mut(&job.lane) {
            lane.kind = kind.or(lane.kind);
            lane.keyed |= job.keyed;
        }
        let declared = kind.map_or(Length::Short, |kind| self.kinds.length(kind));
        let idle = !self.running_of.contains_key(&job.lane.tenant);
        // The lane has the job's kind by now: where that is declared long, the lane is.
        let fits = declared != Length::Long
            || self.length(job.lane) == Length::Short
            || self.reserve.left_for(declared, idle, self.long_running(now)) > 0;
        let (lane, key, charged) = (job.lane, job.key, take.cost.seconds());
        let new = Job { lane, key, kind, turn, started: now, charged, running: true, asked_for_room: None };
        self.jobs.insert(job.id, new);
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

    /// A job is settled: its place under its tenant's limits is free. Returns whether its permit is to be given back at
    /// once: another process waits for it.
    pub fn settled(&mut self, id: Uuid, now: Duration) -> bool {
        self.finished(id, None);
        let Some(job) = self.jobs.remove(&id) else { return false };
        let overrun = self.caps.are_overrun(job.lane);
        self.caps.ended(job.lane, 1);
        self.unpark(job.lane.tenant, now);
        overrun
    }

    /// A running job that outlasts its charge is charged what has elapsed, no more: charging ahead would make the big
    /// lane's time swing.
    pub(super) fn charge_what_has_elapsed(&mut self, now: Duration) {
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

    /// Running jobs that are or may be long.
    pub(super) fn long_running(&self, now: Duration) -> usize {
        let declared = |job: &Job| job.kind.is_some_and(|kind| self.kinds.is_declared_long(kind));
        let is_long = |job: &&Job| {
            let so_far = now.saturating_sub(job.started);
            job.running && (so_far >= LONG || declared(job) || self.length(job.lane) != Length::Short)
        };
        self.jobs.values().filter(is_long).count()
    }
}

fn average(mean: Option<f64>, latest: f64) -> f64 {
    mean.map_or(latest, |mean| mean + LATEST * (latest - mean))
}
