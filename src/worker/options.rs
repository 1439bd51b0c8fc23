//! What a worker process is told on its command line.

use std::time::Duration;

use crate::policy::Backoff;
use crate::store::prune::Retention;

/// How a worker process works. `None` means no limit.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The name on lists; host and process id when empty.
    pub name: String,
    /// The queues it drains, the first before the second and so on.
    pub queues: Vec<String>,
    /// Serves only these of the registered kinds.
    pub kinds: Option<Vec<String>>,
    /// How many jobs run at the same time.
    pub concurrency: usize,
    /// The share of worker time that later queues get while they have work: 0 for strictly none.
    pub queue_floor: f64,
    /// The share of the slots that long work leaves free.
    pub long_reserve: f64,
    /// How long a job runs at least before it is asked to make room for tenants that have nothing running.
    pub yield_after: Duration,
    /// Most jobs claimed ahead of free slots, while jobs run shorter than a millisecond.
    pub claim_ahead: usize,
    /// How long to wait before looking again when nothing was found and nobody woke it (`--sleep`).
    pub poll: Duration,
    /// How long a job is a worker's without a sign of life.
    pub lease: Duration,
    /// How often leases are renewed; at most half a lease.
    pub heartbeat: Duration,
    /// How long running jobs may take to finish after the signal to stop.
    pub drain_timeout: Duration,
    /// Attempts of kinds that do not say; 0 for no limit.
    pub tries: u32,
    /// Timeout of kinds that do not say; zero for none.
    pub timeout: Duration,
    /// Backoff of kinds that do not say.
    pub backoff: Backoff,
    /// Stop after this many jobs.
    pub max_jobs: Option<u64>,
    /// Stop after this long.
    pub max_time: Option<Duration>,
    /// Stop when the process uses more memory than this many bytes.
    pub memory: Option<u64>,
    /// Stop after one job, or at once when there is none.
    pub once: bool,
    /// Stop when nothing is due.
    pub stop_when_empty: bool,
    /// How long finished things are kept.
    pub retention: Retention,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            queues: ["high", "default", "low"].map(String::from).to_vec(),
            kinds: None,
            concurrency: 16,
            queue_floor: 0.1,
            long_reserve: 0.25,
            yield_after: Duration::from_secs(10),
            claim_ahead: 1200,
            poll: Duration::from_secs(1),
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            tries: 3,
            timeout: Duration::from_secs(60),
            backoff: Backoff::default(),
            max_jobs: None,
            max_time: None,
            memory: None,
            once: false,
            stop_when_empty: false,
            retention: Retention::default(),
        }
    }
}

impl WorkerOptions {
    /// Most jobs this process may start.
    pub(crate) fn job_limit(&self) -> Option<u64> {
        if self.once { Some(1) } else { self.max_jobs }
    }
}
