//! What can go wrong between an application and its queue.
//!
//! [`Error`] is what the library returns: few variants, each with a stable [`Error::code`] that is used alike in CLI
//! output, log fields and metric labels, and a [`Error::hint`] that says what to do next. What a *handler* returns is
//! another matter: [`crate::JobError`] says what shall happen to the job, and deliberately is no
//! `std::error::Error`, so that `?` on any error inside a handler means *retry*.

use uuid::Uuid;

/// An operation on the queue that did not happen, and why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No tenant has this slug.
    #[error("tenant \"{slug}\" does not exist")]
    UnknownTenant {
        /// The slug as given.
        slug: String,
    },
    /// A value that goes into a job or event is not acceptable; nothing was stored.
    #[error("{what} is not acceptable: {why}")]
    Invalid {
        /// The field or argument, with the job's kind or event's name.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The payload is larger than the limit; nothing was stored.
    #[error("the payload of {kind} has {size} bytes, the limit is {limit}")]
    PayloadTooLarge {
        /// The job's kind or the event's name.
        kind: String,
        /// Bytes of the payload as JSON.
        size: usize,
        /// Largest size allowed, in bytes.
        limit: usize,
    },
    /// An id of a client's choosing was used before, for something else.
    #[error("{what} {id} exists already with other contents")]
    IdReused {
        /// `job` or `event`.
        what: &'static str,
        /// The id.
        id: Uuid,
    },
    /// Nothing has this name or id.
    #[error("{what} \"{name}\" does not exist")]
    NotFound {
        /// `job`, `queue`, `schedule` ...
        what: &'static str,
        /// The name or id as given.
        name: String,
    },
    /// A short id fits several rows.
    #[error("{what} \"{name}\" fits {count} rows")]
    Ambiguous {
        /// `job`, `event` ...
        what: &'static str,
        /// The short id as given.
        name: String,
        /// How many rows it fits.
        count: i64,
    },
    /// The operation does not fit the state the thing is in.
    #[error("{what}: {why}")]
    Refused {
        /// What was to be done.
        what: String,
        /// Why it can't be.
        why: String,
    },
    /// This worker does not hold the job any more; its write was rolled back.
    #[error("the lease of job {job} was lost: another worker owns it now, this write was rolled back")]
    LeaseLost {
        /// The job.
        job: Uuid,
    },
    /// The event was handled before by this listener; this run was rolled back and counts as done.
    #[error("event {event} was handled by {listener} before")]
    AlreadyHandled {
        /// The event.
        event: Uuid,
        /// The listener's kind.
        listener: String,
    },
    /// A dispatch from inside a handler's open transaction that does not use it, on SQLite.
    #[error("this write would wait for the transaction its own handler holds open")]
    WouldDeadlock,
    /// The login of the database bypasses row-level security.
    #[error("the database role \"{role}\" bypasses row-level security ({why})")]
    BypassesRowSecurity {
        /// The role.
        role: String,
        /// Superuser, BYPASSRLS ...
        why: String,
    },
    /// A row in the database could not be read as what it should be.
    #[error("damaged row: {0}")]
    Damaged(String),
    /// The schema could not be brought up to date.
    #[error("migration failed: {0}")]
    Migration(String),
    /// The database can't be reached, refused the connection, or is busy.
    #[error("the database can't be reached: {0}")]
    Unreachable(String),
    /// The database refused a statement.
    #[error("the database refused a statement: {0}")]
    Database(#[source] sqlx::Error),
}

impl Error {
    /// The stable word for this error, used in logs, JSON output and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownTenant { .. } => "unknown_tenant",
            Self::Invalid { .. } => "invalid",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::IdReused { .. } => "id_reused",
            Self::NotFound { .. } => "not_found",
            Self::Ambiguous { .. } => "ambiguous_id",
            Self::Refused { .. } => "refused",
            Self::LeaseLost { .. } => "lease_lost",
            Self::AlreadyHandled { .. } => "already_handled",
            Self::WouldDeadlock => "would_deadlock",
            Self::BypassesRowSecurity { .. } => "bypasses_row_security",
            Self::Damaged(_) => "damaged_row",
            Self::Migration(_) => "migration_failed",
            Self::Unreachable(_) => "database_unreachable",
            Self::Database(_) => "database_error",
        }
    }

    /// What to do next, for the person who reads the error.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownTenant { slug } => {
                format!("list them: fairlane tenants list   add it: fairlane tenants add {slug}")
            }
            Self::PayloadTooLarge { .. } => {
                "store the data elsewhere and dispatch its id, or raise limits.payload_bytes".into()
            }
            Self::IdReused { .. } => "make a new id for every new job or event (UUIDv7)".into(),
            Self::Ambiguous { .. } => "give more characters of the id".into(),
            Self::WouldDeadlock => {
                "put the write into the open transaction (.in_tx(&mut tx)), or commit it first".into()
            }
            Self::BypassesRowSecurity { .. } => {
                "connect as a role that cannot (make one: fairlane migrate --login NAME), or, for development only, \
                 set FAIRLANE_DATABASE_ALLOW_BYPASS_RLS=true"
                    .into()
            }
            Self::Damaged(_) => "repair or delete the row by hand; every other row is unaffected".into(),
            Self::Unreachable(_) => {
                "is the server up and the URL right? see: fairlane config show --origin".into()
            }
            Self::Database(source) if is_missing_table(source) => {
                "the schema is not there yet: fairlane migrate".into()
            }
            _ => return None,
        })
    }

    /// Whether trying the same again later may succeed without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        match &source {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => Self::Unreachable(source.to_string()),
            sqlx::Error::Database(refusal) if is_outage(refusal.code().as_deref().unwrap_or_default()) => {
                Self::Unreachable(refusal.message().to_owned())
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::Damaged(source.to_string())
            }
            _ => Self::Database(source),
        }
    }
}

/// PostgreSQL's classes 08 (connection), 53 (resources), 57P (shutdown), 58 (system), missing databases and read-only
/// failovers, lock waits that gave up (40001, 40P01, 55P03); SQLite's busy, locked, full and I/O results.
fn is_outage(code: &str) -> bool {
    const SQLITE: [&str; 8] = ["5", "6", "10", "13", "14", "261", "517", "262"];
    ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class) && code.len() == 5)
        || ["3D000", "25006", "40001", "40P01", "55P03"].contains(&code)
        || SQLITE.contains(&code)
}

pub(crate) fn is_missing_table(source: &sqlx::Error) -> bool {
    source.as_database_error().is_some_and(|refusal| {
        refusal.code().as_deref() == Some("42P01") || refusal.message().starts_with("no such table")
    })
}

/// The result of an operation on the queue.
pub type Result<T, E = Error> = std::result::Result<T, E>;
