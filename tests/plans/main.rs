//! How the databases run the hot statements: by index, with many rows, with statistics and without.
//!
//! PostgreSQL explains the very statements as they run (`auto_explain`); on SQLite their texts are taken from the
//! driver's log and explained.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "support functions fail as tests do"
)]

mod hot;
mod rows;
mod said;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use fairlane::client::WakeMode;
use fairlane::db::{Db, DbOptions, Row, Synchronous, query};
use fairlane::testing::TestDb;
use fairlane::{ClientSettings, Fairlane, sql};
use sqlx::Connection as _;

use hot::{run_hot_statements, run_looks};
use rows::{fill, queue_jobs};
use said::{listen, said, statements};

/// The tests listen to the same log, so they take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A connection on which PostgreSQL tells the plan of every statement.
async fn explaining(t: &TestDb) -> Db {
    let name = t.url.split('?').next().unwrap().rsplit('/').next().unwrap();
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_level = 'notice'",
    ] {
        t.execute(Box::leak(format!("alter database {name} set {setting}").into_boxed_str())).await;
    }
    Db::open(&DbOptions { max_connections: 1, ..DbOptions::new(t.url.as_str()) }).await.unwrap()
}

/// Plans that read all live jobs, with the statement in front.
fn scans(plans: &[String]) -> Vec<String> {
    let scan = |plan: &&String| plan.contains("Seq Scan on fairlane_jobs");
    plans.iter().filter(scan).cloned().collect()
}

async fn postgres_plans(test: &str, analyse: bool) {
    let _turn = TURN.lock().await;
    let Some(t) = TestDb::postgres(test, Vec::new).await.unwrap() else { return };
    t.execute("alter table fairlane_jobs set (autovacuum_enabled = false)").await;
    fill(&t).await;
    if analyse {
        t.execute("analyze").await;
    }
    let db = explaining(&t).await;
    listen();
    run_hot_statements(&db).await;
    let plans: Vec<String> = said().into_iter().filter(|line| line.contains("Query Text:")).collect();
    assert!(plans.len() >= 20, "{} plans", plans.len());
    for index in ["fairlane_jobs_ready", "fairlane_jobs_due", "fairlane_jobs_leases", "fairlane_jobs_pkey"] {
        assert!(plans.iter().any(|plan| plan.contains(index)), "nothing uses {index}");
    }
    let scans = scans(&plans);
    assert!(scans.is_empty(), "{} statements read all jobs:\n{}", scans.len(), scans.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hot_statement_reads_all_jobs_on_postgres() {
    postgres_plans("plans with statistics", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hot_statement_reads_all_jobs_on_postgres_without_statistics() {
    postgres_plans("plans without statistics", false).await;
}

async fn explain(db: &Db, statement: &str) -> Vec<String> {
    let mut tx = db.read().await.unwrap();
    let text: &'static str = Box::leak(format!("explain query plan {statement}").into_boxed_str());
    let rows: Vec<Row> = query(sql!(text)).fetch_all(&mut tx.conn()).await.unwrap();
    rows.iter().map(|row| row.get::<String>("detail").unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hot_statement_reads_all_jobs_on_sqlite() {
    let _turn = TURN.lock().await;
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    fill(&t).await;
    let options = DbOptions { synchronous: Synchronous::Normal, ..DbOptions::new(t.url.as_str()) };
    let db = Db::open(&options).await.unwrap();
    listen();
    run_hot_statements(&db).await;
    let mut statements = statements(said());
    statements.sort();
    statements.dedup();
    assert!(statements.len() >= 15, "{} statements", statements.len());
    let mut scans = Vec::new();
    for statement in &statements {
        for step in explain(&db, statement).await {
            let table = ["fairlane_jobs", "j", "head"]
                .into_iter()
                .any(|name| step == format!("SCAN {name}") || step.starts_with(&format!("SCAN {name} ")));
            // These indexes hold nothing but suspects, and jobs set aside: to ask whether there is one reads one row.
            let few = ["fairlane_jobs_suspects", "fairlane_jobs_aside"];
            if table && !few.iter().any(|index| step.contains(index)) {
                scans.push(format!("{step}\n{statement}"));
            }
        }
    }
    assert!(scans.is_empty(), "{} statements read all jobs:\n{}", scans.len(), scans.join("\n\n"));
}

/// A part of a statement, and the bounds by which its index is to be read.
const PLACES: [(&str, &str); 3] = [
    ("with recursive heads", "fairlane_jobs_ready ((queue,tenant_id)>(?,?))"),
    ("with lanes as", "fairlane_jobs_ready (queue=? AND tenant_id=? AND (priority,run_at,id)>(?,?,?))"),
    (
        "row_number() over (\n                    partition by tenant_id, concurrency_key",
        "(priority,run_at,id)<(?,?,?))",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_and_claims_begin_at_their_place_on_sqlite_and_not_at_the_start_of_the_queue() {
    let _turn = TURN.lock().await;
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let db = Db::open(&DbOptions::new(t.url.as_str())).await.unwrap();
    assert_places(&db).await;
    // With statistics of one long lane it would rather have sorted all jobs.
    queue_jobs(&t, 20_000).await;
    t.execute("analyze").await;
    let db = Db::open(&DbOptions::new(t.url.as_str())).await.unwrap();
    assert_places(&db).await;
}

/// What the plan does not tell: how far each probe reads. Beside a lane of 20,000 jobs one that reads past it takes 280,000
/// steps of SQLite's machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_on_sqlite_costs_no_more_beside_a_long_lane() {
    let _turn = TURN.lock().await;
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let db = Db::open(&DbOptions::new(t.url.as_str())).await.unwrap();
    listen();
    run_looks(&db).await;
    let statements = statements(said());
    let look = statements.iter().find(|text| text.contains("with recursive heads")).unwrap();
    queue_jobs(&t, 10).await;
    let beside_short_lanes = steps(&t, look).await;
    queue_jobs(&t, 20_000).await;
    let beside_long_lanes = steps(&t, look).await;
    assert!(beside_short_lanes > 0, "no step was counted");
    assert!(
        beside_long_lanes < beside_short_lanes + 500,
        "{beside_short_lanes} steps beside short lanes, {beside_long_lanes} beside long ones"
    );
}

/// Steps of SQLite's machine that a look takes.
async fn steps(t: &TestDb, look: &str) -> usize {
    let mut conn = sqlx::SqliteConnection::connect(&t.url).await.unwrap();
    let steps = Arc::new(AtomicUsize::new(0));
    let counter = steps.clone();
    conn.lock_handle().await.unwrap().set_progress_handler(1, move || {
        counter.fetch_add(1, Ordering::Relaxed);
        true
    });
    let look = sqlx::query(sqlx::AssertSqlSafe(look)).bind("").bind(0).bind(10);
    look.fetch_all(&mut conn).await.unwrap();
    steps.load(Ordering::Relaxed)
}

async fn assert_places(db: &Db) {
    listen();
    run_looks(db).await;
    let statements = statements(said());
    for (part, bounds) in PLACES {
        let statement = statements.iter().find(|text| text.contains(part)).expect(part);
        let plan = explain(db, statement).await;
        assert!(
            plan.iter().any(|step| step.contains(bounds)),
            "no step is bound by {bounds}:\n{}",
            plan.join("\n")
        );
        let queue = plan.iter().find(|step| step.contains("fairlane_jobs_ready (queue>?)"));
        assert_eq!(queue, None, "a probe that begins at the start of its queue");
        let sorted = plan.iter().find(|step| part.contains("heads") && step.contains("TEMP B-TREE"));
        assert_eq!(sorted, None, "heads that are sorted:\n{}", plan.join("\n"));
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Nop;

impl fairlane::Job for Nop {
    const KIND: &'static str = "test.nop";
    type State = ();

    async fn run(self, _: fairlane::Context<()>) -> fairlane::JobResult {
        Ok(())
    }
}

async fn dispatches_are_one_statement_each(t: &TestDb) {
    // Wake-ups are statements too, of their own.
    let settings = ClientSettings { wake: WakeMode::Poll, ..ClientSettings::default() };
    let acme = Fairlane::new(t.db.clone(), settings).tenant("acme");
    // Tenant and limits are looked up, and connections are made.
    acme.dispatch(Nop).await.unwrap();
    listen();
    let began = Instant::now();
    for _ in 0..50 {
        acme.dispatch(Nop).await.unwrap();
    }
    let looks = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let said = said();
    // SQLite's transactions are texts as well.
    let around = ["begin", "savepoint", "release", "commit"];
    let statement = |line: &&String| {
        line.strip_prefix("summary ").is_some_and(|text| !around.iter().any(|word| text.starts_with(word)))
    };
    let statements = said.iter().filter(statement).count();
    assert!((50..=50 + looks).contains(&statements), "{statements} statements: {said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatch_for_a_tenant_without_limits_is_one_statement_on_sqlite() {
    // Before the database is made: that is statements, too.
    let _turn = TURN.lock().await;
    dispatches_are_one_statement_each(&TestDb::sqlite(Vec::new).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatch_for_a_tenant_without_limits_is_one_statement_on_postgres() {
    let _turn = TURN.lock().await;
    let Some(t) = TestDb::postgres("statements of a dispatch", Vec::new).await.unwrap() else { return };
    dispatches_are_one_statement_each(&t).await;
}
