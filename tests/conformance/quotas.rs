//! What a tenant may queue: quotas, payloads, drains.

use fairlane::limits::{LimitChange, Scope};
use fairlane::store::{self, limits};
use fairlane::testing::TestDb;
use fairlane::{ClientSettings, Error, Event, Fairlane, JobState, Tenant, backend_test, sql};

use crate::support::*;

/// Changes limits of acme; a client knows of it within a second, a new one at once.
pub(crate) async fn limit(t: &TestDb, scope: Scope, name: &str, change: LimitChange) -> Tenant {
    let id = acme(t).id().await.unwrap();
    write(t, async |conn| limits::set(conn, id, scope, name, change).await).await;
    fresh(t)
}

/// Acme, as a client sees it that knows nothing yet.
pub(crate) fn fresh(t: &TestDb) -> Tenant {
    Fairlane::new(t.db.clone(), ClientSettings::default()).tenant("acme")
}

fn pending(jobs: u64) -> LimitChange {
    LimitChange { pending: Some(Some(jobs)), ..LimitChange::default() }
}

fn payload(bytes: u64) -> LimitChange {
    LimitChange { payload_bytes: Some(Some(bytes)), ..LimitChange::default() }
}

async fn live(t: &TestDb) -> i64 {
    count(t, "select count(*) as n from fairlane_jobs").await
}

backend_test!(
    async fn a_dispatch_above_the_quota_is_refused_with_tenant_queue_depth_and_limit(t: TestDb) {
        let tenant = limit(&t, Scope::Total, "", pending(2)).await;
        dispatch(&tenant, 2).await;
        let refused = tenant.dispatch(Work { number: 3 }).await.unwrap_err();
        assert!(
            matches!(&refused, Error::QuotaExceeded { tenant, queue, depth: 2, limit: 2, .. }
                if tenant == "acme" && queue == QUEUE),
            "{refused:?}"
        );
        assert_eq!(refused.code(), "quota_exceeded");
        let text = refused.to_string();
        for word in ["\"acme\"", "\"default\"", "2 jobs waiting or running", "may have 2"] {
            assert!(text.contains(word), "{text}");
        }
        let mut tx = tenant.begin().await.unwrap();
        tenant.dispatch(Work { number: 4 }).in_tx(&mut tx).await.unwrap_err();
        tx.commit().await.unwrap();
        assert_eq!(live(&t).await, 2, "nothing was stored");
        add_tenant(&t, "globex").await.dispatch(Work { number: 1 }).await.unwrap();
        let job = claim(&t, 1).await.pop().unwrap();
        tenant.dispatch(Work { number: 5 }).await.expect_err("a running job counts");
        write(&t, async |conn| store::complete::complete(conn, &[fence(&job)]).await).await;
        tenant.dispatch(Work { number: 6 }).await.expect("there is room again");
    }
);

backend_test!(
    async fn the_quota_of_a_queue_counts_its_jobs_in_every_state_and_no_others(t: TestDb) {
        let ids = dispatch(&acme(&t), 6).await;
        acme(&t).dispatch(Work { number: 9 }).queue("other").await.unwrap();
        dispatch(&add_tenant(&t, "globex").await, 3).await;
        let states = [JobState::Available, JobState::Scheduled, JobState::Retryable, JobState::Suspended]
            .map(JobState::as_str);
        for (id, state) in ids.iter().zip(states) {
            write(&t, async |conn| {
                fairlane::db::query(sql!("update fairlane_jobs set state = $2 where id = $1"))
                    .bind(*id)
                    .bind(state)
                    .execute(conn)
                    .await
            })
            .await;
        }
        t.execute(
            "update fairlane_jobs set suspect = (1 = 1) where state = 'available' and cast(id as text) = (
            select min(cast(id as text)) from fairlane_jobs where queue = 'default')",
        )
        .await;
        assert_eq!(
            claim_with(&t.db, &fairlane::testing::ClaimFrom { limit: 1, ..request(&work_kinds()) })
                .await
                .len(),
            1
        );
        let tenant = acme(&t).id().await.unwrap();
        let counted = async |up_to| {
            write(&t, async |conn| store::quota::pending_in(conn, tenant, QUEUE, up_to).await).await
        };
        assert_eq!(counted(100).await, 6, "all six, whatever became of them");
        assert_eq!(counted(4).await, 4, "and no further than it matters");
        assert_eq!(write(&t, async |conn| store::quota::pending(conn, tenant, 100).await).await, 7);
        assert_eq!(write(&t, async |conn| store::quota::pending(conn, tenant, 3).await).await, 3);
        let tenant = limit(&t, Scope::Queue, QUEUE, pending(6)).await;
        let refused = tenant.dispatch(Work { number: 7 }).await.unwrap_err();
        assert!(
            refused.to_string().contains("6 jobs waiting or running in queue \"default\" and may have 6"),
            "{refused}"
        );
        tenant.dispatch(Work { number: 8 }).queue("other").await.unwrap();
    }
);

backend_test!(
    async fn jobs_that_do_not_all_fit_are_all_refused(t: TestDb) {
        let tenant = limit(&t, Scope::Total, "", pending(5)).await;
        let refused = tenant.dispatch_all((0..6).map(|number| Work { number })).await.unwrap_err();
        assert!(matches!(refused, Error::QuotaExceeded { jobs: 6, depth: 0, limit: 5, .. }), "{refused:?}");
        assert_eq!(live(&t).await, 0);
        assert_eq!(tenant.dispatch_all((0..5).map(|number| Work { number })).await.unwrap(), 5);
        assert_eq!(tenant.dispatch_all(Vec::<Work>::new()).await.unwrap(), 0, "nothing always fits");
    }
);

backend_test!(
    async fn an_event_is_published_whatever_the_quota_and_its_jobs_count(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
        let tenant = limit(&t, Scope::Total, "", pending(1)).await;
        for order in 0..3 {
            assert_eq!(tenant.publish(OrderApproved { order }).await.unwrap().jobs, 1);
        }
        let refused = tenant.dispatch(Work { number: 1 }).await.unwrap_err();
        assert!(matches!(refused, Error::QuotaExceeded { limit: 1, .. }), "{refused:?}");
        assert_eq!(live(&t).await, 3);
    }
);

backend_test!(
    async fn a_failed_job_is_retried_whatever_the_quota(t: TestDb) {
        let job = claimed_job(&t).await;
        write(&t, async |conn| store::settle::fail(conn, fence(&job), &failure("no")).await).await;
        limit(&t, Scope::Total, "", pending(0)).await;
        let revived = write(&t, async |conn| store::revive::revive(conn, &[job.id]).await).await;
        assert_eq!(revived.ids, [job.id]);
    }
);

backend_test!(
    async fn a_repeated_dispatch_gives_its_job_whatever_the_limits(t: TestDb) {
        let tenant = acme(&t);
        let first = tenant.dispatch(Work { number: 1 }).idempotency_key("k").await.unwrap();
        let tenant = limit(&t, Scope::Total, "", pending(1)).await;
        let again = tenant.dispatch(Work { number: 1 }).idempotency_key("k").await.unwrap();
        assert_eq!((again.id, again.duplicate), (first.id, true));
        let by_id = tenant.dispatch(Work { number: 1 }).id(first.id).await.unwrap();
        assert_eq!((by_id.id, by_id.duplicate), (first.id, true));
        tenant.dispatch(Work { number: 1 }).idempotency_key("another").await.unwrap_err();
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_unique_keys").await,
            1,
            "no key is left behind"
        );
    }
);

backend_test!(
    async fn a_tenant_has_its_own_largest_payload_above_or_below_everyones(t: TestDb) {
        let tenant = limit(&t, Scope::Total, "", payload(12)).await;
        tenant.dispatch(Work { number: 1 }).await.unwrap();
        let refused = tenant.dispatch(Work { number: 100_000 }).await.unwrap_err();
        assert!(matches!(refused, Error::PayloadTooLarge { size: 17, limit: 12, .. }), "{refused:?}");
        tenant.dispatch_all([Work { number: 1 }, Work { number: 100_000 }]).await.unwrap_err();
        let refused = tenant.publish(OrderApproved { order: 100_000 }).await.unwrap_err();
        assert!(matches!(refused, Error::PayloadTooLarge { limit: 12, .. }), "{refused:?}");
        let mut tx = tenant.begin().await.unwrap();
        tenant.publish_all([OrderApproved { order: 100_000 }]).in_tx(&mut tx).await.unwrap_err();
        drop(tx);
        let tenant = limit(&t, Scope::Total, "", payload(64 << 20)).await;
        let large = fairlane::ClientSettings {
            payload: fairlane::client::PayloadLimits { bytes: 1, depth: 64 },
            ..ClientSettings::default()
        };
        Fairlane::new(t.db.clone(), large)
            .tenant("acme")
            .dispatch(Work { number: 1 })
            .await
            .expect("above everyone's");
        limit(&t, Scope::Queue, QUEUE, payload(2)).await;
        fresh(&t).dispatch(Work { number: 1 }).await.expect_err("too large for the queue");
        tenant.dispatch(Work { number: 1 }).queue("other").await.unwrap();
    }
);

backend_test!(
    async fn a_tenant_that_is_drained_takes_no_new_jobs_but_those_of_its_own(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
        let id = acme(&t).id().await.unwrap();
        let first = acme(&t).dispatch(Work { number: 0 }).idempotency_key("k").await.unwrap();
        let drain = async |on| {
            write(&t, async |conn| store::tenants::set_draining(conn, id, on, Some("moving")).await).await
        };
        assert!(drain(true).await && !drain(true).await, "once");
        let tenant = fresh(&t);
        let refused = tenant.dispatch(Work { number: 1 }).await.unwrap_err();
        assert_eq!(refused.code(), "tenant_draining");
        assert_eq!(refused.to_string(), "tenant \"acme\" is being drained and takes no new jobs: moving");
        tenant.dispatch_all([Work { number: 1 }]).await.unwrap_err();
        assert!(tenant.dispatch(Work { number: 0 }).idempotency_key("k").await.unwrap().id == first.id);
        tenant.publish(OrderApproved { order: 1 }).await.expect("no business transaction fails for it");
        assert_eq!(claim(&t, 10).await.len(), 1, "what waits is worked off");
        assert!(drain(false).await);
        fresh(&t).dispatch(Work { number: 1 }).await.unwrap();
    }
);

backend_test!(
    async fn a_client_learns_of_a_limit_within_moments(t: TestDb) {
        let tenant = acme(&t);
        tenant.dispatch(Work { number: 0 }).await.unwrap();
        limit(&t, Scope::Total, "", pending(1)).await;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while tenant.dispatch(Work { number: 1 }).await.is_ok() {
            assert!(std::time::Instant::now() < deadline, "it never learns");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
);

backend_test!(
    async fn callers_at_the_same_moment_go_above_the_quota_by_no_more_than_they_are(t: TestDb) {
        let tenant = limit(&t, Scope::Total, "", pending(10)).await;
        let dispatches = (0..8).map(|caller| {
            let tenant = tenant.clone();
            tokio::spawn(async move {
                let mut queued = 0;
                while tenant.dispatch(Work { number: caller }).await.is_ok() {
                    queued += 1;
                }
                queued
            })
        });
        let queued: i64 = futures::future::join_all(dispatches).await.into_iter().map(|n| n.unwrap()).sum();
        assert_eq!(live(&t).await, queued);
        // SQLite has one writer: nobody counts while another has not committed.
        let most = if t.url.starts_with("postgres") { 10 + 7 } else { 10 };
        assert!((10..=most).contains(&queued), "{queued}");
    }
);
