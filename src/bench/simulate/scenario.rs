//! What is simulated: processes, kinds of job, tenants and their work, and what is expected of the outcome.

use std::time::Duration;

use super::chance::Runs;
use crate::fair::{LaneId, Scope};

/// A scenario file that makes sense.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// What it is about, for people.
    pub(crate) about: String,
    /// How long is simulated.
    pub(crate) time: Duration,
    /// What happens before this is not counted.
    pub(crate) warm_up: Duration,
    pub(crate) seed: u64,
    pub(crate) worker: Worker,
    pub(crate) latency: Latency,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) groups: Vec<Group>,
    pub(crate) expect: Expect,
}

/// The worker processes, all alike.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) processes: usize,
    /// Jobs that one of them runs at the same time.
    pub(crate) slots: usize,
    pub(crate) queues: Vec<String>,
    pub(crate) floor: f64,
    pub(crate) reserve: f64,
    pub(crate) ahead: usize,
}

/// How long the database takes; each time it is this long give or take a quarter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) claim: Duration,
    pub(crate) settle: Duration,
    /// From a commit to the moment in which workers hear of it; none when they only look.
    pub(crate) wake: Option<Duration>,
    pub(crate) look: Duration,
    pub(crate) exchange: Duration,
}

/// A kind of job.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) runs: Runs,
    /// Whether it is declared long.
    pub(crate) long: bool,
}

/// Tenants that are alike.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) count: usize,
    pub(crate) weight: f64,
    pub(crate) limits: Vec<(Scope, usize)>,
    pub(crate) work: Vec<Work>,
    pub(crate) expect: GroupExpect,
}

/// Jobs that each tenant of a group queues.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) queue: usize,
    /// Its place among the kinds.
    pub(crate) kind: usize,
    pub(crate) priority: i64,
    /// So many at once in the beginning.
    pub(crate) backlog: u64,
    /// So many bursts a second.
    pub(crate) bursts_per_second: f64,
    /// Jobs in one of them.
    pub(crate) burst: u64,
    /// Whether they come by chance instead of evenly.
    pub(crate) random: bool,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

/// Bounds on the outcome; none where the file says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expect {
    pub(crate) jain: Option<f64>,
    pub(crate) jain_window: Option<f64>,
    pub(crate) share_error: Option<f64>,
    pub(crate) slots_used: Option<f64>,
    pub(crate) limit_used: Option<f64>,
    pub(crate) lag_jobs: Option<f64>,
}

/// Bounds for the tenants of a group.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GroupExpect {
    pub(crate) wait_p50: Option<Duration>,
    pub(crate) wait_p99: Option<Duration>,
    pub(crate) wait_max: Option<Duration>,
    /// The least share of all worker-seconds, of each tenant.
    pub(crate) share: Option<f64>,
}

/// A tenant of a group.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    /// As lanes number it.
    pub(crate) id: i64,
    /// Its group's place.
    pub(crate) group: usize,
    pub(crate) name: String,
}

impl Scenario {
    /// All tenants, in the order of the file; numbers count from 1.
    pub(crate) fn tenants(&self) -> Vec<Tenant> {
        let mut tenants = Vec::new();
        for (place, group) in self.groups.iter().enumerate() {
            for number in 1..=group.count {
                let name =
                    if group.count == 1 { group.name.clone() } else { format!("{}-{number}", group.name) };
                tenants.push(Tenant { id: tenants.len() as i64 + 1, group: place, name });
            }
        }
        tenants
    }

    pub(crate) fn scope_name(&self, scope: Scope) -> String {
        match scope {
            Scope::Total => "total".to_owned(),
            Scope::Queue(queue) => self.worker.queues[queue].clone(),
        }
    }
}

/// Whether a limit is about a lane.
pub(crate) fn within(scope: Scope, lane: LaneId) -> bool {
    scope == Scope::Total || scope == Scope::Queue(lane.queue)
}
