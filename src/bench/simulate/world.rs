//! Simulated time: what happens next, and what follows from it.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use uuid::Uuid;

use super::chance::Chance;
use super::database::Database;
use super::process::Process;
use super::record::Record;
use super::scenario::{Scenario, Tenant, Work};
use crate::fair::LaneId;

/// How often lag is looked at.
const SAMPLE: Duration = Duration::from_millis(250);
/// The longest time between two tries to claim.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// Processes do not start in the same instant.
const START: Duration = Duration::from_millis(200);

/// Something that happens at a process, or to all.
#[derive(Debug)]
pub(super) enum Event {
    /// Jobs are queued.
    Arrive(usize),
    /// A wake-up comes in.
    Hint(usize, LaneId, i64),
    Start(usize),
    Look(usize),
    Looked(usize),
    /// Nobody said that there is work, but there might be.
    Retry(usize),
    /// The claim's statement is carried out.
    Claim(usize),
    Claimed(usize),
    Ended(usize, Uuid),
    /// No more settlements are waited for.
    Gathered(usize),
    Settled(usize),
    /// The alarm of the exchange of permits.
    Alarm(usize, u64),
    Exchange(usize),
    Exchanged(usize),
    WarmedUp,
    Sample,
}

/// An event in its place: by time, and in the order in which they were planned.
struct Planned {
    at: Duration,
    order: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Jobs that one tenant queues, one burst after the other.
struct Arrivals {
    lane: LaneId,
    work: Work,
    chance: Chance,
}

/// All of it.
pub(super) struct World<'s> {
    pub(super) scenario: &'s Scenario,
    pub(super) now: Duration,
    pub(super) database: Database,
    pub(super) processes: Vec<Process>,
    pub(super) record: Record,
    pub(super) seed: u64,
    /// Where each job runs since when.
    pub(super) running: HashMap<Uuid, Duration>,
    arrivals: Vec<Arrivals>,
    events: BinaryHeap<Reverse<Planned>>,
    planned: u64,
    jitter: Chance,
}

/// Streams of chance: one for latencies, then one for each tenant's work; jobs have their own numbers.
const LATENCIES: u64 = 1 << 62;
const ARRIVALS: u64 = 1 << 63;

/// Lets a scenario's time pass.
pub(super) fn run(scenario: &Scenario, tenants: &[Tenant], seed: u64) -> Record {
    let mut world = World::new(scenario, tenants, seed);
    while let Some(Reverse(planned)) = world.events.pop() {
        if planned.at >= scenario.time {
            break;
        }
        world.now = planned.at;
        world.happen(planned.event);
    }
    world.close()
}

impl<'s> World<'s> {
    fn new(scenario: &'s Scenario, tenants: &[Tenant], seed: u64) -> Self {
        let mut world = Self {
            scenario,
            now: Duration::ZERO,
            database: Database::default(),
            processes: (0..scenario.worker.processes).map(|_| Process::new(scenario)).collect(),
            record: Record::new(scenario, tenants),
            seed,
            running: HashMap::new(),
            arrivals: Vec::new(),
            events: BinaryHeap::new(),
            planned: 0,
            jitter: Chance::of(seed, LATENCIES),
        };
        world.plan(scenario.warm_up, Event::WarmedUp);
        world.plan(scenario.warm_up + SAMPLE, Event::Sample);
        for tenant in tenants {
            for work in &scenario.groups[tenant.group].work {
                world.expect_work(tenant.id, work);
            }
        }
        for process in 0..scenario.worker.processes {
            let start = world.jitter.within(START);
            world.plan(start, Event::Start(process));
        }
        world
    }

    fn expect_work(&mut self, tenant: i64, work: &Work) {
        let lane = LaneId { queue: work.queue, tenant };
        let mut chance = Chance::of(self.seed, ARRIVALS + self.arrivals.len() as u64);
        let backlog = Work { bursts_per_second: 0.0, burst: work.backlog, ..work.clone() };
        if work.backlog > 0 {
            self.plan(work.from, Event::Arrive(self.arrivals.len()));
            self.arrivals.push(Arrivals { lane, work: backlog, chance: chance.clone() });
        }
        if work.bursts_per_second > 0.0 {
            // Tenants do not queue in step.
            let first = chance.within(Duration::from_secs_f64(1.0 / work.bursts_per_second));
            self.plan(work.from.saturating_add(first), Event::Arrive(self.arrivals.len()));
            self.arrivals.push(Arrivals { lane, work: work.clone(), chance });
        }
    }

    fn plan(&mut self, at: Duration, event: Event) {
        self.planned += 1;
        self.events.push(Reverse(Planned { at, order: self.planned, event }));
    }

    pub(super) fn after(&mut self, wait: Duration, event: Event) {
        self.plan(self.now.saturating_add(wait), event);
    }

    /// How long a statement takes this time: within a quarter of what it usually takes, or processes would keep step.
    pub(super) fn latency(&mut self, usual: Duration) -> Duration {
        usual.mul_f64(0.75 + 0.5 * self.jitter.fraction())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(arrivals) => self.arrive(arrivals),
            Event::Hint(process, ..) if !self.processes[process].started => {}
            Event::Hint(process, lane, priority) => {
                self.processes[process].scheduler.hinted(lane, priority, self.now);
                self.try_to_claim(process);
            }
            Event::Start(process) => {
                self.processes[process].started = true;
                self.begin_round(process);
                self.look(process);
                self.after(RETRY, Event::Retry(process));
            }
            Event::Look(process) => self.look(process),
            Event::Looked(process) => self.looked(process),
            Event::Retry(process) => {
                self.try_to_claim(process);
                self.after(RETRY, Event::Retry(process));
            }
            Event::Claim(process) => self.claim(process),
            Event::Claimed(process) => self.claimed(process),
            Event::Ended(process, job) => self.ended(process, job),
            Event::Gathered(process) => self.settle(process),
            Event::Settled(process) => self.settled(process),
            Event::Alarm(process, alarm) => self.alarm(process, alarm),
            Event::Exchange(process) => self.exchange(process),
            Event::Exchanged(process) => self.exchanged(process),
            Event::WarmedUp => self.record.warmed_up(self.now),
            Event::Sample => {
                self.record.note_lag(self.now);
                self.after(SAMPLE, Event::Sample);
            }
        }
    }

    fn arrive(&mut self, place: usize) {
        let Arrivals { lane, work, chance } = &mut self.arrivals[place];
        if self.now >= work.until {
            return;
        }
        let (lane, kind, priority, jobs) = (*lane, work.kind, work.priority, work.burst);
        let every =
            (work.bursts_per_second > 0.0).then(|| Duration::from_secs_f64(1.0 / work.bursts_per_second));
        let next = every.map(|every| if work.random { chance.exponential(every) } else { every });
        self.database.queue(lane, kind, priority, jobs, self.now);
        self.record.queued(lane, jobs, self.now);
        self.wake(lane, priority);
        if let Some(next) = next {
            self.after(next, Event::Arrive(place));
        }
    }

    /// Everybody who listens hears of work in a lane.
    fn wake(&mut self, lane: LaneId, priority: i64) {
        let Some(wake) = self.scenario.latency.wake else { return };
        for process in 0..self.processes.len() {
            let wait = self.latency(wake);
            self.after(wait, Event::Hint(process, lane, priority));
        }
    }

    fn close(mut self) -> Record {
        let end = self.scenario.time;
        let mut running: Vec<(Uuid, Duration)> = self.running.drain().collect();
        running.sort_unstable();
        for (id, began) in running {
            if let Some(job) = self.database.taken(id) {
                self.record.ran(job.lane, began, end, false);
            }
        }
        for (lane, queued, jobs) in self.database.waiting() {
            self.record.unserved(lane, queued, jobs, end);
        }
        self.record.close(end);
        self.record
    }
}
