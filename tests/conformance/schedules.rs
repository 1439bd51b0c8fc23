//! Cron rows.

use chrono::{DateTime, Duration, Utc};
use fairlane::store::schedules::{self, ScheduleRow};
use fairlane::testing::TestDb;
use fairlane::{Job, backend_test};
use uuid::Uuid;

use crate::support::*;

pub(crate) async fn nightly(t: &TestDb, next_tick_at: DateTime<Utc>) -> ScheduleRow {
    let schedule = ScheduleRow {
        id: Uuid::now_v7(),
        tenant_id: acme(t).id().await.unwrap(),
        tenant: "acme".into(),
        name: "nightly".into(),
        cron: "0 3 * * *".into(),
        timezone: "Europe/Berlin".into(),
        kind: Work::KIND.into(),
        payload: serde_json::json!({"number": 3}),
        queue: QUEUE.into(),
        priority: 4,
        missed: "once".into(),
        paused_at: None,
        next_tick_at,
        last_tick_at: None,
        last_job_id: None,
    };
    write(t, async |conn| schedules::put(conn, &schedule).await).await;
    schedule
}

fn tick() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_760_000_000_000_000).unwrap()
}

backend_test!(
    async fn a_schedule_is_stored_and_changed_by_name(t: TestDb) {
        let schedule = nightly(&t, tick()).await;
        let stored = write(&t, async |conn| schedules::list(conn, None).await).await.rows;
        assert_eq!(stored, std::slice::from_ref(&schedule));
        let changed = ScheduleRow { id: Uuid::now_v7(), cron: "0 4 * * *".into(), ..schedule.clone() };
        write(&t, async |conn| schedules::put(conn, &changed).await).await;
        let own = write(&t, async |conn| schedules::list(conn, Some(schedule.tenant_id)).await).await.rows;
        assert_eq!(own, [ScheduleRow { id: schedule.id, ..changed }]);
        assert!(write(&t, async |conn| schedules::list(conn, Some(999)).await).await.rows.is_empty());
    }
);

backend_test!(
    async fn a_schedule_is_due_when_its_tick_has_come_and_it_is_not_paused(t: TestDb) {
        let schedule = nightly(&t, tick()).await;
        let (now, due) = write(&t, async |conn| schedules::due(conn).await).await;
        assert_eq!(due.rows, std::slice::from_ref(&schedule));
        assert!((now - Utc::now()).abs() < Duration::minutes(1));
        let paused = |paused, next| {
            let t = &t;
            write(t, async move |conn| {
                schedules::set_paused(conn, schedule.tenant_id, "nightly", paused, next).await
            })
        };
        assert!(paused(true, tick()).await);
        assert!(write(&t, async |conn| schedules::due(conn).await).await.1.rows.is_empty(), "paused");
        assert!(paused(false, now + Duration::hours(1)).await);
        assert!(
            write(&t, async |conn| schedules::due(conn).await).await.1.rows.is_empty(),
            "it goes on at its next tick"
        );
        let unknown =
            write(&t, async |conn| schedules::set_paused(conn, schedule.tenant_id, "x", true, now).await)
                .await;
        assert!(!unknown);
    }
);

backend_test!(
    async fn a_tick_queues_its_job_and_moves_on(t: TestDb) {
        let schedule = nightly(&t, tick()).await;
        let next = tick() + Duration::days(1);
        assert!(write(&t, async |conn| schedules::advance(conn, &schedule, &[tick()], next).await).await);
        let job = claim(&t, 1).await.pop().unwrap();
        assert_eq!((job.kind.as_str(), job.payload.contains('3')), (Work::KIND, true));
        let stored = write(&t, async |conn| schedules::list(conn, None).await).await.rows.pop().unwrap();
        assert_eq!((stored.next_tick_at, stored.last_tick_at), (next, Some(tick())));
        assert_eq!(stored.last_job_id, Some(job.id));
        assert!(!write(&t, async |conn| schedules::advance(conn, &schedule, &[tick()], next).await).await);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 1);
    }
);

backend_test!(
    async fn ticks_that_are_skipped_move_on_without_a_job(t: TestDb) {
        let schedule = nightly(&t, tick()).await;
        let next = tick() + Duration::days(9);
        assert!(write(&t, async |conn| schedules::advance(conn, &schedule, &[], next).await).await);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 0);
    }
);

backend_test!(
    async fn four_schedulers_queue_one_job_for_a_tick(t: TestDb) {
        let schedule = nightly(&t, tick()).await;
        let next = tick() + Duration::days(1);
        let schedulers = (0..4).map(|_| {
            let (db, schedule) = (t.db.clone(), schedule.clone());
            tokio::spawn(async move {
                try_write(&db, async |conn| schedules::advance(conn, &schedule, &[tick()], next).await)
                    .await
                    .unwrap()
            })
        });
        let moved = futures::future::join_all(schedulers).await;
        assert_eq!(moved.into_iter().filter(|moved| *moved.as_ref().unwrap()).count(), 1);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 1);
    }
);

backend_test!(
    async fn a_removed_schedule_is_gone(t: TestDb) {
        let schedule = nightly(&t, tick()).await;
        assert!(write(&t, async |conn| schedules::remove(conn, schedule.tenant_id, "nightly").await).await);
        assert!(!write(&t, async |conn| schedules::remove(conn, schedule.tenant_id, "nightly").await).await);
        assert!(!write(&t, async |conn| schedules::advance(conn, &schedule, &[tick()], tick()).await).await);
    }
);

backend_test!(
    async fn the_schedules_of_a_drained_tenant_rest(t: TestDb) {
        let schedule = nightly(&t, tick()).await;
        let drain = async |on| {
            let id = schedule.tenant_id;
            write(&t, async |conn| fairlane::store::tenants::set_draining(conn, id, on, None).await).await
        };
        let due = async || write(&t, async |conn| schedules::due(conn).await).await.1.rows.len();
        assert!(drain(true).await);
        assert_eq!(due().await, 0);
        assert!(drain(false).await);
        assert_eq!(due().await, 1);
    }
);
