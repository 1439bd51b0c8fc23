//! Starting workers and waiting for conditions.

use std::future::Future;
use std::time::{Duration, Instant};

use fairlane::db::query;
use fairlane::store::tenants;
use fairlane::testing::TestDb;
use fairlane::worker::{Control, StopReason, Worker, WorkerOptions};
use fairlane::{Backoff, sql};
use tokio::task::JoinHandle;

use crate::kinds::{Log, registry};

/// Options for tests: a short lease, quick polling, quick retries.
pub(crate) fn quick() -> WorkerOptions {
    WorkerOptions {
        lease: Duration::from_secs(2),
        heartbeat: Duration::from_millis(300),
        poll: Duration::from_millis(20),
        drain_timeout: Duration::from_secs(5),
        backoff: Backoff::List(vec![Duration::from_millis(10)]),
        concurrency: 4,
        ..WorkerOptions::default()
    }
}

/// A worker that runs until it is told to stop.
pub(crate) struct Running {
    control: Control,
    pub(crate) task: JoinHandle<fairlane::Result<StopReason>>,
}

impl Running {
    pub(crate) fn start(t: &TestDb, log: &Log) -> Self {
        Self::with(t, log, quick())
    }

    pub(crate) fn with(t: &TestDb, log: &Log, options: WorkerOptions) -> Self {
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(options);
        let control = worker.control();
        Self { control, task: tokio::spawn(worker.run_until(std::future::pending())) }
    }

    pub(crate) async fn stop(self) {
        self.control.stop(StopReason::Interrupted);
        self.task.await.expect("joined").expect("stopped");
    }
}

/// Runs a worker until nothing is due, retries included.
pub(crate) async fn work_until_idle(t: &TestDb, log: &Log) {
    loop {
        let options = WorkerOptions { stop_when_empty: true, ..quick() };
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(options);
        let reason = worker.run_until(std::future::pending()).await.expect("the worker runs");
        assert_eq!(reason, StopReason::Empty);
        if count(
            t,
            "select count(*) as n from fairlane_jobs where state in ('retryable', 'scheduled', 'available')",
        )
        .await
            == 0
        {
            return;
        }
    }
}

/// Waits for a condition; fails after ten seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The `n` of a counting statement.
pub(crate) async fn count(t: &TestDb, statement: &'static str) -> i64 {
    let mut tx = t.db.read().await.expect("a connection");
    let row = query(sql!(statement)).fetch_one(&mut tx.conn()).await.expect("a count");
    row.get("n").expect("a number")
}

pub(crate) async fn add_tenant(t: &TestDb, slug: &str) {
    let mut tx = t.db.begin().await.expect("begun");
    tenants::add(&mut tx.conn(), slug, slug).await.expect("added");
    tx.commit().await.expect("committed");
}
