//! Long work makes room. Nobody's running job is taken away, so a tenant whose long jobs come behind those of others would
//! wait for minutes; but a handler with checkpoints can go back to the queue at the next one, and run on when it is its
//! turn again. It is asked to as soon as somebody starves who has nothing running.

use std::cmp::Reverse;
use std::time::Duration;

use uuid::Uuid;

use super::Scheduler;
use crate::fair::kinds::Length;
use crate::fair::lane::LaneId;

/// How long a job that was asked counts as making room: afterwards another is asked, for this one may have no checkpoints.
const PATIENCE: Duration = Duration::from_secs(30);

impl Scheduler {
    /// The jobs that are to make room now, one for each tenant that has work, nothing running, and no slot to come. Of those
    /// that have run for `least`, first those of whoever runs most; then those that have run longest.
    pub fn make_room(&mut self, least: Duration, now: Duration) -> Vec<Uuid> {
        let overdue =
            self.jobs.values().filter(|job| job.running && now.saturating_sub(job.started) >= least);
        let overdue = overdue.count();
        if overdue == 0 {
            return Vec::new();
        }
        let mut asked = Vec::new();
        for lane in self.starving(overdue, now).into_iter().skip(self.making_room(now)) {
            if let Some(id) = self.best_to_ask(lane, least, now) {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.asked_for_room = Some(now);
                }
                asked.push(id);
            }
        }
        asked
    }

    /// A lane of each tenant that starves, its first queue; in order.
    fn starving(&self, overdue: usize, now: Duration) -> Vec<LaneId> {
        let long = self.long_running(now);
        let mut lanes: Vec<LaneId> = self
            .lanes
            .iter()
            .filter(|(id, lane)| {
                lane.ready && !lane.foreign_head && lane.rest_until <= now && !self.parked.contains(id)
            })
            .map(|(id, _)| *id)
            .filter(|id| !self.running_of.contains_key(&id.tenant) && self.caps.left(*id) > 0)
            .filter(|id| match self.length(*id) {
                // A slot comes soon, unless every single one is held by long work.
                Length::Short => overdue >= self.settings.slots,
                length => {
                    self.running >= self.settings.slots || self.reserve.left_for(length, true, long) == 0
                }
            })
            .collect();
        lanes.sort_by_key(|id| (id.tenant, id.queue));
        lanes.dedup_by_key(|id| id.tenant);
        lanes
    }

    /// How many jobs were asked and are expected to go.
    fn making_room(&self, now: Duration) -> usize {
        let expected = |at: Duration| now.saturating_sub(at) < PATIENCE;
        self.jobs.values().filter(|job| job.running && job.asked_for_room.is_some_and(expected)).count()
    }

    /// Jobs of an earlier queue than the lane's would only come back at once.
    fn best_to_ask(&self, lane: LaneId, least: Duration, now: Duration) -> Option<Uuid> {
        self.jobs
            .iter()
            .filter(|(_, job)| job.running && job.asked_for_room.is_none() && job.lane.queue >= lane.queue)
            .filter(|(_, job)| now.saturating_sub(job.started) >= least)
            .min_by_key(|(_, job)| (Reverse(self.running_of.get(&job.lane.tenant)), job.started))
            .map(|(id, _)| *id)
    }
}
