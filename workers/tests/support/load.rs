//! Work for processes to do: approved orders, a large product file; and what must be there in the end.

use fairlane::{Tenant, testing::TestDb};
use fairlane_workers::erp::services::orders;

use super::processes::Site;
use super::shop::{shop, tiles};

/// The place of one test with a short path: a socket's path may not have more than about a hundred bytes.
pub(crate) async fn short_site(t: TestDb) -> Site {
    let mut site = Site::new(t).await;
    site.folder = tempfile::Builder::new().prefix("fl").tempdir_in("/tmp").expect("a folder");
    site
}

/// The tenant `acme` with so many approved orders: two jobs each, on the queues `high` and `default`.
pub(crate) async fn approve_orders(site: &Site, count: usize) -> Tenant {
    let acme = shop(&site.t).await;
    approve_more(&acme, count).await;
    acme
}

/// More of them.
pub(crate) async fn approve_more(acme: &Tenant, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(50) {
        let mut tx = acme.begin().await.expect("begun");
        for _ in chunk {
            let order = orders::create(&mut tx, acme, "C-1", &tiles()).await.expect("an order");
            orders::approve(&mut tx, acme, order.id, None).await.expect("approved");
        }
        tx.commit().await.expect("committed");
    }
}

/// Nothing failed, and each order has one invoice, one event and one mail.
pub(crate) async fn assert_every_order_billed_once(site: &Site, orders: i64) {
    assert_eq!(site.count("select count(*) as n from fairlane_failed_jobs").await, 0, "failed");
    assert_eq!(site.count("select count(*) as n from invoices").await, orders, "invoices");
    let billed = "select count(distinct order_id) as n from invoices";
    assert_eq!(site.count(billed).await, orders, "orders with an invoice");
    let events = "select count(*) as n from fairlane_events where name = 'billing.invoice.generated'";
    assert_eq!(site.count(events).await, orders, "events");
    let done = "select count(*) as n from fairlane_job_history
        where state = 'completed' and kind like 'erp.generate_invoice%'";
    assert_eq!(site.count(done).await, orders, "orders billed");
}

/// Queues the import of a file of so many products: one job on the queue `low`, in chunks of 500 rows.
pub(crate) fn start_import(site: &Site, rows: usize) {
    let mut text = String::from("SKU,Name,Price\n");
    for row in 1..=rows {
        text.push_str(&format!("SKU-{row},Product {row},{}.{:02}\n", row % 500, row % 100));
    }
    std::fs::write(site.folder.path().join("products.csv"), text).expect("a file");
    let columns = ["--map", "sku=SKU", "--map", "name=Name", "--map", "price=Price"];
    site.run(&[&["import", "products.csv", "--as", "products", "-t", "acme"], &columns[..]].concat());
}

/// Each row was written once, with its event, and the log says so.
pub(crate) async fn assert_imported_once(site: &Site, rows: i64) {
    assert_eq!(site.count("select count(*) as n from products where version = 1").await, rows, "products");
    let events = "select count(*) as n from fairlane_events where name = 'catalog.product.created'";
    assert_eq!(site.count(events).await, rows, "events");
    let log = "select count(*) as n from import_logs where status = 'completed' and failed_rows = 0";
    assert_eq!(site.count(log).await, 1, "a completed import");
}
