//! Workers are killed while they import an inventory, and while they undo an import.

use std::fmt::Write as _;
use std::time::Duration;

use fairlane::backend_test;
use fairlane::testing::TestDb;

use crate::shop::lines;
use crate::support::processes::{Site, campaign, seeded};

const LIVE: &str = "select count(*) as n from fairlane_jobs where queue = 'low'";
const MOVEMENTS: &str = "select count(*) as n from stock_movements";
const WRONG_LEVELS: &str = "select count(*) as n from stock_levels s
    where cast(s.on_hand as numeric) <> (select coalesce(sum(cast(m.quantity as numeric)), 0) from stock_movements m
        where m.product_id = s.product_id and m.location_id = s.location_id
            and coalesce(m.batch_id, 0) = coalesce(s.batch_id, 0))";

fn write(site: &Site, name: &str, header: &str, row: impl Fn(usize) -> String, rows: usize) {
    let mut text = format!("{header}\n");
    for at in 1..=rows {
        writeln!(text, "{}", row(at)).unwrap();
    }
    std::fs::write(site.folder.path().join(name), text).unwrap();
}

fn import(site: &Site, name: &str, import_type: &str, mode: &str) -> String {
    let id = site.run(&["import", name, "--as", import_type, "--mode", mode, "-t", "acme", "-o", "id"]);
    id.trim().to_owned()
}

/// Works on the queue of imports to its end; kills as many workers, each once `statement` has gone on.
async fn work_under_kills(site: &Site, kills: usize, statement: &'static str, done: impl Fn(i64) -> bool) {
    let mut rng = seeded("work_under_kills");
    for _ in 0..kills {
        let before = site.count(statement).await;
        let worker = site.worker(&["--queue", "low"]);
        site.until("progress", statement, |n| n != before || done(n)).await;
        // The random moment is the fault, not a hope.
        tokio::time::sleep(Duration::from_millis(rng.u64(0..100))).await;
        worker.kill();
    }
    let worker = site.worker(&["--queue", "low"]);
    site.until("the end", LIVE, |n| n == 0).await;
    assert!(worker.terminate().0.success());
}

async fn stocked(t: TestDb, rows: usize) -> Site {
    let site = Site::new(t).await;
    site.t
        .execute(
            "insert into locations (tenant_id, code, name) select id, 'MAIN', 'Main' from fairlane_tenants",
        )
        .await;
    write(&site, "products.csv", "sku,name", |at| format!("SKU-{at},Product {at}"), rows);
    import(&site, "products.csv", "products", "upsert");
    site.run(&["work", "--queue", "low", "--stop-when-empty"]);
    site
}

backend_test!(
    migrations: lines;
    async fn an_inventory_moves_each_row_once_however_often_its_worker_is_killed(t: TestDb) {
        let (rows, kills) = campaign((3000, 2), (20_000, 20));
        let site = stocked(t, 100).await;
        let row = |at: usize| format!("SKU-{},{},1.50", at % 100 + 1, at % 7 + 1);
        write(&site, "stock.csv", "sku,quantity,unit_cost", row, rows);
        let all = i64::try_from(rows).unwrap();
        let id = import(&site, "stock.csv", "inventory", "delta");
        work_under_kills(&site, kills, MOVEMENTS, |n| n == all).await;
        assert_eq!(site.count(MOVEMENTS).await, all, "each row once");
        assert_eq!(site.count("select count(distinct source_line) as n from stock_movements").await, all);
        assert_eq!(site.count(WRONG_LEVELS).await, 0, "levels are the sums of the movements");
        let sum = "select cast(sum(cast(on_hand as numeric)) as bigint) as n from stock_levels";
        let moved = i64::try_from((1..=rows).map(|at| at % 7 + 1).sum::<usize>()).unwrap();
        assert_eq!(site.count(sum).await, moved);
        site.run(&["imports", "undo", &id, "-t", "acme"]);
        work_under_kills(&site, kills, MOVEMENTS, |n| n == 2 * all).await;
        assert_eq!(site.count(MOVEMENTS).await, 2 * all, "each movement is taken back once");
        assert_eq!(site.count(WRONG_LEVELS).await, 0);
        assert_eq!(site.count(sum).await, 0);
    }
);

backend_test!(
    migrations: lines;
    async fn undoing_goes_on_where_its_worker_was_killed_and_tells_each_record_once(t: TestDb) {
        let rows = campaign(4000, 40_000);
        let site = stocked(t, rows).await;
        write(&site, "prices.csv", "sku,name,price", |at| format!("SKU-{at},New {at},{at}"), rows);
        let id = import(&site, "prices.csv", "products", "upsert");
        site.run(&["work", "--queue", "low", "--stop-when-empty"]);
        site.t.execute("update products set price = '1', version = version + 1 where sku = 'SKU-7'").await;
        site.run(&["imports", "undo", &id, "-t", "acme"]);
        const CHANGED: &str = "select count(*) as n from products where price is not null";
        work_under_kills(&site, campaign(2, 10), CHANGED, |n| n == 1).await;
        assert_eq!(site.count(CHANGED).await, 1, "all but the one that was changed since");
        let told = "select count(*) as n from fairlane_events where name = 'catalog.product.updated'";
        assert_eq!(site.count(told).await, 2 * i64::try_from(rows).unwrap() - 1);
        let (code, listed) = {
            let output = site.fairlane(&["imports", "conflicts", &id, "-t", "acme", "-o", "json"]).output().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert!(code == Some(0) && listed.contains("SKU-7") && listed.contains("changed_since"), "{listed}");
        let shown = site.run(&["imports", "show", &id, "-t", "acme"]);
        assert!(shown.contains("3999 as before, 1 left") || campaign(false, true), "{shown}");
    }
);
