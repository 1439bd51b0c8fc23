//! A real warehouse: what is low and what expires there is what independent tools have computed.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use fairlane::backend_test;
use fairlane::db::query;
use fairlane_workers::erp::jobs::scan_expiring_stock::ScanExpiringStock;
use fairlane_workers::erp::services::products::{self, ProductChange};
use fairlane_workers::erp::services::stock::{self, MovementKind, NamedLot, NewMovement, Source};
use fairlane_workers::erp::store::alerts;
use fairlane_workers::erp::store::stock::terms::{self, Terms};
use serde_json::Value;

use super::support::shop::lines;
use super::warehouse::{Warehouse, assert_ledger_is_right, dec, warehouse};
use super::work::{to_noon, work};

/// The collected data, where it is.
fn data(test: &str) -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if data.join("openboxes/mainWarehouseInventory.csv").exists() {
        return Some(data);
    }
    eprintln!("SKIPPED {test}: {} is not there", data.display());
    None
}

type Record = HashMap<String, String>;

fn records(file: &Path) -> Vec<Record> {
    csv::Reader::from_path(file).unwrap().deserialize().map(|record| record.unwrap()).collect()
}

fn day(text: &str) -> Option<chrono::NaiveDate> {
    chrono::NaiveDate::parse_from_str(text, "%m/%d/%Y").ok()
}

/// The warehouse as it was counted: products with their minimum, lots with their last day.
async fn load(here: &Warehouse, data: &Path) {
    let counted = records(&data.join("openboxes/mainWarehouseInventory.csv"));
    let minimum: HashMap<String, String> = records(&data.join("openboxes/inventoryLevels.csv"))
        .into_iter()
        .map(|mut level| (level.remove("Product code").unwrap(), level.remove("Min quantity").unwrap()))
        .collect();
    let mut tx = here.tenant.begin().await.unwrap();
    let (mut counts, mut lots) = (Vec::new(), Vec::new());
    for (line, row) in (1..).zip(&counted) {
        let code = &row["Product code"];
        let change = ProductChange {
            name: Some(row["Product name"].clone()),
            reorder_level: Some(minimum.get(code).map(|minimum| dec(minimum))),
            track_batches: Some(!row["Lot number"].is_empty()),
            ..ProductChange::default()
        };
        let product = products::create(&mut tx, &here.tenant, code, &change, None).await.unwrap().id;
        let source = Source::new("test", "openboxes").line(line);
        let quantity = dec(&row["Physical QOH"]);
        counts.push(NewMovement::new(MovementKind::Count, product, here.main, quantity, source));
        if !row["Lot number"].is_empty() {
            let expires_on = day(&row["Expiration date"]);
            lots.push(NamedLot { product_id: product, lot: row["Lot number"].clone(), expires_on });
        }
    }
    let batches = stock::batches(&mut tx, &here.tenant, &lots).await.unwrap();
    for count in &mut counts {
        count.batch_id =
            batches.iter().find(|batch| batch.product_id == count.product_id).map(|batch| batch.id);
    }
    stock::record_all(&mut tx, &here.tenant, &counts).await.unwrap();
    tx.commit().await.unwrap();
}

/// The open alerts of a kind: product, lot, stage.
async fn open(here: &Warehouse, kind: &str) -> BTreeSet<(String, String, i64)> {
    let mut tx = here.tenant.begin().await.unwrap();
    let open = alerts::list(&mut tx.conn(), here.id, false, 1000).await.unwrap();
    open.into_iter()
        .filter(|alert| alert.kind == kind)
        .map(|alert| (alert.sku, alert.lot.unwrap_or_default(), alert.stage))
        .collect()
}

fn named(list: &Value) -> BTreeSet<(String, String, i64)> {
    list.as_array().unwrap().iter().map(|sku| (sku.as_str().unwrap().into(), String::new(), 0)).collect()
}

/// The lots of a day, with the stage that so many days are in.
fn expiring(facts: &Value) -> BTreeSet<(String, String, i64)> {
    let mut lots = BTreeSet::new();
    for (group, stage) in [("expired", 0), ("within_7", 7), ("within_30", 30), ("within_90", 90)] {
        for lot in facts[group].as_array().unwrap() {
            assert_ne!(lot[2], 0, "the last day itself counts as stage 0 here");
            lots.insert((lot[0].as_str().unwrap().into(), lot[1].as_str().unwrap().into(), stage));
        }
    }
    lots
}

backend_test!(migrations: lines;
    async fn low_and_expiring_stock_of_a_real_warehouse_is_what_the_facts_say(t: TestDb) {
        let Some(data) = data("low_and_expiring_stock_of_a_real_warehouse_is_what_the_facts_say") else { return };
        let facts = std::fs::read_to_string(data.join("expected/report-facts.json")).unwrap();
        let facts: Value = serde_json::from_str(&facts).unwrap();
        let facts = &facts["inventory"]["mainWarehouseInventory.csv"];
        let days = facts["expiry"].as_object().unwrap();
        let here = warehouse(&t).await;
        for (place, (day, lots)) in days.iter().enumerate() {
            to_noon(&t, day).await;
            if place == 0 {
                load(&here, &data).await;
            }
            here.tenant.dispatch(ScanExpiringStock {}).await.unwrap();
            work(&t).await;
            assert_eq!(open(&here, "expiry").await, expiring(lots), "{day}");
        }
        assert_eq!(open(&here, "low").await, named(&facts["below_min"]));
        let total = query(fairlane::sql!("select on_hand from stock_levels"));
        let mut tx = here.tenant.begin().await.unwrap();
        let levels = total.fetch_all(&mut tx.conn()).await.unwrap();
        let total: rust_decimal::Decimal =
            levels.iter().map(|level| level.get::<rust_decimal::Decimal>("on_hand").unwrap()).sum();
        assert_eq!(total, dec(facts["total_quantity"].as_str().unwrap()));
        // The same where stock is low at its minimum already.
        terms::save(&mut tx.conn(), here.id, Terms { low_at_minimum: true, ..Terms::default() }).await.unwrap();
        let products = query(fairlane::sql!("select id from products")).fetch_all(&mut tx.conn()).await.unwrap();
        let places = products.iter().map(|product| (product.get("id").unwrap(), here.main)).collect();
        stock::check_levels(&mut tx, &here.tenant, &places).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(open(&here, "low").await, named(&facts["at_or_below_min"]));
        assert_ledger_is_right(&t).await;
    }
);
