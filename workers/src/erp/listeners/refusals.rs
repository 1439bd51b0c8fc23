//! What the stock refuses.

use fairlane::{Error, JobError, JobInfo};

/// What becomes of a job whose movements could not be recorded: what is refused does not heal by itself, and the goods
/// have moved nevertheless; somebody has to see it.
pub(super) fn stock_refused(error: Error, what: &str, job: &JobInfo) -> JobError {
    match error {
        Error::NotFound { .. } | Error::Refused { .. } | Error::Invalid { .. } => {
            let remedy = format!("When the cause is removed: fairlane retry {}", job.id);
            JobError::discard(format!("the stock of {what} was not changed: {error}. {remedy}"))
                .code("stock_refused")
        }
        error => error.into(),
    }
}
