//! What follows an attempt. Pure: no clock, no database.

use std::fmt;
use std::time::Duration;

use crate::policy::Backoff;

/// What a handler returns.
pub type JobResult = Result<(), JobError>;

/// What shall happen to a job that did not simply succeed.
///
/// Deliberately no `std::error::Error`: so every error type converts into it with `?`, and means *retry*.
#[derive(Debug)]
pub struct JobError {
    pub(crate) decision: Decision,
    pub(crate) code: String,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Retry,
    Cancel,
    Discard,
    Snooze(Duration),
    LeaseLost,
    AlreadyHandled,
    Interrupted,
}

impl JobError {
    /// Counts the attempt and tries again later, while the policy allows; what `?` does.
    pub fn retry(error: impl fmt::Display) -> Self {
        Self::new(Decision::Retry, "error", error)
    }

    /// Stops the job on purpose: it would never succeed, and nobody needs to look at it.
    pub fn cancel(reason: impl fmt::Display) -> Self {
        Self::new(Decision::Cancel, "cancelled", reason)
    }

    /// Fails the job for good at once: it would never succeed, and somebody should look at it.
    pub fn discard(error: impl fmt::Display) -> Self {
        Self::new(Decision::Discard, "discarded", error)
    }

    /// Calls the handler again after a while; the attempt is given back. A job that is to come again at once (zero) keeps its
    /// place before later jobs: for a handler that stops because its worker does.
    pub fn snooze(after: Duration) -> Self {
        Self::new(Decision::Snooze(after), "snoozed", "")
    }

    /// Gives the error a stable code, by which failed jobs are found and grouped.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    fn new(decision: Decision, code: &str, message: impl fmt::Display) -> Self {
        Self { decision, code: code.into(), message: message.to_string() }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        let message = with_causes(&error);
        let any: &(dyn std::error::Error + 'static) = &error;
        let Some(engine) = any.downcast_ref::<crate::Error>() else {
            return Self::new(Decision::Retry, "error", message);
        };
        let decision = match engine {
            crate::Error::LeaseLost { .. } => Decision::LeaseLost,
            crate::Error::AlreadyHandled { .. } => Decision::AlreadyHandled,
            // The job is not to blame when the queue's own database is away.
            error if error.is_transient() => Decision::Interrupted,
            _ => Decision::Retry,
        };
        Self::new(decision, engine.code(), message)
    }
}

/// The message with its chain of causes, without saying the same twice.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    message
}

/// Turns an error that will never heal into a decision: `import.reader().or_cancel()?`.
pub trait OrDecide<T> {
    /// Stops the job on purpose.
    fn or_cancel(self) -> Result<T, JobError>;
    /// Fails the job for good at once.
    fn or_discard(self) -> Result<T, JobError>;
}

impl<T, E: fmt::Display> OrDecide<T> for Result<T, E> {
    fn or_cancel(self) -> Result<T, JobError> {
        self.map_err(JobError::cancel)
    }

    fn or_discard(self) -> Result<T, JobError> {
        self.map_err(JobError::discard)
    }
}

/// How one attempt ended, as the worker saw it.
#[derive(Debug)]
pub enum AttemptResult {
    /// The handler returned.
    Returned(JobResult),
    /// The handler made no progress for its whole timeout.
    TimedOut(Duration),
    /// The handler panicked.
    Panicked(String),
    /// The payload is not what the kind expects.
    Undecodable(String),
    /// Somebody cancelled the running job.
    CancelRequested(String),
    /// The worker stopped.
    Interrupted,
    /// The lease was lost: whatever the handler did since is void.
    LeaseLost,
}

/// What the decision needs to know about the job.
#[derive(Debug, Clone)]
pub struct AttemptFacts {
    /// Which attempt this was, from 1.
    pub attempt: u32,
    /// Most attempts; 0 for no limit.
    pub max_attempts: u32,
    /// Time left to retry in, where the job has such a limit: it then counts instead of `max_attempts`.
    pub retry_time_left: Option<Duration>,
}

/// What happens next. Each has one statement in `store/settle.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// To the history.
    Complete,
    /// Wait, then try again.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Why.
        failure: Failure,
    },
    /// Wait, then try again; the attempt is given back.
    Snooze {
        /// How long to wait.
        after: Duration,
    },
    /// To the failed jobs.
    Fail {
        /// Why.
        failure: Failure,
    },
    /// To the history, as cancelled.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Back to the queue at once; the attempt is given back.
    Release,
    /// Nothing to write: another worker owns the job.
    Forget,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A stable word: `error`, `timed_out`, `panicked`, `undecodable_payload`, or the handler's own.
    pub code: String,
    /// The message with its causes.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// What follows an attempt; `jitter` in 0..1 comes from the caller.
pub fn decide(result: AttemptResult, facts: &AttemptFacts, backoff: &Backoff, jitter: f64) -> Next {
    let failure = match result {
        AttemptResult::Returned(Ok(())) => return Next::Complete,
        AttemptResult::Returned(Err(error)) => match error.decision {
            Decision::Retry => Failure { code: error.code, message: error.message },
            Decision::Cancel => return Next::Cancel { reason: error.message },
            Decision::Discard => {
                return Next::Fail { failure: Failure { code: error.code, message: error.message } };
            }
            Decision::Snooze(after) => return Next::Snooze { after },
            Decision::LeaseLost => return Next::Forget,
            Decision::AlreadyHandled => return Next::Complete,
            Decision::Interrupted => return Next::Snooze { after: backoff.wait(1, jitter) },
        },
        AttemptResult::TimedOut(limit) => {
            Failure::new("timed_out", format!("no progress for {}", crate::config::print_duration(limit)))
        }
        AttemptResult::Panicked(message) => Failure::new("panicked", message),
        // A later release may read it, but this one never will: a person has to look.
        AttemptResult::Undecodable(why) => {
            return Next::Fail { failure: Failure::new("undecodable_payload", why) };
        }
        AttemptResult::CancelRequested(reason) => return Next::Cancel { reason },
        AttemptResult::Interrupted => return Next::Release,
        AttemptResult::LeaseLost => return Next::Forget,
    };
    let after = backoff.wait(facts.attempt, jitter);
    if may_retry(facts, after) { Next::Retry { after, failure } } else { Next::Fail { failure } }
}

fn may_retry(facts: &AttemptFacts, after: Duration) -> bool {
    match facts.retry_time_left {
        Some(left) => after < left,
        None => facts.max_attempts == 0 || facts.attempt < facts.max_attempts,
    }
}
