//! What follows from what a handler does.

use std::time::Duration;

use fairlane::backend_test;
use fairlane::testing::TestDb;
use fairlane::worker::Worker;

use crate::kinds::{Log, Steps, What, act, registry};
use crate::support::{count, eventually, quick, work_until_idle};

async fn run_one(t: &TestDb, what: What) -> Log {
    let log = Log::default();
    t.fairlane.tenant("acme").dispatch(act("job", what)).await.expect("dispatched");
    work_until_idle(t, &log).await;
    log
}

backend_test!(
    async fn a_job_that_succeeds_runs_once_and_moves_to_the_history(t: TestDb) {
        let log = run_one(&t, What::Succeed).await;
        assert_eq!(log.entries(), ["job 1"]);
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_job_history where state = 'completed'").await,
            1
        );
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 0);
    }
);

backend_test!(
    async fn a_job_that_always_fails_is_tried_three_times_and_keeps_every_error(t: TestDb) {
        let log = run_one(&t, What::Fail).await;
        assert_eq!(log.entries(), ["job 1", "job 2", "job 3", "job gave up: it failed on purpose"]);
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_attempts where error = 'it failed on purpose'")
                .await,
            3
        );
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs where attempt = 3").await, 1);
    }
);

backend_test!(
    async fn a_job_that_heals_completes_at_the_attempt_that_succeeds(t: TestDb) {
        let log = run_one(&t, What::FailTimes(2)).await;
        assert_eq!(log.entries(), ["job 1", "job 2", "job 3"]);
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
    }
);

backend_test!(
    async fn a_panic_fails_its_own_attempt_with_its_message(t: TestDb) {
        run_one(&t, What::Panic).await;
        let found = "select count(*) as n from fairlane_failed_jobs
            where code = 'panicked' and error = 'it panicked on purpose'";
        assert_eq!(count(&t, found).await, 1);
    }
);

backend_test!(
    async fn a_handler_without_progress_is_stopped_at_its_timeout(t: TestDb) {
        let log = run_one(&t, What::Hang).await;
        assert_eq!(log.count("job 3"), 1);
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_failed_jobs where code = 'timed_out'").await,
            1
        );
    }
);

backend_test!(
    async fn a_snooze_gives_the_attempt_back(t: TestDb) {
        let log = run_one(&t, What::SnoozeOnce).await;
        assert_eq!(log.entries(), ["job 1", "job 1"]);
    }
);

backend_test!(
    async fn a_cancel_ends_in_the_history_and_a_discard_in_the_failed_jobs(t: TestDb) {
        let acme = t.fairlane.tenant("acme");
        acme.dispatch(act("cancels", What::Cancel)).await.expect("dispatched");
        acme.dispatch(act("discards", What::Discard)).await.expect("dispatched");
        let log = Log::default();
        work_until_idle(&t, &log).await;
        let cancelled = "select count(*) as n from fairlane_job_history
            where state = 'cancelled' and reason = 'nobody needs it'";
        assert_eq!(count(&t, cancelled).await, 1);
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_failed_jobs where code = 'hopeless'").await,
            1
        );
        assert_eq!((log.count("cancels 1"), log.count("discards 1")), (1, 1));
    }
);

backend_test!(
    async fn a_retried_job_goes_on_from_its_checkpoint(t: TestDb) {
        t.fairlane
            .tenant("acme")
            .dispatch(Steps { steps: 4, fail_after: Some(2) })
            .await
            .expect("dispatched");
        let log = Log::default();
        work_until_idle(&t, &log).await;
        assert_eq!(log.entries(), ["step 1", "step 2", "step 3", "step 4"]);
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_job_history where progress_done = 4").await,
            1
        );
    }
);

backend_test!(
    async fn a_handler_that_blocks_every_thread_keeps_its_lease(t: TestDb) {
        // Longer than two leases, on more slots than the runtime has threads.
        let acme = t.fairlane.tenant("acme");
        for _ in 0..4 {
            acme.dispatch(act("blocks", What::Block(4500)))
                .timeout(Duration::from_secs(30))
                .await
                .expect("dispatched");
        }
        let log = Log::default();
        work_until_idle(&t, &log).await;
        assert_eq!(log.entries().len(), 4, "none was rescued and run again: {:?}", log.entries());
        assert_eq!(count(&t, "select count(*) as n from fairlane_job_history where runs = 1").await, 4);
    }
);

backend_test!(
    async fn a_running_job_is_cancelled_from_outside(t: TestDb) {
        t.fairlane
            .tenant("acme")
            .dispatch(act("long", What::Sleep(60_000)))
            .timeout(Duration::from_secs(120))
            .await
            .expect("dispatched");
        let log = Log::default();
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(quick());
        let control = worker.control();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("the job runs", async || log.count("long 1") == 1).await;
        t.execute(
            "update fairlane_jobs set cancel_requested_at = created_at, cancel_reason = 'changed my mind'",
        )
        .await;
        eventually("the job is cancelled", async || {
            count(&t, "select count(*) as n from fairlane_job_history where reason = 'changed my mind'").await
                == 1
        })
        .await;
        control.stop(fairlane::worker::StopReason::Interrupted);
        running.await.expect("joined").expect("stopped");
    }
);

backend_test!(
    async fn a_damaged_payload_fails_its_own_job_and_no_other(t: TestDb) {
        let acme = t.fairlane.tenant("acme");
        acme.dispatch(act("damaged", What::Succeed)).await.expect("dispatched");
        t.execute("update fairlane_jobs set payload = '{\"name\": 7}'").await;
        acme.dispatch(act("whole", What::Succeed)).await.expect("dispatched");
        let log = Log::default();
        work_until_idle(&t, &log).await;
        assert_eq!(log.entries(), ["whole 1"]);
        let failed = "select count(*) as n from fairlane_failed_jobs where code = 'undecodable_payload'";
        assert_eq!(count(&t, failed).await, 1);
    }
);

backend_test!(
    async fn a_dispatch_beside_the_handlers_own_transaction_is_refused_where_it_would_wait_for_it(t: TestDb) {
        let log = run_one(&t, What::DispatchBesideTransaction).await;
        let expected = match t.db.dialect() {
            fairlane::db::Dialect::Sqlite => "would_deadlock",
            fairlane::db::Dialect::Postgres => "dispatched",
        };
        assert_eq!(log.count(expected), 1, "{:?}", log.entries());
    }
);
