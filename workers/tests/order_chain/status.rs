//! What is told of an order's status, and who did it.

use fairlane::backend_test;
use fairlane_workers::erp::events::OrderCreated;
use fairlane_workers::erp::services::orders::{self, Taken};
use fairlane_workers::erp::services::{scanners, users};

use super::support::shop::{approve, count, enter, lines, shop, tiles};
use super::work::{stored, work};

backend_test!(migrations: lines;
    async fn a_cancelled_order_is_told_as_cancelled_and_not_as_approved(t: TestDb) {
        let acme = shop(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let ana = users::ensure(&mut tx, &acme, "Ana", "ana@example.com", &["sales.view"]).await.unwrap();
        tx.commit().await.unwrap();
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        let mut tx = acme.begin().await.unwrap();
        orders::cancel_by(&mut tx, &acme, order.id, Some(ana)).await.unwrap();
        tx.commit().await.unwrap();
        work(&t).await;
        assert_eq!(count(&t, "select count(*) as n from notifications").await, 1);
        let cancelled = "select count(*) as n from notifications where dedupe_key like 'order:%:cancelled:%'
            and cast(data as text) like '%warning%'";
        assert_eq!(count(&t, cancelled).await, 1);
        assert_eq!(count(&t, "select count(*) as n from fairlane_audit where action = 'order.cancel'").await, 1);
    }
);

backend_test!(migrations: lines;
    async fn an_order_keeps_who_entered_it_and_brings_the_scanners_of_a_new_tenant(t: TestDb) {
        let acme = shop(&t).await;
        let id = acme.id().await.unwrap();
        let mut tx = acme.begin().await.unwrap();
        assert!(scanners::stored(&mut tx.conn(), id).await.unwrap().is_empty());
        let ana = users::ensure(&mut tx, &acme, "Ana", "ana@example.com", &[]).await.unwrap();
        let taken = Taken { user: Some(ana), ..Taken::default() };
        orders::create_taken(&mut tx, &acme, "C-1", &tiles(), &taken).await.unwrap();
        assert_eq!(scanners::stored(&mut tx.conn(), id).await.unwrap().len(), scanners::SCANNERS.len());
        tx.commit().await.unwrap();
        assert_eq!(stored::<OrderCreated>(&t).await[0].user_id, Some(ana));
    }
);
