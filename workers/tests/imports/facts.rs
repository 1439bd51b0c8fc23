//! Real files are imported as independent tools have counted them. Seed 1-06, 1-08.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fairlane::backend_test;
use fairlane::db::query;
use fairlane_workers::erp::jobs::process_bulk_import::customers::Customers;
use fairlane_workers::erp::jobs::process_bulk_import::failed_rows::FailedRows;
use fairlane_workers::erp::jobs::process_bulk_import::import_type::ImportType;
use fairlane_workers::erp::jobs::process_bulk_import::inventory::Inventory;
use fairlane_workers::erp::jobs::process_bulk_import::log::ImportLog;
use fairlane_workers::erp::jobs::process_bulk_import::options::{ImportOptions, Mode};
use fairlane_workers::erp::jobs::process_bulk_import::row_errors::StoredRefusal;
use fairlane_workers::erp::jobs::process_bulk_import::submit::Submission;
use fairlane_workers::erp::jobs::process_bulk_import::vendors::Vendors;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::shop::{Shop, lines, plain};

#[derive(Deserialize)]
struct Facts {
    files: Vec<FileFacts>,
}

#[derive(Deserialize)]
struct FileFacts {
    file: String,
    #[serde(rename = "type")]
    import_type: String,
    #[serde(default)]
    mapping: BTreeMap<String, String>,
    map: Option<String>,
    records: u64,
    #[serde(default)]
    blank: u64,
    #[serde(default)]
    first_of_key: u64,
    #[serde(default)]
    repeat_of_key: u64,
    #[serde(default)]
    failed: u64,
    #[serde(default)]
    reasons: BTreeMap<String, u64>,
    #[serde(default)]
    failed_records: Vec<u64>,
    no_sku: Option<u64>,
    sum_quantity: Option<String>,
    distinct_handles: Option<u64>,
    sum_of_prices: Option<String>,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")
}

/// The files of a type; `None` where the collected data is not at hand, which is said.
fn files_of(test: &str, import_type: &str) -> Option<Vec<FileFacts>> {
    let path = data().join("expected/import-facts.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED {test}: {} is not there", path.display());
        return None;
    };
    let facts: Facts = serde_json::from_str(&text).unwrap();
    let files: Vec<_> = facts.files.into_iter().filter(|file| file.import_type == import_type).collect();
    assert!(!files.is_empty(), "the facts name no file of {import_type}");
    Some(files)
}

fn product_files(test: &str) -> Option<Vec<FileFacts>> {
    let products = files_of(test, "products");
    assert!(products.as_ref().is_none_or(|products| products.len() >= 4));
    products
}

async fn import(shop: &Shop<'_>, facts: &FileFacts, mode: Mode) -> (ImportLog, Vec<StoredRefusal>) {
    let path = data().join(&facts.file);
    let submission = Submission {
        mode,
        mapping: facts.mapping.clone(),
        preset: facts.map.clone(),
        again: true,
        ..plain(&path)
    };
    let log = shop.import(&submission).await;
    let refusals = shop.refusals(log.id).await;
    (log, refusals)
}

fn check_refusals(facts: &FileFacts, refusals: &[StoredRefusal]) {
    let mut reasons = BTreeMap::new();
    for refusal in refusals {
        *reasons.entry(refusal.code.clone()).or_insert(0) += 1;
    }
    assert_eq!(reasons, facts.reasons, "{}", facts.file);
    let records: Vec<u64> = refusals.iter().map(|refusal| refusal.record).collect();
    assert_eq!(records, facts.failed_records, "{}", facts.file);
}

backend_test!(migrations: lines;
    async fn every_product_file_is_imported_as_counted(t: TestDb) {
        let Some(files) = product_files("every_product_file_is_imported_as_counted") else { return };
        for facts in files {
            let shop = Shop::new(&t);
            shop.clear().await;
            let (log, refusals) = import(&shop, &facts, Mode::Upsert).await;
            let counts = log.counts;
            assert!(counts.add_up(), "{}: {counts:?}", facts.file);
            assert_eq!((counts.total, counts.blank), (facts.records, facts.blank), "{}", facts.file);
            assert_eq!((counts.created, counts.failed), (facts.first_of_key, facts.failed), "{}", facts.file);
            assert_eq!(counts.updated + counts.unchanged, facts.repeat_of_key, "{}", facts.file);
            check_refusals(&facts, &refusals);
            let stored = shop.count("select count(*) as n from products").await;
            assert_eq!(stored, i64::try_from(facts.first_of_key).unwrap(), "{}", facts.file);
            assert_eq!(shop.events().await.len() as u64, counts.created + counts.updated, "{}", facts.file);
        }
    }
);

backend_test!(migrations: lines;
    async fn files_without_sku_keep_handles_titles_and_prices(t: TestDb) {
        let Some(files) = product_files("files_without_sku_keep_handles_titles_and_prices") else { return };
        for facts in files.into_iter().filter(|file| file.map.as_deref() == Some("shopify")) {
            let shop = Shop::new(&t).chunks_of(2);
            shop.clear().await;
            let (log, _) = import(&shop, &facts, Mode::Upsert).await;
            assert_eq!(log.result.as_deref(), Some("completed"), "{}", facts.file);
            let no_sku = shop.count("select count(*) as n from products where sku is null").await;
            assert_eq!(u64::try_from(no_sku).ok(), facts.no_sku, "{}", facts.file);
            let handles = shop.count("select count(distinct external_handle) as n from products").await;
            assert_eq!(u64::try_from(handles).ok(), facts.distinct_handles, "{}", facts.file);
            let observer = t.observer().await.unwrap();
            let mut tx = observer.read().await.unwrap();
            let rows = query(fairlane::sql!("select name, price from products")).fetch_all(&mut tx.conn()).await.unwrap();
            assert!(rows.iter().all(|row| !row.get::<String>("name").unwrap().is_empty()));
            let sum: Decimal = rows.iter().map(|row| row.get::<Decimal>("price").unwrap()).sum();
            assert_eq!(Some(sum.normalize().to_string()), facts.sum_of_prices, "{}", facts.file);
        }
    }
);

backend_test!(migrations: lines;
    async fn the_same_file_again_changes_nothing_and_in_create_mode_is_refused_row_by_row(t: TestDb) {
        let Some(files) = product_files("the_same_file_again") else { return };
        for facts in files {
            let shop = Shop::new(&t);
            shop.clear().await;
            import(&shop, &facts, Mode::Upsert).await;
            let (before, events) = (shop.products().await, shop.events().await);
            let (again, _) = import(&shop, &facts, Mode::Upsert).await;
            assert_eq!(again.counts.unchanged, facts.records - facts.failed, "{}", facts.file);
            let (create, refusals) = import(&shop, &facts, Mode::Create).await;
            assert_eq!(create.counts.failed, facts.records, "{}", facts.file);
            let repeated = refusals.iter().filter(|refusal| refusal.code == "duplicate_key").count() as u64;
            assert_eq!(repeated, facts.records - facts.failed, "{}", facts.file);
            assert_eq!((shop.products().await, shop.events().await), (before, events), "{}", facts.file);
        }
    }
);

/// Imports a file of facts as another type.
async fn import_as<T: ImportType>(shop: &Shop<'_>, facts: &FileFacts, mode: Mode) -> ImportLog {
    let path = data().join(&facts.file);
    let mapping = facts.mapping.clone();
    shop.import_as::<T>(&Submission { mode, mapping, again: true, ..plain(&path) }).await
}

async fn check_parties<T: ImportType>(shop: &Shop<'_>, table: &'static str) {
    let Some(files) = files_of("every_file_of_customers_and_vendors", T::NAME) else { return };
    for facts in files {
        let log = import_as::<T>(shop, &facts, Mode::Upsert).await;
        let counts = log.counts;
        assert_eq!(
            (counts.total, counts.created, counts.failed),
            (facts.records, facts.first_of_key, facts.failed)
        );
        check_refusals(&facts, &shop.refusals(log.id).await);
        assert_eq!(shop.count(table).await, i64::try_from(facts.first_of_key).unwrap(), "{}", facts.file);
        let again = import_as::<T>(shop, &facts, Mode::Upsert).await;
        assert_eq!(again.counts.unchanged, facts.first_of_key, "{}", facts.file);
    }
}

backend_test!(migrations: lines;
    async fn every_file_of_customers_and_vendors_is_imported_as_counted_with_the_reasons_of_what_is_refused(t: TestDb) {
        let shop = Shop::new(&t);
        check_parties::<Customers>(&shop, "select count(*) as n from customers").await;
        check_parties::<Vendors>(&shop, "select count(*) as n from vendors").await;
    }
);

backend_test!(migrations: lines;
    async fn the_real_inventory_of_a_warehouse_becomes_its_stock(t: TestDb) {
        let Some(files) = files_of("the_real_inventory_of_a_warehouse_becomes_its_stock", "inventory") else { return };
        let products = files_of("the_real_inventory_of_a_warehouse_becomes_its_stock", "products").unwrap_or_default();
        let shop = Shop::new(&t);
        shop.location("CENTRAL").await;
        let file = products.iter().find(|file| file.file == "openboxes/products.csv").unwrap();
        import(&shop, file, Mode::Upsert).await;
        for facts in files {
            let log = import_as::<Inventory>(&shop, &facts, Mode::Count).await;
            // What is counted as nothing where nothing was changes nothing.
            let counts = log.counts;
            let stocked = (counts.total, counts.created + counts.unchanged, counts.failed);
            assert_eq!(stocked, (facts.records, facts.records, 0), "{}", facts.file);
            let observer = t.observer().await.unwrap();
            let mut tx = observer.read().await.unwrap();
            let rows = query(fairlane::sql!("select on_hand from stock_levels")).fetch_all(&mut tx.conn()).await.unwrap();
            drop(tx);
            let sum: Decimal = rows.iter().map(|row| row.get::<Decimal>("on_hand").unwrap()).sum();
            assert_eq!(Some(sum.normalize().to_string()), facts.sum_quantity, "{}", facts.file);
            assert_eq!(shop.count(crate::types::WRONG_LEVELS).await, 0);
            // The same with the map of the system the file comes from, found by its header.
            let path = data().join(&facts.file);
            let again =
                shop.import_as::<Inventory>(&Submission { mode: Mode::Count, again: true, ..plain(&path) }).await;
            assert_eq!(again.counts.unchanged, facts.records, "{}", facts.file);
        }
    }
);

backend_test!(migrations: lines;
    async fn workbooks_have_the_rows_of_their_sheets_and_their_refused_rows_come_back_as_a_file(t: TestDb) {
        if !data().is_dir() {
            eprintln!("SKIPPED: ../shared/data is not there");
            return;
        }
        let shop = Shop::new(&t).chunks_of(2);
        let mapping = |pairs: [(&str, &str); 2]| {
            pairs.into_iter().map(|(field, column)| (field.to_owned(), column.to_owned())).collect()
        };
        // One table, as CSV and in two formats of workbooks: days in the system of 1904, numbers without decimals.
        for (file, created) in [("csv/messy/simple.csv", 3), ("xlsx/simple.xls", 0), ("xlsx/simple.xlsx", 0)] {
            let path = data().join(file);
            let submission = Submission {
                mapping: mapping([("sku", "date"), ("name", "place")]),
                again: true,
                ..plain(&path)
            };
            let log = shop.import(&submission).await;
            assert_eq!((log.counts.total, log.counts.created, log.counts.failed), (6, created, 0), "{file}");
        }
        let skus = fairlane::sql!("select sku as t from products order by sku");
        assert_eq!(shop.texts(skus).await, ["2011-01-01", "2011-01-02", "2011-01-03"]);
        let path = data().join("xlsx/sheets.xlsx");
        let options = ImportOptions { sheet: Some("data".into()), ..ImportOptions::default() };
        let submission =
            Submission { mapping: mapping([("sku", "integer"), ("name", "text")]), options, ..plain(&path) };
        let log = shop.import(&submission).await;
        assert_eq!(log.format.sheet.as_ref().map(|of| of.sheet.as_str()), Some("data"));
        let mut csv = Vec::new();
        let failed = FailedRows::open(&shop.acme, &shop.settings, &log).unwrap().write(&mut csv).await.unwrap();
        assert_eq!(failed, log.counts.failed + log.counts.skipped);
        let path = shop.file("failed.csv", &String::from_utf8(csv).unwrap());
        let again = shop.import(&Submission { options: ImportOptions::default(), path: &path, ..submission }).await;
        assert_eq!((again.counts.total, again.counts.failed), (failed, failed), "as downloaded it is refused again");
    }
);
