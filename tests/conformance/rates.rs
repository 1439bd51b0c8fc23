//! How fast a tenant may dispatch.

use std::time::Duration;

use fairlane::db::{Db, DbOptions};
use fairlane::limits::{LimitChange, Rate, Scope};
use fairlane::testing::TestDb;
use fairlane::{ClientSettings, Error, Fairlane, backend_test};

use crate::quotas::limit;
use crate::support::*;

/// So slow that no test sees the next place come by itself.
const TEN_A_DAY: Rate = Rate { count: 10, period: Duration::from_secs(86_400), burst: 3 };

fn dispatches(rate: Rate) -> LimitChange {
    LimitChange { dispatches: Some(Some(rate)), ..LimitChange::default() }
}

backend_test!(
    async fn a_burst_is_taken_and_the_next_is_told_when_to_come(t: TestDb) {
        let tenant = limit(&t, Scope::Total, "", dispatches(TEN_A_DAY)).await;
        dispatch(&tenant, 3).await;
        let refused = tenant.dispatch(Work { number: 4 }).await.unwrap_err();
        let Error::RateExceeded { retry_after: Some(wait), .. } = &refused else { panic!("{refused:?}") };
        assert!(*wait > Duration::from_secs(8_000) && *wait <= Duration::from_secs(8_640), "{wait:?}");
        assert_eq!(refused.code(), "rate_exceeded");
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 3);
        t.db.shift_clock(chrono::Duration::from_std(*wait).unwrap());
        tenant.dispatch(Work { number: 4 }).await.expect("there is room when it said");
        tenant.dispatch(Work { number: 5 }).await.expect_err("for one");
        t.db.shift_clock(chrono::Duration::days(30));
        dispatch(&tenant, 3).await;
        tenant.dispatch(Work { number: 6 }).await.expect_err("a rest earns one burst, however long it was");
    }
);

backend_test!(
    async fn no_stretch_of_time_sees_more_than_its_share_and_the_burst(t: TestDb) {
        let rate = Rate { count: 10, period: Duration::from_secs(1), burst: 2 };
        let tenant = limit(&t, Scope::Total, "", dispatches(rate)).await;
        // Virtual time in steps of 25 ms; the real time that the test takes comes on top.
        let (mut taken, began) = (0_u128, std::time::Instant::now());
        for step in 0..120_u32 {
            taken += u128::from(tenant.dispatch(Work { number: u64::from(step) }).await.is_ok());
            t.db.shift_clock(chrono::Duration::milliseconds(25));
        }
        let passed = began.elapsed().as_millis() + 120 * 25;
        assert!(taken >= 30, "three seconds at ten a second: {taken}");
        assert!(taken <= passed / 100 + 2, "{taken} in {passed} ms");
    }
);

backend_test!(
    async fn callers_at_the_same_moment_share_one_burst(t: TestDb) {
        let tenant = limit(&t, Scope::Total, "", dispatches(TEN_A_DAY)).await;
        let callers = (0..8).map(|number| tokio::spawn(tenant.dispatch(Work { number }).into_future()));
        let taken = futures::future::join_all(callers).await;
        assert_eq!(taken.into_iter().filter(|dispatched| dispatched.as_ref().unwrap().is_ok()).count(), 3);
    }
);

backend_test!(
    async fn many_at_once_take_as_many_places_or_none(t: TestDb) {
        let tenant = limit(&t, Scope::Total, "", dispatches(TEN_A_DAY)).await;
        let all = |jobs: u64| tenant.dispatch_all((0..jobs).map(|number| Work { number }));
        let never = all(4).await.unwrap_err();
        assert!(matches!(never, Error::RateExceeded { retry_after: None, jobs: 4, .. }), "{never:?}");
        assert_eq!(all(2).await.unwrap(), 2);
        let later = all(2).await.unwrap_err();
        assert!(matches!(later, Error::RateExceeded { retry_after: Some(_), .. }), "{later:?}");
        assert_eq!(all(1).await.unwrap(), 1, "the refused ones took no place");
    }
);

backend_test!(
    async fn a_place_that_another_rate_refuses_is_given_back(t: TestDb) {
        limit(&t, Scope::Queue, QUEUE, dispatches(TEN_A_DAY)).await;
        let tenant = limit(&t, Scope::Total, "", dispatches(Rate { burst: 1, ..TEN_A_DAY })).await;
        tenant.dispatch(Work { number: 1 }).queue("other").await.unwrap();
        for _ in 0..5 {
            let refused = tenant.dispatch(Work { number: 2 }).await.unwrap_err();
            assert!(matches!(refused, Error::RateExceeded { scope: Scope::Total, .. }), "{refused:?}");
        }
        let none = LimitChange { dispatches: Some(None), ..LimitChange::default() };
        dispatch(&limit(&t, Scope::Total, "", none).await, 3).await;
    }
);

backend_test!(
    async fn what_is_published_takes_no_place(t: TestDb) {
        let tenant = limit(&t, Scope::Total, "", dispatches(Rate { burst: 1, ..TEN_A_DAY })).await;
        subscribe(&t, "sales.order.cancelled", "mail", QUEUE).await;
        for _ in 0..3 {
            tenant.publish(OrderCancelled).await.unwrap();
        }
        tenant.dispatch(Work { number: 1 }).await.unwrap();
    }
);

#[tokio::test]
async fn nobody_waits_for_the_commit_of_another_dispatch_of_the_same_rate() {
    let Some(t) = TestDb::postgres("rates: locks", Vec::new).await.unwrap() else { return };
    let tenant = limit(&t, Scope::Total, "", dispatches(TEN_A_DAY)).await;
    let mut open = t.fairlane.begin().await.unwrap();
    tenant.dispatch(Work { number: 1 }).in_tx(&mut open).await.unwrap();
    let second =
        tokio::time::timeout(Duration::from_secs(20), tenant.dispatch(Work { number: 2 }).into_future());
    second.await.expect("it does not wait").unwrap();
    open.rollback().await.unwrap();
    tenant.dispatch(Work { number: 3 }).await.unwrap();
    tenant.dispatch(Work { number: 4 }).await.expect_err("a caller that rolled back has used its place up");
}

#[tokio::test]
async fn a_caller_on_sqlite_that_rolls_back_keeps_its_place() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let tenant = limit(&t, Scope::Total, "", dispatches(TEN_A_DAY)).await;
    for _ in 0..5 {
        let mut open = tenant.begin().await.unwrap();
        tenant.dispatch(Work { number: 1 }).in_tx(&mut open).await.unwrap();
        open.rollback().await.unwrap();
    }
    dispatch(&tenant, 3).await;
}

#[tokio::test]
async fn callers_that_hold_every_connection_still_get_their_places() {
    let Some(t) = TestDb::postgres("rates: connections", Vec::new).await.unwrap() else { return };
    limit(&t, Scope::Total, "", dispatches(TEN_A_DAY)).await;
    let db = Db::open(&DbOptions { max_connections: 2, ..DbOptions::new(t.url.as_str()) }).await.unwrap();
    let tenant = Fairlane::new(db, ClientSettings::default()).tenant("acme");
    let (mut one, mut other) = (tenant.begin().await.unwrap(), tenant.begin().await.unwrap());
    let both = async {
        tenant.dispatch(Work { number: 1 }).in_tx(&mut one).await.unwrap();
        tenant.dispatch(Work { number: 2 }).in_tx(&mut other).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("nobody waits for a connection");
}
