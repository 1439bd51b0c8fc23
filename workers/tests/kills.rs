//! Workers are killed, stopped and restarted at random; an observer outside the engine counts what is left. Seed 1-22.
//!
//! By default a seeded subset; `just campaign` runs all of it: 5,000 orders under 100 kills, 100,000 rows under 50.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use fairlane::db::{Dialect, query};
use fairlane::{Tenant, backend_test, sql};
use fairlane_workers::erp;
use fairlane_workers::erp::services::{customers, orders};
use fairlane_workers::erp::store::customers::NewCustomer;
use rust_decimal::Decimal;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use support::processes::{Site, Worker, campaign, seeded};

/// Attempts that count. A claim the process did not hear of before it had to stop comes back as a lost lease, with its
/// attempt: on a machine that is too busy that happens, and burns nothing.
const FAILED_ATTEMPTS: &str = "select count(*) as n from fairlane_attempts where outcome <> 'lease_lost'";
const LIVE: &str = "select count(*) as n from fairlane_jobs";
const WORK: [&str; 4] = ["--queue", "high,default,low", "--concurrency", "8"];

fn lines() -> Vec<fairlane::store::migrate::MigrationLine> {
    vec![erp::migrations()]
}

/// Enters and approves orders of one customer, a hundred a transaction.
async fn approve_orders(tenant: &Tenant, count: usize) {
    tenant.fairlane().clone().with(&erp::registry()).announce().await.expect("announced");
    let mut tx = tenant.begin().await.expect("begun");
    let new = NewCustomer {
        code: "C-1".into(),
        name: "Customer One".into(),
        email: Some("one@customer.example".into()),
        phone: None,
        terms_days: 30,
    };
    customers::create(&mut tx, tenant, new).await.expect("a customer");
    tx.commit().await.expect("committed");
    let line = orders::NewLine {
        sku: None,
        description: "Widget".into(),
        quantity: Decimal::from(3),
        unit_price: Decimal::new(1999, 2),
        discount: Decimal::ZERO,
        tax_rate: Decimal::from(19),
    };
    for chunk in (0..count).collect::<Vec<_>>().chunks(100) {
        let mut tx = tenant.begin().await.expect("begun");
        for _ in chunk {
            let order =
                orders::create(&mut tx, tenant, "C-1", std::slice::from_ref(&line)).await.expect("an order");
            orders::approve(&mut tx, tenant, order.id, None).await.expect("approved");
        }
        tx.commit().await.expect("committed");
    }
}

/// Every order has exactly one invoice, numbers have no gap, every event and every mail is there once.
async fn assert_every_invoice_once(site: &Site, orders: i64) {
    assert_eq!(site.count("select count(*) as n from fairlane_failed_jobs").await, 0, "failed");
    assert_eq!(site.count("select count(*) as n from invoices").await, orders, "invoices");
    assert_eq!(
        site.count("select count(distinct order_id) as n from invoices").await,
        orders,
        "orders with one"
    );
    let events = "select count(*) as n from fairlane_events where name = 'billing.invoice.generated'";
    assert_eq!(site.count(events).await, orders, "events");
    let done = "select count(*) as n from fairlane_job_history where state = 'completed'
        and (kind like 'erp.generate_invoice%' or kind like 'erp.send_invoice%' or kind = 'erp.send_mail')";
    assert_eq!(site.count(done).await, 3 * orders, "jobs done");
    let mut tx = site.observer.read().await.expect("the observer reads");
    let rows = query(sql!("select number from invoices order by number"))
        .fetch_all(&mut tx.conn())
        .await
        .expect("numbers");
    let numbers: BTreeSet<i64> = rows
        .iter()
        .map(|row| row.get::<String>("number").expect("a number"))
        .map(|number| number.rsplit('-').next().and_then(|digits| digits.parse().ok()).expect("digits"))
        .collect();
    assert_eq!(numbers, (1..=orders).collect(), "gap-free numbers");
    let outbox = site.folder.path().join(".fairlane/outbox");
    let mails = walk(&outbox).into_iter().filter(|name| name.ends_with(".eml")).count();
    assert_eq!(i64::try_from(mails).expect("a count"), orders, "mails");
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| {
            if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path().display().to_string()] }
        })
        .collect()
}

fn stop_all(workers: Vec<Worker>) {
    for worker in workers {
        let (status, _) = worker.terminate();
        assert!(status.success(), "{status}");
    }
}

backend_test!(
    migrations: lines;
    async fn jobs_with_effects_survive_kills_exactly_once(t: TestDb) {
        let (orders, kills) = campaign((300, 8), (5000, 100));
        let site = Site::new(t).await;
        approve_orders(&site.t.fairlane.tenant("acme"), orders).await;
        let mut rng = seeded("jobs_with_effects_survive_kills_exactly_once");
        let mut workers: Vec<Worker> = (0..3).map(|_| site.worker(&WORK)).collect();
        for _ in 0..kills {
            // The random moment is the fault, not a hope.
            tokio::time::sleep(Duration::from_millis(rng.u64(50..400))).await;
            let victim = rng.usize(..workers.len());
            workers.swap_remove(victim).kill();
            workers.push(site.worker(&WORK));
        }
        site.until("all jobs to be done", LIVE, |n| n == 0).await;
        stop_all(workers);
        assert_every_invoice_once(&site, i64::try_from(orders).expect("a count")).await;
    }
);

backend_test!(
    migrations: lines;
    async fn rolling_restarts_burn_no_attempt_and_end_within_the_drain_time(t: TestDb) {
        let (orders, restarts) = campaign((300, 4), (3000, 10));
        let site = Site::new(t).await;
        approve_orders(&site.t.fairlane.tenant("acme"), orders).await;
        let mut workers: Vec<Worker> = (0..2).map(|_| site.worker(&WORK)).collect();
        for restart in 0..restarts {
            let enough = (i64::try_from(orders).expect("a count") / (restarts + 1)) * (restart + 1) / 2;
            let done = "select count(*) as n from fairlane_job_history";
            site.until("some work to be done", done, |n| n >= enough).await;
            workers.push(site.worker(&WORK));
            let (status, took) = workers.remove(0).terminate();
            assert!(status.success(), "{status}");
            assert!(took < Duration::from_secs(11), "drain time is 10 s, it took {took:?}");
        }
        site.until("all jobs to be done", LIVE, |n| n == 0).await;
        stop_all(workers);
        assert_every_invoice_once(&site, i64::try_from(orders).expect("a count")).await;
        let burned = "select count(*) as n from fairlane_job_history where attempt <> 1";
        assert_eq!(site.count(burned).await, 0, "attempts burned");
        assert_eq!(site.count(FAILED_ATTEMPTS).await, 0, "errors recorded");
    }
);

/// A product file without defects, so that undisturbed and disturbed runs are easy to compare.
fn product_file(site: &Site, rows: usize) -> String {
    let mut text = String::from("SKU,Name,Price\n");
    for row in 1..=rows {
        text.push_str(&format!("SKU-{row},Product {row},{}.{:02}\n", row % 500, row % 100));
    }
    let path = site.folder.path().join("products.csv");
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn start_import(site: &Site, file: &str) {
    let args = ["import", file, "--as", "products", "-t", "acme", "--map", "sku=SKU", "--map", "name=Name"];
    site.run(&[&args[..], &["--map", "price=Price"]].concat());
}

/// Rows, events and log of an undisturbed import.
async fn assert_imported_once(site: &Site, rows: i64) {
    assert_eq!(site.count("select count(*) as n from fairlane_failed_jobs").await, 0, "failed");
    assert_eq!(site.count("select count(*) as n from products").await, rows, "products");
    assert_eq!(
        site.count("select count(distinct sku) as n from products where version = 1").await,
        rows,
        "written once"
    );
    let events = "select count(distinct aggregate_id) as n from fairlane_events where name = 'catalog.product.created'";
    assert_eq!(site.count(events).await, rows, "products with an event");
    assert_eq!(site.count("select count(*) as n from fairlane_events").await, rows, "events");
    assert_eq!(site.count("select imported_rows as n from import_logs").await, rows, "the log's count");
    // A chunk that was imported twice would count its rows as unchanged the second time.
    assert_eq!(
        site.count("select created_rows as n from import_logs").await,
        rows,
        "each row counted as created"
    );
    assert_eq!(site.count("select total_rows as n from import_logs").await, rows, "the log's total");
    assert_eq!(site.count("select failed_rows as n from import_logs").await, 0, "the log's failures");
    let completed = "select count(*) as n from import_logs where status = 'completed'";
    assert_eq!(site.count(completed).await, 1, "completed");
}

backend_test!(
    migrations: lines;
    async fn an_import_survives_kills_with_the_rows_and_events_of_an_undisturbed_run(t: TestDb) {
        let (rows, kills) = campaign((15_000, 5), (100_000, 50));
        let site = Site::new(t).await;
        start_import(&site, &product_file(&site, rows));
        let mut rng = seeded("an_import_survives_kills_with_the_rows_and_events_of_an_undisturbed_run");
        let mut worker = site.worker(&WORK);
        let mut killed = 0;
        for kill in 1..=kills {
            // Each kill falls somewhere after some more chunks, wherever the worker then is.
            let goal = i64::try_from(rows * kill / (kills + 1)).expect("a count");
            let progress = "select coalesce(max(progress_done), 0) as n from fairlane_jobs";
            let before = site.count(LIVE).await;
            if before == 0 {
                break;
            }
            site.until("progress", "select case when exists (select 1 from fairlane_jobs)
                then coalesce((select max(progress_done) from fairlane_jobs), 0) else 1000000000 end as n", |n| n >= goal).await;
            tokio::time::sleep(Duration::from_millis(rng.u64(0..60))).await;
            let _ = progress;
            worker.kill();
            killed += 1;
            worker = site.worker(&WORK);
        }
        site.until("the import to be done", LIVE, |n| n == 0).await;
        stop_all(vec![worker]);
        assert!(killed >= kills / 2, "the import was too quick for its killers: {killed} kills");
        assert_imported_once(&site, i64::try_from(rows).expect("a count")).await;
    }
);

backend_test!(
    migrations: lines;
    async fn a_stopped_and_continued_worker_cannot_write_any_more(t: TestDb) {
        let rows = 30_000;
        let site = Site::new(t).await;
        start_import(&site, &product_file(&site, rows));
        let zombie = site.worker(&WORK);
        let progress = "select coalesce(max(progress_done), 0) as n from fairlane_jobs";
        site.until("progress", progress, |n| n > 0).await;
        stop_outside_a_transaction(&site, &zombie).await;
        let healthy = site.worker(&WORK);
        site.until("the import to be done", LIVE, |n| n == 0).await;
        zombie.signal("CONT");
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !zombie.log().contains("the lease was lost") {
            assert!(std::time::Instant::now() < deadline, "the zombie was not told:\n{}", zombie.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = zombie.log_path().to_owned();
        stop_all(vec![zombie, healthy]);
        let log = std::fs::read_to_string(log).expect("the zombie's log");
        assert!(log.contains("stale_writes=1") || log.contains("\"stale_writes\":1"), "counted:\n{log}");
        assert_imported_once(&site, i64::try_from(rows).expect("a count")).await;
    }
);

/// Stops the process between two transactions. On SQLite one that is stopped with the write lock stops everybody; on
/// PostgreSQL its locks are freed only when the server gives up on the idle transaction, after a minute.
async fn stop_outside_a_transaction(site: &Site, worker: &Worker) {
    for _ in 0..500 {
        worker.signal("STOP");
        worker.until_stopped().await;
        let free = match site.t.db.dialect() {
            Dialect::Sqlite => write_lock_is_free(site).await,
            Dialect::Postgres => site.count(OPEN_TRANSACTIONS).await == 0,
        };
        if free {
            return;
        }
        worker.signal("CONT");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    panic!("the worker always held the write lock");
}

const OPEN_TRANSACTIONS: &str = "select count(*) as n from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null";

/// Asks as another process would, and does not wait.
async fn write_lock_is_free(site: &Site) -> bool {
    let url = site.t.observer_url();
    let options: SqliteConnectOptions = url.parse().expect("an SQLite URL");
    let mut conn = options.busy_timeout(Duration::ZERO).connect().await.expect("a connection");
    let free = conn.begin_with("begin immediate").await.is_ok();
    conn.close().await.expect("closed");
    free
}
