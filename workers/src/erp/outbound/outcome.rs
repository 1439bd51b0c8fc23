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

    /// The same of a provider whose address is a setting: one that is forbidden is no matter of the message.
    pub fn no_answer_of(
        error: &OutboundError,
        lost: Decision,
        (code, setting): (&'static str, &'static str),
    ) -> Self {
        match error {
            OutboundError::Forbidden(why) => Self::new(Decision::Retry, code, format!("{setting}: {why}")),
            error => Self::unanswered(error, lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_forbidden_address_is_a_matter_of_the_settings_and_a_tenants_of_the_message() {
        let forbidden = OutboundError::Forbidden("it must begin with https://".into());
        let of_provider =
            SendError::no_answer_of(&forbidden, Decision::Uncertain, ("sms_settings", "sms.http_url"));
        assert_eq!((of_provider.decision, of_provider.code), (Decision::Retry, "sms_settings"));
        assert_eq!(of_provider.why, "sms.http_url: it must begin with https://");
        assert_eq!(SendError::unanswered(&forbidden, Decision::Retry).decision, Decision::Fail);
        let lost = OutboundError::Lost("no answer in time".into());
        let of_provider =
            SendError::no_answer_of(&lost, Decision::Uncertain, ("sms_settings", "sms.http_url"));
        assert_eq!((of_provider.decision, of_provider.code), (Decision::Uncertain, "no_answer"));
    }
}
