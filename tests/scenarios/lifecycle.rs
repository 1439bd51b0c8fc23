//! How a worker starts, pauses and stops.

use std::time::Duration;

use fairlane::db::query;
use fairlane::store;
use fairlane::testing::TestDb;
use fairlane::worker::{StopReason, Worker, WorkerOptions};
use fairlane::{Unique, backend_test, sql};
use uuid::Uuid;

use crate::kinds::{Log, What, act, registry};
use crate::support::{Running, count, eventually, quick};

async fn run(t: &TestDb, log: &Log, options: WorkerOptions) -> StopReason {
    let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(options);
    worker.run_until(std::future::pending()).await.expect("the worker runs")
}

async fn dispatch(t: &TestDb, jobs: usize) {
    for _ in 0..jobs {
        t.fairlane.tenant("acme").dispatch(act("job", What::Succeed)).await.expect("dispatched");
    }
}

backend_test!(
    async fn a_worker_stops_after_max_jobs_and_leaves_the_rest(t: TestDb) {
        dispatch(&t, 7).await;
        let log = Log::default();
        let reason = run(&t, &log, WorkerOptions { max_jobs: Some(5), ..quick() }).await;
        assert_eq!((reason, log.entries().len()), (StopReason::MaxJobs, 5));
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where state = 'available'").await, 2);
    }
);

backend_test!(
    async fn once_runs_one_job_and_stops_at_once_when_there_is_none(t: TestDb) {
        dispatch(&t, 2).await;
        let log = Log::default();
        assert_eq!(run(&t, &log, WorkerOptions { once: true, ..quick() }).await, StopReason::Once);
        assert_eq!(log.entries().len(), 1);
        run(&t, &log, WorkerOptions { once: true, ..quick() }).await;
        assert_eq!(run(&t, &log, WorkerOptions { once: true, ..quick() }).await, StopReason::Once);
        assert_eq!(log.entries().len(), 2);
    }
);

backend_test!(
    async fn max_time_stops_an_idle_worker(t: TestDb) {
        let options = WorkerOptions { max_time: Some(Duration::from_millis(100)), ..quick() };
        assert_eq!(run(&t, &Log::default(), options).await, StopReason::MaxTime);
    }
);

backend_test!(
    async fn a_paused_worker_starts_nothing_until_it_is_resumed(t: TestDb) {
        let log = Log::default();
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(quick());
        let control = worker.control();
        control.pause();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        dispatch(&t, 1).await;
        eventually("the worker says that it is paused", async || {
            count(&t, "select count(*) as n from fairlane_workers where state = 'paused'").await == 1
        })
        .await;
        assert!(log.entries().is_empty());
        control.resume();
        eventually("the job runs", async || log.entries().len() == 1).await;
        control.stop(StopReason::Interrupted);
        running.await.expect("joined").expect("stopped");
    }
);

backend_test!(
    async fn a_stopped_worker_lets_its_job_finish(t: TestDb) {
        t.fairlane.tenant("acme").dispatch(act("slow", What::Sleep(400))).await.expect("dispatched");
        let log = Log::default();
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(quick());
        let control = worker.control();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("the job runs", async || log.count("slow 1") == 1).await;
        control.stop(StopReason::Interrupted);
        running.await.expect("joined").expect("stopped");
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_job_history where state = 'completed'").await,
            1
        );
    }
);

backend_test!(
    async fn after_the_drain_time_a_job_goes_back_with_its_attempt(t: TestDb) {
        t.fairlane
            .tenant("acme")
            .dispatch(act("hangs", What::Hang))
            .timeout(Duration::from_secs(60))
            .await
            .expect("ok");
        let log = Log::default();
        let options = WorkerOptions { drain_timeout: Duration::from_millis(50), ..quick() };
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(options);
        let control = worker.control();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("the job runs", async || log.count("hangs 1") == 1).await;
        control.stop(StopReason::Interrupted);
        running.await.expect("joined").expect("stopped");
        let given_back = "select count(*) as n from fairlane_jobs
            where state = 'available' and attempt = 0 and interruptions = 1 and token is null";
        assert_eq!(count(&t, given_back).await, 1);
    }
);

backend_test!(
    async fn restart_stops_a_worker_and_the_database_says_so(t: TestDb) {
        let worker = Worker::new(&t.fairlane).serve(registry(), Log::default()).options(quick());
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("the worker is there", async || {
            count(&t, "select count(*) as n from fairlane_workers where state = 'running'").await == 1
        })
        .await;
        let mut tx = t.db.begin().await.expect("begun");
        let asked =
            store::workers::request_stop(&mut tx.conn(), None, None, Some("high")).await.expect("asked");
        tx.commit().await.expect("committed");
        assert_eq!(
            asked.len(),
            1,
            "{:?}",
            store::workers::list(&mut t.db.read().await.expect("a reader").conn(), Duration::from_secs(30))
                .await
        );
        assert_eq!(running.await.expect("joined").expect("stopped"), StopReason::RestartSignal);
        let obeyed = "select count(*) as n from fairlane_workers
            where state = 'stopped' and stop_reason = 'restart_signal'";
        assert_eq!(count(&t, obeyed).await, 1);
    }
);

backend_test!(
    async fn a_worker_that_lost_its_lease_cannot_settle_the_job(t: TestDb) {
        t.fairlane
            .tenant("acme")
            .dispatch(act("zombie", What::Block(600)))
            .timeout(Duration::from_secs(9))
            .await
            .expect("ok");
        let log = Log::default();
        let options = WorkerOptions { heartbeat: Duration::from_secs(1), ..quick() };
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(options);
        let control = worker.control();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        eventually("the job runs", async || log.count("zombie 1") == 1).await;
        // Another worker's claim, by hand: the job has another token now.
        t.execute("update fairlane_jobs set token = '00000000-0000-7000-8000-00000000abcd'").await;
        control.stop(StopReason::Interrupted);
        running.await.expect("joined").expect("stopped");
        assert_eq!(count(&t, "select count(*) as n from fairlane_job_history").await, 0);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where state = 'executing'").await, 1);
    }
);

/// Runs a handler that loses its job to another worker and writes all the same.
async fn lose_and_write(t: &TestDb, what: What) -> Log {
    t.fairlane.tenant("acme").dispatch(act("zombie", what)).await.expect("dispatched");
    let log = Log::default();
    // No heartbeat in between: it would stop the handler, and the fence would not be asked.
    let options =
        WorkerOptions { lease: Duration::from_secs(90), heartbeat: Duration::from_secs(30), ..quick() };
    let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(options);
    let control = worker.control();
    let running = tokio::spawn(worker.run_until(std::future::pending()));
    eventually("the handler runs", async || log.count("zombie 1") == 1).await;
    control.stop(StopReason::Interrupted);
    running.await.expect("joined").expect("stopped");
    log
}

backend_test!(
    async fn effects_and_checkpoint_of_a_worker_that_lost_its_lease_are_refused(t: TestDb) {
        let log = lose_and_write(&t, What::CommitAfterLosing).await;
        assert_eq!((log.count("lease_lost"), log.count("committed")), (1, 0), "{:?}", log.entries());
        assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, 0);
        let unmarked =
            "select count(*) as n from fairlane_jobs where checkpoint is null and state = 'executing'";
        assert_eq!(count(&t, unmarked).await, 1);
    }
);

backend_test!(
    async fn effects_and_completion_of_a_worker_that_lost_its_lease_are_refused(t: TestDb) {
        lose_and_write(&t, What::CompleteAfterLosing).await;
        assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, 0);
        assert_eq!(count(&t, "select count(*) as n from fairlane_job_history").await, 0);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where state = 'executing'").await, 1);
    }
);

backend_test!(
    async fn a_job_that_was_claimed_and_waits_for_a_slot_keeps_its_key_until_it_starts(t: TestDb) {
        let acme = t.fairlane.tenant("acme");
        let log = Log::default();
        let options = WorkerOptions { concurrency: 1, ..quick() };
        let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(options);
        let control = worker.control();
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        let claimed = "select count(*) as n from fairlane_jobs where state = 'executing'";
        // Only while jobs are short is more claimed than there are slots; on a busy machine some seem long.
        for round in 1..=20 {
            acme.dispatch_all((0..60).map(|_| act("short", What::Succeed))).await.unwrap();
            eventually("short jobs run", async || log.count("short 1") == 60 * round).await;
            let (name, key) = (format!("unique-{round}"), format!("order-{round}"));
            let started = async || log.count(&format!("{name} 1")) > 0;
            let unique =
                || acme.dispatch(act(&name, What::Succeed)).unique(key.clone(), Unique::UntilStarted);
            acme.dispatch(act("blocker", What::Sleep(400))).await.unwrap();
            let first = unique().await.unwrap();
            let mut held = 0;
            while !started().await {
                let ahead = count(&t, claimed).await == 2;
                let again = unique().await.unwrap();
                if again.id != first.id {
                    eventually("it has started, for its key is free", async || started().await).await;
                } else if ahead {
                    held += 1;
                }
            }
            eventually("all is done", async || {
                count(&t, "select count(*) as n from fairlane_jobs").await == 0
            })
            .await;
            if held > 0 {
                break;
            }
            assert!(round < 20, "no job that was claimed ahead of the only slot kept its key");
        }
        control.stop(StopReason::Interrupted);
        running.await.unwrap().unwrap();
    }
);

/// A worker that took the only job and was not seen since; its lease runs out in two seconds.
async fn left_by_a_crashed_worker(t: &TestDb, name: &str) {
    t.fairlane.tenant("acme").dispatch(act(name, What::Succeed)).await.expect("dispatched");
    let in_two_seconds = chrono::Duration::seconds(2);
    let mut tx = t.db.begin().await.expect("begun");
    query(sql!(
        "update fairlane_jobs set state = 'executing', attempt = 1, runs = 1, token = $1, worker_id = $2,
            started_at = {now}, lease_until = $3"
    ))
    .bind(Uuid::now_v7())
    .bind(Uuid::now_v7())
    .bind(chrono::Utc::now() + in_two_seconds)
    .execute(&mut tx.conn())
    .await
    .expect("taken");
    tx.commit().await.expect("committed");
}

backend_test!(
    async fn a_worker_that_stops_when_empty_runs_what_a_crashed_one_left(t: TestDb) {
        let log = Log::default();
        for name in ["running", "expired"] {
            left_by_a_crashed_worker(&t, name).await;
            if name == "expired" {
                tokio::time::sleep(Duration::from_millis(2_100)).await;
            }
            let last = Running::with(&t, &log, WorkerOptions { stop_when_empty: true, ..quick() });
            assert_eq!(last.task.await.expect("joined").expect("ran"), StopReason::Empty);
            assert_eq!(
                log.count(&format!("{name} 2")) + log.count(&format!("{name} 1")),
                1,
                "{:?}",
                log.entries()
            );
            assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 0);
        }
    }
);

backend_test!(
    async fn a_worker_that_stops_when_empty_does_not_stay_for_what_a_living_one_runs(t: TestDb) {
        let log = Log::default();
        let busy = Running::start(&t, &log);
        let long = t.fairlane.tenant("acme").dispatch(act("long", What::Sleep(60_000)));
        long.timeout(Duration::from_secs(120)).await.expect("dispatched");
        eventually("the long job runs", async || log.count("long 1") == 1).await;
        let last = Running::with(&t, &log, WorkerOptions { stop_when_empty: true, ..quick() });
        assert_eq!(last.task.await.expect("joined").expect("ran"), StopReason::Empty);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where state = 'executing'").await, 1);
        busy.stop().await;
    }
);
