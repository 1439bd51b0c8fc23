//! Jobs to administrate, made the way workers and applications make them.

use std::time::Duration;

use fairlane::admin::Operator;
use fairlane::db::{Conn, Row, query};
use fairlane::store::claim::Claimed;
use fairlane::store::settle::{Fence, fail};
use fairlane::testing::{ClaimFrom, TestDb, claim_from};
use fairlane::{Context, Event, Failure, Job, JobResult, Tenant, Unique, sql};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A job that is never run here.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Nop;

impl Job for Nop {
    const KIND: &'static str = "test.nop";
    type State = ();

    async fn run(self, _: Context<()>) -> JobResult {
        Ok(())
    }
}

/// An event that somebody may listen to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Happened {
    pub(crate) n: i64,
}

impl Event for Happened {
    const NAME: &'static str = "test.thing.happened";
}

pub(crate) fn acme(t: &TestDb) -> Tenant {
    t.fairlane.tenant("acme")
}

pub(crate) async fn globex(t: &TestDb) -> Tenant {
    fairlane::admin::tenants::add(&t.fairlane, "globex", "Globex", &ana()).await.unwrap();
    t.fairlane.tenant("globex")
}

pub(crate) fn ana() -> Operator {
    Operator { actor: "ana".into(), reason: Some("the ERP is back".into()) }
}

/// Queues jobs; returns their ids in order.
pub(crate) async fn queued(tenant: &Tenant, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(tenant.dispatch(Nop).await.unwrap().id);
    }
    ids
}

pub(crate) async fn queued_unique(tenant: &Tenant, key: &str) -> Uuid {
    tenant.dispatch(Nop).unique(key, Unique::UntilDone).await.unwrap().id
}

/// Takes all ready jobs of the default queue.
pub(crate) async fn claimed(t: &TestDb) -> Vec<Claimed> {
    let kinds = [Nop::KIND.to_owned(), format!("test.listen@{}", Happened::NAME)];
    let request = ClaimFrom {
        queue: "default",
        limit: 1000,
        kinds: &kinds,
        worker_id: Uuid::now_v7(),
        lease: Duration::from_secs(30),
        suspects: false,
    };
    let mut tx = t.db.begin().await.unwrap();
    let mut jobs = claim_from(&mut tx.conn(), &request).await.unwrap();
    tx.commit().await.unwrap();
    jobs.drain(..).map(|job| job.expect("a readable job")).collect()
}

/// Runs all ready jobs and lets them fail for good; returns their ids in order.
pub(crate) async fn fail_all(t: &TestDb, message: &str) -> Vec<Uuid> {
    let mut jobs = claimed(t).await;
    jobs.sort_by_key(|job| job.id);
    let failure = Failure { code: "error".into(), message: message.into() };
    for job in &jobs {
        let mut tx = t.db.begin().await.unwrap();
        assert!(fail(&mut tx.conn(), Fence { id: job.id, token: job.token }, &failure).await.unwrap());
        tx.commit().await.unwrap();
    }
    jobs.iter().map(|job| job.id).collect()
}

/// Jobs that have failed for good.
pub(crate) async fn failed(t: &TestDb, tenant: &Tenant, count: usize, message: &str) -> Vec<Uuid> {
    queued(tenant, count).await;
    fail_all(t, message).await
}

/// Runs store functions that read.
pub(crate) async fn read<T>(
    t: &TestDb,
    statements: impl AsyncFnOnce(&mut Conn<'_>) -> fairlane::Result<T>,
) -> T {
    let mut tx = t.db.read().await.unwrap();
    statements(&mut tx.conn()).await.unwrap()
}

pub(crate) async fn rows(t: &TestDb, statement: &'static str) -> Vec<Row> {
    read(t, async |conn| query(sql!(statement)).fetch_all(conn).await).await
}

/// The `n` of a counting statement.
pub(crate) async fn count(t: &TestDb, statement: &'static str) -> i64 {
    rows(t, statement).await[0].get("n").unwrap()
}

/// The `id` of every row, sorted.
pub(crate) async fn ids(t: &TestDb, statement: &'static str) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = rows(t, statement).await.iter().map(|row| row.get("id").unwrap()).collect();
    ids.sort();
    ids
}
