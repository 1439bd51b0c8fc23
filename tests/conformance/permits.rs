//! Permits to run jobs of limited tenants: leased rows that sum to no more than the limit.

use fairlane::backend_test;
use fairlane::db::{Conn, Dialect};
use fairlane::fair::Grant;
use fairlane::limits::Scope;
use fairlane::store::permits::{self, PermitWish};
use fairlane::testing::{ClaimFrom, TestDb};
use uuid::Uuid;

use crate::support::*;

/// What a process of sixteen slots wants of a tenant's total limit.
fn wish(tenant_id: i64, limit: usize, running: usize) -> PermitWish {
    PermitWish {
        tenant_id,
        scope: Scope::Total,
        name: String::new(),
        limit,
        running,
        wanted: 16,
        turn_over: false,
    }
}

async fn exchange(t: &TestDb, worker: Uuid, wish: PermitWish) -> Grant {
    write(t, async |conn| exchange_in(conn, worker, wish).await).await
}

async fn exchange_in(conn: &mut Conn<'_>, worker: Uuid, wish: PermitWish) -> fairlane::Result<Grant> {
    Ok(permits::exchange(conn, worker, LEASE, &[wish]).await?[0])
}

async fn held(t: &TestDb) -> i64 {
    count(t, "select cast(coalesce(sum(permits), 0) as bigint) as n from fairlane_permits").await
}

backend_test!(
    async fn the_permits_of_all_processes_never_sum_to_more_than_the_limit(t: TestDb) {
        let acme = acme(&t).id().await.unwrap();
        let mut workers = [(Uuid::now_v7(), 0); 4].map(|(_, usable)| (Uuid::now_v7(), usable));
        for round in 0..6 {
            for (worker, usable) in &mut workers {
                // Each runs all it may, so what it had before the answer is kept.
                let granted = exchange(&t, *worker, wish(acme, 5, *usable)).await;
                *usable = granted.usable;
                assert!(held(&t).await <= 5, "round {round}");
            }
            let usable: usize = workers.iter().map(|(_, usable)| usable).sum();
            assert!(usable <= 5, "round {round}: {workers:?}");
        }
        assert!(workers.iter().all(|(_, usable)| *usable >= 1), "everybody has a share: {workers:?}");
    }
);

backend_test!(
    async fn processes_that_ask_at_the_same_moment_share_one_limit(t: TestDb) {
        let acme = acme(&t).id().await.unwrap();
        let askers = (0..8).map(|_| {
            let db = t.db.clone();
            tokio::spawn(async move {
                try_write(&db, async |conn| exchange_in(conn, Uuid::now_v7(), wish(acme, 3, 0)).await)
                    .await
                    .unwrap()
            })
        });
        let grants = futures::future::join_all(askers.collect::<Vec<_>>()).await;
        let usable: usize = grants.into_iter().map(|grant| grant.unwrap().usable).sum();
        assert_eq!((usable, held(&t).await), (3, 3));
    }
);

backend_test!(
    async fn limits_are_apart_by_tenant_queue_and_total(t: TestDb) {
        let acme = acme(&t).id().await.unwrap();
        let globex = add_tenant(&t, "globex").await.id().await.unwrap();
        let queue = |name: &str| PermitWish { scope: Scope::Queue, name: name.into(), ..wish(acme, 2, 0) };
        exchange(&t, Uuid::now_v7(), wish(acme, 2, 0)).await;
        let wishes = [wish(acme, 2, 0), queue("low"), queue("high"), wish(globex, 7, 0)];
        let grants =
            write(&t, async |conn| permits::exchange(conn, Uuid::now_v7(), LEASE, &wishes).await).await;
        let usable: Vec<usize> = grants.iter().map(|grant| grant.usable).collect();
        assert_eq!(usable, [0, 2, 2, 7]);
    }
);

backend_test!(
    async fn a_dead_processs_permits_come_free_after_two_leases_and_not_before(t: TestDb) {
        let acme = acme(&t).id().await.unwrap();
        let (dead, living) = (Uuid::now_v7(), Uuid::now_v7());
        assert_eq!(exchange(&t, dead, wish(acme, 2, 0)).await.usable, 2);
        t.db.shift_clock(chrono::Duration::seconds(58));
        assert_eq!(
            exchange(&t, living, wish(acme, 2, 0)).await.usable,
            0,
            "its jobs may have run a lease longer"
        );
        t.db.shift_clock(chrono::Duration::seconds(3));
        assert_eq!(exchange(&t, living, wish(acme, 2, 0)).await.usable, 2);
    }
);

backend_test!(
    async fn permits_that_are_over_count_as_long_as_their_processs_jobs_are_not_taken_back(t: TestDb) {
        let acme = acme(&t);
        let tenant_id = acme.id().await.unwrap();
        let (dead, living) = (Uuid::now_v7(), Uuid::now_v7());
        assert_eq!(exchange(&t, dead, wish(tenant_id, 3, 0)).await.usable, 3);
        dispatch(&acme, 1).await;
        // It renewed its leases, and did not get to renew its permits.
        t.db.shift_clock(chrono::Duration::seconds(50));
        let kinds = work_kinds();
        let from = ClaimFrom { worker_id: dead, ..request(&kinds) };
        assert_eq!(claim_with(&t.db, &from).await.len(), 1);
        t.db.shift_clock(chrono::Duration::seconds(20));
        let low = PermitWish { scope: Scope::Queue, name: "low".into(), ..wish(tenant_id, 3, 0) };
        assert_eq!(exchange(&t, living, low).await.usable, 3, "nothing of it runs in that queue");
        assert_eq!(exchange(&t, living, wish(tenant_id, 3, 0)).await.usable, 2);
        t.db.shift_clock(chrono::Duration::seconds(61));
        exchange(&t, living, wish(tenant_id, 3, 0)).await;
        assert_eq!(write(&t, async |conn| permits::prune(conn).await).await, 0, "still needed");
        write(&t, async |conn| fairlane::store::rescue::rescue(conn, LEASE).await).await;
        assert_eq!(exchange(&t, living, wish(tenant_id, 3, 0)).await.usable, 3);
        assert_eq!(write(&t, async |conn| permits::prune(conn).await).await, 1);
    }
);

backend_test!(
    async fn a_process_that_goes_on_asking_keeps_its_permits(t: TestDb) {
        let acme = acme(&t).id().await.unwrap();
        let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
        for _ in 0..6 {
            assert_eq!(exchange(&t, first, wish(acme, 2, 2)).await.held, 2);
            t.db.shift_clock(chrono::Duration::seconds(20));
        }
        assert_eq!(exchange(&t, second, wish(acme, 2, 0)).await.usable, 0);
    }
);

backend_test!(
    async fn permits_are_given_back_by_their_process_alone_and_pruned_when_they_are_over(t: TestDb) {
        let acme = acme(&t).id().await.unwrap();
        let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
        exchange(&t, first, wish(acme, 2, 0)).await;
        exchange(&t, second, PermitWish { name: "low".into(), scope: Scope::Queue, ..wish(acme, 3, 0) })
            .await;
        write(&t, async |conn| permits::give_back(conn, first).await).await;
        assert_eq!(held(&t).await, 3);
        assert_eq!(write(&t, async |conn| permits::prune(conn).await).await, 0);
        t.db.shift_clock(chrono::Duration::seconds(121));
        assert_eq!(write(&t, async |conn| permits::prune(conn).await).await, 1);
    }
);

backend_test!(
    async fn two_exchanges_of_a_tenant_take_turns(t: TestDb) {
        let acme = acme(&t).id().await.unwrap();
        let mut first = t.db.begin().await.unwrap();
        assert_eq!(exchange_in(&mut first.conn(), Uuid::now_v7(), wish(acme, 2, 0)).await.unwrap().usable, 2);
        let db = t.db.clone();
        let second = tokio::spawn(async move {
            try_write(&db, async |conn| exchange_in(conn, Uuid::now_v7(), wish(acme, 2, 0)).await).await
        });
        if t.db.dialect() == Dialect::Postgres {
            let waiting = "select count(*) as n from pg_locks where locktype = 'advisory' and not granted
                and database = (select oid from pg_database where datname = current_database())";
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while count(&t, waiting).await == 0 {
                assert!(!second.is_finished(), "it did not wait: {second:?}");
                assert!(std::time::Instant::now() < deadline, "nobody waits");
                tokio::task::yield_now().await;
            }
        }
        first.commit().await.unwrap();
        assert_eq!(second.await.unwrap().unwrap().usable, 0, "it read what the first has written");
    }
);
