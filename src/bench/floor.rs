//! The floor: bare statements on the same tables and indexes, without worker, decoding or fairness.
//!
//! This and the bench's own set-up are the only SQL outside `store/`: a floor that called the product's statements would
//! measure the product.

use std::sync::Arc;

use anyhow::bail;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{ConnectOptions, PgConnection, SqliteConnection};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::processes::{Orders, ready_to_go};
use crate::db::{
    Conn, DbOptions, Dialect, Row, Sql, postgres_connect_options, query, sqlite_connect_options,
};
use crate::sql;

mod insert;

pub(crate) use insert::{BulkTask, InsertTask, Inserted, insert_one};

/// What a process with bare statements does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Claims and settles everything.
    Drain(DrainTask),
    /// Inserts single rows, each its own transaction.
    Insert(insert::InsertTask),
    /// Waits for notifications, claims, and reports what it got.
    Listen(super::latency::ListenTask),
    /// Stores many rows at once.
    Bulk(insert::BulkTask),
}

/// What a bare drain is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DrainTask {
    pub(crate) url: String,
    pub(crate) queue: String,
    pub(crate) connections: u32,
    /// Rows of one claim.
    pub(crate) claim_batch: i64,
    /// Rows of one settle.
    pub(crate) settle_batch: i64,
}

/// One bare connection, with the session settings of the product's own.
pub(crate) enum Bare {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Bare {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let options = DbOptions { application_name: "fairlane floor".into(), ..DbOptions::new(url) };
        Ok(match options.dialect()? {
            Dialect::Postgres => Self::Postgres(postgres_connect_options(&options)?.connect().await?),
            Dialect::Sqlite => Self::Sqlite(sqlite_connect_options(&options)?.connect().await?),
        })
    }

    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Postgres(conn) => Conn::from(conn),
            Self::Sqlite(conn) => Conn::from(conn),
        }
    }
}

/// Does the task of a part.
pub(crate) async fn run(task: Task, orders: &mut Orders) -> anyhow::Result<serde_json::Value> {
    Ok(match task {
        Task::Drain(task) => serde_json::to_value(drain(&task, orders).await?)?,
        Task::Insert(task) => serde_json::to_value(insert::insert(&task, orders).await?)?,
        Task::Listen(task) => serde_json::to_value(super::latency::listen(&task, orders).await?)?,
        Task::Bulk(task) => serde_json::to_value(insert::insert_all(&task, orders).await?)?,
    })
}

async fn drain(task: &DrainTask, orders: &mut Orders) -> anyhow::Result<u64> {
    let start = Arc::new(Barrier::new(task.connections as usize));
    let mut bare = Vec::new();
    for _ in 0..task.connections {
        bare.push(Bare::connect(&task.url).await?);
    }
    ready_to_go(orders).await?;
    let loops = bare.into_iter().map(|bare| tokio::spawn(drain_on(bare, task.clone(), start.clone())));
    let mut rows = 0;
    for done in futures::future::join_all(loops).await {
        rows += done??;
    }
    Ok(rows)
}

/// Claims until a batch for settling is together, settles it, and so on until nothing is left.
async fn drain_on(mut bare: Bare, task: DrainTask, start: Arc<Barrier>) -> anyhow::Result<u64> {
    start.wait().await;
    let mut position = Position::first();
    let (mut claimed, mut rows) = (Vec::new(), 0);
    loop {
        let mut left = true;
        while left && (claimed.len() as i64) < task.settle_batch {
            left = match claim(&mut bare.conn(), &task.queue, task.claim_batch, &mut position).await? {
                batch if batch.is_empty() => position.rewind(),
                batch => {
                    claimed.extend(batch);
                    true
                }
            };
        }
        if claimed.is_empty() {
            return Ok(rows);
        }
        let batch: Vec<Uuid> = claimed.drain(..claimed.len().min(task.settle_batch as usize)).collect();
        settle(&mut bare.conn(), &batch).await?;
        rows += batch.len() as u64;
    }
}

/// Where a loop got to, in the order of the claim's index.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    key: (i64, i64, DateTime<Utc>, Uuid),
}

impl Position {
    pub(crate) fn first() -> Self {
        Self { key: (0, 0, DateTime::UNIX_EPOCH, Uuid::nil()) }
    }

    /// Back to the beginning, unless it is there: something may have been passed over.
    fn rewind(&mut self) -> bool {
        let moved = self.key.0 > 0;
        *self = Self::first();
        moved
    }

    fn advance(&mut self, row: &Row) -> anyhow::Result<()> {
        let key = (row.get("tenant_id")?, row.get("priority")?, row.get("run_at")?, row.get("id")?);
        self.key = key.max(self.key);
        Ok(())
    }
}

/// First come, first served in the order of the product's own index, from the remembered position.
const CLAIM: Sql = Sql {
    postgres: "update fairlane_jobs j set state = 'executing', token = $1, worker_id = $1,
            lease_until = {now} + interval '30 seconds', started_at = {now}, attempt = attempt + 1, runs = runs + 1
         where id = any(array(
            select id from fairlane_jobs
            where state = 'available' and not suspect and queue = $2 and run_at <= {now}
                and (tenant_id, priority, run_at, id) > ($3, $4, $5, $6)
            order by queue, tenant_id, priority, run_at, id limit $7
            for no key update skip locked))
         returning j.id, j.tenant_id, j.priority, j.run_at, j.attempt, j.kind, j.payload::text as payload",
    sqlite: "update fairlane_jobs set state = 'executing', token = $1, worker_id = $1, lease_until = {now} + 30000000,
            started_at = {now}, attempt = attempt + 1, runs = runs + 1
         where id in (
            select id from fairlane_jobs
            where state = 'available' and not suspect and queue = $2 and run_at <= {now}
                and (tenant_id, priority, run_at, id) > ($3, $4, $5, $6)
            order by tenant_id, priority, run_at, id limit $7)
         returning id, tenant_id, priority, run_at, attempt, kind, payload",
};

pub(crate) async fn claim(
    conn: &mut Conn<'_>,
    queue: &str,
    limit: i64,
    position: &mut Position,
) -> anyhow::Result<Vec<Uuid>> {
    let (tenant, priority, run_at, id) = position.key;
    let rows = query(CLAIM)
        .bind(Uuid::now_v7())
        .bind(queue)
        .bind(tenant)
        .bind(priority)
        .bind(run_at)
        .bind(id)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    let mut ids = Vec::with_capacity(rows.len());
    for row in &rows {
        position.advance(row)?;
        ids.push(row.get("id")?);
    }
    Ok(ids)
}

pub(crate) async fn settle(conn: &mut Conn<'_>, ids: &[Uuid]) -> anyhow::Result<()> {
    let settled = match conn.dialect() {
        Dialect::Postgres => {
            query(sql!(
                "with done as (
                    delete from fairlane_jobs where id = any($1) and state = 'executing' returning *)
                 insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, event_id,
                    attempt, runs, generation, worker_id, correlation_id, causation_id, trace, created_at, started_at,
                    finished_at)
                 select id, tenant_id, queue, kind, priority, 'completed', payload, event_id, attempt, runs, generation,
                    worker_id, correlation_id, causation_id, trace, created_at, started_at, {now}
                 from done"
            ))
            .bind(ids)
            .execute(conn)
            .await?
        }
        Dialect::Sqlite => settle_in_steps(conn, ids).await?,
    };
    if settled != ids.len() as u64 {
        bail!("a floor settled {settled} of {} rows: somebody else works on this database", ids.len());
    }
    Ok(())
}

async fn settle_in_steps(conn: &mut Conn<'_>, ids: &[Uuid]) -> anyhow::Result<u64> {
    query(sql!("begin immediate")).execute(conn).await?;
    query(sql!(
        "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, event_id, attempt, runs,
            generation, worker_id, correlation_id, causation_id, trace, created_at, started_at, finished_at)
         select id, tenant_id, queue, kind, priority, 'completed', payload, event_id, attempt, runs, generation,
            worker_id, correlation_id, causation_id, trace, created_at, started_at, {now}
         from fairlane_jobs where id {in:$1}"
    ))
    .bind(ids)
    .execute(conn)
    .await?;
    let settled = query(sql!("delete from fairlane_jobs where id {in:$1}")).bind(ids).execute(conn).await?;
    query(sql!("commit")).execute(conn).await?;
    Ok(settled)
}
