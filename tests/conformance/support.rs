//! A kind of job, two events, and the few steps that tests repeat.

use std::time::Duration;

use fairlane::db::{Conn, Db, Row, query};
use fairlane::store::claim::Claimed;
use fairlane::store::settle::Fence;
use fairlane::store::{self};
use fairlane::testing::{ClaimFrom, TestDb, claim_from};
use fairlane::{Aggregate, Context, Event, Failure, Job, JobResult, Result, Tenant, sql};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const QUEUE: &str = "default";

/// A job that says which one it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) number: u64,
}

impl Job for Work {
    const KIND: &'static str = "test.work";
    type State = ();

    async fn run(self, _: Context<()>) -> JobResult {
        Ok(())
    }
}

/// Another kind, which the claims of these tests do not serve unless they say so.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OtherWork;

impl Job for OtherWork {
    const KIND: &'static str = "test.other_work";
    type State = ();

    async fn run(self, _: Context<()>) -> JobResult {
        Ok(())
    }
}

/// An event whose listeners are rows that each test writes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderApproved {
    pub(crate) order: i64,
}

impl Event for OrderApproved {
    const NAME: &'static str = "sales.order.approved";
    const VERSION: i32 = 2;

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "order", id: self.order.to_string(), version: Some(3) })
    }
}

/// Another event.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderCancelled;

impl Event for OrderCancelled {
    const NAME: &'static str = "sales.order.cancelled";
}

pub(crate) fn acme(t: &TestDb) -> Tenant {
    t.fairlane.tenant("acme")
}

/// Adds a tenant beside `acme`.
pub(crate) async fn add_tenant(t: &TestDb, slug: &str) -> Tenant {
    write(t, async |conn| store::tenants::add(conn, slug, slug).await).await;
    t.fairlane.tenant(slug)
}

/// Queues jobs numbered from 0 for a tenant; returns their ids.
pub(crate) async fn dispatch(tenant: &Tenant, jobs: u64) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for number in 0..jobs {
        ids.push(tenant.dispatch(Work { number }).await.expect("dispatched").id);
    }
    ids
}

/// Lets a listener follow an event, as a worker's announcement does.
pub(crate) async fn subscribe(t: &TestDb, event: &str, listener: &str, queue: &str) {
    write(t, async |conn| {
        query(sql!(
            "insert into fairlane_subscriptions (event_name, listener, queue, priority, max_attempts)
             values ($1, $2, $3, 4, 7)"
        ))
        .bind(event)
        .bind(listener)
        .bind(queue)
        .execute(conn)
        .await
    })
    .await;
}

/// Runs statements in a transaction and commits it.
pub(crate) async fn write<T>(t: &TestDb, statements: impl AsyncFnOnce(&mut Conn<'_>) -> Result<T>) -> T {
    try_write(&t.db, statements).await.expect("the statements and their commit")
}

/// Runs statements in a transaction and commits it, unless they fail.
pub(crate) async fn try_write<T>(
    db: &Db,
    statements: impl AsyncFnOnce(&mut Conn<'_>) -> Result<T>,
) -> Result<T> {
    let mut tx = db.begin().await?;
    let written = statements(&mut tx.conn()).await?;
    tx.commit().await?;
    Ok(written)
}

/// The rows of a statement that takes no values.
pub(crate) async fn rows(t: &TestDb, statement: &'static str) -> Vec<Row> {
    let mut tx = t.db.read().await.expect("a connection");
    query(sql!(statement)).fetch_all(&mut tx.conn()).await.expect("rows")
}

/// The column `n` of the only row.
pub(crate) async fn count(t: &TestDb, statement: &'static str) -> i64 {
    rows(t, statement).await[0].get("n").expect("a number")
}

/// The columns `word` of all rows.
pub(crate) async fn words(t: &TestDb, statement: &'static str) -> Vec<String> {
    rows(t, statement).await.iter().map(|row| row.get("word").expect("a text")).collect()
}

/// Where a job is: its states in the live table, the history and the failed jobs, one word each.
pub(crate) async fn places(t: &TestDb, id: Uuid) -> Vec<String> {
    let mut tx = t.db.read().await.expect("a connection");
    let rows = query(sql!(
        "select state as word from fairlane_jobs where id = $1
         union all select state from fairlane_job_history where id = $1
         union all select 'discarded' from fairlane_failed_jobs where id = $1"
    ))
    .bind(id)
    .fetch_all(&mut tx.conn())
    .await
    .expect("rows");
    rows.iter().map(|row| row.get("word").expect("a state")).collect()
}

/// One column of a live job.
pub(crate) async fn column<T: fairlane::db::Column>(t: &TestDb, id: Uuid, column: &str) -> T {
    let mut tx = t.db.read().await.expect("a connection");
    let row = query(sql!("select * from fairlane_jobs where id = $1"))
        .bind(id)
        .fetch_one(&mut tx.conn())
        .await
        .expect("the job");
    row.get(column).expect("the column")
}

/// A claim of the kind `Work` from the default queue.
pub(crate) fn request(kinds: &[String]) -> ClaimFrom<'_> {
    ClaimFrom { queue: QUEUE, limit: 10, kinds, worker_id: Uuid::nil(), lease: LEASE, suspects: false }
}

pub(crate) fn work_kinds() -> Vec<String> {
    vec![Work::KIND.to_owned()]
}

pub(crate) async fn claim_with(db: &Db, request: &ClaimFrom<'_>) -> Vec<Claimed> {
    let mut tx = db.single().await.expect("a connection");
    let claimed = claim_from(&mut tx.conn(), request).await.expect("a claim");
    tx.commit().await.expect("a commit");
    claimed.into_iter().map(|job| job.expect("a readable job")).collect()
}

/// Claims up to `limit` jobs of the kind `Work`.
pub(crate) async fn claim(t: &TestDb, limit: usize) -> Vec<Claimed> {
    claim_with(&t.db, &ClaimFrom { limit, ..request(&work_kinds()) }).await
}

/// Queues one job and claims it.
pub(crate) async fn claimed_job(t: &TestDb) -> Claimed {
    dispatch(&acme(t), 1).await;
    claim(t, 1).await.pop().expect("a job")
}

pub(crate) fn fence(job: &Claimed) -> Fence {
    Fence { id: job.id, token: job.token }
}

/// The job under a token that was never given to it.
pub(crate) fn wrong_fence(job: &Claimed) -> Fence {
    Fence { id: job.id, token: Uuid::now_v7() }
}

pub(crate) fn failure(message: &str) -> Failure {
    Failure { code: "error".into(), message: message.into() }
}
