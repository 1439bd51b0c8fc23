//! Why a run does not go on now, and what becomes of its job.

use std::time::Duration;

use fairlane::{Error, JobError};

use super::super::dialects::DialectError;
use super::super::http::HttpError;
use super::super::pages::PagingError;

/// Why a run does not go on now.
#[derive(Debug)]
pub enum Stop {
    /// It has to wait; nothing is wrong with it.
    Wait(Duration),
    /// Something that may heal: by code and in words.
    Retry(&'static str, String),
    /// For good: by code and in words.
    GiveUp(&'static str, String),
    /// The queue's own database.
    Database(Error),
    /// The worker stops; another goes on.
    Interrupted,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            // Somebody has to change something first: a key, a connection.
            Error::Refused { .. } | Error::Invalid { .. } => {
                Self::GiveUp("connection_unusable", error.to_string())
            }
            error => Self::Database(error),
        }
    }
}

impl From<HttpError> for Stop {
    fn from(error: HttpError) -> Self {
        let text = error.to_string();
        match error {
            HttpError::Forbidden { .. } => Self::GiveUp("forbidden_address", text),
            HttpError::TooLarge { .. } => Self::GiveUp("answer_too_large", text),
            HttpError::Timeout(_) => Self::Retry("remote_timeout", text),
            HttpError::Unreachable(..) => Self::Retry("remote_unreachable", text),
        }
    }
}

impl From<DialectError> for Stop {
    fn from(error: DialectError) -> Self {
        match error {
            DialectError::Http(error) => error.into(),
            DialectError::Unreadable(_) => Self::Retry("answer_unreadable", error.to_string()),
            DialectError::Remote(_) => Self::GiveUp("remote_refused", error.to_string()),
            DialectError::Unauthorized(_) => Self::GiveUp("unauthorized", error.to_string()),
        }
    }
}

impl From<PagingError> for Stop {
    fn from(error: PagingError) -> Self {
        match error {
            PagingError::Http(error) => error.into(),
            PagingError::Loop(_) => Self::GiveUp("list_in_circles", error.to_string()),
            PagingError::TooMany(_) => Self::GiveUp("too_many_pages", error.to_string()),
        }
    }
}

impl Stop {
    /// What becomes of the job. Failures in a row count as attempts; one after progress does not.
    pub(in crate::erp::sync) fn decide(self, progressed: bool, wait: Duration) -> JobError {
        match self {
            Self::Wait(wait) => JobError::snooze(wait),
            Self::Retry(..) if progressed => JobError::snooze(wait),
            Self::Retry(code, why) => JobError::retry(why).code(code),
            Self::GiveUp(code, why) => JobError::discard(why).code(code),
            Self::Database(error) => error.into(),
            Self::Interrupted => JobError::snooze(Duration::ZERO),
        }
    }
}
