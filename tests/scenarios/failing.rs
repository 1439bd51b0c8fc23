//! Jobs that fail for good, and workers whose engine does.

use std::time::Duration;

use fairlane::db::Dialect;
use fairlane::testing::TestDb;
use fairlane::worker::{StopReason, Worker, WorkerOptions};
use fairlane::{Error, backend_test};

use crate::kinds::{Log, OrderApproved, What, act, registry};
use crate::support::{count, eventually, quick};

/// Dispatches a job and starts a worker on it.
async fn start(t: &TestDb, what: What, log: &Log) -> tokio::task::JoinHandle<fairlane::Result<StopReason>> {
    t.fairlane.tenant("acme").dispatch(act("job", what)).await.expect("dispatched");
    start_worker(t, log, WorkerOptions { stop_when_empty: true, ..quick() })
}

fn start_worker(
    t: &TestDb,
    log: &Log,
    options: WorkerOptions,
) -> tokio::task::JoinHandle<fairlane::Result<StopReason>> {
    let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(options);
    tokio::spawn(worker.run_until(std::future::pending()))
}

/// Makes the database refuse failed jobs with the code `hopeless`, or all of them.
async fn refuse_failed_jobs(t: &TestDb, all: bool) {
    let statement = match (t.db.dialect(), all) {
        (Dialect::Postgres, false) => "alter table fairlane_failed_jobs add check (code <> 'hopeless')",
        (Dialect::Postgres, true) => "alter table fairlane_failed_jobs add check (code = 'none')",
        (Dialect::Sqlite, false) => {
            "create trigger refuse before insert on fairlane_failed_jobs when new.code = 'hopeless'
             begin select raise(abort, 'refused by the test'); end"
        }
        (Dialect::Sqlite, true) => {
            "create trigger refuse before insert on fairlane_failed_jobs
             begin select raise(abort, 'refused by the test'); end"
        }
    };
    t.execute(statement).await;
}

backend_test!(
    async fn a_failure_with_a_code_that_cannot_be_stored_fails_its_job(t: TestDb) {
        let log = Log::default();
        let running = start(&t, What::DiscardWithOddCode, &log).await;
        running.await.expect("joined").expect("stopped");
        let stored =
            "select count(*) as n from fairlane_failed_jobs where code like 'oddodd%' and length(code) = 100";
        assert_eq!(count(&t, stored).await, 1);
        assert_eq!(log.entries(), ["job 1", "job gave up: odd"]);
    }
);

backend_test!(
    async fn a_refused_settlement_fails_its_job_in_plain_words(t: TestDb) {
        refuse_failed_jobs(&t, false).await;
        let log = Log::default();
        start(&t, What::Discard, &log).await.await.expect("joined").expect("stopped");
        let failed = "select count(*) as n from fairlane_failed_jobs where code = 'settle_refused'";
        assert_eq!(count(&t, failed).await, 1);
        let hook = "job gave up: the database refused to store how this attempt ended";
        assert_eq!(log.entries(), ["job 1", hook]);
    }
);

backend_test!(
    async fn no_failed_hook_runs_for_a_failure_that_was_not_written(t: TestDb) {
        refuse_failed_jobs(&t, true).await;
        let log = Log::default();
        t.fairlane.tenant("acme").dispatch(act("job", What::Discard)).await.expect("dispatched");
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(quick());
        let control = worker.control();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("its lease runs out and it comes back", async || log.count("job 1") == 2).await;
        control.stop(StopReason::Interrupted);
        running.await.expect("joined").expect("stopped");
        assert_eq!(log.entries(), ["job 1", "job 1"]);
    }
);

backend_test!(
    async fn a_stopping_worker_waits_for_its_failed_hooks(t: TestDb) {
        let log = Log::default();
        let running = start(&t, What::DiscardSlowly(500), &log).await;
        running.await.expect("joined").expect("stopped");
        assert_eq!(log.entries(), ["job 1", "job gave up: it will never work"]);
    }
);

backend_test!(
    async fn the_failed_hook_of_a_poison_pill_runs_in_the_process_that_rescues_it(t: TestDb) {
        let acme = t.fairlane.tenant("acme");
        acme.dispatch(act("job", What::Succeed)).await.expect("dispatched");
        let subscribing = Log::default();
        // Its listeners are subscribed by a worker's start.
        let options = WorkerOptions { max_time: Some(Duration::ZERO), kinds: Some(vec![]), ..quick() };
        start_worker(&t, &subscribing, options).await.expect("joined").expect("stopped");
        acme.publish(OrderApproved { order: 7 }).await.expect("published");
        t.execute(
            "update fairlane_jobs set state = 'executing', suspect = true, crashes = 2, attempt = 1, runs = 1,
                token = id, worker_id = id, started_at = created_at, lease_until = created_at",
        )
        .await;
        let log = Log::default();
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(quick());
        let control = worker.control();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("both hooks have run", async || log.entries().len() == 2).await;
        control.stop(StopReason::Interrupted);
        running.await.expect("joined").expect("stopped");
        let error = "its process died 3 times while it ran alone";
        assert_eq!(log.count(&format!("job gave up: {error}")), 1, "{:?}", log.entries());
        assert_eq!(log.count(&format!("sales 7 gave up: {error}")), 1, "{:?}", log.entries());
    }
);

backend_test!(
    async fn a_worker_whose_heartbeat_dies_stops_with_an_error(t: TestDb) {
        // Two thirds of this lease cannot be computed: the heartbeat panics at its first beat.
        let options = WorkerOptions { lease: Duration::MAX, ..quick() };
        let running = start_worker(&t, &Log::default(), options);
        let ended =
            tokio::time::timeout(Duration::from_secs(20), running).await.expect("it ends").expect("joined");
        let Err(Error::Refused { what, why }) = ended else { panic!("no error: {ended:?}") };
        assert_eq!(what, "running the worker");
        assert!(why.contains("died"), "{why}");
    }
);
