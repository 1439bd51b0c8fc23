//! A warehouse with bins is one site: what lies in its bins is there.

use fairlane::backend_test;
use fairlane_workers::erp::events::LowStockDetected;
use fairlane_workers::erp::services::stock::{MovementKind, NewMovement, Source};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::store::locations::{self, NewLocation};
use fairlane_workers::erp::store::stock::terms::{self, Negative, Terms};

use super::support::shop::{approve, count, lines};
use super::warehouse::{Warehouse, assert_ledger_is_right, dec, warehouse};
use super::work::{stored, work};

const OPEN: &str = "select count(*) as n from stock_alerts where closed_at is null";

impl Warehouse {
    /// A bin of MAIN with so many of a product.
    async fn bin(&self, name: &str, product: i64, quantity: &str) -> i64 {
        let code = format!("MAIN/{name}");
        let mut tx = self.tenant.begin().await.unwrap();
        let new = NewLocation {
            code: code.clone(),
            name: code,
            parent_id: Some(self.main),
            kind: "internal".into(),
        };
        let bin = locations::insert(&mut tx.conn(), self.id, &new).await.unwrap().unwrap().id;
        tx.commit().await.unwrap();
        let source = Source::new("test", name);
        self.record(NewMovement::new(MovementKind::Count, product, bin, dec(quantity), source))
            .await
            .unwrap();
        bin
    }
}

backend_test!(migrations: lines;
    async fn what_lies_in_two_bins_is_enough_together_and_low_for_the_whole_site_once(t: TestDb) {
        let here = warehouse(&t).await;
        let mut tx = here.tenant.begin().await.unwrap();
        for (name, place) in [("main", here.main), ("shop", here.shop)] {
            let email = format!("{name}@example.com");
            users::ensure_at(&mut tx, &here.tenant, name, &email, &["inventory.alerts"], Some(place)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let tiles = here.product("T-1", &[("reorder_level", "5")]).await;
        let first = here.bin("R1", tiles, "4").await;
        here.bin("R2", tiles, "4").await;
        work(&t).await;
        // Whichever bin was looked at first, both are there now.
        assert_eq!(count(&t, OPEN).await, 0);
        let before = stored::<LowStockDetected>(&t).await.len();
        let source = Source::new("test", "taken");
        here.record(NewMovement::new(MovementKind::Count, tiles, first, dec("0"), source)).await.unwrap();
        work(&t).await;
        let told: Vec<LowStockDetected> = stored(&t).await;
        let last = told.last().unwrap();
        assert_eq!((told.len() - before, last.location.as_str(), last.current), (1, "MAIN", dec("4")));
        let to = "select count(*) as n from notifications n join users u on u.id = n.notifiable_id where u.name = 'main'";
        assert!(count(&t, to).await >= 1);
        assert_eq!(count(&t, "select count(*) as n from notifications n join users u on u.id = n.notifiable_id where u.name = 'shop'").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn an_order_of_the_site_is_approved_by_what_its_bins_hold_and_taken_from_them(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.receive(tiles, "1").await;
        let (first, second) = (here.bin("R1", tiles, "4").await, here.bin("R2", tiles, "4").await);
        let mut tx = here.tenant.begin().await.unwrap();
        terms::save(&mut tx.conn(), here.id, Terms { negative: Negative::Forbid, ..Terms::default() }).await.unwrap();
        tx.commit().await.unwrap();
        let order = here.order(&[("T-1", "6")]).await;
        approve(&here.tenant, order.id).await.unwrap();
        assert_eq!(here.level(tiles, here.main).await, (dec("1"), dec("6")));
        let more = here.order(&[("T-1", "4")]).await;
        let error = approve(&here.tenant, more.id).await.unwrap_err().to_string();
        assert!(error.contains("from MAIN: 3 are available"), "{error}");
        here.fulfil(order.id).await.unwrap();
        work(&t).await;
        // The site's own first, then its bins.
        let left = [here.level(tiles, here.main).await, here.level(tiles, first).await, here.level(tiles, second).await];
        assert_eq!(left, [(dec("0"), dec("0")), (dec("0"), dec("0")), (dec("3"), dec("0"))]);
        assert_eq!(count(&t, "select count(*) as n from stock_movements where kind = 'sale'").await, 3);
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
        assert_ledger_is_right(&t).await;
    }
);
