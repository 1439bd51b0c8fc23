//! A PostgreSQL that answers, but too late.

use std::time::Duration;

use fairlane::db::{Db, DbOptions, query};
use fairlane::testing::TestDb;
use fairlane::worker::{StopReason, Worker};
use fairlane::{ClientSettings, Fairlane, sql};

use crate::kinds::{Log, OrderApproved, What, act, registry};
use crate::support::{count, eventually, quick};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_whose_statement_timed_out_is_written_later_and_no_failure() {
    let Some(t) = TestDb::postgres("a slow history", Vec::new).await.unwrap() else { return };
    // A sequence counts also the tries that are undone.
    for statement in [
        "create sequence tries",
        "create function dawdle() returns trigger language plpgsql security definer as
            'begin perform nextval(''tries''); perform pg_sleep(3); return new; end'",
        "create trigger dawdle before insert on fairlane_job_history for each row execute function dawdle()",
    ] {
        t.execute(statement).await;
    }
    let options = DbOptions { statement_timeout: Duration::from_millis(300), ..t.db.options().clone() };
    let impatient = Fairlane::new(Db::open(&options).await.unwrap(), ClientSettings::default());
    t.fairlane.tenant("acme").dispatch(act("job", What::Succeed)).await.unwrap();
    let worker = Worker::new(&impatient).serve(registry(), Log::default()).options(quick());
    let control = worker.control();
    let worker = tokio::spawn(worker.run_until(std::future::pending()));
    let observer = t.observer().await.unwrap();
    eventually("it has tried again and again", async || {
        let mut tx = observer.read().await.unwrap();
        let row = query(sql!("select last_value as n from tries")).fetch_one(&mut tx.conn()).await.unwrap();
        row.get::<i64>("n").unwrap() >= 4
    })
    .await;
    t.execute("drop trigger dawdle on fairlane_job_history").await;
    eventually("it is done", async || {
        count(&t, "select count(*) as n from fairlane_job_history where state = 'completed'").await == 1
    })
    .await;
    assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
    control.stop(StopReason::Interrupted);
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stops_although_the_database_keeps_silent_about_the_events_of_its_jobs() {
    let Some(t) = TestDb::postgres("silent events", Vec::new).await.unwrap() else { return };
    t.fairlane.clone().with(&registry()).announce().await.unwrap();
    t.fairlane.tenant("acme").publish(OrderApproved { order: 7 }).await.unwrap();
    let observer = t.observer().await.unwrap();
    let mut lock = observer.begin().await.unwrap();
    query(sql!("lock table fairlane_events in access exclusive mode"))
        .execute(&mut lock.conn())
        .await
        .unwrap();
    let log = Log::default();
    let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(quick());
    let control = worker.control();
    let worker = tokio::spawn(worker.run_until(std::future::pending()));
    let claimed = "select count(*) as n from fairlane_jobs where state = 'executing'";
    eventually("its jobs are claimed", async || count(&t, claimed).await > 0).await;
    control.stop(StopReason::Interrupted);
    let stopped = tokio::time::timeout(Duration::from_secs(20), worker).await;
    assert_eq!(stopped.expect("it stops").unwrap().unwrap(), StopReason::Interrupted);
    assert!(log.entries().is_empty(), "nothing has run");
    assert_eq!(count(&t, claimed).await, 0, "they were given back");
    lock.rollback().await.unwrap();
}
