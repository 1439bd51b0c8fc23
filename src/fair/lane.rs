//! A place in a lane, and what a process knows about a lane.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::kinds::KindId;

/// A job's place in its lane: the order in which a tenant's own jobs of a queue start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Key {
    /// 0 goes first, 9 last.
    pub priority: i64,
    /// When it became due, in microseconds since 1970.
    pub run_at: i64,
    /// The job's id.
    pub id: Uuid,
}

impl Key {
    /// Before every job.
    pub const START: Self = Self { priority: -1, run_at: 0, id: Uuid::nil() };

    /// Before every job of a priority.
    pub const fn of_priority(priority: i64) -> Self {
        Self { priority, run_at: 0, id: Uuid::nil() }
    }

    /// The last place before this one: a claim that starts after it finds this job.
    pub fn just_before(self) -> Self {
        match self.id.as_u128().checked_sub(1) {
            Some(before) => Self { id: Uuid::from_u128(before), ..self },
            None => Self { run_at: self.run_at - 1, id: Uuid::max(), ..self },
        }
    }
}

/// The jobs of one tenant in one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId {
    /// The queue's place in the worker's order, from 0.
    pub queue: usize,
    /// The tenant's number.
    pub tenant: i64,
}

/// What a process knows about a lane.
///
/// The *cursor* is the last place claimed: claims go on after it, so dead rows before it are never read again, whatever
/// snapshot holds them (a claim from the front beside a held snapshot slows down without end). It is lowered only by
/// evidence: discovery returns each lane's true head.
#[derive(Debug)]
pub(super) struct Lane {
    cursor: Key,
    /// Work was seen at or before the cursor: the next claim starts here.
    low: Option<Key>,
    /// Whether there may be work after the cursor.
    pub(super) ready: bool,
    /// Not asked before this time.
    pub(super) rest_until: Duration,
    /// What the next job probably is.
    pub(super) kind: Option<KindId>,
    /// Whether its first job is of a kind that is not served here.
    pub(super) foreign_head: bool,
    /// Whether jobs of it share concurrency keys.
    pub(super) keyed: bool,
    /// Short jobs are not looked for among long ones before this time.
    pub(super) no_short_before: Duration,
    /// How long its jobs run, in seconds, on average of the latest.
    pub(super) cost: Option<f64>,
    /// The pause after the next search that finds nothing it may take.
    pause: Duration,
}

/// The shortest pause after a search in vain.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// A search in vain may take this share of a process's time.
const SEARCH_SHARE: u32 = 50;

impl Lane {
    /// A lane found for the first time starts at the job found, not at the beginning: that makes a restart cheap beside
    /// a held snapshot.
    pub(super) fn starting_at(cursor: Key) -> Self {
        Self {
            cursor,
            low: None,
            ready: false,
            rest_until: Duration::ZERO,
            kind: None,
            foreign_head: false,
            keyed: false,
            no_short_before: Duration::ZERO,
            cost: None,
            pause: SHORTEST_PAUSE,
        }
    }

    /// Where the next claim starts.
    pub(super) fn start(&self) -> Key {
        self.low.map_or(self.cursor, |low| low.min(self.cursor))
    }

    /// A job was seen here that nobody has claimed.
    pub(super) fn seen(&mut self, key: Key) {
        if key <= self.cursor {
            self.lower(key.just_before());
        }
    }

    /// The next claim starts no later than here.
    pub(super) fn lower(&mut self, to: Key) {
        if to < self.cursor {
            self.low = Some(self.low.map_or(to, |low| low.min(to)));
        }
    }

    /// A claim from `start` came back with jobs up to `last`; `full` when there may be more behind them.
    pub(super) fn advance(&mut self, start: Key, last: Option<Key>, full: bool) {
        let reached = last.unwrap_or(start).max(start);
        if full && reached < self.cursor {
            // Between here and the cursor there may be more that came late.
            self.low = Some(reached);
            return;
        }
        self.cursor = self.cursor.max(reached);
        // Evidence that came in while the claim was under way stays.
        self.low = self.low.filter(|low| *low < start);
    }

    /// It is not asked before this time.
    pub(super) fn rest(&mut self, until: Duration) {
        self.rest_until = self.rest_until.max(until);
    }

    /// Nothing was found that this process may take, although there is something: other kinds, or long work while only
    /// short may start. The search is repeated, but never often enough to matter: beside 200,000 jobs of a kind nobody
    /// serves each search costs 30 ms.
    pub(super) fn searched_in_vain(&mut self, now: Duration, took: Duration) {
        self.pause = (took * SEARCH_SHARE).max(SHORTEST_PAUSE);
        self.rest(now + self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(run_at: i64) -> Key {
        Key { priority: 5, run_at, id: Uuid::from_u128(7) }
    }

    #[test]
    fn the_place_before_a_job_is_before_it_and_after_everything_earlier() {
        let job = key(10);
        assert!(job.just_before() < job && job.just_before() > key(9));
        let first = Key { id: Uuid::nil(), ..key(10) };
        assert!(first.just_before() < first && first.just_before() > key(9));
        assert!(Key::START < Key::of_priority(0));
    }

    #[test]
    fn a_claim_goes_on_after_the_last_job_and_returns_for_what_came_late() {
        let mut lane = Lane::starting_at(Key::START);
        lane.advance(Key::START, Some(key(10)), true);
        assert_eq!(lane.start(), key(10));
        lane.seen(key(12));
        assert_eq!(lane.start(), key(10), "work after the cursor is found anyway");
        lane.seen(key(4));
        assert_eq!(lane.start(), key(4).just_before());
        lane.advance(lane.start(), Some(key(4)), false);
        assert_eq!(lane.start(), key(10), "back to the front");
    }

    #[test]
    fn a_full_claim_before_the_cursor_goes_on_from_where_it_got_to() {
        let mut lane = Lane::starting_at(Key::START);
        lane.advance(Key::START, Some(key(100)), true);
        lane.seen(key(3));
        lane.advance(lane.start(), Some(key(5)), true);
        assert_eq!(lane.start(), key(5));
    }
}
