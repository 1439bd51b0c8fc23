//! Suspects: jobs whose process died. Each runs alone in its process, and under its tenant's limits like any other.

use std::time::Duration;

use super::plan::Take;
use super::{Asked, Scheduler};
use crate::fair::lane::{Key, Lane, LaneId};

/// A lane that rests no longer than this counts as one that may start in a moment.
const A_MOMENT: Duration = Duration::from_millis(250);
/// How long permits that are just being exchanged are waited for before somebody looks again.
const AN_EXCHANGE: Duration = Duration::from_millis(5);

/// When a suspect may run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuspectChance {
    /// One may run now.
    Now,
    /// One may in a moment.
    In(Duration),
    /// None waits, or all wait for a permit or for a rate that is used up.
    Later,
}

impl Scheduler {
    /// Suspects wait in these lanes, the first before the second. Until this is said anew, one permit is kept for them in
    /// each limited scope where one of them may soon use it: among a tenant's own jobs, which start as soon as a permit is
    /// free, a job that needs a quiet moment besides would never get one.
    pub fn suspects_wait(&mut self, lanes: Vec<LaneId>, now: Duration) -> SuspectChance {
        self.suspects = lanes;
        let soon: Vec<LaneId> =
            self.suspects.iter().copied().filter(|lane| self.rest_of(*lane, now) <= A_MOMENT).collect();
        self.caps.keep_for_suspects(&soon);
        let waits = |lane: &LaneId| match (self.caps.left_for_suspect(*lane), self.caps.unused(*lane)) {
            (0, 0) => None,
            (0, _) => Some(AN_EXCHANGE.max(self.rest_of(*lane, now))),
            _ => Some(self.rest_of(*lane, now)),
        };
        match soon.iter().filter_map(waits).min() {
            None => SuspectChance::Later,
            Some(Duration::ZERO) => SuspectChance::Now,
            Some(wait) => SuspectChance::In(wait),
        }
    }

    /// Lanes whose suspects wait for a permit.
    pub(super) fn suspects_without_permit(&self) -> impl Iterator<Item = LaneId> {
        self.suspects.iter().copied().filter(|lane| self.caps.unused(*lane) == 0)
    }

    /// A slot for the first suspect that may run now.
    pub fn plan_suspect(&mut self, now: Duration) -> Option<Take> {
        let may_run =
            |lane: &LaneId| self.caps.left_for_suspect(*lane) > 0 && self.rest_of(*lane, now).is_zero();
        let id = self.suspects.iter().copied().find(may_run)?;
        self.lanes.entry(id).or_insert_with(|| Lane::starting_at(Key::START));
        let mut take = Take::of_suspect(id, self.cost(id));
        self.give_slots(&mut take, Take::before_all_queues(id.queue), 1);
        self.asked = [(id, Asked::for_jobs(1))].into();
        Some(take)
    }

    fn rest_of(&self, id: LaneId, now: Duration) -> Duration {
        self.lanes.get(&id).map_or(Duration::ZERO, |lane| lane.rest_until.saturating_sub(now))
    }
}
