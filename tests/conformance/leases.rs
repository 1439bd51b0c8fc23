//! Renewing leases.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::store::lease::{self, Held};
use fairlane::{backend_test, store};
use uuid::Uuid;

use crate::support::*;

backend_test!(
    async fn renewing_moves_the_leases_that_are_owned_and_names_them(t: TestDb) {
        dispatch(&acme(&t), 3).await;
        let jobs = claim(&t, 3).await;
        let before: DateTime<Utc> = column(&t, jobs[0].id, "lease_until").await;
        let leases =
            [(jobs[0].id, jobs[0].token), (jobs[1].id, Uuid::now_v7()), (Uuid::now_v7(), jobs[2].token)];
        let held = write(&t, async |conn| lease::renew(conn, &leases, Duration::from_secs(300)).await).await;
        assert_eq!(held, [Held { id: jobs[0].id, token: jobs[0].token, cancel_reason: None }]);
        let after: DateTime<Utc> = column(&t, jobs[0].id, "lease_until").await;
        assert!(after - before >= chrono::Duration::seconds(269), "{before} {after}");
        let other: DateTime<Utc> = column(&t, jobs[1].id, "lease_until").await;
        assert!(other - before < chrono::Duration::seconds(60), "a wrong token renews nothing");
    }
);

backend_test!(
    async fn renewing_nothing_holds_nothing(t: TestDb) {
        assert!(write(&t, async |conn| lease::renew(conn, &[], LEASE).await).await.is_empty());
    }
);

backend_test!(
    async fn renewing_tells_that_somebody_wants_the_job_cancelled(t: TestDb) {
        let job = claimed_job(&t).await;
        t.execute("update fairlane_jobs set cancel_requested_at = created_at, cancel_reason = 'enough'")
            .await;
        let held = write(&t, async |conn| lease::renew(conn, &[(job.id, job.token)], LEASE).await).await;
        assert_eq!(held[0].cancel_reason.as_deref(), Some("enough"));
    }
);

backend_test!(
    async fn a_job_that_was_settled_or_rescued_is_not_held_any_more(t: TestDb) {
        dispatch(&acme(&t), 2).await;
        let jobs = claim(&t, 2).await;
        write(&t, async |conn| store::complete::complete(conn, &[fence(&jobs[0])]).await).await;
        t.db.shift_clock(chrono::Duration::seconds(31));
        write(&t, async |conn| store::rescue::rescue(conn, LEASE).await).await;
        let leases: Vec<_> = jobs.iter().map(|job| (job.id, job.token)).collect();
        assert!(write(&t, async |conn| lease::renew(conn, &leases, LEASE).await).await.is_empty());
    }
);

backend_test!(
    async fn a_stale_lease_beside_a_fresh_one_of_the_same_claim_is_not_renewed(t: TestDb) {
        let ids = dispatch(&acme(&t), 2).await;
        let stale = claim(&t, 1).await.pop().unwrap();
        write(&t, async |conn| store::settle::release(conn, fence(&stale)).await).await;
        // Both jobs in one claim: one token, so the list of tokens holds the new token of the first job too.
        let fresh = claim(&t, 2).await;
        assert_eq!(fresh.len(), 2);
        let other = fresh.iter().find(|job| job.id == ids[1]).unwrap();
        let leases = [(stale.id, stale.token), (other.id, other.token)];
        let held = write(&t, async |conn| lease::renew(conn, &leases, LEASE).await).await;
        assert_eq!(held.iter().map(|held| held.id).collect::<Vec<_>>(), [other.id]);
    }
);
