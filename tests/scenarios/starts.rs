//! When a job starts: at once where somebody says that it is there, and however much others have to do.

use std::time::Duration;

use fairlane::db::Db;
use fairlane::worker::WorkerOptions;
use fairlane::{ClientSettings, Fairlane, backend_test};

use crate::kinds::{Log, Urgent, What, act, keyed};
use crate::support::{Running, add_tenant, count, eventually, quick};

backend_test!(
    async fn a_wake_up_starts_a_job_with_a_key_at_once(t: TestDb) {
        let log = Log::default();
        let worker = Running::with(&t, &log, WorkerOptions { poll: Duration::from_secs(60), ..quick() });
        let acme = t.fairlane.tenant("acme");
        // The first look is over when something that was queued after it runs.
        acme.dispatch(act("plain", What::Succeed)).await.expect("dispatched");
        eventually("the worker has begun", async || log.count("plain 1") == 1).await;
        acme.dispatch(keyed("a-1", 1, Some(1))).await.expect("dispatched");
        eventually("it runs before the next look", async || log.count("a-1 1 ends") == 1).await;
        worker.stop().await;
    }
);

backend_test!(
    async fn a_job_from_another_process_starts_before_the_next_poll(t: TestDb) {
        let log = Log::default();
        let worker = Running::with(&t, &log, WorkerOptions { poll: Duration::from_secs(60), ..quick() });
        t.fairlane.tenant("acme").dispatch(act("ours", What::Succeed)).await.expect("dispatched");
        eventually("the worker has begun", async || log.count("ours 1") == 1).await;
        eventually("it has nothing to do", async || {
            count(&t, "select count(*) as n from fairlane_jobs").await == 0
        })
        .await;
        // While there is work it looks often; a little later only once in a minute.
        tokio::time::sleep(Duration::from_millis(500)).await;
        // Connections and a client of its own: what another process has.
        let db = Db::open(t.db.options()).await.expect("opened");
        let other = Fairlane::new(db, ClientSettings::default());
        other.tenant("acme").dispatch(act("theirs", What::Succeed)).await.expect("dispatched");
        eventually("it runs before the next look", async || log.count("theirs 1") == 1).await;
        worker.stop().await;
    }
);

backend_test!(
    async fn a_newcomer_starts_although_long_work_waits_for_every_slot(t: TestDb) {
        add_tenant(&t, "beta").await;
        let acme = t.fairlane.tenant("acme");
        for _ in 0..16 {
            let long = acme.dispatch(act("long", What::UntilStopping));
            long.timeout(Duration::from_secs(600)).await.expect("dispatched");
        }
        let log = Log::default();
        let worker = Running::with(&t, &log, WorkerOptions { concurrency: 16, ..quick() });
        eventually("the slots for long work are full", async || log.count("long 1") >= 12).await;
        // Of another kind: how long it runs says nothing about the others.
        t.fairlane.tenant("beta").dispatch(keyed("newcomer", 1, Some(1))).await.expect("dispatched");
        eventually("the newcomer starts", async || log.count("newcomer 1 ends") == 1).await;
        assert_eq!(log.count("long 1"), 12, "a quarter stays free");
        worker.stop().await;
    }
);

backend_test!(
    async fn a_job_of_a_later_queue_starts_in_the_midst_of_a_flood_in_the_first(t: TestDb) {
        add_tenant(&t, "beta").await;
        let flood = (0..4000).map(|_| Urgent {});
        t.fairlane.tenant("acme").dispatch_all(flood).await.expect("dispatched");
        let log = Log::default();
        let worker = Running::start(&t, &log);
        eventually("the flood runs", async || log.count("urgent") > 20).await;
        t.fairlane.tenant("beta").dispatch(act("later", What::Succeed)).await.expect("dispatched");
        eventually("the later queue's job starts", async || log.count("later 1") == 1).await;
        let urgent = "select count(*) as n from fairlane_jobs where queue = 'high'";
        let left = count(&t, urgent).await;
        assert!(left > 1000, "{left} of 4000 urgent jobs were left");
        worker.stop().await;
    }
);

backend_test!(
    async fn a_flood_of_one_tenant_does_not_starve_another(t: TestDb) {
        add_tenant(&t, "beta").await;
        let flood = (0..400).map(|_| act("flood", What::Sleep(5)));
        t.fairlane.tenant("acme").dispatch_all(flood).await.expect("dispatched");
        let quiet = (0..10).map(|_| act("quiet", What::Sleep(5)));
        t.fairlane.tenant("beta").dispatch_all(quiet).await.expect("dispatched");
        let log = Log::default();
        let worker = Running::start(&t, &log);
        eventually("the quiet tenant's jobs run", async || log.count("quiet 1") == 10).await;
        let before = log.count("flood 1");
        assert!(before < 100, "{before} of the flood went first");
        worker.stop().await;
    }
);
