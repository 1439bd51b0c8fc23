//! Transactions: the engine's own, confined ones, and the application's.

use fairlane::db::{Dialect, query};
use fairlane::{Error, backend_test, sql};

use crate::support::*;

backend_test!(
    async fn what_is_committed_is_there_and_what_is_rolled_back_or_dropped_is_not(t: TestDb) {
        for (number, ending) in ["commit", "rollback", "drop"].into_iter().enumerate() {
            let mut tx = t.fairlane.begin().await.unwrap();
            let number = u64::try_from(number).unwrap();
            acme(&t).dispatch(Work { number }).in_tx(&mut tx).await.unwrap();
            match ending {
                "commit" => tx.commit().await.unwrap(),
                "rollback" => tx.rollback().await.unwrap(),
                _ => drop(tx),
            }
        }
        let jobs = claim(&t, 10).await;
        assert_eq!(jobs.len(), 1);
        assert_eq!(serde_json::from_str::<Work>(&jobs[0].payload).unwrap().number, 0);
    }
);

backend_test!(
    async fn a_dropped_transaction_blocks_nobody(t: TestDb) {
        for number in 0..20 {
            let mut tx = t.fairlane.begin().await.unwrap();
            acme(&t).dispatch(Work { number }).in_tx(&mut tx).await.unwrap();
            drop(tx);
            acme(&t).dispatch(Work { number }).await.unwrap();
        }
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 20);
    }
);

backend_test!(
    async fn giving_up_while_waiting_for_a_transaction_blocks_nobody(t: TestDb) {
        for _ in 0..50 {
            let db = t.db.clone();
            let waiting = tokio::spawn(async move {
                loop {
                    let mut tx = db.begin().await.unwrap();
                    query(sql!("update fairlane_tenants set name = 'x'"))
                        .execute(&mut tx.conn())
                        .await
                        .unwrap();
                    tx.commit().await.unwrap();
                }
            });
            for _ in 0..fastrand::u32(0..30) {
                tokio::task::yield_now().await;
            }
            waiting.abort();
            let tenant = acme(&t);
            let dispatched = tokio::time::timeout(std::time::Duration::from_secs(10), dispatch(&tenant, 1));
            dispatched.await.expect("nobody holds the writer");
        }
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 50);
    }
);

backend_test!(
    async fn writers_that_run_together_each_see_their_own_result(t: TestDb) {
        let writers = (0..40).map(|number| {
            let db = t.db.clone();
            tokio::spawn(async move {
                let mut tx = db.single().await?;
                // Every fourth breaks a constraint.
                let slug = if number % 4 == 0 { "ACME".to_owned() } else { format!("tenant-{number}") };
                query(sql!("insert into fairlane_tenants (slug, name) values ($1, $1)"))
                    .bind(slug)
                    .execute(&mut tx.conn())
                    .await?;
                tx.commit().await
            })
        });
        let results = futures::future::join_all(writers).await;
        for (number, result) in results.into_iter().enumerate() {
            assert_eq!(result.unwrap().is_err(), number % 4 == 0, "writer {number}");
        }
        assert_eq!(count(&t, "select count(*) as n from fairlane_tenants").await, 31);
    }
);

backend_test!(
    async fn a_single_that_is_dropped_before_its_commit_takes_nobody_with_it(t: TestDb) {
        let writers = (0..20u64).map(|number| {
            let (db, tenant) = (t.db.clone(), acme(&t));
            tokio::spawn(async move {
                if number % 2 == 0 || db.dialect() == Dialect::Postgres {
                    tenant.dispatch(Work { number }).await.unwrap();
                    return;
                }
                let mut tx = db.single().await.unwrap();
                query(sql!("update fairlane_tenants set name = 'lost'"))
                    .execute(&mut tx.conn())
                    .await
                    .unwrap();
            })
        });
        for writer in futures::future::join_all(writers).await {
            writer.unwrap();
        }
        assert!(count(&t, "select count(*) as n from fairlane_jobs").await >= 10);
        assert_eq!(words(&t, "select name as word from fairlane_tenants").await, ["Acme"]);
    }
);

backend_test!(
    async fn a_tenants_transaction_takes_nothing_for_another_tenant(t: TestDb) {
        let globex = add_tenant(&t, "globex").await;
        let mut tx = acme(&t).begin().await.unwrap();
        acme(&t).dispatch(Work { number: 1 }).in_tx(&mut tx).await.unwrap();
        let foreign = globex.dispatch(Work { number: 1 }).in_tx(&mut tx).await;
        assert!(matches!(foreign, Err(Error::Refused { .. })), "{foreign:?}");
        let foreign = globex.dispatch(Work { number: 1 }).idempotency_key("k").in_tx(&mut tx).await;
        assert!(matches!(foreign, Err(Error::Refused { .. })), "{foreign:?}");
        assert!(globex.publish(OrderCancelled).in_tx(&mut tx).await.is_err());
        assert!(globex.publish_all([OrderCancelled]).in_tx(&mut tx).await.is_err());
        tx.commit().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 1);
    }
);

backend_test!(
    async fn a_transaction_over_all_tenants_takes_work_for_several(t: TestDb) {
        let globex = add_tenant(&t, "globex").await;
        let mut tx = t.fairlane.begin().await.unwrap();
        for tenant in [&acme(&t), &globex] {
            tenant.dispatch(Work { number: 1 }).in_tx(&mut tx).await.unwrap();
            tenant.dispatch(Work { number: 2 }).idempotency_key("k").in_tx(&mut tx).await.unwrap();
            tenant.publish(OrderCancelled).in_tx(&mut tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 4);
        assert_eq!(count(&t, "select count(distinct tenant_id) as n from fairlane_events").await, 2);
    }
);

backend_test!(
    async fn only_a_handlers_transaction_takes_a_checkpoint(t: TestDb) {
        let mut tx = acme(&t).begin().await.unwrap();
        assert!(matches!(tx.checkpoint(&1), Err(Error::Refused { .. })));
    }
);

/// Publishes and dispatches inside the application's own `sqlx` transaction, which then commits or not.
macro_rules! in_own_transaction {
    ($t:expr, $tx:expr, $commit:expr) => {{
        let mut tx = $tx;
        let tenant = acme($t);
        let dispatched = tenant.dispatch(Work { number: 1 }).in_tx(&mut tx).await.unwrap();
        tenant.dispatch(Work { number: 2 }).idempotency_key("k").in_tx(&mut tx).await.unwrap();
        let published = tenant.publish(OrderApproved { order: 1 }).in_tx(&mut *tx).await.unwrap();
        assert_eq!(dispatched.wake.queues().collect::<Vec<_>>(), ["default"]);
        assert_eq!(published.wake.queues().collect::<Vec<_>>(), ["low"]);
        if $commit {
            tx.commit().await.unwrap();
            dispatched.wake.fire();
            published.wake.fire();
        } else {
            tx.rollback().await.unwrap();
        }
    }};
}

backend_test!(
    async fn the_applications_own_transaction_decides_over_its_jobs_and_events(t: TestDb) {
        subscribe(&t, "sales.order.approved", "invoice", "low").await;
        for commit in [false, true] {
            match t.db.dialect() {
                Dialect::Postgres => {
                    let pool = sqlx::PgPool::connect(&t.url).await.unwrap();
                    in_own_transaction!(&t, pool.begin().await.unwrap(), commit);
                }
                Dialect::Sqlite => {
                    // Tenants are looked up before: another connection's open writer would be waited for.
                    let pool = sqlx::SqlitePool::connect(&t.url).await.unwrap();
                    in_own_transaction!(&t, pool.begin_with("begin immediate").await.unwrap(), commit);
                }
            }
            let expected = if commit { 3 } else { 0 };
            assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, expected);
        }
    }
);
