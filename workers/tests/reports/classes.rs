//! Classes of products and of customers, and what stands beside them: too little, too old, lost.

use fairlane::backend_test;
use fairlane_workers::erp::reports::{ReportRequest, ReportType};
use fairlane_workers::erp::services::stock::{self, MovementKind, NamedLot};
use serde_json::{Value, json};

use crate::desk::{Desk, day, dec, line};
use crate::shelves::{moved, movement, places, product, row, valued};
use crate::support::shop::lines;

/// February.
fn february(report: ReportType) -> ReportRequest {
    ReportRequest::new(report, day("2026-02-01"), day("2026-02-28"))
}

/// A hundred of a product at a place in January, at 1 each.
async fn stocked(desk: &Desk, sku: &str, place: i64, reorder_level: Option<&str>) -> i64 {
    let id = product(desk, sku, reorder_level).await;
    moved(
        desk,
        movement(MovementKind::Receipt, id, place, "100", "2026-01-05T10:00:00Z").unit_cost(dec("1")),
    )
    .await;
    id
}

async fn sold(desk: &Desk, product: i64, place: i64, quantity: &str, at: &str) -> i64 {
    moved(desk, movement(MovementKind::Sale, product, place, quantity, at)).await
}

backend_test!(migrations: lines;
    async fn products_are_classed_by_what_was_sold_of_them_in_the_period_at_what_it_had_cost(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        let (main, south) = places(&desk).await;
        let mut ids = Vec::new();
        for sku in ["LITTLE", "MOST", "SOME", "NONE"] {
            ids.push(stocked(&desk, sku, main, None).await);
        }
        moved(&desk, movement(MovementKind::Receipt, ids[1], south, "100", "2026-01-06T10:00:00Z").unit_cost(dec("1"))).await;
        // What was sold before the period, or moved, taken back and written off in it, does not count.
        sold(&desk, ids[0], main, "90", "2026-01-31T23:59:59Z").await;
        sold(&desk, ids[0], main, "5", "2026-02-01T00:00:00Z").await;
        sold(&desk, ids[1], main, "50", "2026-02-10T10:00:00Z").await;
        let back = sold(&desk, ids[1], south, "40", "2026-02-11T10:00:00Z").await;
        let returned = movement(MovementKind::ReturnIn, ids[1], south, "10", "2026-02-12T10:00:00Z");
        moved(&desk, stock::NewMovement { related_movement_id: Some(back), ..returned }).await;
        sold(&desk, ids[2], main, "15", "2026-02-28T23:59:59Z").await;
        moved(&desk, movement(MovementKind::Adjust, ids[3], main, "-60", "2026-02-13T10:00:00Z")).await;
        let unvalued = desk.json(&february(ReportType::Inventory)).await;
        assert!(unvalued["rows"].as_array().unwrap().iter().all(|row| row["abc"] == Value::Null), "{unvalued}");
        assert!(unvalued["notes"].to_string().contains("ABC classes are empty"));
        assert_eq!(unvalued["sections"]["abc"], Value::Null);
        valued(&desk).await;
        let report = desk.json(&february(ReportType::Inventory)).await;
        let class = |sku: &str, place: Option<&str>| row(&report, sku, place)["abc"].as_str().unwrap().to_owned();
        assert_eq!(["MOST", "SOME", "LITTLE", "NONE"].map(|sku| class(sku, None)), ["A", "B", "C", "C"]);
        assert_eq!(class("MOST", Some("SOUTH")), "A", "a class is a product's, wherever it lies");
        assert_eq!(report["sections"]["abc"], json!([
            { "class": "A", "products": 1, "cost_of_goods": "80.00", "share": "80.00" },
            { "class": "B", "products": 1, "cost_of_goods": "15.00", "share": "15.00" },
            { "class": "C", "products": 2, "cost_of_goods": "5.00", "share": "5.00" },
        ]));
        let books = desk.json(&february(ReportType::Financial)).await;
        assert_eq!(books["totals"]["cost_of_goods"], "100.00", "the whole is the cost of goods sold");
        // One cost that is not known, and no share is.
        sold(&desk, ids[3], main, "1", "2026-02-14T10:00:00Z").await;
        let unknown = desk.json(&february(ReportType::Inventory)).await;
        assert_eq!((&row(&unknown, "MOST", None)["abc"], &unknown["sections"]["abc"]), (&Value::Null, &Value::Null));
    }
);

backend_test!(migrations: lines;
    async fn what_is_too_little_too_old_or_not_sold_is_told_by_how_many(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        let (main, south) = places(&desk).await;
        let low = stocked(&desk, "LOW", main, Some("120")).await;
        moved(&desk, movement(MovementKind::Receipt, low, south, "5", "2026-01-06T10:00:00Z").unit_cost(dec("1"))).await;
        sold(&desk, low, main, "2", "2026-02-05T10:00:00Z").await;
        let lot = NamedLot { product_id: low, lot: "L-1".into(), expires_on: Some(day("2026-03-30")) };
        let mut tx = desk.acme.begin().await.unwrap();
        let batch = stock::batches(&mut tx, &desk.acme, &[lot]).await.unwrap()[0].id;
        tx.commit().await.unwrap();
        moved(&desk, movement(MovementKind::Receipt, low, main, "7", "2026-02-06T10:00:00Z").unit_cost(dec("1")).batch(batch)).await;
        // Thirteen of five: eight are missing.
        sold(&desk, low, south, "13", "2026-01-07T10:00:00Z").await;
        let report = desk.json(&february(ReportType::Inventory)).await;
        let total = |name: &str| report["totals"][name].as_str().unwrap().to_owned();
        // 98 + 7 - 8 are 97, 23 below 120.
        assert_eq!(["below_level", "negative", "expiring", "dead"].map(total), ["23", "8", "7", "7"], "{report}");
        let count = |name: &str| report["summary"][name].as_i64().unwrap();
        assert_eq!(["below_reorder_level", "negative", "expiring", "dead"].map(count), [1, 1, 1, 1]);
    }
);

backend_test!(migrations: lines;
    async fn customers_are_classed_among_those_who_bought_and_the_lost_are_counted(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        for code in ["GONE", "ONE", "TWO", "THREE", "FOUR", "FIVE"] {
            desk.customer(code, code).await;
        }
        let sell = async |code: &str, at: &str, price: &str| {
            desk.sell(code, at, None, &[line(None, "1", price)]).await;
        };
        // Two were not lost when February began; one of them is when it ends.
        sell("GONE", "2025-08-20T10:00:00Z", "1000").await;
        sell("FIVE", "2025-08-20T10:00:00Z", "1000").await;
        // One was lost, and is won back.
        sell("ONE", "2024-02-01T10:00:00Z", "1").await;
        for (code, at, price) in [
            ("ONE", "2026-02-01T10:00:00Z", "500"), ("TWO", "2026-02-02T10:00:00Z", "10"), ("THREE", "2026-02-03T10:00:00Z", "30"),
            ("FOUR", "2026-02-04T10:00:00Z", "20"), ("FOUR", "2026-02-04T11:00:00Z", "20"), ("FIVE", "2026-02-05T10:00:00Z", "20"),
            ("FIVE", "2026-02-05T11:00:00Z", "100"), ("FIVE", "2026-02-05T12:00:00Z", "100"),
        ] {
            sell(code, at, price).await;
        }
        desk.give_back("ONE", "2026-02-06T10:00:00Z", vec![line(None, "1", "495")]).await;
        let report = desk.json(&february(ReportType::Customer)).await;
        let rows = report["rows"].as_array().unwrap().iter();
        let classes: Vec<String> = rows.map(|row| format!("{} {}", row["customer"].as_str().unwrap(), row["class"].as_str().unwrap_or("-"))).collect();
        assert_eq!(classes, [
            "GONE -", "ONE R1 F1 M1", "TWO R2 F1 M2", "THREE R3 F1 M3", "FOUR R4 F4 M4", "FIVE R5 F5 M5",
        ]);
        let of = |name: &str| &report["summary"][name];
        assert_eq!((of("churned"), of("churn_percent"), of("lost")), (&1.into(), &"50.00".into(), &1.into()), "{report}");
    }
);
