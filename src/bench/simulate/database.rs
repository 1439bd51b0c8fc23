//! The database as the workers would find it: jobs that wait, in the order of their lanes; jobs that run; permits.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use uuid::Uuid;

use super::scenario::Latency;
use crate::fair::{Demand, Grant, Holding, Key, LaneId, Scope, Take, grant};

/// Rows of a backlog that exist as such; the others come into being when their turn is near. A million rows would take
/// longer to make than to simulate.
const AT_HAND: u64 = 16_384;

/// A job that waits.
#[derive(Debug, Clone, Copy)]
struct Row {
    kind: usize,
    queued: Duration,
}

/// Jobs that all waited from one moment on.
#[derive(Debug)]
struct Backlog {
    row: Row,
    priority: i64,
    /// The number of the next job that is not a row yet.
    next: u128,
    left: u64,
    /// Rows among those that wait.
    at_hand: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    rows: BTreeMap<Key, Row>,
    backlogs: Vec<Backlog>,
}

/// A job that was claimed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) lane: LaneId,
    pub(super) key: Key,
    pub(super) kind: usize,
    pub(super) queued: Duration,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Database {
    lanes: BTreeMap<LaneId, Waiting>,
    taken: HashMap<Uuid, Taken>,
    permits: BTreeMap<(i64, Scope), BTreeMap<usize, Holding>>,
    numbers: u128,
}

/// Ids in the order of the jobs, and none is nil.
fn id_of(number: u128) -> Uuid {
    Uuid::from_u128(number + 1)
}

fn micros(at: Duration) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

impl Waiting {
    /// Makes rows of a backlog before anybody can miss them.
    fn bring_near(&mut self) {
        for backlog in &mut self.backlogs {
            if backlog.at_hand > AT_HAND / 2 {
                continue;
            }
            let rows = (AT_HAND - backlog.at_hand).min(backlog.left);
            for number in backlog.next..backlog.next + u128::from(rows) {
                let run_at = micros(backlog.row.queued);
                let key = Key { priority: backlog.priority, run_at, id: id_of(number) };
                self.rows.insert(key, backlog.row);
            }
            backlog.next += u128::from(rows);
            (backlog.at_hand, backlog.left) = (backlog.at_hand + rows, backlog.left - rows);
        }
        self.backlogs.retain(|backlog| backlog.left > 0);
    }

    fn remove(&mut self, key: Key) -> Option<Row> {
        let row = self.rows.remove(&key)?;
        let of = |backlog: &&mut Backlog| {
            backlog.row.queued == row.queued
                && backlog.priority == key.priority
                && backlog.row.kind == row.kind
        };
        if let Some(backlog) = self.backlogs.iter_mut().find(of) {
            backlog.at_hand = backlog.at_hand.saturating_sub(1);
        }
        Some(row)
    }
}

impl Database {
    /// Queues jobs that are due now.
    pub(super) fn queue(&mut self, lane: LaneId, kind: usize, priority: i64, jobs: u64, now: Duration) {
        let row = Row { kind, queued: now };
        let waiting = self.lanes.entry(lane).or_default();
        waiting.backlogs.push(Backlog { row, priority, next: self.numbers, left: jobs, at_hand: 0 });
        self.numbers += u128::from(jobs);
        waiting.bring_near();
    }

    /// The heads of up to `most` lanes after this one, in the order of lanes.
    pub(super) fn heads(&self, after: Option<LaneId>, most: usize) -> Vec<(LaneId, Key, usize)> {
        let from = after.map_or(Unbounded, Excluded);
        let heads = self.lanes.range((from, Unbounded));
        let head = |(lane, waiting): (&LaneId, &Waiting)| {
            waiting.rows.first_key_value().map(|(key, row)| (*lane, *key, row.kind))
        };
        heads.filter_map(head).take(most).collect()
    }

    /// Takes what a claim asks for.
    pub(super) fn claim(&mut self, takes: &[Take], short: impl Fn(usize) -> bool) -> Vec<(Uuid, Taken)> {
        let mut caught = Vec::new();
        for take in takes {
            let Some(waiting) = self.lanes.get_mut(&take.lane) else { continue };
            let later = waiting.rows.range((Excluded(take.after), Unbounded));
            let wanted = later.filter(|(_, row)| !take.only_short || short(row.kind));
            let keys: Vec<Key> = wanted.map(|(key, _)| *key).take(take.count).collect();
            for key in keys {
                if let Some(Row { kind, queued }) = waiting.remove(key) {
                    caught.push((key.id, Taken { lane: take.lane, key, kind, queued }));
                }
            }
            waiting.bring_near();
            if waiting.rows.is_empty() {
                self.lanes.remove(&take.lane);
            }
        }
        self.taken.extend(caught.iter().copied());
        caught
    }

    /// A job that was claimed.
    pub(super) fn taken(&self, id: Uuid) -> Option<Taken> {
        self.taken.get(&id).copied()
    }

    /// A job is settled; one that was given back waits again.
    pub(super) fn settle(&mut self, id: Uuid, returned: bool) -> Option<Taken> {
        let job = self.taken.remove(&id)?;
        if returned {
            let row = Row { kind: job.kind, queued: job.queued };
            self.lanes.entry(job.lane).or_default().rows.insert(job.key, row);
        }
        Some(job)
    }

    /// Everything that waits: lane, since when, and how many.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (LaneId, Duration, u64)> {
        self.lanes.iter().flat_map(|(lane, waiting)| {
            let rows = waiting.rows.values().map(|row| (*lane, row.queued, 1));
            rows.chain(waiting.backlogs.iter().map(|backlog| (*lane, backlog.row.queued, backlog.left)))
        })
    }

    /// A process tells what it wants of a limit and gets what the others leave.
    pub(super) fn exchange(
        &mut self,
        process: usize,
        demand: &Demand,
        limit: usize,
        turn_over: bool,
    ) -> Grant {
        let holders = self.permits.entry((demand.tenant, demand.scope)).or_default();
        let others: Vec<Holding> =
            holders.iter().filter(|(holder, _)| **holder != process).map(|(_, holding)| *holding).collect();
        let granted = grant(limit, demand.running, demand.wanted, turn_over, &others);
        holders.insert(process, Holding { permits: granted.held, wanted: demand.wanted });
        granted
    }
}

impl Latency {
    /// When in a statement's time the database does what it is asked: in the middle.
    pub(super) fn halves(whole: Duration) -> (Duration, Duration) {
        let there = whole / 2;
        (there, whole.saturating_sub(there))
    }
}
