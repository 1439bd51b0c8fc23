//! The inventory report and the cost of goods where stock is moved about, taken back, entered late, or awaited.

use chrono::{Days, Utc};
use fairlane::backend_test;
use fairlane_workers::erp::reports::{ReportRequest, ReportType};
use fairlane_workers::erp::services::locations;
use fairlane_workers::erp::services::products::{self, ProductChange};
use fairlane_workers::erp::services::purchase_orders::{self, NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::stock::{
    self, MovementKind, NewMovement, Source, Transfer, record, reverse,
};
use fairlane_workers::erp::services::valuation::{NewRun, request};
use fairlane_workers::erp::services::vendors::{self, NewVendor};
use fairlane_workers::erp::valuation::Scope;
use serde_json::Value;

use crate::desk::{Desk, day, dec, time};
use crate::support::shop::lines;

/// Two places, `MAIN` and `SOUTH`.
pub(crate) async fn places(desk: &Desk) -> (i64, i64) {
    let mut tx = desk.acme.begin().await.unwrap();
    let main = locations::create(&mut tx, &desk.acme, "MAIN", "Main", "internal", None).await.unwrap().id;
    let south = locations::create(&mut tx, &desk.acme, "SOUTH", "South", "internal", None).await.unwrap().id;
    tx.commit().await.unwrap();
    (main, south)
}

pub(crate) async fn product(desk: &Desk, sku: &str, reorder_level: Option<&str>) -> i64 {
    let mut tx = desk.acme.begin().await.unwrap();
    let change = ProductChange {
        name: Some(format!("Product {sku}")),
        reorder_level: Some(reorder_level.map(dec)),
        ..ProductChange::default()
    };
    let id = products::create(&mut tx, &desk.acme, sku, &change, None).await.unwrap().id;
    tx.commit().await.unwrap();
    id
}

/// Records a movement; returns its number.
pub(crate) async fn moved(desk: &Desk, movement: NewMovement) -> i64 {
    let mut tx = desk.acme.begin().await.unwrap();
    let recorded = record(&mut tx, &desk.acme, movement).await.unwrap();
    tx.commit().await.unwrap();
    recorded.movement_id()
}

pub(crate) fn movement(
    kind: MovementKind,
    product: i64,
    place: i64,
    quantity: &str,
    at: &str,
) -> NewMovement {
    let source = Source::new("manual", format!("{} {product} {quantity} {at}", kind.as_str()));
    NewMovement::new(kind, product, place, dec(quantity), source).effective_at(time(at))
}

pub(crate) async fn valued(desk: &Desk) {
    valued_by(desk, Scope::Product).await;
}

pub(crate) async fn valued_by(desk: &Desk, scope: Scope) {
    let mut tx = desk.acme.begin().await.unwrap();
    request(&mut tx, &desk.acme, &NewRun { scope, ..NewRun::default() }).await.unwrap();
    tx.commit().await.unwrap();
    desk.work(&["low"]).await;
}

async fn inventory(desk: &Desk, to: &str) -> Value {
    desk.json(&ReportRequest::new(ReportType::Inventory, day("2026-01-01"), day(to))).await
}

pub(crate) fn row<'r>(report: &'r Value, sku: &str, place: Option<&str>) -> &'r Value {
    let rows = report["rows"].as_array().unwrap();
    let fits = |row: &&Value| row["sku"] == sku && place.is_none_or(|place| row["location"] == place);
    rows.iter().find(fits).unwrap_or_else(|| panic!("no row of {sku}: {report}"))
}

backend_test!(migrations: lines;
    async fn each_place_is_worth_its_share_and_what_was_taken_back_is_not_there(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        let (main, south) = places(&desk).await;
        let id = product(&desk, "T-1", None).await;
        moved(&desk, movement(MovementKind::Receipt, id, main, "3", "2026-01-05T10:00:00Z").unit_cost(dec("33.3333"))).await;
        let mut tx = desk.acme.begin().await.unwrap();
        let transfer = Transfer {
            product_id: id, from: main, to: south, batch_id: None, quantity: dec("1"),
            effective_at: Some(time("2026-01-06T10:00:00Z")), source: Source::new("manual", "south"), reason: None, user_id: None,
        };
        stock::transfer(&mut tx, &desk.acme, &transfer).await.unwrap();
        tx.commit().await.unwrap();
        let wrong = movement(MovementKind::Receipt, id, main, "500", "2026-01-07T10:00:00Z").unit_cost(dec("9"));
        let wrong = moved(&desk, wrong).await;
        let mut tx = desk.acme.begin().await.unwrap();
        reverse(&mut tx, &desk.acme, wrong, None, None).await.unwrap();
        tx.commit().await.unwrap();
        valued(&desk).await;
        let report = inventory(&desk, "2026-01-31").await;
        let of = |place: &str, name: &str| row(&report, "T-1", Some(place))[name].as_str().unwrap_or("-").to_owned();
        assert_eq!((of("MAIN", "closing"), of("MAIN", "closing_value")), ("2".into(), "66.67".into()), "{report}");
        assert_eq!((of("SOUTH", "closing"), of("SOUTH", "closing_value")), ("1".into(), "33.33".into()));
        assert_eq!(of("SOUTH", "average_cost"), "33.33");
        assert_eq!((&report["totals"]["closing_value"], &report["summary"]["value"]), (&"100.00".into(), &"100.00".into()));
    }
);

backend_test!(migrations: lines;
    async fn what_is_there_is_as_old_as_it_is_however_late_it_was_entered(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        let (main, _) = places(&desk).await;
        let id = product(&desk, "T-1", None).await;
        for (kind, quantity, at) in [
            (MovementKind::Receipt, "10", "2026-03-30T10:00:00Z"),
            (MovementKind::Receipt, "10", "2026-01-01T10:00:00Z"),
            (MovementKind::Adjust, "-10", "2026-04-01T10:00:00Z"),
        ] {
            moved(&desk, movement(kind, id, main, quantity, at)).await;
        }
        let report = inventory(&desk, "2026-04-02").await;
        let tiles = row(&report, "T-1", None);
        assert_eq!((&tiles["age_30"], &tiles["age_older"]), (&"10".into(), &"0".into()), "the oldest goes first: {tiles}");
    }
);

backend_test!(migrations: lines;
    async fn what_never_was_here_and_is_waited_for_has_a_row(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        places(&desk).await;
        product(&desk, "WANTED", Some("5")).await;
        product(&desk, "ORDERED", None).await;
        product(&desk, "NOBODY", None).await;
        product(&desk, "OFF", Some("0")).await;
        let mut tx = desk.acme.begin().await.unwrap();
        let new = NewVendor { code: "V-1".into(), name: "Vera".into(), ..NewVendor::default() };
        vendors::create(&mut tx, &desk.acme, new).await.unwrap();
        let line = NewPurchaseLine { sku: "ORDERED".into(), quantity: dec("7"), unit_cost: dec("2") };
        let new = NewOrder { vendor: "V-1".into(), lines: vec![line], ..NewOrder::default() };
        let order = purchase_orders::create(&mut tx, &desk.acme, new).await.unwrap().id;
        purchase_orders::submit(&mut tx, &desk.acme, order).await.unwrap();
        purchase_orders::approve(&mut tx, &desk.acme, order, None).await.unwrap();
        tx.commit().await.unwrap();
        let report = inventory(&desk, "2026-01-31").await;
        assert_eq!(report["rows"].as_array().unwrap().len(), 2, "{report}");
        assert_eq!((&row(&report, "ORDERED", None)["on_order"], &report["totals"]["on_order"]), (&"7".into(), &"7".into()));
        assert_eq!((&row(&report, "WANTED", None)["closing"], &report["summary"]["below_reorder_level"]), (&"0".into(), &1.into()));
    }
);

backend_test!(migrations: lines;
    async fn what_comes_back_is_no_cost_any_more_and_what_a_receipt_cost_later_is_one(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        let (main, _) = places(&desk).await;
        let id = product(&desk, "T-1", None).await;
        let receipt = movement(MovementKind::Receipt, id, main, "10", "2026-01-05T10:00:00Z").unit_cost(dec("10"));
        let receipt = moved(&desk, receipt).await;
        let sale = moved(&desk, movement(MovementKind::Sale, id, main, "2", "2026-01-06T10:00:00Z")).await;
        let landed = NewMovement {
            amount: Some(dec("10")),
            related_movement_id: Some(receipt),
            ..movement(MovementKind::LandedCost, id, main, "0", "2026-01-07T10:00:00Z")
        };
        moved(&desk, landed).await;
        let back = movement(MovementKind::ReturnIn, id, main, "1", "2026-02-08T10:00:00Z");
        moved(&desk, NewMovement { related_movement_id: Some(sale), ..back }).await;
        let mistake = moved(&desk, movement(MovementKind::Sale, id, main, "3", "2026-01-09T10:00:00Z")).await;
        let mut tx = desk.acme.begin().await.unwrap();
        reverse(&mut tx, &desk.acme, mistake, None, None).await.unwrap();
        tx.commit().await.unwrap();
        valued(&desk).await;
        let today = Utc::now().date_naive() + Days::new(1);
        let report = desk.json(&ReportRequest::new(ReportType::Financial, day("2026-01-01"), today)).await;
        let costs: Vec<&str> =
            report["rows"].as_array().unwrap().iter().map(|row| row["cost_of_goods"].as_str().unwrap_or("-")).collect();
        assert_eq!(costs, ["22.00", "-10.00"], "{report}");
        assert_eq!(report["totals"]["cost_of_goods"], "12.00");
    }
);
