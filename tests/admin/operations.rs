use std::time::Duration;

use chrono::Utc;
use fairlane::admin::schedules::{self, NewSchedule};
use fairlane::admin::workers::{WorkerFilter, restart};
use fairlane::admin::{queues, tenants};
use fairlane::backend_test;
use fairlane::store::queues::{self as store_queues, QueueRow};
use fairlane::store::workers::{WorkerRow, register};
use uuid::Uuid;

use crate::support::{acme, ana, claimed, count, failed, queued, read};

async fn queue(t: &fairlane::testing::TestDb, name: &str) -> QueueRow {
    let all = read(t, async |conn| store_queues::list(conn, None).await).await.rows;
    all.into_iter().find(|row| row.name == name).expect("the queue")
}

backend_test!(
    async fn a_paused_queue_starts_nothing_until_it_is_resumed(t: TestDb) {
        queued(&acme(&t), 1).await;
        queues::pause(&t.fairlane, "default", None, &ana()).await.unwrap();
        assert!(claimed(&t).await.is_empty());
        let paused = queue(&t, "default").await;
        assert_eq!((paused.ready, paused.paused_by.as_deref()), (1, Some("ana")));
        assert_eq!(paused.pause_reason.as_deref(), Some("the ERP is back"));
        assert!(queues::resume(&t.fairlane, "default", &ana()).await.unwrap());
        assert!(!queues::resume(&t.fairlane, "default", &ana()).await.unwrap());
        assert_eq!(claimed(&t).await.len(), 1);
    }
);

backend_test!(
    async fn a_pause_with_an_end_ends_by_itself(t: TestDb) {
        queued(&acme(&t), 1).await;
        let until = Utc::now() + chrono::Duration::hours(1);
        queues::pause(&t.fairlane, "default", Some(until), &ana()).await.unwrap();
        assert!(claimed(&t).await.is_empty());
        t.db.shift_clock(chrono::Duration::hours(2));
        assert!(queue(&t, "default").await.paused_at.is_none());
        assert_eq!(claimed(&t).await.len(), 1);
    }
);

backend_test!(
    async fn a_paused_tenant_starts_nothing_until_it_is_resumed(t: TestDb) {
        queued(&acme(&t), 1).await;
        assert!(tenants::pause(&t.fairlane, "acme", &ana()).await.unwrap());
        assert!(!tenants::pause(&t.fairlane, "acme", &ana()).await.unwrap());
        assert!(claimed(&t).await.is_empty());
        assert!(tenants::resume(&t.fairlane, "acme", &ana()).await.unwrap());
        assert_eq!(claimed(&t).await.len(), 1);
        let deeds =
            "select count(*) as n from fairlane_audit where action in ('tenant.pause', 'tenant.resume')";
        assert_eq!(count(&t, deeds).await, 2);
    }
);

backend_test!(
    async fn queues_count_what_waits_runs_and_failed(t: TestDb) {
        failed(&t, &acme(&t), 2, "no route").await;
        queued(&acme(&t), 1).await;
        claimed(&t).await;
        queued(&acme(&t), 3).await;
        acme(&t).dispatch(crate::support::Nop).delay(Duration::from_secs(3600)).await.unwrap();
        let row = queue(&t, "default").await;
        assert_eq!((row.ready, row.scheduled, row.running, row.failed), (3, 1, 1, 2));
        assert!(row.oldest_ready_at.is_some());
    }
);

backend_test!(
    async fn a_restart_asks_exactly_the_workers_it_means(t: TestDb) {
        let worker = |name: &str, queues: &str| WorkerRow {
            id: Uuid::now_v7(),
            name: name.into(),
            host: "h1".into(),
            pid: 1,
            version: "0".into(),
            queues: queues.into(),
            concurrency: 1,
            lease_ms: None,
            state: "running".into(),
            running: 0,
            started_at: Utc::now(),
            seen_at: Utc::now(),
            stop_requested_at: None,
            stopped_at: None,
            stop_reason: None,
        };
        let (one, two) = (worker("one", "high,default"), worker("two", "low"));
        let mut tx = t.db.begin().await.unwrap();
        register(&mut tx.conn(), &one).await.unwrap();
        register(&mut tx.conn(), &two).await.unwrap();
        tx.commit().await.unwrap();
        let by_queue = WorkerFilter { queue: Some("low".into()), ..WorkerFilter::default() };
        assert_eq!(restart(&t.fairlane, &by_queue, &ana()).await.unwrap(), [two.id]);
        assert_eq!(restart(&t.fairlane, &WorkerFilter::default(), &ana()).await.unwrap(), [one.id]);
    }
);

backend_test!(
    async fn a_schedule_can_be_put_paused_run_and_removed(t: TestDb) {
        let new = NewSchedule {
            name: "nightly".into(),
            cron: "30 2 * * *".into(),
            timezone: "Europe/Berlin".into(),
            kind: "test.nop".into(),
            payload: serde_json::json!({ "n": 1 }),
            queue: "low".into(),
            priority: 3,
            missed: "once".into(),
        };
        let row = schedules::put(&t.fairlane, "acme", new.clone(), &ana()).await.unwrap();
        assert!(row.next_tick_at > Utc::now());
        schedules::set_paused(&t.fairlane, "acme", "nightly", true, &ana()).await.unwrap();
        assert!(schedules::find(&t.fairlane, "acme", "nightly").await.unwrap().paused_at.is_some());
        schedules::run_now(&t.fairlane, "acme", "nightly", &ana()).await.unwrap();
        let queued = "select count(*) as n from fairlane_jobs where queue = 'low' and priority = 3";
        assert_eq!(count(&t, queued).await, 1);
        let bad = NewSchedule { cron: "0 0 1--100000000 * *".into(), ..new };
        assert!(schedules::put(&t.fairlane, "acme", bad, &ana()).await.is_err());
        schedules::remove(&t.fairlane, "acme", "nightly", &ana()).await.unwrap();
        assert!(schedules::find(&t.fairlane, "acme", "nightly").await.is_err());
    }
);
