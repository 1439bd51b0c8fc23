//! Why a report is not made.

/// Why a report is not made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The database.
    #[error(transparent)]
    Database(#[from] fairlane::Error),
    /// A file that is being written, or read back.
    #[error("a file of the report cannot be written or read: {0}")]
    Io(#[from] std::io::Error),
    /// The place where reports are kept.
    #[error("the report's file cannot be kept or fetched: {0}")]
    Store(#[from] object_store::Error),
    /// Somebody wants it to stop.
    #[error("the report was cancelled")]
    Cancelled,
    /// The worker stops; another one begins it anew.
    #[error("the worker stops")]
    Interrupted,
    /// It can't be made, however often it is tried.
    #[error("{why}")]
    Refused {
        /// The stable word for it.
        code: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl ReportError {
    /// It can't be made, however often it is tried.
    pub fn refused(code: &'static str, why: impl Into<String>) -> Self {
        Self::Refused { code, why: why.into() }
    }

    /// A sum that does not fit: no report is better than a wrong one.
    pub(super) fn too_large() -> Self {
        Self::refused(
            "sum_too_large",
            "a sum of this report has more digits than can be kept exactly; ask for fewer days",
        )
    }
}

impl From<csv::Error> for ReportError {
    fn from(error: csv::Error) -> Self {
        Self::Io(error.into())
    }
}

impl From<serde_json::Error> for ReportError {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}

/// What a part of a report comes to.
pub type Result<T, E = ReportError> = std::result::Result<T, E>;
