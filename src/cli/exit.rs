//! How a command ends: its exit code, and its error with a hint.

use std::fmt;
use std::io;

use crate::config::ConfigError;
use crate::error::Error;
use crate::logging::LoggingError;
use crate::worker::RUNNING;

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Nothing has this name or id.
    NotFound = 3,
    /// The state of the thing does not allow it.
    Refused = 4,
    /// Some of it was done.
    Partly = 5,
    /// The database can't be reached.
    Unreachable = 6,
    /// This login may not do it.
    NotPermitted = 7,
    /// A threshold is breached.
    Threshold = 8,
    /// A worker reached its memory limit.
    Memory = 12,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error of a command: what was wrong, what to do next, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What was wrong.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// An error with its exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// A command line that can't be meant.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What an error of any kind means for the person at the terminal; `None` for a reader that went away.
    pub(super) fn of(error: &anyhow::Error) -> Option<Self> {
        for cause in error.chain() {
            if let Some(failure) = cause.downcast_ref::<Self>() {
                return Some(failure.clone());
            }
            if let Some(source) = cause.downcast_ref::<Error>() {
                let message = if error.chain().count() > 1 && !is_outermost(error, cause) {
                    format!("{error}: {source}")
                } else {
                    source.to_string()
                };
                let exit = exit_of(source);
                let forbidden = (exit == Exit::NotPermitted).then(|| {
                    "this login may not do it: name another in the URL (-d), or ask an administrator".into()
                });
                return Some(Self { exit, message, hint: source.hint().or(forbidden) });
            }
            if let Some(source) = cause.downcast_ref::<ConfigError>() {
                return Some(Self::usage(source.to_string()).hint(source.hint()));
            }
            if let Some(source) = cause.downcast_ref::<LoggingError>() {
                return Some(Self::usage(source.to_string()).hint(source.hint()));
            }
            if let Some(source) = cause.downcast_ref::<io::Error>()
                && source.kind() == io::ErrorKind::BrokenPipe
            {
                return None;
            }
        }
        Some(Self::new(Exit::Failed, format!("{error:#}")))
    }
}

fn is_outermost(error: &anyhow::Error, cause: &(dyn std::error::Error + 'static)) -> bool {
    error.to_string() == cause.to_string()
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::UnknownTenant { .. } | Error::NotFound { .. } => Exit::NotFound,
        Error::Invalid { .. } | Error::PayloadTooLarge { .. } | Error::Ambiguous { .. } => Exit::Usage,
        // Nobody asked for something impossible: the engine died.
        Error::Refused { what, .. } if what == RUNNING => Exit::Failed,
        Error::IdReused { .. } | Error::Refused { .. } | Error::LeaseLost { .. } => Exit::Refused,
        Error::QuotaExceeded { .. } | Error::RateExceeded { .. } | Error::Draining { .. } => Exit::Refused,
        Error::AlreadyHandled { .. } | Error::WouldDeadlock => Exit::Refused,
        Error::BypassesRowSecurity { .. } => Exit::NotPermitted,
        Error::Unreachable(_) => Exit::Unreachable,
        Error::Database(source) if is_denied(source) => Exit::NotPermitted,
        Error::Damaged(_) | Error::Migration(_) | Error::Database(_) => Exit::Failed,
    }
}

/// PostgreSQL: insufficient privilege, and logins that are refused.
fn is_denied(source: &sqlx::Error) -> bool {
    let code = source.as_database_error().and_then(|refusal| refusal.code());
    matches!(code.as_deref(), Some("42501" | "28000" | "28P01"))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_keeps_its_exit_code_under_context() {
        let source = Error::NotFound { what: "queue", name: "importss".into() };
        let error = anyhow::Error::new(source).context("pausing");
        let failure = Failure::of(&error).unwrap();
        assert_eq!(failure.exit, Exit::NotFound);
        assert_eq!(failure.message, "pausing: queue \"importss\" does not exist");
    }

    #[test]
    fn a_worker_whose_engine_died_has_failed() {
        let error = Error::Refused { what: RUNNING.into(), why: "its settler died".into() };
        assert_eq!(Failure::of(&anyhow::Error::new(error)).unwrap().exit as u8, 1);
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(Failure::of(&error), None);
    }

    #[test]
    fn an_unreachable_database_has_its_own_code_and_a_hint() {
        let failure = Failure::of(&anyhow::Error::new(Error::Unreachable("refused".into()))).unwrap();
        assert_eq!(failure.exit as u8, 6);
        assert!(failure.hint.is_some());
    }
}
