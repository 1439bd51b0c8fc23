//! Retention: what is old goes, a batch at a time, so that no statement holds locks for long.

use std::time::Duration;

use uuid::Uuid;

use crate::db::{Conn, Db, Sql, query};
use crate::error::Result;
use crate::sql;
use crate::store::usage;

/// Rows removed in one statement.
const BATCH: i64 = 2000;

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Completed and cancelled jobs, with their attempts.
    pub completed: Duration,
    /// Failed jobs, with their attempts.
    pub failed: Duration,
    /// Events none of whose jobs is live or failed, with their listener runs.
    pub events: Duration,
    /// Worker processes that were last seen this long ago.
    pub workers: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |n: u64| Duration::from_secs(n * 24 * 3600);
        Self { completed: days(7), failed: days(90), events: days(30), workers: days(1) }
    }
}

/// Removes one batch of everything that is too old; returns how many rows went. Zero means nothing is left to do.
pub async fn prune(db: &Db, retention: &Retention) -> Result<u64> {
    let mut gone = 0;
    for (finished, age) in
        [(usage::Finished::History, retention.completed), (usage::Finished::Failed, retention.failed)]
    {
        let mut tx = db.single().await?;
        gone += usage::remove_older(&mut tx.conn(), finished, millis(age), BATCH).await?;
        tx.commit().await?;
    }
    for (statement, age) in [
        (ATTEMPTS, retention.completed.max(retention.failed)),
        (KEYS, Duration::ZERO),
        (WORKERS, retention.workers),
    ] {
        let mut tx = db.single().await?;
        gone += run(&mut tx.conn(), statement, age).await?;
        tx.commit().await?;
    }
    Ok(gone + prune_events(db, retention.events).await?)
}

/// A listener's run record goes with its event, never before: it is what makes a repeated delivery a no-op.
async fn prune_events(db: &Db, age: Duration) -> Result<u64> {
    let mut tx = db.begin().await?;
    let rows = query(EVENTS).bind(millis(age)).bind(BATCH).fetch_all(&mut tx.conn()).await?;
    // An event whose id can't be read has no listener runs under it.
    let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.get("id").ok()).collect();
    if !ids.is_empty() {
        query(sql!("delete from fairlane_listener_runs where event_id {in:$1}"))
            .bind(ids)
            .execute(&mut tx.conn())
            .await?;
    }
    tx.commit().await?;
    Ok(rows.len() as u64)
}

fn millis(age: Duration) -> i64 {
    i64::try_from(age.as_millis()).unwrap_or(i64::MAX / 1000)
}

async fn run(conn: &mut Conn<'_>, statement: Sql, age: Duration) -> Result<u64> {
    query(statement).bind(millis(age)).bind(BATCH).execute(conn).await
}

/// Attempts go when they are old and their job is gone. `(select ..) is null` and not `not exists`: that one may become a
/// join that reads all jobs, as it did where the tables had no statistics.
const ATTEMPTS: Sql = sql!(
    "delete from fairlane_attempts where (job_id, run) in (
        select a.job_id, a.run from fairlane_attempts a
        where a.finished_at < {now} - {ms:$1}
            and (select 1 from fairlane_jobs j where j.id = a.job_id limit 1) is null
            and (select 1 from fairlane_failed_jobs f where f.id = a.job_id limit 1) is null
            and (select 1 from fairlane_job_history h where h.id = a.job_id limit 1) is null
        order by a.finished_at limit $2)"
);

const EVENTS: Sql = sql!(
    "delete from fairlane_events where id in (
        select e.id from fairlane_events e
        where e.occurred_at < {now} - {ms:$1}
            and (select 1 from fairlane_jobs j where j.event_id = e.id limit 1) is null
            and (select 1 from fairlane_failed_jobs f where f.event_id = e.id limit 1) is null
        order by e.occurred_at limit $2)
     returning id"
);

const KEYS: Sql = sql!(
    "delete from fairlane_unique_keys where (tenant_id, scope, key) in (
        select tenant_id, scope, key from fairlane_unique_keys where expires_at < {now} - {ms:$1}
        order by expires_at limit $2)"
);

const WORKERS: Sql = sql!(
    "delete from fairlane_workers where id in (
        select id from fairlane_workers where seen_at < {now} - {ms:$1} order by seen_at limit $2)"
);
