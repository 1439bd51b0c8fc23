//! Bare inserts: single rows by prepared statement, many rows by COPY or one statement.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, SqliteConnection};
use uuid::Uuid;

use super::Bare;
use crate::bench::kinds::FILLER;
use crate::bench::processes::{Orders, ready_to_go};
use crate::db::{Conn, Sql, query};
use crate::sql;

/// What a process that inserts single rows is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InsertTask {
    pub(crate) url: String,
    pub(crate) queue: String,
    pub(crate) tenant: i64,
    pub(crate) connections: u32,
    /// Ends after this many rows ..
    pub(crate) jobs: Option<u64>,
    /// .. or after this long.
    pub(crate) seconds: f64,
}

/// What a process that stores many rows at once is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BulkTask {
    pub(crate) url: String,
    pub(crate) queue: String,
    pub(crate) tenant: i64,
    pub(crate) jobs: u64,
}

/// What was inserted, and how long it took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Inserted {
    pub(crate) rows: u64,
    pub(crate) seconds: f64,
}

impl Inserted {
    pub(crate) fn per_second(&self) -> f64 {
        crate::bench::figures::ratio(self.rows as f64, self.seconds)
    }
}

const INSERT: Sql = Sql {
    postgres:
        "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, created_at)
         values ($1, $2, $3, 'bench.noop', 5, 'available', {now}, $4::jsonb, {now})",
    sqlite:
        "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, created_at)
         values ($1, $2, $3, 'bench.noop', 5, 'available', {now}, $4, {now})",
};

pub(crate) fn payload(number: u64) -> serde_json::Value {
    serde_json::json!({ "number": number, "filler": FILLER })
}

pub(crate) async fn insert_one(
    conn: &mut Conn<'_>,
    tenant: i64,
    queue: &str,
    number: u64,
) -> anyhow::Result<()> {
    query(INSERT).bind(Uuid::now_v7()).bind(tenant).bind(queue).bind(payload(number)).execute(conn).await?;
    Ok(())
}

pub(super) async fn insert(task: &InsertTask, orders: &mut Orders) -> anyhow::Result<Inserted> {
    let mut bare = Vec::new();
    for _ in 0..task.connections {
        bare.push(Bare::connect(&task.url).await?);
    }
    ready_to_go(orders).await?;
    let since = Instant::now();
    let each = task.jobs.map(|jobs| jobs.div_ceil(u64::from(task.connections)));
    let loops = bare.into_iter().map(|bare| tokio::spawn(insert_on(bare, task.clone(), each, since)));
    let mut rows = 0;
    for done in futures::future::join_all(loops).await {
        rows += done??;
    }
    Ok(Inserted { rows, seconds: since.elapsed().as_secs_f64() })
}

async fn insert_on(
    mut bare: Bare,
    task: InsertTask,
    rows: Option<u64>,
    since: Instant,
) -> anyhow::Result<u64> {
    let until = since + Duration::from_secs_f64(task.seconds);
    let mut done = 0;
    while rows.map_or_else(|| Instant::now() < until, |rows| done < rows) {
        insert_one(&mut bare.conn(), task.tenant, &task.queue, done).await?;
        done += 1;
    }
    Ok(done)
}

pub(super) async fn insert_all(task: &BulkTask, orders: &mut Orders) -> anyhow::Result<Inserted> {
    let bare = Bare::connect(&task.url).await?;
    ready_to_go(orders).await?;
    match bare {
        Bare::Postgres(conn) => copy(conn, task).await,
        Bare::Sqlite(conn) => insert_many(conn, task).await,
    }
}

/// COPY into the jobs table by its owner, whom row-level security lets through for that long.
async fn copy(mut conn: PgConnection, task: &BulkTask) -> anyhow::Result<Inserted> {
    let BulkTask { queue, tenant, jobs, .. } = task;
    for statement in ["set role fairlane_owner", "alter table fairlane_jobs no force row level security"] {
        query(sql!(statement)).execute(&mut Conn::from(&mut conn)).await?;
    }
    let since = Instant::now();
    let statement = "copy fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, created_at) from stdin";
    let mut copying = conn.copy_in_raw(statement).await.context("COPY by the owner")?;
    let now = chrono::Utc::now().to_rfc3339();
    let mut text = String::new();
    for number in 0..*jobs {
        let (id, payload) = (Uuid::now_v7(), payload(number));
        writeln!(text, "{id}\t{tenant}\t{queue}\tbench.noop\t5\tavailable\t{now}\t{payload}\t{now}")?;
        if text.len() > 1 << 16 {
            copying.send(std::mem::take(&mut text).into_bytes()).await?;
        }
    }
    copying.send(text.into_bytes()).await?;
    let rows = copying.finish().await?;
    let seconds = since.elapsed().as_secs_f64();
    let again = sql!("alter table fairlane_jobs force row level security");
    query(again).execute(&mut Conn::from(&mut conn)).await?;
    Ok(Inserted { rows, seconds })
}

/// Bare statements of many rows, all in one transaction, as many rows a statement as `dispatch_all` sends.
async fn insert_many(mut conn: SqliteConnection, task: &BulkTask) -> anyhow::Result<Inserted> {
    const ROWS_PER_STATEMENT: u64 = 2000;
    let conn = &mut Conn::from(&mut conn);
    let since = Instant::now();
    query(sql!("begin immediate")).execute(conn).await?;
    let (mut done, mut rows) = (0, 0);
    while done < task.jobs {
        let until = task.jobs.min(done + ROWS_PER_STATEMENT);
        let given: Vec<(Uuid, serde_json::Value)> =
            (done..until).map(|number| (Uuid::now_v7(), payload(number))).collect();
        rows += query(sql!(
            "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, created_at)
             select value ->> 0, $1, $2, 'bench.noop', 5, 'available', {now}, value -> 1, {now} from jsonb_each($3)"
        ))
        .bind(task.tenant)
        .bind(task.queue.as_str())
        .bind(serde_json::to_string(&given)?)
        .execute(conn)
        .await?;
        done = until;
    }
    query(sql!("commit")).execute(conn).await?;
    Ok(Inserted { rows, seconds: since.elapsed().as_secs_f64() })
}
