//! Where a job waits, how often it may try and how long.

use std::time::Duration;

/// The settings of a kind of job: one constant beside its code, overridable by configuration (`[kinds."..."]`).
///
/// ```
/// use std::time::Duration;
/// use fairlane::Policy;
///
/// const POLICY: Policy = Policy::LOW.attempts(5).timeout(Duration::from_secs(600));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The queue its jobs wait in.
    pub queue: &'static str,
    /// 0 goes first, 9 last, among one tenant's jobs of one queue.
    pub priority: i32,
    /// How many attempts; `Some(0)` for no limit, `None` for the worker's default (`--tries`, 3).
    pub attempts: Option<u32>,
    /// The longest time between two signs of progress; `None` for the worker's default (`--timeout`, 60 s).
    pub timeout: Option<Duration>,
    /// Waits before the retries, the last one repeats; `None` for the worker's default (`--backoff`, exponential).
    pub backoff: Option<&'static [Duration]>,
    /// Retries for this long from the dispatch on, however many attempts that makes.
    pub retry_for: Option<Duration>,
    /// Whether its jobs run long: they leave some slots free. Workers find out by themselves, but only after the first.
    pub long: bool,
}

impl Policy {
    /// Queue `high`: payments, stock movements, what somebody waits for.
    pub const HIGH: Self = Self::on("high");
    /// Queue `default`: ordinary work, notifications.
    pub const DEFAULT: Self = Self::on("default");
    /// Queue `low`: imports, reports, synchronisation, clearing up.
    pub const LOW: Self = Self::on("low");

    /// A policy on a queue of your own.
    pub const fn on(queue: &'static str) -> Self {
        Self {
            queue,
            priority: 5,
            attempts: None,
            timeout: None,
            backoff: None,
            retry_for: None,
            long: false,
        }
    }

    /// How many attempts before the job fails for good; 0 for no limit.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// The longest time between two signs of progress (start, checkpoint) before the handler is stopped.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Its jobs run for many seconds: they never take the last slots, so that short work finds one.
    pub const fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// 0 goes first, 9 last, among one tenant's jobs of one queue.
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Fixed waits before the retries; the last one repeats.
    pub const fn backoff(mut self, waits: &'static [Duration]) -> Self {
        self.backoff = Some(waits);
        self
    }

    /// Retries for this long from the dispatch on, however many attempts that makes.
    pub const fn retry_for(mut self, period: Duration) -> Self {
        self.retry_for = Some(period);
        self
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The settings of one kind from elsewhere than its code: configuration, a dispatch. What is `None` stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyOverride {
    /// See [`Policy::queue`].
    pub queue: Option<String>,
    /// See [`Policy::priority`].
    pub priority: Option<i32>,
    /// See [`Policy::attempts`].
    pub attempts: Option<u32>,
    /// See [`Policy::timeout`].
    pub timeout: Option<Duration>,
    /// See [`Policy::backoff`].
    pub backoff: Option<Vec<Duration>>,
}

/// How long to wait before a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backoff {
    /// `first`, doubled after each attempt, never more than `cap`.
    Exponential {
        /// The wait after the first attempt.
        first: Duration,
        /// The longest wait.
        cap: Duration,
    },
    /// The waits one by one; the last one repeats.
    List(Vec<Duration>),
}

impl Default for Backoff {
    fn default() -> Self {
        Self::Exponential { first: Duration::from_secs(5), cap: Duration::from_secs(3600) }
    }
}

impl Backoff {
    /// The wait after attempt number `attempt` (1 is the first), with `jitter` in 0..1.
    ///
    /// Jitter is additive: never sooner than asked, up to half as much later. Without it the retries of a thousand jobs
    /// that failed together would come back together; jitter below the asked wait would hit a limited service too soon.
    pub fn wait(&self, attempt: u32, jitter: f64) -> Duration {
        let asked = match self {
            Self::Exponential { first, cap } => {
                first.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1))).min(*cap)
            }
            Self::List(waits) => {
                let index = (attempt.saturating_sub(1) as usize).min(waits.len().saturating_sub(1));
                waits.get(index).copied().unwrap_or_default()
            }
        };
        asked + asked.mul_f64(0.5 * jitter.clamp(0.0, 1.0))
    }
}
