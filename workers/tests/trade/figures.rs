//! The five queries of the seed: as it writes them on PostgreSQL, and as verbs on both databases. Seed 1-35.

use fairlane::backend_test;
use fairlane::testing::TestDb;
use fairlane_workers::erp::notifications::{AnnouncementNotification, notify};
use sqlx::{AssertSqlSafe, Column, Row};

use crate::shop::billed;
use crate::support::processes::Site;
use crate::support::shop::{count, lines, shop};

/// As the seed writes them; `?` is the tenant.
const QUERIES: [&str; 4] = [
    "SELECT queue, COUNT(*) as pending FROM jobs GROUP BY queue;",
    "SELECT * FROM failed_jobs ORDER BY failed_at DESC LIMIT 10;",
    "SELECT notifiable_id, COUNT(*) as unread FROM notifications WHERE read_at IS NULL GROUP BY notifiable_id;",
    "SELECT import_type, status, COUNT(*) FROM import_logs WHERE tenant_id = ? GROUP BY import_type, status;",
];

/// The fifth asks for `AVG(TIMESTAMPDIFF(SECOND, created_at, generated_at))`, which only MySQL knows; the rest stays.
const REPORTS: &str = "SELECT report_type, AVG(TIMESTAMPDIFF(SECOND, created_at, generated_at)) as avg_time, \
    COUNT(*) as total FROM reports WHERE tenant_id = ? AND status = 'completed' GROUP BY report_type;";
const SECONDS: (&str, &str) =
    ("TIMESTAMPDIFF(SECOND, created_at, generated_at)", "EXTRACT(EPOCH FROM generated_at - created_at)");

/// Rows for all five: what the statements should count.
async fn fill(t: &TestDb) {
    let acme = shop(t).await;
    billed(&acme).await;
    let hold =
        if t.db.dialect() == fairlane::db::Dialect::Sqlite { "1000000" } else { "interval '1 second'" };
    t.execute("insert into users (tenant_id, name) select id, 'Ana' from fairlane_tenants").await;
    let ana = count(t, "select max(id) as n from users").await;
    for key in ["told:1", "told:2", "told:3"] {
        let hello = AnnouncementNotification { title: "Hello".into(), message: "There".into(), action: None };
        let mut tx = acme.begin().await.unwrap();
        notify(&mut tx, &acme, ana, &hello, key).await.unwrap();
        tx.commit().await.unwrap();
    }
    t.execute("update notifications set read_at = created_at where dedupe_key like 'told:3%'").await;
    for (kind, status) in [("products", "completed"), ("products", "completed"), ("customers", "failed")] {
        run(t, format!(
            "insert into import_logs (tenant_id, import_type, file_path, file_name, file_size, sha256, mode, mapping, options, format, status)
             select id, '{kind}', 'a', 'a.csv', 1, 'x', 'upsert', '{{}}', '{{}}', '{{}}', '{status}' from fairlane_tenants"
        )).await;
    }
    for (kind, seconds, status) in [
        ("sales", 2, "completed"),
        ("sales", 4, "completed"),
        ("sales", 9, "failed"),
        ("inventory", 1, "completed"),
    ] {
        run(t, format!(
            "insert into reports (tenant_id, report_type, status, created_at, generated_at)
             select id, '{kind}', '{status}', created_at, created_at + {seconds} * {hold} from fairlane_tenants"
        )).await;
    }
    let failed = "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation, crashes,
            code, error, fingerprint, created_at)
         select '0190a000-0000-7000-8000-0000000000aa', id, 'low', 'erp.test', 5, 'null', 3, 3, 0, 0, 'handler_error', 'it broke', 'ab',
            created_at from fairlane_tenants";
    run(t, failed.to_owned()).await;
}

async fn run(t: &TestDb, statement: String) {
    t.execute(Box::leak(statement.into_boxed_str())).await;
}

/// One line, single blanks.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seeds_five_queries_run_on_postgresql_as_written() {
    let name = "figures::the_seeds_five_queries_run_on_postgresql_as_written";
    let Some(t) = TestDb::postgres(name, lines).await.unwrap() else { return };
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/seeds/001_254214c9988d6638.txt");
    match std::fs::read_to_string(seed) {
        Ok(seed) => {
            let seed = flat(&seed);
            for query in QUERIES.iter().chain([&REPORTS]) {
                assert!(seed.contains(&flat(query)), "the seed does not say: {query}");
            }
        }
        Err(why) => eprintln!("skipped: the seed's own text is not compared: {why}"),
    }
    fill(&t).await;
    let observer = t.observer().await.unwrap();
    let mut tx = observer.begin().await.unwrap();
    let link = tx.as_postgres().unwrap();
    let mut seen = Vec::new();
    for query in QUERIES.iter().chain([&REPORTS]) {
        // A bind is `$1` to PostgreSQL; the number is as good.
        let tenant = "(select id from fairlane_tenants where slug = 'acme')";
        let text = query.replace('?', tenant).replace(SECONDS.0, SECONDS.1);
        let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(&mut *link).await.unwrap();
        seen.push(rows);
    }
    let pending: i64 = seen[0].iter().map(|row| row.get::<i64, _>("pending")).sum();
    assert!(pending > 0);
    assert_eq!(seen[1][0].get::<String, _>("exception"), "it broke");
    assert!(seen[1][0].columns().iter().any(|column| column.name() == "failed_at"));
    assert_eq!(seen[2][0].get::<i64, _>("unread"), 2);
    let mut imports: Vec<(String, String, i64)> =
        seen[3].iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    imports.sort();
    assert_eq!(
        imports,
        [("customers".into(), "failed".into(), 1), ("products".into(), "completed".into(), 2)]
    );
    let sales = seen[4].iter().find(|row| row.get::<String, _>("report_type") == "sales").unwrap();
    assert_eq!(
        (
            sales.get::<rust_decimal::Decimal, _>("avg_time").normalize().to_string(),
            sales.get::<i64, _>("total")
        ),
        ("3".into(), 2)
    );
}

backend_test!(migrations: lines;
    async fn the_same_five_are_verbs_on_both_databases(t: TestDb) {
        fill(&t).await;
        let site = Site::new(t).await;
        let json = |args: &[&str]| -> serde_json::Value {
            let out = site.run(&[&["stats"], args, &["-o", "json"]].concat());
            serde_json::from_str::<serde_json::Value>(&out).unwrap()["data"].clone()
        };
        let pending = json(&["pending"]);
        let queues: Vec<_> = pending.as_array().unwrap().iter().map(|row| row["queue"].as_str().unwrap().to_owned()).collect();
        assert!(queues.contains(&"high".to_owned()), "{pending}");
        assert_eq!(json(&["pending", "-t", "acme"]), pending);
        assert_eq!(json(&["failed"])[0]["exception"], "it broke");
        assert_eq!(json(&["unread", "-t", "acme"])[0]["unread"], 2);
        assert_eq!(json(&["unread", "-t", "acme"])[0]["name"], "Ana");
        let imports = json(&["imports", "-t", "acme"]);
        assert_eq!(imports[1], serde_json::json!({ "import_type": "products", "status": "completed", "total": 2 }));
        let reports = json(&["reports", "-t", "acme"]);
        assert_eq!(reports, serde_json::json!([
            { "report_type": "inventory", "avg_time": 1.0, "total": 1 }, { "report_type": "sales", "avg_time": 3.0, "total": 2 },
        ]));
        let output = site.fairlane(&["stats", "unread"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
);
