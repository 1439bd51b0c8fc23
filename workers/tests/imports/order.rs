//! A tenant's imports of a type run one at a time, in the order in which they were handed in.

use std::time::Duration;

use fairlane::backend_test;
use fairlane::worker::StopReason;
use fairlane_workers::erp::jobs::process_bulk_import::submit::Submission;

use crate::shop::{Shop, lines, plain};
use crate::support::processes::Site;

/// Imports that began before the one before them had ended.
const OUT_OF_ORDER: &str = "select count(*) as n from import_logs a join import_logs b on b.id = a.id + 1
    where b.started_at < a.completed_at or a.completed_at is null or b.completed_at is null";
const COMPLETED: &str = "select count(*) as n from import_logs where status = 'completed'";

backend_test!(
    migrations: lines;
    async fn imports_handed_in_together_run_in_their_order_over_two_workers_that_stop_when_all_are_done(t: TestDb) {
        let shop = Shop::new(&t);
        for price in 1..=8 {
            let path = shop.file("prices.csv", &format!("sku,name,price\nA,Bolt,{price}\n"));
            shop.submit(&Submission { again: true, ..plain(&path) }).await.expect("the file is taken");
        }
        // Both work until nothing is left, also when the other one has the key.
        let (first, second) = tokio::join!(run_dry(&shop), run_dry(&shop));
        assert_eq!((first, second), (StopReason::Empty, StopReason::Empty));
        assert_eq!(shop.count(COMPLETED).await, 8, "none was left behind");
        assert_eq!(shop.count(OUT_OF_ORDER).await, 0);
        assert_eq!(shop.products().await, ["A|Bolt|8|8"], "the last price has won, and each was written");
    }
);

async fn run_dry(shop: &Shop<'_>) -> StopReason {
    shop.worker_that_stops_when_empty().run_until(std::future::pending()).await.expect("the worker runs")
}

fn write_products(site: &Site, name: &str, rows: usize, price: usize) {
    let mut text = String::from("SKU,Name,Price\n");
    for row in 1..=rows {
        text.push_str(&format!("SKU-{row},Product {row},{price}\n"));
    }
    std::fs::write(site.folder.path().join(name), text).expect("a file");
}

fn start_import(site: &Site, name: &str) {
    let columns = ["--map", "sku=SKU", "--map", "name=Name", "--map", "price=Price"];
    site.run(&[&["import", name, "--as", "products", "-t", "acme"], &columns[..]].concat());
}

backend_test!(
    migrations: lines;
    async fn an_import_that_its_worker_did_not_finish_keeps_its_place_before_later_ones(t: TestDb) {
        let site = Site::new(t).await;
        write_products(&site, "first.csv", 20_000, 1);
        write_products(&site, "second.csv", 10, 2);
        write_products(&site, "third.csv", 10, 3);
        start_import(&site, "first.csv");
        let worker = site.worker(&["--queue", "low"]);
        let progress = "select coalesce(max(progress_done), 0) as n from fairlane_jobs";
        site.until("progress of the first", progress, |n| n > 0).await;
        start_import(&site, "second.csv");
        start_import(&site, "third.csv");
        let (status, _) = worker.terminate();
        assert!(status.success(), "{status}");
        assert_eq!(site.count(COMPLETED).await, 0, "it was stopped in the middle");
        let (status, _) = site.worker(&["--queue", "low", "--stop-when-empty"]).wait(Duration::from_secs(60));
        assert!(status.success(), "{status}");
        assert_eq!(site.count(COMPLETED).await, 3, "none was left behind");
        assert_eq!(site.count(OUT_OF_ORDER).await, 0);
        let latest = "select count(*) as n from products where sku = 'SKU-1' and version = 3";
        assert_eq!(site.count(latest).await, 1, "each wrote it");
    }
);
