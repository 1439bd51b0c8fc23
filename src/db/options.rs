//! How to reach a database.

use std::time::Duration;

use super::Dialect;
use crate::error::{Error, Result};

/// How to reach a database and how to treat it.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// `postgres://user:password@host/name`, `sqlite:path/to/file.db` or `sqlite::memory:`.
    pub url: String,
    /// Most connections this process opens (PostgreSQL) or reads with (SQLite).
    pub max_connections: u32,
    /// What stands between this process and PostgreSQL.
    pub pooler: Pooler,
    /// Lets a superuser or owner in, for development only.
    pub allow_bypass_rls: bool,
    /// How far an SQLite commit goes before it is acknowledged.
    pub synchronous: Synchronous,
    /// Longest time one statement may take on PostgreSQL.
    pub statement_timeout: Duration,
    /// How this process calls itself in `pg_stat_activity`.
    pub application_name: String,
}

/// What stands between this process and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooler {
    /// Nothing, or a pooler that keeps sessions.
    #[default]
    None,
    /// PgBouncer in transaction mode: nothing may live in the session, so no prepared statements outlive a transaction.
    Transaction,
}

/// How far an SQLite commit goes before it is acknowledged; the less first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Synchronous {
    /// To the operating system: survives a crash of the process, not always one of the machine.
    Normal,
    /// To the disk: what was acknowledged survives a power cut.
    #[default]
    Full,
}

impl DbOptions {
    /// The defaults for a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 10,
            pooler: Pooler::None,
            allow_bypass_rls: false,
            synchronous: Synchronous::Full,
            statement_timeout: Duration::from_secs(30),
            application_name: "fairlane".into(),
        }
    }

    /// Which database the URL means.
    pub fn dialect(&self) -> Result<Dialect> {
        match self.url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Dialect::Postgres),
            Some("sqlite") => Ok(Dialect::Sqlite),
            _ => Err(Error::Invalid {
                what: "the database URL".into(),
                why: "it must begin with postgres:// or sqlite:".into(),
            }),
        }
    }
}
