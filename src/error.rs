//! What can go wrong between an application and its queue.
//!
//! [`Error`] is what the library returns: few variants, each with a stable [`Error::code`] that is used alike in CLI
//! output, log fields and metric labels, and a [`Error::hint`] that says what to do next. What a *handler* returns is
//! another matter: [`crate::JobError`] says what shall happen to the job, and deliberately is no
//! `std::error::Error`, so that `?` on any error inside a handler means *retry*.

use std::time::Duration;

use uuid::Uuid;

use crate::limits::Scope;

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
    /// The tenant has as many live jobs as it may; nothing was stored.
    #[error("{}", quota_exceeded(tenant, queue, *scope, *jobs, *depth, *limit))]
    QuotaExceeded {
        /// The tenant's slug.
        tenant: String,
        /// The queue the jobs were for.
        queue: String,
        /// Whether the quota is the tenant's in total or in this queue.
        scope: Scope,
        /// How many jobs were dispatched at once.
        jobs: u64,
        /// How many it has; where the limit was lowered, at least so many.
        depth: u64,
        /// How many it may have.
        limit: u64,
    },
    /// The tenant dispatches faster than it may; nothing was stored.
    #[error("{}", rate_exceeded(tenant, queue, *scope, *jobs, *retry_after))]
    RateExceeded {
        /// The tenant's slug.
        tenant: String,
        /// The queue the jobs were for.
        queue: String,
        /// Whether the rate is the tenant's in total or in this queue.
        scope: Scope,
        /// How many jobs were dispatched at once.
        jobs: u64,
        /// When the same dispatch fits the rate; `None`: never, it is larger than the burst.
        retry_after: Option<Duration>,
    },
    /// The tenant takes no new jobs while those it has are worked off; nothing was stored.
    #[error("tenant \"{tenant}\" is being drained and takes no new jobs{}", because(reason))]
    Draining {
        /// The tenant's slug.
        tenant: String,
        /// Why; may be empty.
        reason: String,
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
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::RateExceeded { .. } => "rate_exceeded",
            Self::Draining { .. } => "tenant_draining",
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
                "store the data elsewhere and dispatch its id, or raise the limit: fairlane tenants limits SLUG, or \
                 limits.payload_bytes"
                    .into()
            }
            Self::QuotaExceeded { tenant, .. } => format!(
                "what waits: fairlane queues -t {tenant}   raise the quota: fairlane tenants limits {tenant} --pending N"
            ),
            Self::RateExceeded { retry_after: Some(_), tenant, .. } => format!(
                "try again then, or raise the rate: fairlane tenants limits {tenant} --dispatches N/s"
            ),
            Self::RateExceeded { tenant, .. } => format!(
                "dispatch fewer at once, or raise the burst: fairlane tenants limits {tenant} --dispatches-burst N"
            ),
            Self::Draining { tenant, .. } => {
                format!("let it take jobs again: fairlane tenants resume {tenant}")
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

    /// Whether a statement of the engine's own is worth repeating: also when the server gave up on it because the disk or a
    /// lock kept it waiting (57014). A handler's own statement that takes too long is that handler's failure.
    pub(crate) fn is_worth_repeating(&self) -> bool {
        let timed_out = |refusal: &dyn sqlx::error::DatabaseError| refusal.code().as_deref() == Some("57014");
        match self {
            Self::Database(source) => source.as_database_error().is_some_and(timed_out),
            other => other.is_transient(),
        }
    }
}

fn quota_exceeded(tenant: &str, queue: &str, scope: Scope, jobs: u64, depth: u64, limit: u64) -> String {
    let scoped = match scope {
        Scope::Queue => format!("in queue \"{queue}\" "),
        _ => String::new(),
    };
    let more = if jobs == 1 { "a job".to_owned() } else { format!("{jobs} jobs") };
    let depth = if depth == 1 { "1 job".to_owned() } else { format!("{depth} jobs") };
    format!(
        "tenant \"{tenant}\" has {depth} waiting or running {scoped}and may have {limit}: {more} for queue \
         \"{queue}\" refused"
    )
}

fn rate_exceeded(
    tenant: &str,
    queue: &str,
    scope: Scope,
    jobs: u64,
    retry_after: Option<Duration>,
) -> String {
    let whose = match scope {
        Scope::Queue => format!("tenant \"{tenant}\" dispatches into queue \"{queue}\""),
        _ => format!("tenant \"{tenant}\" dispatches"),
    };
    match retry_after {
        Some(wait) => {
            format!("{whose} faster than it may; there is room again in {:.3}s", wait.as_secs_f64())
        }
        None => format!("{whose} {jobs} jobs at once, which is more than its burst"),
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
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
