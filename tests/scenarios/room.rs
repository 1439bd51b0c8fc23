//! Long work with checkpoints makes room for tenants that have nothing running.

use std::time::Duration;

use fairlane::backend_test;
use fairlane::store::tenants;
use fairlane::worker::{Worker, WorkerOptions};

use crate::kinds::{Log, What, act, registry};
use crate::support::{eventually, quick};

/// One slot, which a job may keep for no longer than an instant while others wait.
fn one_slot() -> WorkerOptions {
    let yield_after = Duration::from_millis(50);
    WorkerOptions { concurrency: 1, yield_after, stop_when_empty: true, ..quick() }
}

backend_test!(
    async fn a_long_job_makes_room_for_a_tenant_that_has_nothing_running_and_then_goes_on(t: TestDb) {
        let mut tx = t.db.begin().await.unwrap();
        tenants::add(&mut tx.conn(), "beta", "Beta").await.unwrap();
        tx.commit().await.unwrap();
        let long = act("long", What::YieldOnce);
        t.fairlane.tenant("acme").dispatch(long).timeout(Duration::from_secs(60)).await.unwrap();
        let log = Log::default();
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(one_slot());
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("the long job runs", async || log.count("long 1") == 1).await;
        // Work of the same tenant is none to make room for: if it were, the long job would have yielded before the other's.
        t.fairlane.tenant("acme").dispatch(act("own", What::Succeed)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(log.entries(), ["long 1"]);
        t.fairlane.tenant("beta").dispatch(act("other", What::Succeed)).await.unwrap();
        running.await.unwrap().unwrap();
        let entries = log.entries();
        assert_eq!(entries[..3], ["long 1", "long yields", "other 1"]);
        // The attempt was given back, and it went on from its checkpoint.
        assert_eq!((log.count("long 1"), log.count("long goes on"), log.count("own 1")), (2, 1, 1));
    }
);
