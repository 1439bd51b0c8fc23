//! Idempotency keys and unique keys.

use std::time::Duration;

use fairlane::testing::TestDb;
use fairlane::{Dispatched, Error, Unique, backend_test, store};

use crate::support::*;

async fn unique(t: &TestDb, mode: Unique) -> Dispatched {
    acme(t).dispatch(Work { number: 1 }).unique("order-7", mode).await.expect("dispatched")
}

async fn complete(t: &TestDb, job: &store::claim::Claimed) {
    let done = write(t, async |conn| store::complete::complete(conn, &[fence(job)]).await).await;
    assert_eq!(done, [job.id]);
}

backend_test!(
    async fn an_idempotency_key_gives_the_same_job_whatever_became_of_it(t: TestDb) {
        let dispatch = || acme(&t).dispatch(Work { number: 1 }).idempotency_key("request-1");
        let first = dispatch().await.unwrap();
        let second = dispatch().await.unwrap();
        assert_eq!((first.duplicate, second.duplicate, second.id), (false, true, first.id));
        complete(&t, &claim(&t, 1).await[0]).await;
        assert_eq!(dispatch().await.unwrap().id, first.id);
        t.db.shift_clock(chrono::Duration::hours(25));
        assert_ne!(dispatch().await.unwrap().id, first.id, "a day later it is free");
    }
);

backend_test!(
    async fn tenants_do_not_share_keys(t: TestDb) {
        let globex = add_tenant(&t, "globex").await;
        acme(&t)
            .dispatch(Work { number: 1 })
            .idempotency_key("k")
            .unique("u", Unique::UntilDone)
            .await
            .unwrap();
        let other = globex
            .dispatch(Work { number: 1 })
            .idempotency_key("k")
            .unique("u", Unique::UntilDone)
            .await
            .unwrap();
        assert!(!other.duplicate);
    }
);

backend_test!(
    async fn kinds_do_not_share_unique_keys(t: TestDb) {
        unique(&t, Unique::UntilDone).await;
        let other = acme(&t).dispatch(OtherWork).unique("order-7", Unique::UntilDone).await.unwrap();
        assert!(!other.duplicate);
    }
);

backend_test!(
    async fn a_key_until_done_is_held_while_the_job_waits_and_runs(t: TestDb) {
        let first = unique(&t, Unique::UntilDone).await;
        assert_eq!(unique(&t, Unique::UntilDone).await.id, first.id);
        let job = claim(&t, 1).await.pop().unwrap();
        assert_eq!(unique(&t, Unique::UntilDone).await.id, first.id, "it runs");
        write(&t, async |conn| store::settle::retry(conn, fence(&job), LEASE, &failure("no")).await).await;
        assert_eq!(unique(&t, Unique::UntilDone).await.id, first.id, "it waits for its next attempt");
        t.db.shift_clock(chrono::Duration::seconds(31));
        write(&t, async |conn| store::promote::promote(conn).await).await;
        complete(&t, &claim(&t, 1).await[0]).await;
        assert!(!unique(&t, Unique::UntilDone).await.duplicate, "it is done");
    }
);

backend_test!(
    async fn a_key_until_done_is_released_by_failure_and_by_cancellation(t: TestDb) {
        unique(&t, Unique::UntilDone).await;
        let job = claim(&t, 1).await.pop().unwrap();
        write(&t, async |conn| store::settle::fail(conn, fence(&job), &failure("no")).await).await;
        assert!(!unique(&t, Unique::UntilDone).await.duplicate);
        let job = claim(&t, 1).await.pop().unwrap();
        write(&t, async |conn| store::settle::cancel(conn, fence(&job), "no").await).await;
        assert!(!unique(&t, Unique::UntilDone).await.duplicate);
    }
);

backend_test!(
    async fn a_key_until_started_is_free_once_the_job_runs(t: TestDb) {
        let first = unique(&t, Unique::UntilStarted).await;
        assert_eq!(unique(&t, Unique::UntilStarted).await.id, first.id);
        let job = claim(&t, 1).await.pop().unwrap();
        assert!(job.holds_start_key);
        write(&t, async |conn| store::claim::release_start_key(conn, wrong_fence(&job)).await).await;
        assert_eq!(
            unique(&t, Unique::UntilStarted).await.id,
            first.id,
            "another claim's start is not this one"
        );
        write(&t, async |conn| store::claim::release_start_key(conn, fence(&job)).await).await;
        let second = unique(&t, Unique::UntilStarted).await;
        assert!(!second.duplicate);
        complete(&t, &job).await;
        assert_eq!(unique(&t, Unique::UntilStarted).await.id, second.id, "the second holds it now");
    }
);

backend_test!(
    async fn starting_a_job_releases_no_key_of_another_mode(t: TestDb) {
        let first = unique(&t, Unique::UntilDone).await;
        let job = claim(&t, 1).await.pop().unwrap();
        assert!(!job.holds_start_key);
        write(&t, async |conn| store::claim::release_start_key(conn, fence(&job)).await).await;
        assert_eq!(unique(&t, Unique::UntilDone).await.id, first.id);
    }
);

backend_test!(
    async fn a_key_for_a_period_is_held_that_long_whatever_becomes_of_the_job(t: TestDb) {
        let hour = Unique::For(Duration::from_secs(3600));
        let first = unique(&t, hour).await;
        complete(&t, &claim(&t, 1).await[0]).await;
        assert_eq!(unique(&t, hour).await.id, first.id, "done, but the hour is not over");
        t.db.shift_clock(chrono::Duration::minutes(61));
        assert!(!unique(&t, hour).await.duplicate);
    }
);

backend_test!(
    async fn a_rolled_back_dispatch_releases_its_keys(t: TestDb) {
        let mut tx = acme(&t).begin().await.unwrap();
        let dispatch =
            || acme(&t).dispatch(Work { number: 1 }).idempotency_key("k").unique("u", Unique::UntilDone);
        dispatch().in_tx(&mut tx).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from fairlane_unique_keys").await, 0);
        assert!(!dispatch().await.unwrap().duplicate);
    }
);

backend_test!(
    async fn a_dispatch_that_finds_its_unique_key_taken_gives_back_its_idempotency_key(t: TestDb) {
        let first = unique(&t, Unique::UntilDone).await;
        let second =
            acme(&t).dispatch(Work { number: 1 }).idempotency_key("k").unique("order-7", Unique::UntilDone);
        assert_eq!(second.await.unwrap().id, first.id);
        complete(&t, &claim(&t, 1).await[0]).await;
        assert!(!acme(&t).dispatch(Work { number: 1 }).idempotency_key("k").await.unwrap().duplicate);
    }
);

backend_test!(
    async fn eight_dispatches_with_one_key_make_one_job(t: TestDb) {
        let dispatches = (0..8).map(|number| {
            let tenant = acme(&t);
            tokio::spawn(async move { tenant.dispatch(Work { number }).idempotency_key("k").await.unwrap() })
        });
        let dispatched: Vec<Dispatched> =
            futures::future::join_all(dispatches).await.into_iter().map(Result::unwrap).collect();
        assert!(dispatched.iter().all(|job| job.id == dispatched[0].id));
        assert_eq!(dispatched.iter().filter(|job| !job.duplicate).count(), 1);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 1);
    }
);

backend_test!(
    async fn a_job_id_of_another_tenant_leaves_that_tenants_keys_alone(t: TestDb) {
        let globex = add_tenant(&t, "globex").await;
        let first = unique(&t, Unique::UntilDone).await;
        let foreign =
            globex.dispatch(Work { number: 1 }).id(first.id).unique("order-7", Unique::UntilDone).await;
        assert!(matches!(foreign, Err(Error::IdReused { .. })), "{foreign:?}");
        assert!(unique(&t, Unique::UntilDone).await.duplicate, "its key is still held");
    }
);
