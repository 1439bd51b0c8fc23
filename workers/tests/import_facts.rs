//! Real product files are imported as independent tools have counted them.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod import_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fairlane::backend_test;
use fairlane::db::query;
use fairlane_workers::erp::jobs::process_bulk_import::log::ImportLog;
use fairlane_workers::erp::jobs::process_bulk_import::options::Mode;
use fairlane_workers::erp::jobs::process_bulk_import::row_errors::StoredRefusal;
use fairlane_workers::erp::jobs::process_bulk_import::submit::Submission;
use import_support::{Shop, lines, plain};
use rust_decimal::Decimal;
use serde::Deserialize;

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
    distinct_handles: Option<u64>,
    sum_of_prices: Option<String>,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")
}

/// The files of products; `None` where the collected data is not at hand, which is said.
fn product_files(test: &str) -> Option<Vec<FileFacts>> {
    let path = data().join("expected/import-facts.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED {test}: {} is not there", path.display());
        return None;
    };
    let facts: Facts = serde_json::from_str(&text).unwrap();
    let products: Vec<_> = facts.files.into_iter().filter(|file| file.import_type == "products").collect();
    assert!(products.len() >= 4, "the facts name {} product files", products.len());
    Some(products)
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
            let mut tx = t.db.read().await.unwrap();
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
