//! Cron rows fire once a tick, whatever the number of workers.

use chrono::{DateTime, TimeZone, Utc};
use fairlane::backend_test;
use fairlane::maintenance::{MissedTicks, plan_ticks};
use fairlane::store::schedules::{self, ScheduleRow};
use fairlane::testing::TestDb;
use fairlane::worker::{StopReason, Worker};
use uuid::Uuid;

use crate::kinds::{Log, registry};
use crate::support::{count, eventually, quick};

pub(crate) async fn due_schedule(t: &TestDb, due: DateTime<Utc>) -> ScheduleRow {
    ScheduleRow {
        id: Uuid::now_v7(),
        tenant_id: t.fairlane.tenant("acme").id().await.expect("acme"),
        tenant: "acme".into(),
        name: "nightly".into(),
        cron: "0 3 * * *".into(),
        timezone: "Europe/Berlin".into(),
        kind: "test.act".into(),
        payload: serde_json::json!({ "name": "tick", "what": "Succeed" }),
        queue: "default".into(),
        priority: 5,
        missed: "once".into(),
        paused_at: None,
        next_tick_at: due,
        last_tick_at: None,
        last_job_id: None,
    }
}

pub(crate) async fn put(t: &TestDb, schedule: &ScheduleRow) {
    let mut tx = t.db.begin().await.expect("begun");
    schedules::put(&mut tx.conn(), schedule).await.expect("stored");
    tx.commit().await.expect("committed");
}

backend_test!(
    async fn three_workers_fire_a_due_tick_once(t: TestDb) {
        put(&t, &due_schedule(&t, Utc::now() - chrono::Duration::seconds(2)).await).await;
        let log = Log::default();
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(quick());
                (worker.control(), tokio::spawn(worker.run_until(std::future::pending())))
            })
            .collect();
        eventually("the tick fires", async || log.count("tick 1") > 0).await;
        for (control, running) in workers {
            control.stop(StopReason::Interrupted);
            running.await.expect("joined").expect("stopped");
        }
        assert_eq!(log.entries(), ["tick 1"]);
        assert_eq!(count(&t, "select count(*) as n from fairlane_job_history").await, 1);
    }
);

#[test]
fn missed_ticks_are_left_out_made_up_once_or_made_up_all() {
    let at = |hour, minute| Utc.with_ymd_and_hms(2026, 7, 1, hour, minute, 0).single().expect("a time");
    let plan = |missed| plan_ticks("0 * * * *", chrono_tz::UTC, at(3, 0), at(6, 30), missed).expect("a plan");
    assert!(plan(MissedTicks::Skip).fire.is_empty());
    assert_eq!(plan(MissedTicks::Once).fire, [at(6, 0)]);
    assert_eq!(plan(MissedTicks::All).fire, [at(3, 0), at(4, 0), at(5, 0), at(6, 0)]);
    assert_eq!(plan(MissedTicks::All).next, at(7, 0));
    let punctual =
        plan_ticks("0 * * * *", chrono_tz::UTC, at(3, 0), at(3, 0), MissedTicks::Skip).expect("a plan");
    assert_eq!(punctual.fire, [at(3, 0)]);
}

#[test]
fn a_daily_time_in_the_spring_gap_fires_once_and_in_the_autumn_overlap_once() {
    let berlin = chrono_tz::Europe::Berlin;
    let utc = |month, day, hour, minute| {
        Utc.with_ymd_and_hms(2027, month, day, hour, minute, 0).single().expect("a time")
    };
    let spring = fairlane::cron::next_ticks("30 2 * * *", berlin, utc(3, 27, 12, 0), 2).expect("ticks");
    assert_eq!(spring, [utc(3, 28, 1, 0), utc(3, 29, 0, 30)]);
    let autumn = fairlane::cron::next_ticks("30 2 * * *", berlin, utc(10, 30, 12, 0), 2).expect("ticks");
    assert_eq!(autumn, [utc(10, 31, 0, 30), utc(11, 1, 1, 30)]);
}
