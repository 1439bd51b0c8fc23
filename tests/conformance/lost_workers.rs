//! Workers that fell silent: judged by their own leases where they have jobs, by the configured lease where not.

use std::time::Duration;

use fairlane::backend_test;
use fairlane::store::rescue::rescue;
use fairlane::store::workers;
use fairlane::testing::{ClaimFrom, TestDb};
use uuid::Uuid;

use crate::rescuing::{register, register_with};
use crate::support::*;

const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(600);

/// The state of the one worker there is.
async fn state(t: &TestDb) -> String {
    write(t, async |conn| workers::list(conn, LEASE).await).await.rows.remove(0).state
}

async fn seconds_pass(t: &TestDb, seconds: i64) {
    t.db.shift_clock(chrono::Duration::seconds(seconds));
}

/// Claims a job as a worker whose leases have this length.
async fn claim_under(t: &TestDb, worker_id: Uuid, lease: Duration) {
    let kinds = work_kinds();
    dispatch(&acme(t), 1).await;
    let claimed = claim_with(&t.db, &ClaimFrom { worker_id, lease, ..request(&kinds) }).await;
    assert_eq!(claimed.len(), 1);
}

backend_test!(
    async fn an_idle_worker_is_lost_when_it_was_not_seen_for_the_configured_lease(t: TestDb) {
        let worker = register(&t).await;
        seconds_pass(&t, 29).await;
        assert_eq!(state(&t).await, "running");
        seconds_pass(&t, 2).await;
        assert_eq!(state(&t).await, "lost");
        write(&t, async |conn| workers::seen(conn, worker, "paused", 0).await).await;
        assert_eq!(state(&t).await, "paused");
        write(&t, async |conn| workers::stopped(conn, worker, "interrupted").await).await;
        seconds_pass(&t, 3600).await;
        assert_eq!(state(&t).await, "stopped", "its last word");
    }
);

backend_test!(
    async fn an_idle_worker_is_judged_by_its_own_lease_however_the_configuration_has_it(t: TestDb) {
        register_with(&t, Some(2_000)).await;
        seconds_pass(&t, 1).await;
        assert_eq!(state(&t).await, "running");
        seconds_pass(&t, 2).await;
        assert_eq!(state(&t).await, "lost");
        t.execute("update fairlane_workers set lease_ms = 600000").await;
        seconds_pass(&t, 500).await;
        assert_eq!(state(&t).await, "running");
    }
);

backend_test!(
    async fn a_worker_is_lost_when_its_short_leases_are_over_and_stays_so(t: TestDb) {
        let worker = register(&t).await;
        claim_under(&t, worker, SHORT).await;
        seconds_pass(&t, 1).await;
        assert_eq!(state(&t).await, "running");
        seconds_pass(&t, 2).await;
        assert_eq!(state(&t).await, "lost");
        assert_eq!(write(&t, async |conn| rescue(conn, SHORT).await).await.jobs.len(), 1);
        assert_eq!(state(&t).await, "lost", "although it has no job any more");
        seconds_pass(&t, 1).await;
        write(&t, async |conn| workers::seen(conn, worker, "running", 0).await).await;
        assert_eq!(state(&t).await, "running", "it was only slow");
    }
);

backend_test!(
    async fn a_worker_with_long_leases_is_not_lost_before_they_are_over(t: TestDb) {
        let worker = register(&t).await;
        claim_under(&t, worker, LONG).await;
        seconds_pass(&t, 599).await;
        assert_eq!(state(&t).await, "running");
        seconds_pass(&t, 2).await;
        assert_eq!(state(&t).await, "lost");
    }
);
