//! Queueing jobs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::{ClientSettings, Error, Fairlane, backend_test, store};
use uuid::Uuid;

use crate::support::*;

/// How often dispatches with one id are let loose on each other.
const TRIES: i64 = 100;

backend_test!(
    async fn a_dispatched_job_is_available_with_its_policy(t: TestDb) {
        let job = acme(&t).dispatch(Work { number: 5 }).await.unwrap();
        assert!(!job.duplicate);
        assert_eq!(places(&t, job.id).await, ["available"]);
        assert_eq!(column::<String>(&t, job.id, "queue").await, "default");
        assert_eq!(column::<i64>(&t, job.id, "priority").await, 5);
        assert_eq!(
            column::<serde_json::Value>(&t, job.id, "payload").await,
            serde_json::json!({"number": 5})
        );
        assert_eq!(column::<i64>(&t, job.id, "tenant_id").await, acme(&t).id().await.unwrap());
    }
);

backend_test!(
    async fn what_a_dispatch_sets_is_stored(t: TestDb) {
        let until = DateTime::from_timestamp_micros(4_102_444_800_123_456).unwrap();
        let job = acme(&t)
            .dispatch(Work { number: 5 })
            .queue("low")
            .priority(1)
            .attempts(9)
            .timeout(Duration::from_millis(1500))
            .retry_until(until)
            .await
            .unwrap();
        assert_eq!(column::<String>(&t, job.id, "queue").await, "low");
        assert_eq!(column::<i64>(&t, job.id, "priority").await, 1);
        assert_eq!(column::<i64>(&t, job.id, "max_attempts").await, 9);
        assert_eq!(column::<i64>(&t, job.id, "timeout_ms").await, 1500);
        assert_eq!(column::<DateTime<Utc>>(&t, job.id, "retry_until").await, until);
    }
);

backend_test!(
    async fn five_thousand_jobs_are_queued_in_one_transaction(t: TestDb) {
        let queued = acme(&t).dispatch_all((0..5000).map(|number| Work { number })).await.unwrap();
        assert_eq!(queued, 5000);
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_jobs where state = 'available'").await,
            5000
        );
        assert_eq!(count(&t, "select count(distinct id) as n from fairlane_jobs").await, 5000);
        assert_eq!(acme(&t).dispatch_all(Vec::<Work>::new()).await.unwrap(), 0);
    }
);

backend_test!(
    async fn a_delayed_job_waits_until_its_time_and_is_promoted_then(t: TestDb) {
        let job = acme(&t).dispatch(Work { number: 1 }).delay(Duration::from_secs(60)).await.unwrap();
        assert_eq!(places(&t, job.id).await, ["scheduled"]);
        assert!(write(&t, async |conn| store::promote::promote(conn).await).await.queues.is_empty());
        assert!(claim(&t, 1).await.is_empty());
        t.db.shift_clock(chrono::Duration::seconds(61));
        assert_eq!(write(&t, async |conn| store::promote::promote(conn).await).await.queues, ["default"]);
        assert_eq!(claim(&t, 1).await[0].id, job.id);
    }
);

backend_test!(
    async fn a_job_for_a_time_of_day_keeps_it_to_the_microsecond(t: TestDb) {
        let at = DateTime::from_timestamp_micros(4_102_444_800_123_457).unwrap();
        let job = acme(&t).dispatch(Work { number: 1 }).at(at).await.unwrap();
        assert_eq!(column::<DateTime<Utc>>(&t, job.id, "run_at").await, at);
        assert_eq!(places(&t, job.id).await, ["scheduled"]);
        let past = DateTime::from_timestamp_micros(1_000_000_000_000_000).unwrap();
        let job = acme(&t).dispatch(Work { number: 1 }).at(past).await.unwrap();
        assert_eq!(places(&t, job.id).await, ["available"]);
    }
);

backend_test!(
    async fn the_same_job_id_again_queues_nothing_wherever_the_job_has_got_to(t: TestDb) {
        let id = Uuid::now_v7();
        let dispatch = || acme(&t).dispatch(Work { number: 1 }).id(id);
        assert!(!dispatch().await.unwrap().duplicate);
        assert!(dispatch().await.unwrap().duplicate, "while it waits");
        let job = claim(&t, 1).await.pop().unwrap();
        assert!(dispatch().await.unwrap().duplicate, "while it runs");
        write(&t, async |conn| store::complete::complete(conn, &[fence(&job)]).await).await;
        assert!(dispatch().await.unwrap().duplicate, "when it is done");
        assert_eq!(places(&t, id).await, ["completed"]);
        let id = Uuid::now_v7();
        let dispatch = || acme(&t).dispatch(Work { number: 1 }).id(id);
        dispatch().await.unwrap();
        let job = claim(&t, 1).await.pop().unwrap();
        write(&t, async |conn| store::settle::fail(conn, fence(&job), &failure("no")).await).await;
        assert!(dispatch().await.unwrap().duplicate, "when it has failed");
        assert_eq!(places(&t, id).await, ["discarded"]);
    }
);

backend_test!(
    async fn a_job_id_that_another_kind_has_is_an_error(t: TestDb) {
        let id = Uuid::now_v7();
        acme(&t).dispatch(Work { number: 1 }).id(id).await.unwrap();
        let reused = acme(&t).dispatch(OtherWork).id(id).await;
        assert!(matches!(reused, Err(Error::IdReused { .. })), "{reused:?}");
    }
);

backend_test!(
    async fn a_foreign_jobs_id_is_an_error_and_no_job_is_lost_silently(t: TestDb) {
        let globex = add_tenant(&t, "globex").await;
        let id = Uuid::now_v7();
        globex.dispatch(Work { number: 1 }).id(id).await.unwrap();
        let foreign = acme(&t).dispatch(Work { number: 1 }).id(id).idempotency_key("k").await;
        assert!(matches!(foreign, Err(Error::IdReused { .. })), "{foreign:?}");
        assert_eq!(count(&t, "select count(*) as n from fairlane_unique_keys").await, 0);
    }
);

backend_test!(
    async fn eight_dispatches_with_one_id_make_one_job(t: TestDb) {
        // The moment in which two inserts meet between look and write is short: many tries.
        for made in 1..=TRIES {
            let id = Uuid::now_v7();
            let dispatches = (0..8).map(|_| {
                let tenant = acme(&t);
                tokio::spawn(
                    async move { tenant.dispatch(Work { number: 1 }).id(id).await.unwrap().duplicate },
                )
            });
            let duplicates = futures::future::join_all(dispatches).await;
            assert_eq!(duplicates.into_iter().filter(|duplicate| !*duplicate.as_ref().unwrap()).count(), 1);
            assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, made);
        }
    }
);

backend_test!(
    async fn a_client_can_be_made_where_no_runtime_is_running(t: TestDb) {
        let db = t.db.clone();
        let made = std::thread::spawn(|| Fairlane::new(db, ClientSettings::default())).join();
        let tenant = made.expect("no panic").tenant("acme");
        tenant.dispatch(Work { number: 1 }).await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 1);
    }
);
