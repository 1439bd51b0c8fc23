//! The states of a job and the only ways between them.

use std::fmt;
use std::str::FromStr;

/// Where a job stands. *Failed* is the word in CLI and pages for [`JobState::Discarded`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Waits for its time.
    Scheduled,
    /// May run now.
    Available,
    /// A worker holds it under a lease.
    Executing,
    /// Failed an attempt and waits for the next.
    Retryable,
    /// Set aside until its concurrency key is free; also a row too damaged to run.
    Suspended,
    /// Done. Terminal.
    Completed,
    /// Stopped on purpose. Terminal.
    Cancelled,
    /// Failed for good; only an admin's retry leads out.
    Discarded,
}

/// What can happen to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Its time has come.
    Promote,
    /// A worker takes it.
    Claim,
    /// The handler succeeded.
    Complete,
    /// The handler failed and may try again.
    Retry,
    /// The handler asked to be called again later; the attempt is given back.
    Snooze,
    /// The worker stopped before the handler was done; the attempt is given back.
    Release,
    /// The lease ran out; the attempt is given back.
    Rescue,
    /// The handler failed for good.
    Fail,
    /// Somebody, or the handler, called it off.
    Cancel,
    /// An admin tries a failed job again.
    Revive,
    /// It is set aside.
    Suspend,
    /// What it was set aside for is over.
    Resume,
}

impl JobState {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Available,
        Self::Executing,
        Self::Retryable,
        Self::Suspended,
        Self::Completed,
        Self::Cancelled,
        Self::Discarded,
    ];

    /// The word in the database, in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Executing => "executing",
            Self::Retryable => "retryable",
            Self::Suspended => "suspended",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
        }
    }

    /// Whether nothing but an admin leads out of it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Discarded)
    }

    /// The state after a transition; `None` where the transition is not allowed. The one table of the state machine:
    /// every statement in `store/` restates the left side in its `where`.
    pub fn after(self, transition: Transition) -> Option<Self> {
        use JobState as S;
        use Transition as T;
        Some(match (self, transition) {
            (S::Scheduled | S::Retryable, T::Promote) => S::Available,
            (S::Available, T::Claim) => S::Executing,
            (S::Executing, T::Complete) => S::Completed,
            (S::Executing, T::Retry) => S::Retryable,
            (S::Executing, T::Snooze) => S::Scheduled,
            (S::Executing, T::Release | T::Rescue) => S::Available,
            (S::Executing, T::Fail) => S::Discarded,
            (S::Executing | S::Scheduled | S::Available | S::Retryable | S::Suspended, T::Cancel) => {
                S::Cancelled
            }
            (S::Discarded, T::Revive) => S::Available,
            (S::Scheduled | S::Available | S::Retryable, T::Suspend) => S::Suspended,
            (S::Suspended, T::Resume) => S::Available,
            _ => return None,
        })
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = String;

    /// Reads the eight words and the aliases people type: pending, running, failed.
    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "pending" | "ready" => Self::Available,
            "running" | "reserved" => Self::Executing,
            "failed" | "dead" => Self::Discarded,
            "delayed" => Self::Scheduled,
            "retrying" => Self::Retryable,
            "done" | "succeeded" => Self::Completed,
            "canceled" => Self::Cancelled,
            _ => *Self::ALL.iter().find(|state| state.as_str() == word).ok_or_else(|| {
                let words: Vec<_> = Self::ALL.iter().map(|state| state.as_str()).collect();
                format!("\"{word}\" is no state; states: {}", words.join(", "))
            })?,
        })
    }
}
