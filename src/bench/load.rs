//! Load and disturbance, each a process of its own: jobs at a steady pace, a transaction that is held open.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::floor::Bare;
use super::kinds::{Noop, Sleep};
use super::ledger::Reporter;
use super::processes::{Orders, client, ready_to_go};
use super::site::Tenants;
use crate::Fairlane;
use crate::client::WakeMode;
use crate::db::{Dialect, query};
use crate::sql;

/// Dispatches that may be under way at the same time; a database that can't keep up slows the load, which is reported.
const AT_ONCE: usize = 8;

/// What a process that dispatches at a steady pace is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PaceTask {
    pub(crate) url: String,
    /// Where it reports every job, just before it is queued and after its commit.
    pub(crate) ledger: PathBuf,
    /// They take turns.
    pub(crate) tenants: Tenants,
    /// How long each job sleeps; `None` for no-ops.
    pub(crate) sleep_ms: Option<u64>,
    pub(crate) per_second: f64,
    /// Jobs of one commit.
    pub(crate) batch: u64,
    /// Ends after this long, or when it is told to.
    pub(crate) seconds: f64,
    /// The number of the first job.
    pub(crate) first_number: u64,
}

/// What was dispatched.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Paced {
    pub(crate) jobs: u64,
    pub(crate) seconds: f64,
}

/// Dispatches at the pace that was asked for.
pub(crate) async fn pace(task: PaceTask, orders: &mut Orders) -> anyhow::Result<Paced> {
    let load = Arc::new(Load {
        fairlane: client(&task.url, WakeMode::Auto).await?,
        reporter: Reporter::connect(&task.ledger)?,
        task,
    });
    let task = &load.task;
    for index in 0..task.tenants.count.min(1000) {
        load.fairlane.tenant(task.tenants.slug(index)).id().await?;
    }
    ready_to_go(orders).await?;
    let since = Instant::now();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut dispatches = JoinSet::new();
    let mut jobs = 0;
    loop {
        let due = Duration::from_secs_f64(jobs as f64 / task.per_second);
        if due.as_secs_f64() >= task.seconds {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep_until((since + due).into()) => {}
            () = orders.wait("stop") => break,
        }
        let place = places.clone().acquire_owned().await?;
        let (load, first) = (load.clone(), task.first_number + jobs);
        dispatches.spawn(async move {
            let dispatched = load.dispatch(first).await;
            drop(place);
            dispatched
        });
        jobs += task.batch;
        while let Some(dispatched) = dispatches.try_join_next() {
            dispatched??;
        }
    }
    while let Some(dispatched) = dispatches.join_next().await {
        dispatched??;
    }
    Ok(Paced { jobs, seconds: since.elapsed().as_secs_f64() })
}

struct Load {
    fairlane: Fairlane,
    reporter: Reporter,
    task: PaceTask,
}

impl Load {
    async fn dispatch(&self, first: u64) -> crate::Result<()> {
        let task = &self.task;
        let index = (first / task.batch).cast_signed() % task.tenants.count;
        let (id, tenant) = (task.tenants.first + index, self.fairlane.tenant(task.tenants.slug(index)));
        let numbers = first..first + task.batch;
        numbers.clone().for_each(|number| self.reporter.queued(id, number));
        match (task.batch, task.sleep_ms) {
            (1, None) => drop(tenant.dispatch(Noop::new(first)).await?),
            (1, Some(ms)) => drop(tenant.dispatch(Sleep::new(first, ms)).await?),
            (_, None) => drop(tenant.dispatch_all(numbers.clone().map(Noop::new)).await?),
            (_, Some(ms)) => {
                tenant.dispatch_all(numbers.clone().map(|number| Sleep::new(number, ms))).await?;
            }
        }
        numbers.for_each(|number| self.reporter.committed(id, number));
        Ok(())
    }
}

/// What a process that holds a snapshot is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SnapshotTask {
    pub(crate) url: String,
}

/// Keeps a transaction open that sees the tables as they are now: nothing that dies from here on can be removed.
pub(crate) async fn hold_snapshot(task: SnapshotTask, orders: &mut Orders) -> anyhow::Result<()> {
    let mut bare = Bare::connect(&task.url).await?;
    let conn = &mut bare.conn();
    if conn.dialect() == Dialect::Postgres {
        query(sql!("set idle_in_transaction_session_timeout = 0")).execute(conn).await?;
        query(sql!("begin isolation level repeatable read")).execute(conn).await?;
    } else {
        query(sql!("begin")).execute(conn).await?;
    }
    query(sql!("select count(*) as n from fairlane_workers")).fetch_one(conn).await?;
    ready_to_go(orders).await?;
    orders.wait("stop").await;
    query(sql!("commit")).execute(conn).await?;
    Ok(())
}
