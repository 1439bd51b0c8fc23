//! What a ledger's records mean: runs, waits, shares, peaks. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::figures::jain;
use super::ledger::{Act, Record};

/// One run of a job, in microseconds on the ledger's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) tenant: i64,
    pub(crate) number: u64,
    pub(crate) begin: u64,
    /// When it was over; the end of what was looked at for one that went on.
    pub(crate) end: u64,
    /// Whether its handler ended it.
    pub(crate) done: bool,
}

/// All runs that began, up to a time.
pub(crate) fn spans(records: &[Record], until: u64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut open: HashMap<(u32, u64), usize> = HashMap::new();
    for record in records.iter().filter(|record| record.at <= until) {
        match record.act {
            Act::Begin => {
                open.insert((record.pid, record.number), spans.len());
                let (tenant, number) = (record.tenant, record.number);
                spans.push(Span { tenant, number, begin: record.at, end: until, done: false });
            }
            Act::End => {
                if let Some(index) = open.remove(&(record.pid, record.number)) {
                    (spans[index].end, spans[index].done) = (record.at, true);
                }
            }
            Act::Gone => open.retain(|(pid, _), index| {
                let gone = *pid == record.pid;
                if gone {
                    spans[*index].end = record.at;
                }
                !gone
            }),
            Act::Queued | Act::Committed => {}
        }
    }
    spans
}

/// From just before a job was queued to its first beginning, in milliseconds, of those queued in `[from, to)`.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    pub(crate) ms: Vec<f64>,
    /// Jobs that had not begun at the end of the records; they count as having waited until then.
    pub(crate) unserved: u64,
}

pub(crate) fn waits(records: &[Record], from: u64, to: u64) -> Waits {
    let until = records.last().map_or(0, |record| record.at);
    let mut began: HashMap<u64, u64> = HashMap::new();
    for record in records.iter().filter(|record| record.act == Act::Begin) {
        began.entry(record.number).or_insert(record.at);
    }
    let mut waits = Waits::default();
    for queued in records.iter().filter(|r| r.act == Act::Queued && (from..to).contains(&r.at)) {
        let begin = began.get(&queued.number);
        waits.unserved += u64::from(begin.is_none());
        waits.ms.push(begin.unwrap_or(&until).saturating_sub(queued.at) as f64 / 1e3);
    }
    waits
}

/// Worker-seconds by tenant in `[from, to)`.
pub(crate) fn worked(spans: &[Span], from: u64, to: u64) -> BTreeMap<i64, f64> {
    let mut worked = BTreeMap::new();
    for span in spans {
        let overlap = span.end.min(to).saturating_sub(span.begin.max(from));
        if overlap > 0 {
            *worked.entry(span.tenant).or_default() += overlap as f64 / 1e6;
        }
    }
    worked
}

/// The smallest Jain index of worker-seconds of these tenants in the windows of `[from, to)`; what is left of the last
/// window does not count.
pub(crate) fn worst_jain(spans: &[Span], tenants: &[i64], from: u64, to: u64, window: u64) -> f64 {
    let windows = (from..to).step_by(usize::try_from(window).unwrap_or(usize::MAX));
    windows
        .filter(|start| start + window <= to)
        .map(|start| {
            let worked = worked(spans, start, start + window);
            let shares: Vec<f64> =
                tenants.iter().map(|tenant| worked.get(tenant).copied().unwrap_or_default()).collect();
            jain(&shares)
        })
        .fold(1.0, f64::min)
}

/// The most runs of a tenant at one time, in the order in which things were said.
pub(crate) fn peak(records: &[Record], tenant: i64) -> u64 {
    let mut open: HashMap<u32, u64> = HashMap::new();
    let (mut running, mut peak) = (0, 0);
    for record in records.iter().filter(|record| record.tenant == tenant || record.act == Act::Gone) {
        let own = open.entry(record.pid).or_default();
        match record.act {
            Act::Begin => {
                *own += 1;
                running += 1;
            }
            Act::End => {
                *own -= 1;
                running -= 1;
            }
            Act::Gone => running -= std::mem::take(own),
            Act::Queued | Act::Committed => {}
        }
        peak = peak.max(running);
    }
    peak
}

/// The most beginnings of a tenant in any window of that length, whenever it starts.
pub(crate) fn busiest_window(records: &[Record], tenant: i64, window: u64) -> usize {
    let (mut recent, mut most) = (VecDeque::new(), 0);
    for record in records.iter().filter(|record| record.act == Act::Begin && record.tenant == tenant) {
        recent.push_back(record.at);
        while recent.front().is_some_and(|first| record.at - first >= window) {
            recent.pop_front();
        }
        most = most.max(recent.len());
    }
    most
}

/// The furthest that a tenant was ever behind an equal share of the worker-seconds since `from`, in seconds; looked at in
/// steps. Every tenant must have work all the time.
pub(crate) fn largest_lag(spans: &[Span], tenants: &[i64], from: u64, to: u64, step: u64) -> f64 {
    let mut behind: f64 = 0.0;
    let mut total: BTreeMap<i64, f64> = BTreeMap::new();
    let mut start = from;
    while start < to {
        let end = to.min(start + step);
        // Runs are in the order of their beginnings, and none is longer than a few steps.
        for (tenant, seconds) in worked(spans, start, end) {
            *total.entry(tenant).or_default() += seconds;
        }
        let share = total.values().sum::<f64>() / tenants.len() as f64;
        let least = tenants.iter().map(|tenant| total.get(tenant).copied().unwrap_or_default());
        behind = behind.max(share - least.fold(f64::INFINITY, f64::min));
        start = end;
    }
    behind
}

/// What became of the jobs whose dispatch was acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Fates {
    /// Dispatched, and the commit had returned.
    pub(crate) acknowledged: u64,
    /// Of these, no handler ever ended.
    pub(crate) lost: u64,
    /// Jobs whose handler ended more than once: its completion had not been written when its process was killed.
    pub(crate) ended_twice: u64,
    /// Jobs that began more than once.
    pub(crate) began_again: u64,
    /// Jobs that ran in two places at the same time.
    pub(crate) overlapped: u64,
}

/// Counts them.
pub(crate) fn fates(records: &[Record]) -> Fates {
    #[derive(Default)]
    struct Fate {
        begun: u64,
        ended: u64,
        running_in: Option<u32>,
        overlapped: bool,
        acknowledged: bool,
    }
    let mut jobs: HashMap<u64, Fate> = HashMap::new();
    for record in records {
        if record.act == Act::Gone {
            for fate in jobs.values_mut().filter(|fate| fate.running_in == Some(record.pid)) {
                fate.running_in = None;
            }
            continue;
        }
        let fate = jobs.entry(record.number).or_default();
        match record.act {
            Act::Committed => fate.acknowledged = true,
            Act::Begin => {
                fate.begun += 1;
                fate.overlapped |= fate.running_in.is_some();
                fate.running_in = Some(record.pid);
            }
            Act::End => {
                fate.ended += 1;
                fate.running_in = None;
            }
            Act::Queued | Act::Gone => {}
        }
    }
    let count = |what: fn(&Fate) -> bool| jobs.values().filter(|fate| what(fate)).count() as u64;
    Fates {
        acknowledged: count(|fate| fate.acknowledged),
        lost: count(|fate| fate.acknowledged && fate.ended == 0),
        ended_twice: count(|fate| fate.ended > 1),
        began_again: count(|fate| fate.begun > 1),
        overlapped: count(|fate| fate.overlapped),
    }
}

#[cfg(test)]
mod tests;
