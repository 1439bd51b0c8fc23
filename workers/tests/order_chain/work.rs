//! Workers in this process, and events that are delivered twice.

use std::time::Duration;

use fairlane::db::Dialect;
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Event};
use fairlane_workers::erp::{Erp, registry};
use serde::de::DeserializeOwned;

use super::support::shop::count;

/// Runs a worker until nothing is left to do, retries included.
pub(crate) async fn work(t: &TestDb) {
    loop {
        let options = WorkerOptions {
            stop_when_empty: true,
            poll: Duration::from_millis(20),
            backoff: Backoff::List(vec![Duration::from_millis(10)]),
            concurrency: 4,
            ..WorkerOptions::default()
        };
        let worker = Worker::new(&t.fairlane).serve(registry(), Erp::fake()).options(options);
        worker.run_until(std::future::pending()).await.unwrap();
        if count(t, "select count(*) as n from fairlane_jobs").await == 0 {
            return;
        }
    }
}

/// Delivers every event that was handled to its listeners once more, each by a job of its own, and works them off.
pub(crate) async fn deliver_again(t: &TestDb) {
    let before = count(t, "select count(*) as n from fairlane_job_history").await;
    let copied = match t.db.dialect() {
        Dialect::Postgres => t.execute(AGAIN_POSTGRES).await,
        Dialect::Sqlite => t.execute(AGAIN_SQLITE).await,
    };
    assert!(copied > 0, "there is nothing to deliver again");
    work(t).await;
    let after = count(t, "select count(*) as n from fairlane_job_history").await;
    assert_eq!(after - before, copied as i64, "a second delivery led to other jobs, or was not made");
}

const AGAIN_POSTGRES: &str =
    "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id)
     select gen_random_uuid(), tenant_id, queue, kind, priority, 'available', created_at, payload, event_id
     from fairlane_job_history where event_id is not null";
const AGAIN_SQLITE: &str =
    "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id)
     select lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4000-8000-' || hex(randomblob(6))),
        tenant_id, queue, kind, priority, 'available', created_at, payload, event_id
     from fairlane_job_history where event_id is not null";

/// The published events of a type, as they are stored.
pub(crate) async fn stored<E: Event + DeserializeOwned>(t: &TestDb) -> Vec<E> {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let rows = fairlane::db::query(fairlane::sql!(
        "select payload from fairlane_events where name = $1 order by occurred_at, id"
    ))
    .bind(E::NAME)
    .fetch_all(&mut tx.conn())
    .await
    .unwrap();
    rows.iter().map(|row| serde_json::from_value(row.get("payload").unwrap()).unwrap()).collect()
}

/// Moves the database's clock to noon (UTC) of a day.
pub(crate) async fn to_noon(t: &TestDb, day: &str) {
    let noon = day.parse::<chrono::NaiveDate>().unwrap().and_hms_opt(12, 0, 0).unwrap().and_utc();
    let mut tx = t.db.read().await.unwrap();
    let now = fairlane_workers::erp::store::now(&mut tx.conn()).await.unwrap();
    drop(tx);
    // The scanners' ticks of decades would be planned one by one.
    t.execute("delete from fairlane_schedules").await;
    t.db.shift_clock(noon - now);
}
