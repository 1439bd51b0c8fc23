//! Workers are killed while they make a report: it is made once, whole, and told once.

use std::time::Duration;

use fairlane::backend_test;
use fairlane::testing::TestDb;
use fairlane_workers::erp::services::users;
use serde_json::Value;

use crate::support::processes::{Site, campaign, seeded};
use crate::support::shop::{add_customer, lines};

/// Orders of ten lines of 1.25, laid as no service would in time.
async fn lay(t: &TestDb) {
    let orders = match t.db.dialect() {
        fairlane::db::Dialect::Postgres => {
            "insert into sales_orders (tenant_id, number, customer_id, status, currency, decimals, net, tax, total, ordered_at)
             select c.tenant_id, 'K-' || g, c.id, 'approved', 'EUR', 2, 12.5, 0, 12.5,
                 timestamptz '2026-01-01 00:00:00Z' + g * interval '1 minute'
             from customers c, generate_series(1, 3000) g"
        }
        fairlane::db::Dialect::Sqlite => {
            "insert into sales_orders (tenant_id, number, customer_id, status, currency, decimals, net, tax, total, ordered_at)
             with recursive g(g) as (select 1 union all select g + 1 from g where g < 3000)
             select c.tenant_id, 'K-' || g, c.id, 'approved', 'EUR', 2, '12.5', '0', '12.5', 1767225600000000 + g * 60000000
             from customers c, g"
        }
    };
    t.execute(orders).await;
    let lines = match t.db.dialect() {
        fairlane::db::Dialect::Postgres => {
            "insert into sales_order_lines (tenant_id, order_id, line_no, description, quantity, unit_price)
             select o.tenant_id, o.id, l, 'Line', 1, 1.25 from sales_orders o, generate_series(1, 10) l"
        }
        fairlane::db::Dialect::Sqlite => {
            "insert into sales_order_lines (tenant_id, order_id, line_no, description, quantity, unit_price)
             with recursive l(l) as (select 1 union all select l + 1 from l where l < 10)
             select o.tenant_id, o.id, l, 'Line', '1', '1.25' from sales_orders o, l"
        }
    };
    t.execute(lines).await;
}

const STARTS: &str = "select coalesce(max(runs), 0) as n from fairlane_jobs where queue = 'low'";
const LIVE: &str = "select count(*) as n from fairlane_jobs where queue = 'low'";

backend_test!(migrations: lines;
    async fn a_report_is_made_once_and_whole_however_often_its_worker_is_killed(t: TestDb) {
        let mut rng = seeded("a_report_is_made_once_and_whole");
        let acme = t.fairlane.tenant("acme");
        add_customer(&acme, "C-1", None).await;
        lay(&t).await;
        let mut tx = acme.begin().await.unwrap();
        users::ensure(&mut tx, &acme, "Ana", "ana@example.com", &[]).await.unwrap();
        tx.commit().await.unwrap();
        let site = Site::new(t).await;
        let asked = site.run(&["erp", "report", "run", "sales", "--from", "2026-01-01", "--to", "2026-01-31", "--by", "line",
            "--format", "json", "--user", "ana@example.com", "-t", "acme", "-o", "id"]);
        // Three deaths in a row without progress are a poison pill's.
        for _ in 0..2 {
            let starts = site.count(STARTS).await;
            let worker = site.worker(&["--queue", "low"]);
            site.until("a start", STARTS, |n| n > starts || n == 0).await;
            // The random moment is the fault, not a hope.
            tokio::time::sleep(Duration::from_millis(rng.u64(0..campaign(400, 1500)))).await;
            worker.kill();
            if site.count(LIVE).await == 0 {
                break;
            }
        }
        let worker = site.worker(&["--queue", "low"]);
        site.until("the end", LIVE, |n| n == 0).await;
        assert!(worker.terminate().0.success());
        assert_eq!(site.count("select count(*) as n from reports where status = 'completed'").await, 1);
        assert_eq!(site.count("select count(*) as n from notifications where type = 'ReportGeneratedNotification'").await, 1);
        let out = site.folder.path().join("report.json");
        let link = site.run(&["erp", "report", "link", asked.trim(), "-t", "acme", "-o", "id"]);
        site.run(&["erp", "report", "open", link.trim(), "--out", out.to_str().unwrap(), "-t", "acme"]);
        let report: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
        assert_eq!((&report["meta"]["rows"], &report["totals"]["net"]), (&30_000.into(), &"37500.00".into()));
        assert_eq!(report["rows"].as_array().unwrap().len(), 30_000);
    }
);
