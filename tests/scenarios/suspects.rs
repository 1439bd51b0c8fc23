//! Jobs whose process died run alone, and keep nobody else waiting; neither do jobs of kinds that nobody serves.

use std::time::Duration;

use fairlane::store::tenants;
use fairlane::testing::TestDb;
use fairlane::worker::{StopReason, Worker, WorkerOptions};
use fairlane::{ClientSettings, Fairlane, backend_test};

use crate::kinds::{Log, What, act, registry};
use crate::support::{count, eventually, quick};

/// A client that hears of new work by polling only, and tenants beside `acme`.
async fn polling(t: &TestDb, slugs: &[&str]) -> Fairlane {
    let mut tx = t.db.begin().await.expect("begun");
    for slug in slugs {
        tenants::add(&mut tx.conn(), slug, slug).await.expect("added");
    }
    tx.commit().await.expect("committed");
    let wake = fairlane::client::WakeMode::Poll;
    Fairlane::new(t.db.clone(), ClientSettings { wake, ..ClientSettings::default() })
}

async fn dispatch(client: &Fairlane, tenant: &str, name: &str, jobs: usize) {
    for _ in 0..jobs {
        client.tenant(tenant).dispatch(act(name, What::Succeed)).await.expect("dispatched");
    }
}

/// Longer than the time after which suspects are looked for again: only then can they hold everything up.
fn slow_poll() -> WorkerOptions {
    WorkerOptions { poll: Duration::from_millis(800), ..quick() }
}

backend_test!(
    async fn a_suspect_between_busy_tenants_runs_and_holds_nobody_up(t: TestDb) {
        let client = polling(&t, &["beta", "gamma"]).await;
        dispatch(&client, "beta", "suspect", 1).await;
        t.execute("update fairlane_jobs set suspect = true").await;
        dispatch(&client, "acme", "other", 20).await;
        dispatch(&client, "gamma", "other", 20).await;
        let log = Log::default();
        let options = WorkerOptions { stop_when_empty: true, ..slow_poll() };
        let worker = Worker::new(&client).serve(registry(), log.clone()).options(options);
        assert_eq!(worker.run_until(std::future::pending()).await.expect("ran"), StopReason::Empty);
        assert_eq!((log.count("suspect 1"), log.count("other 1")), (1, 40));
    }
);

backend_test!(
    async fn a_suspect_of_a_paused_tenant_holds_nobody_up(t: TestDb) {
        let client = polling(&t, &["beta"]).await;
        dispatch(&client, "beta", "suspect", 1).await;
        t.execute("update fairlane_jobs set suspect = true").await;
        t.execute("update fairlane_tenants set paused_at = created_at where slug = 'beta'").await;
        dispatch(&client, "acme", "other", 20).await;
        let log = Log::default();
        let options = WorkerOptions { stop_when_empty: true, ..slow_poll() };
        let worker = Worker::new(&client).serve(registry(), log.clone()).options(options);
        worker.run_until(std::future::pending()).await.expect("ran");
        assert_eq!(log.entries().len(), 20);
    }
);

backend_test!(
    async fn a_suspect_behind_a_long_job_does_not_idle_the_other_slots(t: TestDb) {
        let client = polling(&t, &[]).await;
        let long = client.tenant("acme").dispatch(act("long", What::Sleep(60_000)));
        long.timeout(Duration::from_secs(120)).await.expect("dispatched");
        let log = Log::default();
        let worker = Worker::new(&client).serve(registry(), log.clone()).options(quick());
        let control = worker.control();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("the long job runs", async || log.count("long 1") == 1).await;
        client
            .tenant("acme")
            .dispatch(act("suspect", What::Succeed))
            .delay(Duration::from_secs(3600))
            .await
            .expect("ok");
        t.execute("update fairlane_jobs set suspect = true, state = 'available', run_at = created_at where state = 'scheduled'")
            .await;
        dispatch(&client, "acme", "other", 20).await;
        eventually("the others run", async || log.count("other 1") == 20).await;
        control.abort();
        running.await.expect("joined").expect("stopped");
    }
);

backend_test!(
    async fn jobs_of_kinds_that_nobody_serves_keep_no_other_tenant_waiting(t: TestDb) {
        let slugs = ["t1", "t2", "t3", "t4", "t5"];
        let client = polling(&t, &slugs).await;
        for slug in slugs {
            dispatch(&client, slug, "unknown", 1).await;
        }
        t.execute("update fairlane_jobs set kind = 'of.another.release'").await;
        let mut tx = t.db.begin().await.expect("begun");
        tenants::add(&mut tx.conn(), "zeta", "Zeta").await.expect("added");
        tx.commit().await.expect("committed");
        dispatch(&client, "zeta", "served", 3).await;
        let log = Log::default();
        let options = WorkerOptions { stop_when_empty: true, concurrency: 1, ..quick() };
        let worker = Worker::new(&client).serve(registry(), log.clone()).options(options);
        worker.run_until(std::future::pending()).await.expect("ran");
        assert_eq!(log.count("served 1"), 3);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where state = 'available'").await, 5);
    }
);

backend_test!(
    async fn a_handler_learns_that_its_worker_drains_and_gives_its_job_back_early(t: TestDb) {
        let client = polling(&t, &[]).await;
        let job = client.tenant("acme").dispatch(act("watchful", What::UntilStopping));
        job.timeout(Duration::from_secs(60)).await.expect("dispatched");
        let log = Log::default();
        let options = WorkerOptions { drain_timeout: Duration::from_secs(60), ..quick() };
        let worker = Worker::new(&client).serve(registry(), log.clone()).options(options);
        let control = worker.control();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("the job runs", async || log.count("watchful 1") == 1).await;
        control.stop(StopReason::Interrupted);
        running.await.expect("joined").expect("stopped");
        let given_back = "select count(*) as n from fairlane_jobs where state = 'scheduled' and attempt = 0";
        assert_eq!(count(&t, given_back).await, 1);
    }
);
