//! Transactions that applications and handlers write in, together with the events and jobs they publish.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::client::{Fairlane, Hint};
use crate::context::Run;
use crate::db::{Conn, Dialect, Tx};
use crate::error::{Error, Result};
use crate::store;

/// A transaction that wakes the workers after its commit and, inside a handler, is fenced.
///
/// Made by [`Fairlane::begin`] (all tenants), [`crate::Tenant::begin`] (one tenant) and [`crate::Context::begin`] (one
/// tenant, fenced). Dropped without commit it leaves nothing.
#[derive(Debug)]
pub struct Transaction {
    tx: Option<Tx>,
    fairlane: Fairlane,
    wakes: BTreeSet<Hint>,
    run: Option<Arc<Run>>,
    checkpoint: Option<serde_json::Value>,
    progress: Option<(u64, Option<u64>)>,
}

impl Transaction {
    pub(crate) async fn begin(fairlane: &Fairlane, tenant: Option<i64>) -> Result<Self> {
        let tx = match tenant {
            None => fairlane.db().begin().await?,
            Some(tenant) => fairlane.db().begin_for(tenant).await?,
        };
        Ok(Self {
            tx: Some(tx),
            fairlane: fairlane.clone(),
            wakes: BTreeSet::new(),
            run: None,
            checkpoint: None,
            progress: None,
        })
    }

    pub(crate) async fn for_run(run: Arc<Run>) -> Result<Self> {
        let mut transaction = Self::begin(&run.fairlane, Some(run.job.tenant_id)).await?;
        run.set_open(Some(Instant::now()));
        transaction.run = Some(run);
        Ok(transaction)
    }

    /// The connection, for statements through [`crate::db::query`].
    pub fn conn(&mut self) -> Conn<'_> {
        match &mut self.tx {
            Some(tx) => {
                let mut conn = tx.conn();
                conn.wakes = Some(&mut self.wakes);
                conn
            }
            // `tx` is only taken by the methods that consume the transaction.
            None => unreachable!("a finished transaction has no connection"),
        }
    }

    /// The underlying `sqlx` connection on PostgreSQL, for statements of the application's own.
    pub fn as_postgres(&mut self) -> Option<&mut sqlx::PgConnection> {
        self.tx.as_mut().and_then(Tx::as_postgres)
    }

    /// The underlying `sqlx` connection on SQLite, for statements of the application's own.
    pub fn as_sqlite(&mut self) -> Option<&mut sqlx::SqliteConnection> {
        self.tx.as_mut().and_then(Tx::as_sqlite)
    }

    /// Stores a checkpoint with the commit: the next attempt starts from it. A committed checkpoint is progress: the
    /// timeout starts again, and earlier crashes are forgotten.
    ///
    /// # Errors
    /// Outside a handler, or when the value is no JSON.
    pub fn checkpoint<T: Serialize>(&mut self, value: &T) -> Result<()> {
        if self.run.is_none() {
            return Err(Error::Refused {
                what: "a checkpoint".into(),
                why: "only the transaction of a handler (ctx.begin()) has a job to keep it".into(),
            });
        }
        let json = serde_json::to_value(value)
            .map_err(|why| Error::Invalid { what: "the checkpoint".into(), why: why.to_string() })?;
        self.checkpoint = Some(json);
        Ok(())
    }

    /// Tells with the commit how far the job is.
    pub fn progress(&mut self, done: u64, total: Option<u64>) {
        self.progress = Some((done, total));
    }

    /// Makes everything durable, or nothing, and wakes the workers.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the handler's worker does not own the job any more: everything was rolled back.
    pub async fn commit(mut self) -> Result<()> {
        if let Some(run) = self.run.clone() {
            let checkpoint = self.checkpoint.take();
            let progress = self.progress.take();
            run.check_not_void()?;
            let fenced_at = Instant::now();
            store::lease::hold(&mut self.conn(), &run, checkpoint.as_ref(), progress).await?;
            self.finish().await?;
            run.note_commit(fenced_at, checkpoint, progress.is_some());
            return Ok(());
        }
        self.finish().await
    }

    /// The commit of a transaction that has removed its own job: the fence was the removal.
    pub(crate) async fn commit_completed(self) -> Result<()> {
        self.finish().await
    }

    /// Undoes everything at once.
    pub async fn rollback(mut self) -> Result<()> {
        match self.tx.take() {
            Some(tx) => tx.rollback().await,
            None => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<()> {
        if let Some(tx) = self.tx.take() {
            tx.commit().await?;
        }
        let wakes = std::mem::take(&mut self.wakes);
        if !wakes.is_empty() {
            self.fairlane.wake(wakes);
        }
        Ok(())
    }
}

/// How long a handler's transaction may stay open: on SQLite it holds the only writer, which heartbeats need.
pub(crate) fn longest_transaction(dialect: Dialect, lease: Duration) -> Option<Duration> {
    (dialect == Dialect::Sqlite).then_some(lease / 2)
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(run) = &self.run {
            run.set_open(None);
        }
    }
}

impl<'c> From<&'c mut Transaction> for Conn<'c> {
    fn from(transaction: &'c mut Transaction) -> Self {
        transaction.conn()
    }
}
