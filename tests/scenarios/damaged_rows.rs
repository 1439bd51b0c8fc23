//! Rows damaged by hand, under a worker: SQLite stores anything in any column.

use chrono::Utc;
use fairlane::testing::TestDb;
use fairlane::worker::{StopReason, Worker};

use crate::kinds::{Log, OrderApproved, What, act, registry};
use crate::support::{count, eventually, quick, work_until_idle};

async fn sqlite() -> TestDb {
    TestDb::sqlite(Vec::new).await.expect("a database")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_event_fails_its_own_jobs_and_no_others() {
    let t = sqlite().await;
    let log = Log::default();
    // A first worker announces the listeners.
    work_until_idle(&t, &log).await;
    for order in [1, 2] {
        t.fairlane.tenant("acme").publish(OrderApproved { order }).await.expect("published");
    }
    t.execute("update fairlane_events set payload = x'ff00' where payload like '%1%'").await;
    work_until_idle(&t, &log).await;
    assert_eq!((log.count("invoice 2"), log.count("sales 2"), log.count("mail 2")), (1, 1, 1));
    let failed = "select count(*) as n from fairlane_failed_jobs where code like '%decod%'";
    assert_eq!(count(&t, failed).await, 2);
    assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_schedule_does_not_keep_the_others_from_firing() {
    let t = sqlite().await;
    let schedule = crate::schedules::due_schedule(&t, Utc::now() - chrono::Duration::seconds(2)).await;
    crate::schedules::put(&t, &schedule).await;
    t.execute(
        "insert into fairlane_schedules (id, tenant_id, name, cron, timezone, kind, payload, queue, priority, missed,
            next_tick_at)
         select 'garbage', tenant_id, 'a', cron, timezone, kind, x'ff00', queue, priority, missed, 1
         from fairlane_schedules",
    )
    .await;
    let log = Log::default();
    let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(quick());
    let control = worker.control();
    let running = tokio::spawn(worker.run_until(std::future::pending()));
    eventually("the tick fires", async || log.count("tick 1") > 0).await;
    control.stop(StopReason::Interrupted);
    running.await.expect("joined").expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_rescues_beside_a_running_row_without_an_id() {
    let t = sqlite().await;
    let acme = t.fairlane.tenant("acme");
    for name in ["a", "b"] {
        acme.dispatch(act(name, What::Succeed)).await.expect("dispatched");
    }
    t.execute(
        "update fairlane_jobs set state = 'executing', token = lower(hex(randomblob(16))), lease_until = 1, attempt = 1,
            id = case when payload like '%\"a\"%' then 'garbage' else id end",
    )
    .await;
    let log = Log::default();
    let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(quick());
    let control = worker.control();
    let running = tokio::spawn(worker.run_until(std::future::pending()));
    eventually("the other job runs", async || log.count("b 1") > 0).await;
    control.stop(StopReason::Interrupted);
    running.await.expect("joined").expect("stopped");
}
