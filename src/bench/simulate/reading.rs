//! From a scenario file's text to a scenario, or to what is wrong with it and in which line.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::chance::Runs;
use super::file::{File, KindTable, LatencyTable, TenantTable, Time, WorkTable, WorkerTable};
use super::scenario::{Expect, Group, GroupExpect, Kind, Latency, Scenario, Work, Worker};
use crate::fair::Scope;
use crate::worker::WorkerOptions;

/// More would take hours.
const MOST_TENANTS: usize = 100_000;
/// Worker-seconds are kept for each tenant and second: more would not fit into memory.
const MOST_TENANT_SECONDS: f64 = 20e6;
/// Jobs of one entry that are queued at once.
const MOST_AT_ONCE: u64 = 1_000_000_000;
/// A statement takes some time, or simulated time would stand still.
const SHORTEST_CLAIM: Duration = Duration::from_micros(10);

/// What is wrong with a scenario file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: usize,
    pub(crate) why: String,
}

type Place = Range<usize>;
type Checked<T> = Result<T, (Place, String)>;

/// Reads a scenario.
pub(crate) fn read(text: &str) -> Result<Scenario, Wrong> {
    let line = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let file: File = toml::from_str(text).map_err(|error| Wrong {
        line: line(error.span().map_or(0, |span| span.start)),
        why: error.message().replace("unknown field", "unknown key").replace('\n', ", "),
    })?;
    check(file).map_err(|(place, why)| Wrong { line: line(place.start), why })
}

fn check(file: File) -> Checked<Scenario> {
    let time = positive(&file.time, "time")?;
    if file.warm_up.0 >= time {
        return Err((file.time.span(), "nothing is left to count: warm_up is not shorter than time".into()));
    }
    let worker = worker(&file.worker)?;
    let kinds = file.kinds.iter().map(|(name, kind)| self::kind(name, kind)).collect::<Checked<Vec<_>>>()?;
    let group = |tenant: &Spanned<TenantTable>| group(tenant, &worker, &kinds, time);
    let groups = file.tenants.iter().map(group).collect::<Checked<Vec<_>>>()?;
    let mut names = HashSet::new();
    if let Some(again) = file.tenants.iter().find(|tenant| !names.insert(tenant.get_ref().name.clone())) {
        return Err((again.span(), format!("two entries of tenants are named {:?}", again.get_ref().name)));
    }
    let tenants = groups.iter().map(|group| group.count).fold(0, usize::saturating_add);
    if tenants == 0 || tenants > MOST_TENANTS {
        return Err((0..0, format!("there are {tenants} tenants: give 1 to {MOST_TENANTS}")));
    }
    if time.as_secs_f64() * tenants as f64 > MOST_TENANT_SECONDS {
        let why = format!(
            "time is too long for {tenants} tenants: at most {MOST_TENANT_SECONDS} s over their number"
        );
        return Err((file.time.span(), why));
    }
    if let Some(bound) = &file.expect.limit_used
        && groups.iter().all(|group| group.limits.is_empty())
    {
        return Err((bound.span(), "limit_used expects something of limits, and no tenant has one".into()));
    }
    let expect = Expect {
        jain: file.expect.jain,
        jain_window: file.expect.jain_window,
        share_error: file.expect.share_error,
        slots_used: file.expect.slots_used,
        limit_used: file.expect.limit_used.map(Spanned::into_inner),
        lag_jobs: file.expect.lag_jobs,
    };
    Ok(Scenario {
        about: file.about,
        time,
        warm_up: file.warm_up.0,
        seed: file.seed,
        latency: latency(&file.latency)?,
        worker,
        kinds,
        groups,
        expect,
    })
}

fn positive(time: &Spanned<Time>, key: &str) -> Checked<Duration> {
    match time.get_ref().0 {
        Duration::ZERO => Err((time.span(), format!("{key} must be above zero"))),
        time => Ok(time),
    }
}

fn between<T: Copy + PartialOrd + std::fmt::Display>(
    written: Option<&Spanned<T>>,
    key: &str,
    range: std::ops::RangeInclusive<T>,
) -> Checked<Option<T>> {
    match written {
        Some(number) if !range.contains(number.get_ref()) => {
            Err((number.span(), format!("{key} must be from {} to {}", range.start(), range.end())))
        }
        number => Ok(number.map(|number| *number.get_ref())),
    }
}

fn worker(table: &WorkerTable) -> Checked<Worker> {
    let usual = WorkerOptions::default();
    let queues = match &table.queues {
        Some(queues) => {
            let distinct: HashSet<&String> = queues.get_ref().iter().collect();
            if distinct.is_empty() || distinct.len() < queues.get_ref().len() {
                return Err((queues.span(), "queues must be a list of distinct names".into()));
            }
            queues.get_ref().clone()
        }
        None => usual.queues,
    };
    let percent = |written: Option<u32>, usual: f64| written.map_or(usual, |part| f64::from(part) / 100.0);
    let floor = between(table.queue_floor.as_ref(), "queue_floor", 0..=100)?;
    let reserve = between(table.long_reserve.as_ref(), "long_reserve", 0..=100)?;
    Ok(Worker {
        processes: between(table.processes.as_ref(), "processes", 1..=256)?.unwrap_or(1),
        slots: between(table.concurrency.as_ref(), "concurrency", 1..=1000)?.unwrap_or(usual.concurrency),
        queues,
        floor: percent(floor, usual.queue_floor),
        reserve: percent(reserve, usual.long_reserve),
        ahead: table.claim_ahead.unwrap_or(usual.claim_ahead).min(10_000),
    })
}

fn latency(table: &LatencyTable) -> Checked<Latency> {
    let usual = |written: Option<Time>, ms| written.map_or(Duration::from_millis(ms), |time| time.0);
    let claim = usual(table.claim.as_ref().map(|claim| *claim.get_ref()), 2);
    if claim < SHORTEST_CLAIM {
        let place = table.claim.as_ref().map_or(0..0, Spanned::span);
        return Err((place, "claim must be at least 10us, or simulated time would stand still".into()));
    }
    Ok(Latency {
        claim,
        settle: usual(table.settle, 2),
        wake: table.wake_up.unwrap_or(true).then(|| usual(table.wake, 1)),
        look: usual(table.look, 1),
        exchange: usual(table.exchange, 4),
    })
}

fn kind(name: &str, table: &Spanned<KindTable>) -> Checked<Kind> {
    let kind = table.get_ref();
    let runs = match (kind.fixed, kind.uniform, kind.exponential) {
        (Some(time), None, None) => Runs::Fixed(time.0),
        (None, Some([least, most]), None) if least.0 <= most.0 => Runs::Uniform(least.0, most.0),
        (None, Some(_), None) => {
            return Err((table.span(), format!("kind {name:?}: uniform is [least, most], in this order")));
        }
        (None, None, Some(mean)) => Runs::Exponential(mean.0),
        _ => {
            let why =
                format!("kind {name:?} must say how long its jobs run: one of fixed, uniform, exponential");
            return Err((table.span(), why));
        }
    };
    Ok(Kind { name: name.to_owned(), runs, long: kind.long })
}

fn group(tenant: &Spanned<TenantTable>, worker: &Worker, kinds: &[Kind], time: Duration) -> Checked<Group> {
    let table = tenant.get_ref();
    let refuse = |why: String| Err((tenant.span(), format!("tenant {:?}: {why}", table.name)));
    let weight = table.weight.unwrap_or(1.0);
    if !(0.001..=1000.0).contains(&weight) {
        return refuse("weight must be from 0.001 to 1000".into());
    }
    let mut limits: Vec<(Scope, usize)> =
        table.limit.map(|limit| (Scope::Total, limit)).into_iter().collect();
    for (queue, limit) in &table.queue_limits {
        limits.push((Scope::Queue(queue_place(worker, queue)?), *limit));
    }
    if limits.iter().any(|(_, limit)| *limit == 0) {
        return refuse("a limit must be at least 1".into());
    }
    let work = |work: &Spanned<WorkTable>| self::work(work, worker, kinds, time);
    Ok(Group {
        name: table.name.clone(),
        count: table.count.unwrap_or(1),
        weight,
        limits,
        work: table.work.iter().map(work).collect::<Checked<Vec<_>>>()?,
        expect: GroupExpect {
            wait_p50: table.expect.wait_p50.map(|time| time.0),
            wait_p99: table.expect.wait_p99.map(|time| time.0),
            wait_max: table.expect.wait_max.map(|time| time.0),
            share: table.expect.share,
        },
    })
}

fn queue_place(worker: &Worker, queue: &Spanned<String>) -> Checked<usize> {
    let place = worker.queues.iter().position(|name| name == queue.get_ref());
    place.ok_or_else(|| {
        let served = worker.queues.join(", ");
        (queue.span(), format!("queue {:?} is not served: worker.queues are {served}", queue.get_ref()))
    })
}

fn work(work: &Spanned<WorkTable>, worker: &Worker, kinds: &[Kind], time: Duration) -> Checked<Work> {
    let table = work.get_ref();
    let Some(kind) = kinds.iter().position(|kind| kind.name == *table.kind.get_ref()) else {
        let why = format!("no [kinds.{0}] says how long jobs of kind {0:?} run", table.kind.get_ref());
        return Err((table.kind.span(), why));
    };
    let (burst, per_second) = (table.burst.unwrap_or(1), table.per_second.unwrap_or(0.0));
    if per_second != 0.0 && !(1e-6..=1e6).contains(&per_second) {
        return Err((work.span(), "per_second must be 0, or from 0.000001 to 1000000".into()));
    }
    if !(1..=MOST_AT_ONCE).contains(&burst) || table.backlog.unwrap_or(0) > MOST_AT_ONCE {
        return Err((
            work.span(),
            format!("backlog and burst must be at most {MOST_AT_ONCE}, burst at least 1"),
        ));
    }
    if table.backlog.unwrap_or(0) == 0 && per_second == 0.0 {
        return Err((work.span(), "this work brings no job: give it a backlog, per_second or both".into()));
    }
    if !(0..=9).contains(&table.priority.unwrap_or(5)) {
        return Err((work.span(), "priority must be from 0 (first) to 9 (last)".into()));
    }
    let usual = worker.queues.iter().position(|name| name == "default").unwrap_or(0);
    Ok(Work {
        queue: table.queue.as_ref().map_or(Ok(usual), |queue| queue_place(worker, queue))?,
        kind,
        priority: table.priority.unwrap_or(5),
        backlog: table.backlog.unwrap_or(0),
        bursts_per_second: per_second / burst as f64,
        burst,
        random: table.random,
        from: table.from.0,
        until: table.until.map_or(time, |until| until.0),
    })
}
