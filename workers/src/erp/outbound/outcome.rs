//! Why a message is not out, or may not be: the same few answers for every provider.

use std::time::Duration;

use super::{OutboundError, Reply};

/// What follows from it that a message is not out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing was taken: it may be tried again.
    Retry,
    /// It will never be taken.
    Fail,
    /// The address takes nothing any more, whatever is sent there.
    Suppress,
    /// Nobody knows whether it was taken.
    Uncertain,
}

impl Decision {
    /// The word in the log of attempts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fail => "failed",
            Self::Suppress => "suppressed",
            Self::Uncertain => "uncertain",
        }
    }
}

/// Why a message is not out, or may not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct SendError {
    /// What follows from it.
    pub decision: Decision,
    /// The stable word for it.
    pub code: &'static str,
    /// What the other side said, or what went wrong.
    pub why: String,
    /// When the other side wants to be asked again.
    pub after: Option<Duration>,
    /// The status of HTTP, where there was an answer.
    pub http_status: Option<u16>,
}

impl SendError {
    /// An error with this decision.
    pub fn new(decision: Decision, code: &'static str, why: impl Into<String>) -> Self {
        Self { decision, code, why: why.into(), after: None, http_status: None }
    }

    /// What an answer means that is no success.
    pub fn answered(decision: Decision, code: &'static str, reply: &Reply) -> Self {
        Self {
            after: reply.retry_after,
            http_status: Some(reply.status),
            ..Self::new(decision, code, reply.words())
        }
    }

    /// What it means that there is no answer. `lost` is what follows where the request may have arrived.
    pub fn unanswered(error: &OutboundError, lost: Decision) -> Self {
        let (decision, code) = match error {
            OutboundError::Forbidden(_) => (Decision::Fail, "address_forbidden"),
            OutboundError::Unreachable(_) => (Decision::Retry, "unreachable"),
            OutboundError::Lost(_) => (lost, "no_answer"),
        };
        Self::new(decision, code, error.to_string())
    }
}
