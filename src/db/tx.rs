//! Transactions of the engine's own.

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres, SqlSafeStr, Sqlite, Transaction};

use super::sqlite::{Seat, SqliteDb};
use super::warm::{WarmConnection, WarmPool};
use super::{Conn, Db, DbKind, Link, Pooler, Synchronous};
use crate::error::{Error, Result};

const BEGIN: &str = "begin";
/// Every statement sees the rows as they were at the first one.
const BEGIN_SNAPSHOT: &str = "begin isolation level repeatable read read only";

/// A transaction; dropped without [`Tx::commit`] it leaves nothing behind.
#[derive(Debug)]
pub struct Tx {
    session: Session,
    clock_offset: i64,
    tenant: Option<i64>,
    keeps_statements: bool,
}

#[derive(Debug)]
enum Session {
    Postgres(Transaction<'static, Postgres>),
    /// One statement, its own transaction.
    PostgresSingle(WarmConnection),
    Sqlite(SqliteWrite),
    SqliteRead(PoolConnection<Sqlite>),
    /// Reads one state of the file from its first statement to its end.
    SqliteSnapshot(Transaction<'static, Sqlite>),
}

/// The writer, for as long as this transaction has it.
#[derive(Debug)]
struct SqliteWrite {
    writer: Seat,
    db: SqliteDb,
    group: bool,
}

impl SqliteWrite {
    async fn commit(mut self) -> Result<()> {
        let outcome = if self.group && self.writer.can_be_shared() && self.db.somebody_waits() {
            self.writer.keep_savepoint().await?;
            let told = self.writer.join();
            drop(self);
            told.await.map_err(|_| Error::Unreachable("the database was closed before the commit".into()))?
        } else {
            // In a task of its own: whoever gives up half-way must not leave the others of the group in doubt. The commit
            // ends the savepoint too; releasing it first was one more call.
            let commit = tokio::spawn(async move { self.writer.commit_group().await });
            commit.await.map_err(|why| Error::Unreachable(why.to_string()))?
        };
        outcome.map_err(Error::Unreachable)
    }
}

impl Tx {
    fn new(db: &Db, session: Session, tenant: Option<i64>) -> Self {
        Self { session, clock_offset: db.clock_offset(), tenant, keeps_statements: db.keeps_statements() }
    }

    pub(super) async fn begin(db: &Db, tenant: Option<i64>) -> Result<Self> {
        crate::context::refuse_second_writer(db)?;
        let session = match &db.kind {
            DbKind::Postgres { pool, pooler } => {
                Session::Postgres(begin_apart(pool, BEGIN, *pooler, tenant).await?)
            }
            DbKind::Sqlite(sqlite) => Session::Sqlite(SqliteWrite {
                writer: sqlite.begin().await?,
                db: sqlite.clone(),
                group: false,
            }),
        };
        Ok(Self::new(db, session, tenant))
    }

    pub(super) async fn single(db: &Db, least: Synchronous) -> Result<Self> {
        crate::context::refuse_second_writer(db)?;
        let session = match &db.kind {
            // Unnamed statements need parse and execute on one server connection: a transaction pins it.
            DbKind::Postgres { pool, pooler: Pooler::Transaction } => {
                Session::Postgres(begin_apart(pool, BEGIN, Pooler::Transaction, None).await?)
            }
            DbKind::Postgres { pool, .. } => Session::PostgresSingle(pool.single().await?),
            DbKind::Sqlite(sqlite) => Session::Sqlite(SqliteWrite {
                writer: sqlite.join_group(least).await?,
                db: sqlite.clone(),
                group: true,
            }),
        };
        Ok(Self::new(db, session, None))
    }

    pub(super) async fn read(db: &Db) -> Result<Self> {
        let DbKind::Sqlite(sqlite) = &db.kind else { return Self::single(db, Synchronous::Full).await };
        let Some(readers) = sqlite.readers() else { return Self::single(db, Synchronous::Full).await };
        let session = Session::SqliteRead(readers.acquire().await?);
        Ok(Self::new(db, session, None))
    }

    pub(super) async fn snapshot(db: &Db, tenant: i64) -> Result<Self> {
        let session = match &db.kind {
            DbKind::Postgres { pool, pooler } => {
                Session::Postgres(begin_apart(pool, BEGIN_SNAPSHOT, *pooler, Some(tenant)).await?)
            }
            DbKind::Sqlite(sqlite) => match sqlite.readers().cloned() {
                Some(readers) => {
                    // In a task of its own, as in `begin_apart`: a connection with a transaction left open would show its
                    // next readers the past.
                    let begin = tokio::spawn(async move { readers.begin().await });
                    Session::SqliteSnapshot(begin.await.map_err(|why| Error::Unreachable(why.to_string()))??)
                }
                None => return Self::begin(db, Some(tenant)).await,
            },
        };
        Ok(Self::new(db, session, Some(tenant)))
    }

    /// The connection, to run statements on.
    pub fn conn(&mut self) -> Conn<'_> {
        let link = match &mut self.session {
            Session::Postgres(tx) => Link::Postgres(tx),
            Session::PostgresSingle(conn) => Link::Postgres(conn),
            Session::Sqlite(write) => Link::Sqlite(write.writer.connection()),
            Session::SqliteRead(conn) => Link::Sqlite(conn),
            Session::SqliteSnapshot(tx) => Link::Sqlite(tx),
        };
        Conn {
            link,
            clock_offset: self.clock_offset,
            tenant: self.tenant,
            wakes: None,
            keeps_statements: self.keeps_statements,
        }
    }

    /// The application's own view of a PostgreSQL transaction, for statements of its own.
    pub fn as_postgres(&mut self) -> Option<&mut sqlx::PgConnection> {
        match &mut self.session {
            Session::Postgres(tx) => Some(&mut **tx),
            Session::PostgresSingle(conn) => Some(&mut **conn),
            _ => None,
        }
    }

    /// The application's own view of an SQLite transaction, for statements of its own.
    pub fn as_sqlite(&mut self) -> Option<&mut sqlx::SqliteConnection> {
        match &mut self.session {
            Session::Sqlite(write) => Some(write.writer.connection()),
            Session::SqliteRead(conn) => Some(&mut **conn),
            Session::SqliteSnapshot(tx) => Some(&mut **tx),
            _ => None,
        }
    }

    /// Makes everything durable, or nothing. When this returns an error of an unreachable database, the commit
    /// may have happened all the same: repeat with the same ids, which stores nothing twice.
    pub async fn commit(self) -> Result<()> {
        match self.session {
            Session::Postgres(tx) => tx.commit().await?,
            Session::PostgresSingle(conn) => conn.done(),
            Session::SqliteRead(_) => {}
            Session::SqliteSnapshot(tx) => tx.commit().await?,
            Session::Sqlite(write) => write.commit().await?,
        }
        Ok(())
    }

    /// Undoes everything at once; dropping does the same a moment later.
    pub async fn rollback(self) -> Result<()> {
        match self.session {
            Session::Postgres(tx) => tx.rollback().await?,
            Session::Sqlite(mut write) => {
                write.writer.abandon_savepoint().await?;
                if !write.group {
                    // Nothing is left in it that could be lost.
                    let _ = write.writer.commit_group().await;
                }
            }
            Session::SqliteSnapshot(tx) => tx.rollback().await?,
            Session::PostgresSingle(_) | Session::SqliteRead(_) => {}
        }
        Ok(())
    }
}

/// Begins in a task of its own. When the caller gives up between the server's `begin` and its answer, the driver would
/// return the connection to the pool with the transaction open, and the next single write would never be committed;
/// here the transaction is complete before it is dropped, and rolled back like any other.
async fn begin_apart(
    pool: &WarmPool,
    begin: &'static str,
    pooler: Pooler,
    tenant: Option<i64>,
) -> Result<Transaction<'static, Postgres>> {
    let conn = pool.acquire().await?;
    let statement = begin_statement(begin, pooler, tenant);
    let begin = Transaction::begin(conn, Some(AssertSqlSafe(statement).into_sql_str()));
    Ok(tokio::spawn(begin).await.map_err(|why| Error::Unreachable(why.to_string()))??)
}

/// Begin, and what holds for this transaction alone, in one round trip. A tenant's is confined even when the login is a
/// powerful one; `tenant` is a number, so nothing can be injected. Behind a transaction pooler there is no session to say
/// once that statements are not to be compiled (`postgres.rs`).
fn begin_statement(begin: &'static str, pooler: Pooler, tenant: Option<i64>) -> String {
    let mut begin = begin.to_owned();
    if pooler == Pooler::Transaction {
        begin.push_str("; set local jit = off");
    }
    if let Some(tenant) = tenant {
        begin.push_str("; set local role fairlane_app; ");
        begin.push_str(&format!("select set_config('fairlane.tenant_id', '{tenant}', true)"));
    }
    begin
}
