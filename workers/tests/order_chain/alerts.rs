//! Stock that is low and batches near their end: told once for each crossing. Seed 1-04.

use fairlane::testing::TestDb;
use fairlane::{Error, backend_test};
use fairlane_workers::erp::events::{LowStockDetected, StockExpiring};
use fairlane_workers::erp::jobs::scan_expiring_stock::ScanExpiringStock;
use fairlane_workers::erp::services::products::{self, ProductChange};
use fairlane_workers::erp::services::profiles::{self, ProfileChange};
use fairlane_workers::erp::services::stock::{MovementKind, check_levels, rebuild};
use fairlane_workers::erp::services::users;

use super::support::shop::{approve, count, lines};
use super::warehouse::{Warehouse, assert_ledger_is_right, dec, warehouse};
use super::work::{deliver_again, stored, to_noon, work};

const OPEN: &str = "select count(*) as n from stock_alerts where closed_at is null";

async fn low(t: &TestDb) -> Vec<LowStockDetected> {
    stored(t).await
}

backend_test!(migrations: lines;
    async fn each_crossing_of_the_minimum_is_told_once_and_ends_when_stock_is_back(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[("reorder_level", "5")]).await;
        let quiet = here.product("Q-1", &[("reorder_level", "0")]).await;
        here.receive(tiles, "8").await;
        here.receive(quiet, "1").await;
        here.record(here.moving(MovementKind::Sale, quiet, "1")).await.unwrap();
        here.record(here.moving(MovementKind::Sale, tiles, "3")).await.unwrap();
        work(&t).await;
        assert_eq!((low(&t).await.len(), count(&t, OPEN).await), (0, 0), "at the minimum is not below it");
        for _ in 0..3 {
            here.record(here.moving(MovementKind::Sale, tiles, "1")).await.unwrap();
        }
        work(&t).await;
        deliver_again(&t).await;
        let told = low(&t).await;
        assert_eq!((told.len(), told[0].minimum, told[0].location.as_str()), (1, dec("5"), "MAIN"));
        assert!(told[0].current < dec("5") && told[0].sku == "T-1");
        here.receive(tiles, "10").await;
        work(&t).await;
        assert_eq!(count(&t, OPEN).await, 0);
        here.record(here.moving(MovementKind::Count, tiles, "1")).await.unwrap();
        work(&t).await;
        assert_eq!((low(&t).await.len(), count(&t, OPEN).await), (2, 1));
    }
);

backend_test!(migrations: lines;
    async fn what_orders_hold_back_is_not_available(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[("reorder_level", "5")]).await;
        here.receive(tiles, "8").await;
        let order = here.order(&[("T-1", "4")]).await;
        approve(&here.tenant, order.id).await.unwrap();
        let told = low(&t).await;
        assert_eq!((told.len(), told[0].current), (1, dec("4")));
        let mut tx = here.tenant.begin().await.unwrap();
        fairlane_workers::erp::services::orders::cancel(&mut tx, &here.tenant, order.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(count(&t, OPEN).await, 0);
        work(&t).await;
        assert_eq!(low(&t).await.len(), 1);
    }
);

backend_test!(migrations: lines;
    async fn stock_below_nothing_is_told_though_it_has_no_minimum(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.record(here.moving(MovementKind::Sale, tiles, "2")).await.unwrap();
        work(&t).await;
        let told = low(&t).await;
        assert_eq!((told.len(), told[0].current, told[0].minimum), (1, dec("-2"), dec("0")));
    }
);

backend_test!(migrations: lines;
    async fn many_movements_at_once_tell_of_one_crossing(t: TestDb) {
        let here = std::sync::Arc::new(warehouse(&t).await);
        let tiles = here.product("T-1", &[("reorder_level", "50")]).await;
        here.receive(tiles, "55").await;
        let sellers = (0..6).map(|_| {
            let here = here.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    here.record(here.moving(MovementKind::Sale, tiles, "1")).await.unwrap();
                }
            })
        });
        let sellers: Vec<_> = sellers.collect();
        work(&t).await;
        for seller in sellers {
            seller.await.unwrap();
        }
        work(&t).await;
        assert_eq!((low(&t).await.len(), count(&t, OPEN).await), (1, 1));
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn a_look_at_what_is_no_product_says_so_and_tells_nobody(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[("reorder_level", "5")]).await;
        let mut tx = here.tenant.begin().await.unwrap();
        let places = [(tiles, here.main), (tiles + 1_000_000, here.main)].into();
        let error = check_levels(&mut tx, &here.tenant, &places).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { what: "product", .. }), "{error}");
        drop(tx);
        assert!(low(&t).await.is_empty());
    }
);

async fn scan(t: &TestDb, here: &Warehouse) -> Vec<StockExpiring> {
    let before = count(t, "select coalesce(max(id), 0) as n from stock_alerts").await;
    here.tenant.dispatch(ScanExpiringStock {}).await.unwrap();
    work(t).await;
    assert_eq!(count(t, "select count(*) as n from fairlane_failed_jobs").await, 0);
    // Old events go while the clock jumps by decades.
    stored(t).await.into_iter().filter(|told: &StockExpiring| told.alert_id > before).collect()
}

backend_test!(migrations: lines;
    async fn a_batch_is_told_of_once_for_each_stage_until_it_is_gone(t: TestDb) {
        let here = warehouse(&t).await;
        let paint = here.product("P-1", &[("track_batches", "true")]).await;
        here.receive_lots(paint, &[("A", "2097-03-31", "4"), ("FAR", "2099-01-01", "4"), ("EMPTY", "2097-03-31", "1")]).await;
        let batch = count(&t, "select id as n from batches where lot = 'EMPTY'").await;
        here.record(here.moving(MovementKind::Sale, paint, "1").batch(batch)).await.unwrap();
        work(&t).await;
        for (day, wanted) in [
            ("2096-12-30", None),
            ("2096-12-31", Some((90, 90))),
            ("2097-01-15", None),
            ("2097-03-01", Some((30, 30))),
            ("2097-03-30", Some((1, 7))),
            ("2097-03-31", Some((0, 0))),
            ("2097-04-20", None),
        ] {
            to_noon(&t, day).await;
            let told = scan(&t, &here).await;
            let told: Vec<_> = told.iter().map(|one| (one.days_remaining, one.threshold)).collect();
            assert_eq!(told, Vec::from_iter(wanted), "{day}");
            assert!(scan(&t, &here).await.is_empty(), "{day} again");
            assert!(count(&t, OPEN).await <= 1, "{day}: a nearer stage ends the one before");
        }
        assert_eq!(count(&t, OPEN).await, 1);
        let batch = count(&t, "select id as n from batches where lot = 'A'").await;
        here.record(here.moving(MovementKind::Adjust, paint, "-4").batch(batch)).await.unwrap();
        work(&t).await;
        assert_eq!(count(&t, OPEN).await, 0);
    }
);

backend_test!(migrations: lines;
    async fn the_days_of_a_batch_are_those_of_the_tenants_zone(t: TestDb) {
        let here = warehouse(&t).await;
        let paint = here.product("P-1", &[("track_batches", "true")]).await;
        here.receive_lots(paint, &[("A", "2097-03-31", "4")]).await;
        let mut tx = here.tenant.begin().await.unwrap();
        let zone = ProfileChange { timezone: Some("Pacific/Kiritimati".into()), ..ProfileChange::default() };
        profiles::change(&mut tx, &here.tenant, &zone).await.unwrap();
        tx.commit().await.unwrap();
        // 30 March, 12:00 UTC is 31 March, 02:00 on Kiritimati.
        to_noon(&t, "2097-03-30").await;
        let told = scan(&t, &here).await;
        assert_eq!((told.len(), told[0].days_remaining, told[0].lot.as_str()), (1, 0, "A"));
    }
);

backend_test!(migrations: lines;
    async fn levels_that_were_damaged_are_found_and_computed_anew(t: TestDb) {
        let here = warehouse(&t).await;
        let (tiles, paint) = (here.product("T-1", &[]).await, here.product("P-1", &[("track_batches", "true")]).await);
        here.receive(tiles, "8.25").await;
        here.receive_lots(paint, &[("A", "2097-03-31", "4"), ("B", "2097-03-31", "5")]).await;
        let order = here.order(&[("T-1", "3")]).await;
        approve(&here.tenant, order.id).await.unwrap();
        let look = async |commit: bool| {
            let mut tx = here.tenant.begin().await.unwrap();
            let rebuilt = rebuild(&mut tx, &here.tenant, 0).await.unwrap();
            if commit { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
            (rebuilt.products, rebuilt.differences.len())
        };
        assert_eq!(look(false).await, (2, 0));
        t.execute("update stock_levels set on_hand = '1' where batch_id is not null").await;
        t.execute("update stock_levels set reserved = '0' where batch_id is null").await;
        assert_eq!((look(false).await, look(false).await), ((2, 3), (2, 3)));
        assert_eq!((look(true).await, look(true).await), ((2, 3), (2, 0)));
        assert_ledger_is_right(&t).await;
        t.execute("delete from stock_levels").await;
        assert_eq!((look(true).await, look(true).await), ((2, 3), (2, 0)));
        assert_eq!(here.level(tiles, here.main).await, (dec("8.25"), dec("3")));
    }
);

backend_test!(migrations: lines;
    async fn another_minimum_and_a_product_that_is_given_up_are_looked_at(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.receive(tiles, "4").await;
        work(&t).await;
        assert_eq!(count(&t, OPEN).await, 0);
        let change = async |change: ProductChange| {
            let mut tx = here.tenant.begin().await.unwrap();
            products::update(&mut tx, &here.tenant, "T-1", None, &change, None).await.unwrap();
            tx.commit().await.unwrap();
            work(&t).await;
            count(&t, OPEN).await
        };
        let minimum = |number: &str| ProductChange { reorder_level: Some(Some(dec(number))), ..ProductChange::default() };
        let active = |active| ProductChange { active: Some(active), ..ProductChange::default() };
        assert_eq!((change(minimum("5")).await, low(&t).await.len()), (1, 1));
        assert_eq!(change(minimum("3")).await, 0);
        assert_eq!(change(minimum("9")).await, 1);
        assert_eq!(change(active(false)).await, 0);
        assert_eq!(change(active(true)).await, 1);
    }
);

backend_test!(migrations: lines;
    async fn a_batch_that_comes_back_is_told_anew(t: TestDb) {
        let here = warehouse(&t).await;
        let mut tx = here.tenant.begin().await.unwrap();
        users::ensure(&mut tx, &here.tenant, "Ana", "ana@example.com", &["inventory.alerts"]).await.unwrap();
        tx.commit().await.unwrap();
        let paint = here.product("P-1", &[("track_batches", "true")]).await;
        let soon = (chrono::Utc::now().date_naive() + chrono::Days::new(20)).to_string();
        here.receive_lots(paint, &[("A", &soon, "4")]).await;
        work(&t).await;
        let told = "select count(*) as n from notifications where type = 'StockExpiryNotification'";
        scan(&t, &here).await;
        scan(&t, &here).await;
        assert_eq!(count(&t, told).await, 1);
        let batch = count(&t, "select id as n from batches where lot = 'A'").await;
        for quantity in ["-4", "4"] {
            here.record(here.moving(MovementKind::Adjust, paint, quantity).batch(batch)).await.unwrap();
            work(&t).await;
        }
        scan(&t, &here).await;
        assert_eq!((count(&t, told).await, count(&t, OPEN).await), (2, 1));
    }
);
