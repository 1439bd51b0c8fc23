//! What follows an attempt, and the fence before every write.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::store::claim::Claimed;
use fairlane::store::complete;
use fairlane::store::settle::{self, Fence};
use fairlane::testing::TestDb;
use fairlane::{Event, backend_test, store};
use uuid::Uuid;

use crate::support::*;

const MINUTE: Duration = Duration::from_secs(60);

backend_test!(
    async fn completed_jobs_move_to_the_history(t: TestDb) {
        dispatch(&acme(&t), 3).await;
        let jobs = claim(&t, 3).await;
        let fences: Vec<Fence> = jobs.iter().map(fence).collect();
        let mut done = write(&t, async |conn| complete::complete(conn, &fences).await).await;
        done.sort();
        let mut ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
        ids.sort();
        assert_eq!(done, ids);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 0);
        let history = &rows(&t, "select * from fairlane_job_history").await[0];
        assert_eq!(history.get::<String>("state").unwrap(), "completed");
        assert_eq!((history.get::<i64>("attempt").unwrap(), history.get::<i64>("runs").unwrap()), (1, 1));
        assert!(history.get::<DateTime<Utc>>("finished_at").unwrap() >= history.get("started_at").unwrap());
        assert!(history.get::<serde_json::Value>("payload").unwrap()["number"].is_number());
        assert!(
            write(&t, async |conn| complete::complete(conn, &fences).await).await.is_empty(),
            "a second time"
        );
    }
);

backend_test!(
    async fn completing_a_batch_completes_those_still_owned_and_no_others(t: TestDb) {
        dispatch(&acme(&t), 3).await;
        let jobs = claim(&t, 3).await;
        let fences = [fence(&jobs[0]), wrong_fence(&jobs[1]), fence(&jobs[2])];
        let mut done = write(&t, async |conn| complete::complete(conn, &fences).await).await;
        done.sort();
        let mut owned = [jobs[0].id, jobs[2].id];
        owned.sort();
        assert_eq!(done, owned);
        assert_eq!(places(&t, jobs[1].id).await, ["executing"]);
    }
);

backend_test!(
    async fn a_stale_completion_beside_a_fresh_one_of_the_same_claim_is_refused(t: TestDb) {
        let ids = dispatch(&acme(&t), 2).await;
        let stale = claim(&t, 1).await.pop().unwrap();
        write(&t, async |conn| settle::release(conn, fence(&stale)).await).await;
        // One claim gives both jobs one token: the first job's new token is in the batch, beside its old one.
        let fresh = claim(&t, 2).await;
        assert_eq!((fresh.len(), stale.id), (2, ids[0]));
        let other = fresh.iter().find(|job| job.id == ids[1]).unwrap();
        let fences = [fence(&stale), fence(other)];
        let done = write(&t, async |conn| complete::complete(conn, &fences).await).await;
        assert_eq!(done, [other.id]);
        assert_eq!(places(&t, stale.id).await, ["executing"]);
    }
);

backend_test!(
    async fn completing_listener_jobs_records_their_runs(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
        let event = acme(&t).publish(OrderApproved { order: 1 }).await.unwrap();
        let kinds = vec!["invoice@sales.order.approved".to_owned()];
        let job = claim_with(&t.db, &request(&kinds)).await.pop().unwrap();
        assert_eq!(job.event_id, Some(event.id));
        write(&t, async |conn| complete::complete(conn, &[fence(&job)]).await).await;
        let run = &rows(&t, "select * from fairlane_listener_runs").await[0];
        assert_eq!(run.get::<Uuid>("event_id").unwrap(), event.id);
        assert_eq!(run.get::<String>("listener").unwrap(), "invoice@sales.order.approved");
    }
);

backend_test!(
    async fn a_job_whose_id_is_in_the_history_already_does_not_stop_its_batch(t: TestDb) {
        let ids = dispatch(&acme(&t), 1).await;
        let job = claim(&t, 1).await.pop().unwrap();
        write(&t, async |conn| complete::complete(conn, &[fence(&job)]).await).await;
        t.execute(
            "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload)
             select id, tenant_id, queue, kind, priority, 'available', created_at, payload from fairlane_job_history",
        )
        .await;
        dispatch(&acme(&t), 1).await;
        let jobs = claim(&t, 2).await;
        let fences: Vec<Fence> = jobs.iter().map(fence).collect();
        assert_eq!(write(&t, async |conn| complete::complete(conn, &fences).await).await.len(), 2);
        assert_eq!(places(&t, ids[0]).await, ["completed"]);
    }
);

backend_test!(
    async fn a_retried_job_waits_with_its_error_recorded(t: TestDb) {
        let job = claimed_job(&t).await;
        let later =
            write(&t, async |conn| settle::retry(conn, fence(&job), MINUTE, &failure("no luck")).await);
        assert!(later.await);
        assert_eq!(places(&t, job.id).await, ["retryable"]);
        let attempt = &rows(&t, "select * from fairlane_attempts").await[0];
        assert_eq!(attempt.get::<String>("error").unwrap(), "no luck");
        assert_eq!(
            (attempt.get::<i64>("run").unwrap(), attempt.get::<String>("outcome").unwrap()),
            (1, "retry".into())
        );
        assert!(claim(&t, 1).await.is_empty(), "not before its time");
        t.db.shift_clock(chrono::Duration::seconds(61));
        write(&t, async |conn| store::promote::promote(conn).await).await;
        let again = claim(&t, 1).await.pop().unwrap();
        assert_eq!((again.attempt, again.run), (2, 2));
    }
);

backend_test!(
    async fn a_snoozed_job_comes_back_later_with_its_attempt(t: TestDb) {
        let job = claimed_job(&t).await;
        assert!(write(&t, async |conn| settle::snooze(conn, fence(&job), MINUTE).await).await);
        assert_eq!(places(&t, job.id).await, ["scheduled"]);
        t.db.shift_clock(chrono::Duration::seconds(61));
        write(&t, async |conn| store::promote::promote(conn).await).await;
        let again = claim(&t, 1).await.pop().unwrap();
        assert_eq!((again.attempt, again.run), (1, 2));
        assert!(write(&t, async |conn| settle::snooze(conn, fence(&again), Duration::ZERO).await).await);
        assert_eq!(places(&t, job.id).await, ["available"]);
        let place = again.key;
        assert_eq!(claim(&t, 1).await.pop().unwrap().key, place, "at once, and where it was");
    }
);

backend_test!(
    async fn a_released_job_is_available_at_once_with_its_attempt(t: TestDb) {
        let job = claimed_job(&t).await;
        assert!(write(&t, async |conn| settle::release(conn, fence(&job)).await).await);
        assert_eq!(column::<i64>(&t, job.id, "interruptions").await, 1);
        let again = claim(&t, 1).await.pop().unwrap();
        assert_eq!((again.attempt, again.run), (1, 2));
    }
);

backend_test!(
    async fn a_failed_job_moves_to_the_failed_jobs_with_its_error_and_group(t: TestDb) {
        let job = claimed_job(&t).await;
        let message = "order 17 has no address\u{0}";
        assert!(write(&t, async |conn| settle::fail(conn, fence(&job), &failure(message)).await).await);
        assert_eq!(places(&t, job.id).await, ["discarded"]);
        let failed = &rows(&t, "select * from fairlane_failed_jobs").await[0];
        assert_eq!(failed.get::<String>("error").unwrap(), "order 17 has no address");
        assert_eq!(failed.get::<String>("code").unwrap(), "error");
        let group = fairlane::fingerprint::fingerprint(&job.kind, "error", "order 99 has no address");
        assert_eq!(failed.get::<String>("fingerprint").unwrap(), group);
        assert_eq!(failed.get::<i64>("attempt").unwrap(), 1);
        assert_eq!(words(&t, "select outcome as word from fairlane_attempts").await, ["failed"]);
    }
);

backend_test!(
    async fn a_cancelled_job_moves_to_the_history_with_the_reason(t: TestDb) {
        let job = claimed_job(&t).await;
        assert!(write(&t, async |conn| settle::cancel(conn, fence(&job), "not wanted").await).await);
        assert_eq!(places(&t, job.id).await, ["cancelled"]);
        assert_eq!(words(&t, "select reason as word from fairlane_job_history").await, ["not wanted"]);
    }
);

/// What a write under a wrong token must leave as it was: the job, its attempts, and every other table.
async fn untouched(t: &TestDb, job: &Claimed) {
    assert_eq!(places(t, job.id).await, ["executing"]);
    assert_eq!(column::<Uuid>(t, job.id, "token").await, job.token);
    assert_eq!(column::<i64>(t, job.id, "attempt").await, 1);
    assert_eq!(column::<i64>(t, job.id, "interruptions").await, 0);
    for table in [
        "select count(*) as n from fairlane_attempts where outcome <> 'crashed'",
        "select count(*) as n from fairlane_failed_jobs",
        "select count(*) as n from fairlane_job_history",
        "select count(*) as n from fairlane_listener_runs",
    ] {
        assert_eq!(count(t, table).await, 0, "{table}");
    }
    assert_eq!(count(t, "select count(*) as n from fairlane_unique_keys").await, 1);
}

/// A running job that holds a unique key.
async fn guarded_job(t: &TestDb) -> Claimed {
    let dispatch = acme(t).dispatch(Work { number: 1 }).unique("k", fairlane::Unique::UntilDone);
    dispatch.await.expect("dispatched");
    claim(t, 1).await.pop().expect("a job")
}

backend_test!(
    async fn a_completion_under_a_wrong_token_does_nothing(t: TestDb) {
        let job = guarded_job(&t).await;
        assert!(
            write(&t, async |conn| complete::complete(conn, &[wrong_fence(&job)]).await).await.is_empty()
        );
        untouched(&t, &job).await;
    }
);

backend_test!(
    async fn a_retry_under_a_wrong_token_does_nothing(t: TestDb) {
        let job = guarded_job(&t).await;
        let fence = wrong_fence(&job);
        assert!(!write(&t, async |conn| settle::retry(conn, fence, MINUTE, &failure("x")).await).await);
        untouched(&t, &job).await;
    }
);

backend_test!(
    async fn a_snooze_under_a_wrong_token_does_nothing(t: TestDb) {
        let job = guarded_job(&t).await;
        assert!(!write(&t, async |conn| settle::snooze(conn, wrong_fence(&job), MINUTE).await).await);
        untouched(&t, &job).await;
    }
);

backend_test!(
    async fn a_release_under_a_wrong_token_does_nothing(t: TestDb) {
        let job = guarded_job(&t).await;
        assert!(!write(&t, async |conn| settle::release(conn, wrong_fence(&job)).await).await);
        untouched(&t, &job).await;
    }
);

backend_test!(
    async fn a_failure_under_a_wrong_token_does_nothing(t: TestDb) {
        let job = guarded_job(&t).await;
        assert!(!write(&t, async |conn| settle::fail(conn, wrong_fence(&job), &failure("x")).await).await);
        untouched(&t, &job).await;
    }
);

backend_test!(
    async fn a_cancellation_under_a_wrong_token_does_nothing(t: TestDb) {
        let job = guarded_job(&t).await;
        assert!(!write(&t, async |conn| settle::cancel(conn, wrong_fence(&job), "x").await).await);
        untouched(&t, &job).await;
    }
);

backend_test!(
    async fn the_token_of_an_earlier_claim_opens_nothing(t: TestDb) {
        let stale = guarded_job(&t).await;
        t.db.shift_clock(chrono::Duration::seconds(31));
        write(&t, async |conn| store::rescue::rescue(conn, LEASE).await).await;
        let kinds = work_kinds();
        let again = fairlane::testing::ClaimFrom { suspects: true, ..request(&kinds) };
        let job = claim_with(&t.db, &again).await.pop().unwrap();
        assert_eq!(job.id, stale.id);
        assert!(!write(&t, async |conn| settle::fail(conn, fence(&stale), &failure("x")).await).await);
        assert!(write(&t, async |conn| complete::complete(conn, &[fence(&stale)]).await).await.is_empty());
        untouched(&t, &job).await;
    }
);

backend_test!(
    async fn the_first_and_the_last_ten_errors_are_kept(t: TestDb) {
        dispatch(&acme(&t), 1).await;
        for run in 1..=33 {
            let job = claim(&t, 1).await.pop().unwrap();
            let error = failure(&format!("error {run}"));
            write(&t, async |conn| settle::retry(conn, fence(&job), Duration::ZERO, &error).await).await;
            write(&t, async |conn| store::promote::promote(conn).await).await;
        }
        let kept: Vec<i64> = rows(&t, "select run from fairlane_attempts order by run")
            .await
            .iter()
            .map(|row| row.get("run").unwrap())
            .collect();
        assert_eq!(kept, (1..=10).chain(24..=33).collect::<Vec<i64>>());
    }
);
