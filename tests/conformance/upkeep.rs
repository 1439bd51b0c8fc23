//! Promotion, retention, and the list of worker processes.

use std::time::Duration;

use fairlane::store::prune::{Retention, prune};
use fairlane::store::workers::{self, WorkerRow};
use fairlane::store::{complete, promote, settle};
use fairlane::testing::TestDb;
use fairlane::{Event, backend_test};
use uuid::Uuid;

use crate::support::*;

backend_test!(
    async fn due_jobs_are_promoted_a_thousand_at_a_time_and_others_stay(t: TestDb) {
        acme(&t).dispatch_all((0..1200).map(|number| Work { number })).await.unwrap();
        t.execute("update fairlane_jobs set state = 'scheduled'").await;
        let late = acme(&t).dispatch(Work { number: 1 }).delay(Duration::from_secs(60)).await.unwrap();
        assert_eq!(write(&t, async |conn| promote::promote(conn).await).await.queues.len(), 1000);
        assert_eq!(write(&t, async |conn| promote::promote(conn).await).await.queues.len(), 200);
        assert!(write(&t, async |conn| promote::promote(conn).await).await.queues.is_empty());
        assert_eq!(places(&t, late.id).await, ["scheduled"]);
    }
);

/// A job completed, one failed, a listener job completed, one failed: with events, attempts, runs and keys.
async fn finish_some(t: &TestDb) {
    subscribe(t, OrderApproved::NAME, "invoice", QUEUE).await;
    let tenant = acme(t);
    tenant.publish(OrderApproved { order: 1 }).await.unwrap();
    tenant.publish(OrderApproved { order: 2 }).await.unwrap();
    tenant.dispatch(Work { number: 1 }).idempotency_key("k").await.unwrap();
    tenant.dispatch(Work { number: 2 }).await.unwrap();
    let kinds = vec!["invoice@sales.order.approved".to_owned(), "test.work".to_owned()];
    for kind in &kinds {
        let jobs = claim_with(&t.db, &request(std::slice::from_ref(kind))).await;
        assert_eq!(jobs.len(), 2);
        write(t, async |conn| complete::complete(conn, &[fence(&jobs[0])]).await).await;
        write(t, async |conn| settle::fail(conn, fence(&jobs[1]), &failure("no")).await).await;
    }
}

async fn sizes(t: &TestDb) -> [i64; 6] {
    [
        count(t, "select count(*) as n from fairlane_job_history").await,
        count(t, "select count(*) as n from fairlane_failed_jobs").await,
        count(t, "select count(*) as n from fairlane_attempts").await,
        count(t, "select count(*) as n from fairlane_events").await,
        count(t, "select count(*) as n from fairlane_listener_runs").await,
        count(t, "select count(*) as n from fairlane_unique_keys").await,
    ]
}

async fn prune_all(t: &TestDb) {
    while prune(&t.db, &Retention::default()).await.unwrap() > 0 {}
}

backend_test!(
    async fn everything_is_kept_as_long_as_its_retention_says(t: TestDb) {
        finish_some(&t).await;
        assert_eq!(sizes(&t).await, [2, 2, 2, 2, 1, 1]);
        prune_all(&t).await;
        assert_eq!(sizes(&t).await, [2, 2, 2, 2, 1, 1], "nothing is old");
        t.db.shift_clock(chrono::Duration::days(2));
        prune_all(&t).await;
        assert_eq!(sizes(&t).await, [2, 2, 2, 2, 1, 0], "keys have expired");
        t.db.shift_clock(chrono::Duration::days(6));
        prune_all(&t).await;
        assert_eq!(sizes(&t).await, [0, 2, 2, 2, 1, 0], "the history after a week");
        t.db.shift_clock(chrono::Duration::days(23));
        prune_all(&t).await;
        assert_eq!(sizes(&t).await, [0, 2, 2, 1, 0, 0], "the event of a failed job stays");
        t.db.shift_clock(chrono::Duration::days(60));
        prune_all(&t).await;
        assert_eq!(
            sizes(&t).await,
            [0, 0, 0, 0, 0, 0],
            "failed jobs after ninety days, with attempts and events"
        );
    }
);

backend_test!(
    async fn live_jobs_keep_their_events_and_attempts(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
        acme(&t).publish(OrderApproved { order: 1 }).await.unwrap();
        let kinds = vec!["invoice@sales.order.approved".to_owned()];
        let job = claim_with(&t.db, &request(&kinds)).await.pop().unwrap();
        write(&t, async |conn| settle::retry(conn, fence(&job), LEASE, &failure("no")).await).await;
        t.db.shift_clock(chrono::Duration::days(400));
        prune_all(&t).await;
        assert_eq!(sizes(&t).await, [0, 0, 1, 1, 0, 0]);
    }
);

fn worker(name: &str, queues: &str) -> WorkerRow {
    let now = chrono::Utc::now();
    WorkerRow {
        id: Uuid::now_v7(),
        name: name.into(),
        host: "host-1".into(),
        pid: 42,
        version: "0.1.0".into(),
        queues: queues.into(),
        concurrency: 8,
        lease_ms: None,
        state: "running".into(),
        running: 0,
        started_at: now,
        seen_at: now,
        stop_requested_at: None,
        stopped_at: None,
        stop_reason: None,
    }
}

backend_test!(
    async fn a_worker_process_is_listed_with_what_it_said_last(t: TestDb) {
        let row = worker("imports", "high,default");
        write(&t, async |conn| workers::register(conn, &row).await).await;
        write(&t, async |conn| workers::register(conn, &row).await).await;
        assert!(!write(&t, async |conn| workers::seen(conn, row.id, "draining", 5).await).await);
        let listed = write(&t, async |conn| workers::list(conn, LEASE).await).await.rows;
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].name.as_str(), listed[0].pid, listed[0].concurrency), ("imports", 42, 8));
        assert_eq!((listed[0].state.as_str(), listed[0].running), ("draining", 5));
        write(&t, async |conn| workers::stopped(conn, row.id, "asked to").await).await;
        let listed = write(&t, async |conn| workers::list(conn, LEASE).await).await.rows;
        assert_eq!(listed[0].state, "stopped");
        assert_eq!((listed[0].stop_reason.as_deref(), listed[0].running), (Some("asked to"), 0));
        assert!(!write(&t, async |conn| workers::seen(conn, Uuid::now_v7(), "running", 0).await).await);
    }
);

backend_test!(
    async fn a_worker_that_is_asked_to_stop_learns_it_when_it_is_next_seen(t: TestDb) {
        let (a, b) = (worker("a", "a_b,high"), worker("b", "axb,low"));
        for row in [&a, &b] {
            write(&t, async |conn| workers::register(conn, row).await).await;
        }
        let asked = write(&t, async |conn| workers::request_stop(conn, None, None, Some("a_b")).await).await;
        assert_eq!(asked, [a.id], "the name of a queue is no pattern");
        assert!(write(&t, async |conn| workers::seen(conn, a.id, "running", 0).await).await);
        assert!(!write(&t, async |conn| workers::seen(conn, b.id, "running", 0).await).await);
        assert!(
            write(&t, async |conn| workers::request_stop(conn, Some("x"), None, None).await).await.is_empty()
        );
        let all = write(&t, async |conn| workers::request_stop(conn, None, Some("host-1"), None).await).await;
        assert_eq!(all, [b.id], "whoever was asked is not asked again");
    }
);

backend_test!(
    async fn workers_that_nobody_has_seen_for_a_day_are_forgotten(t: TestDb) {
        write(&t, async |conn| workers::register(conn, &worker("a", QUEUE)).await).await;
        t.db.shift_clock(chrono::Duration::hours(23));
        prune_all(&t).await;
        assert_eq!(write(&t, async |conn| workers::list(conn, LEASE).await).await.rows.len(), 1);
        t.db.shift_clock(chrono::Duration::hours(2));
        prune_all(&t).await;
        assert!(write(&t, async |conn| workers::list(conn, LEASE).await).await.rows.is_empty());
    }
);
