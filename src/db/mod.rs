//! The boundary to the databases, below SQL: statement texts, values, rows, connections, transactions.
//!
//! Nothing here knows a table. A statement exists once, in the function that binds it (`store/`), and runs on either
//! database through [`Conn`].
//!
//! * [`Sql`] and [`crate::sql!`]: statement texts with a few dialect words
//! * [`query`]: a statement with its binds
//! * [`Value`], [`Row`]: what goes in and what comes out
//! * [`Db`], [`Tx`], [`Conn`]: where it runs

mod encode;
mod options;
mod postgres;
mod query;
mod row;
mod sql;
mod sqlite;
mod turn;
mod tx;
mod value;
mod warm;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::{PgConnection, SqliteConnection};

pub use options::{DbOptions, Pooler, Synchronous};
pub(crate) use postgres::connect_options as postgres_connect_options;
pub use query::{Query, query};
pub use row::{Column, Row};
pub use sql::{Dialect, Sql};
pub use sqlite::SqliteDb;
pub(crate) use sqlite::{sqlite_connect_options, sqlite_file};
pub use tx::Tx;
pub use value::Value;
pub(crate) use warm::WarmPool;

use crate::client::Hint;
use crate::error::Result;

/// A database: a closed set of two, so that no public type carries a database parameter.
#[derive(Debug, Clone)]
pub struct Db {
    pub(crate) kind: DbKind,
    options: Arc<DbOptions>,
    /// Microseconds that tests have moved the clock by; zero otherwise.
    clock_offset: Arc<AtomicI64>,
}

#[derive(Debug, Clone)]
pub(crate) enum DbKind {
    Postgres { pool: WarmPool, pooler: Pooler },
    Sqlite(SqliteDb),
}

impl Db {
    /// Opens the database that the options name; an SQLite file and its folder are made when missing.
    pub async fn open(options: &DbOptions) -> Result<Self> {
        let kind = match options.dialect()? {
            Dialect::Postgres => DbKind::Postgres {
                pool: WarmPool::new(postgres::connect(options).await?),
                pooler: options.pooler,
            },
            Dialect::Sqlite => DbKind::Sqlite(SqliteDb::open(options).await?),
        };
        Ok(Self { kind, options: Arc::new(options.clone()), clock_offset: Arc::default() })
    }

    /// The options it was opened with.
    pub fn options(&self) -> &DbOptions {
        &self.options
    }

    /// Connections of their own to the same database, for a thread with a runtime of its own. `None` in memory, where
    /// a second connection would see another database.
    pub(crate) async fn reopen(&self, max_connections: u32) -> Result<Option<Self>> {
        if self.is_in_memory() {
            return Ok(None);
        }
        let options = DbOptions { max_connections, ..self.options().clone() };
        let again = match &self.kind {
            DbKind::Postgres { .. } => Self::open(&options).await?,
            DbKind::Sqlite(sqlite) => Self {
                kind: DbKind::Sqlite(sqlite.reopen(&options).await?),
                options: Arc::new(options),
                clock_offset: Arc::default(),
            },
        };
        Ok(Some(Self { clock_offset: self.clock_offset.clone(), ..again }))
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.kind {
            DbKind::Postgres { .. } => Dialect::Postgres,
            DbKind::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Moves the clock that statements see (`{now}`), for tests of schedules and leases.
    pub fn shift_clock(&self, by: chrono::Duration) {
        self.clock_offset.fetch_add(by.num_microseconds().unwrap_or_default(), Ordering::SeqCst);
    }

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.clock_offset, &other.clock_offset)
    }

    /// Whether a second connection would see another database.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(&self.kind, DbKind::Sqlite(sqlite) if sqlite.readers().is_none())
    }

    /// Whether prepared statements may outlive their transaction: not behind a transaction pooler.
    pub(crate) fn keeps_statements(&self) -> bool {
        self.options.pooler == Pooler::None
    }

    pub(crate) fn clock_offset(&self) -> i64 {
        self.clock_offset.load(Ordering::Relaxed)
    }

    /// A transaction of the engine's own: sees all tenants.
    pub async fn begin(&self) -> Result<Tx> {
        Tx::begin(self, None).await
    }

    /// A transaction confined to one tenant: on PostgreSQL role and tenant are set in the opening round trip.
    pub async fn begin_for(&self, tenant: i64) -> Result<Tx> {
        Tx::begin(self, Some(tenant)).await
    }

    /// A connection for one writing statement, which is its own transaction. On SQLite several writers share one
    /// commit, hence one flush to disk (group commit); nothing counts before [`Tx::commit`] returned.
    pub async fn single(&self) -> Result<Tx> {
        Tx::single(self, Synchronous::Full).await
    }

    /// As [`Db::single`], for a statement that a power cut may undo: on SQLite its commit waits for no flush to disk. It
    /// survives the end of the process, and whatever is committed after it never outlives it. On PostgreSQL it is flushed
    /// like any other: there the server can die while those live on who rely on it.
    pub async fn single_without_flush(&self) -> Result<Tx> {
        Tx::single(self, Synchronous::Normal).await
    }

    /// A connection for reading.
    pub async fn read(&self) -> Result<Tx> {
        Tx::read(self).await
    }

    /// A transaction of one tenant that reads one state of the database, however many statements it takes and whatever is
    /// committed meanwhile: for reports. Keep it no longer than the reading takes: while it is open, PostgreSQL removes no
    /// dead rows and SQLite's write-ahead log grows. In memory there is one connection; there it is an ordinary transaction.
    pub async fn snapshot_for(&self, tenant: i64) -> Result<Tx> {
        Tx::snapshot(self, tenant).await
    }

    /// Ends all connections once they are idle.
    pub async fn close(&self) {
        match &self.kind {
            DbKind::Postgres { pool, .. } => pool.close().await,
            DbKind::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

/// A borrowed connection of either database, usually inside a transaction.
///
/// Made from the engine's own [`Tx`], or from the application's: `Conn::from(&mut *tx)` takes any `sqlx` PostgreSQL
/// or SQLite transaction or connection.
#[derive(Debug)]
pub struct Conn<'c> {
    pub(crate) link: Link<'c>,
    pub(crate) clock_offset: i64,
    /// The tenant whose role and setting this transaction carries, if the engine set them.
    pub(crate) tenant: Option<i64>,
    /// Where lanes are noted that got work, for the wake-up after the commit.
    pub(crate) wakes: Option<&'c mut BTreeSet<Hint>>,
    /// Whether prepared statements may outlive their transaction on this connection.
    pub(crate) keeps_statements: bool,
}

#[derive(Debug)]
pub(crate) enum Link<'c> {
    Postgres(&'c mut PgConnection),
    Sqlite(&'c mut SqliteConnection),
}

impl Conn<'_> {
    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.link {
            Link::Postgres(_) => Dialect::Postgres,
            Link::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// The same connection for a shorter while.
    pub fn reborrow(&mut self) -> Conn<'_> {
        let link = match &mut self.link {
            Link::Postgres(link) => Link::Postgres(link),
            Link::Sqlite(link) => Link::Sqlite(link),
        };
        Conn {
            link,
            clock_offset: self.clock_offset,
            tenant: self.tenant,
            wakes: self.wakes.as_deref_mut(),
            keeps_statements: self.keeps_statements,
        }
    }
}

impl<'c> From<&'c mut PgConnection> for Conn<'c> {
    fn from(link: &'c mut PgConnection) -> Self {
        Self {
            link: Link::Postgres(link),
            clock_offset: 0,
            tenant: None,
            wakes: None,
            keeps_statements: true,
        }
    }
}

impl<'c> From<&'c mut SqliteConnection> for Conn<'c> {
    fn from(link: &'c mut SqliteConnection) -> Self {
        Self { link: Link::Sqlite(link), clock_offset: 0, tenant: None, wakes: None, keeps_statements: true }
    }
}

impl<'c> From<&'c mut sqlx::Transaction<'_, sqlx::Postgres>> for Conn<'c> {
    fn from(tx: &'c mut sqlx::Transaction<'_, sqlx::Postgres>) -> Self {
        Self::from(&mut **tx)
    }
}

impl<'c> From<&'c mut sqlx::Transaction<'_, sqlx::Sqlite>> for Conn<'c> {
    fn from(tx: &'c mut sqlx::Transaction<'_, sqlx::Sqlite>) -> Self {
        Self::from(&mut **tx)
    }
}

impl<'c> From<&'c mut Tx> for Conn<'c> {
    fn from(tx: &'c mut Tx) -> Self {
        tx.conn()
    }
}
