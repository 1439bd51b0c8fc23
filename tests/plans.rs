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

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use fairlane::client::WakeMode;
use fairlane::db::{Conn, Db, DbOptions, Row, Synchronous, query};
use fairlane::store::keys::{self, ConfiguredKeys, TenantKey};
use fairlane::store::settle::{self, Fence};
use fairlane::store::{self, complete, lease, look, promote, prune, quota, rescue};
use fairlane::testing::{ClaimFrom, TestDb, claim_from};
use fairlane::{ClientSettings, Failure, Fairlane, Result, sql};
use sqlx::Connection as _;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use uuid::Uuid;

/// Everything the driver said since it was last asked.
static SAID: Mutex<String> = Mutex::new(String::new());
/// The tests of this file listen to the same log, so they take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Keeps the texts of statements and the notices with plans.
struct Listener;

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("sqlx") {
            let mut said = Said(String::new());
            event.record(&mut said);
            SAID.lock().unwrap().push_str(&said.0);
        }
    }
}

struct Said(String);

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if ["summary", "db.statement", "message"].contains(&field.name()) {
            write!(self.0, "\u{1}{} {value}", field.name()).unwrap();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "\u{1}message {value:?}").unwrap();
        }
    }
}

fn listen() {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Listener)).unwrap();
    });
    SAID.lock().unwrap().clear();
}

fn said() -> Vec<String> {
    let said = std::mem::take(&mut *SAID.lock().unwrap());
    said.split('\u{1}').map(str::to_owned).collect()
}

/// 50,000 live jobs of twenty tenants, most of them available, and thousands of rows around them.
async fn fill(t: &TestDb) {
    for statement in [
        "insert into fairlane_tenants (slug, name)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 19)
         select 'tenant-' || i, 'x' from n",
        "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000)
         select cast(ID(i) as UUID), (select min(id) from fairlane_tenants) + i % 20,
            case i % 3 when 0 then 'high' when 1 then 'default' else 'low' end, 'test.work', i % 10,
            case when i % 100 < 2 then 'scheduled' when i % 100 < 4 then 'retryable' else 'available' end, AGO(i), '{}',
            case when i % 5 = 0 then cast(ID(i) as UUID) end
         from n",
        "insert into fairlane_events (id, tenant_id, name, priority, payload, occurred_at)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
         select cast(ID(i) as UUID), (select min(id) from fairlane_tenants), 'a.b.c', 5, '{}', AGO(i + 4000000) from n",
        "insert into fairlane_attempts (job_id, run, tenant_id, attempt, generation, outcome, finished_at)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
         select cast(ID(i) as UUID), 1, (select min(id) from fairlane_tenants), 1, 0, 'retry', AGO(i + 9000000) from n",
        "insert into fairlane_listener_runs (tenant_id, event_id, listener, job_id, finished_at)
         select tenant_id, id, 'x', id, occurred_at from fairlane_events",
        "insert into fairlane_unique_keys (tenant_id, scope, key, job_id, expires_at)
         select tenant_id, 'unique:test.work', id, id, run_at from fairlane_jobs where priority < 2",
        "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, attempt, runs,
            generation, created_at, finished_at)
         select id, tenant_id, queue, kind, priority, 'completed', payload, 1, 1, 0, created_at, run_at
         from fairlane_jobs where priority < 4",
        "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation,
            crashes, code, error, fingerprint, created_at, failed_at)
         select id, tenant_id, queue, kind, priority, payload, 1, 1, 0, 0, 'x', 'x', 'x', created_at, run_at
         from fairlane_jobs where priority > 7",
    ] {
        let (id, ago, uuid) = if t.url.starts_with("postgres") {
            ("lpad(to_hex(", "now() - interval '1 second' * (", "uuid")
        } else {
            ("printf('%032x', ", "cast(unixepoch('subsec') * 1000000 as integer) - 1000000 * (", "text")
        };
        let close = if t.url.starts_with("postgres") { "), 32, '0')" } else { ")" };
        let text = statement
            .replace("ID(i)", &format!("{id}i{close}"))
            .replace("AGO(", ago)
            .replace("as UUID", &format!("as {uuid}"))
            .replace("'unique:test.work', id,", "'unique:test.work', cast(id as text),");
        t.execute(Box::leak(hyphenated(text, uuid).into_boxed_str())).await;
    }
}

/// SQLite keeps ids as hyphenated text.
fn hyphenated(text: String, uuid: &str) -> String {
    if uuid == "uuid" {
        return text;
    }
    text.replace("printf('%032x', i)", "printf('00000000-0000-7000-8000-%012x', i)")
}

async fn write<T>(db: &Db, statements: impl AsyncFnOnce(&mut Conn<'_>) -> Result<T>) -> T {
    let mut tx = db.begin().await.unwrap();
    let written = statements(&mut tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    written
}

/// Runs every hot statement, each with rows to work on.
async fn run_hot_statements(db: &Db) {
    let kinds = vec!["test.work".to_owned()];
    let request = |queue, suspects| ClaimFrom {
        queue,
        limit: 20,
        kinds: &kinds,
        worker_id: Uuid::now_v7(),
        lease: Duration::from_secs(30),
        suspects,
    };
    let jobs = write(db, async |conn| claim_from(conn, &request("default", false)).await).await;
    write(db, async |conn| claim_from(conn, &request("low", true)).await).await;
    let fences: Vec<Fence> = jobs
        .iter()
        .map(|job| job.as_ref().unwrap())
        .map(|job| Fence { id: job.id, token: job.token })
        .collect();
    assert!(fences.len() >= 10, "{}", fences.len());
    let leases: Vec<_> = fences.iter().map(|fence| (fence.id, fence.token)).collect();
    write(db, async |conn| lease::renew(conn, &leases, Duration::from_secs(30)).await).await;
    let failure = Failure { code: "x".into(), message: "x".into() };
    assert!(write(db, async |conn| settle::retry(conn, fences[0], Duration::ZERO, &failure).await).await);
    assert!(write(db, async |conn| settle::fail(conn, fences[1], &failure).await).await);
    assert!(write(db, async |conn| settle::cancel(conn, fences[2], "x").await).await);
    assert!(write(db, async |conn| settle::snooze(conn, fences[3], Duration::ZERO).await).await);
    assert!(write(db, async |conn| settle::release(conn, fences[4]).await).await);
    assert_eq!(write(db, async |conn| complete::complete(conn, &fences[5..8]).await).await.len(), 3);
    db.shift_clock(chrono::Duration::seconds(31));
    write(db, async |conn| rescue::rescue(conn, Duration::from_secs(30)).await).await;
    db.shift_clock(chrono::Duration::seconds(-31));
    write(db, async |conn| promote::promote(conn).await).await;
    let tenant = write(db, async |conn| store::tenants::find(conn, "tenant-3").await).await.unwrap();
    assert!(write(db, async |conn| quota::pending(conn, tenant, 100).await).await == 100);
    assert!(write(db, async |conn| quota::pending_in(conn, tenant, "default", 100).await).await == 100);
    prune::prune(db, &prune::Retention::default()).await.unwrap();
}

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

/// In a lane of each tenant.
async fn queue_jobs(t: &TestDb, jobs: u32) {
    let text = format!(
        "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {jobs})
         select lower(hex(randomblob(16))), t.id, 'default', 'test.work', 5, 'available', i, '{{}}'
         from n, fairlane_tenants t"
    );
    t.execute(Box::leak(text.into_boxed_str())).await;
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

async fn run_looks(db: &Db) {
    let kinds = vec!["test.work".to_owned()];
    write(db, async |conn| look::look(conn, ("", 0), 10).await).await;
    write(db, async |conn| {
        claim_from(
            conn,
            &ClaimFrom {
                queue: "default",
                limit: 1,
                kinds: &kinds,
                worker_id: Uuid::now_v7(),
                lease: Duration::from_secs(30),
                suspects: false,
            },
        )
        .await
    })
    .await;
    let keys = [TenantKey { tenant_id: 1, key: "printer".into() }].into();
    write(db, async |conn| {
        keys::set_aside(conn, &[Uuid::now_v7()], &keys, &kinds, &ConfiguredKeys::new()).await
    })
    .await;
}

/// The texts of the engine's statements: whole, where the log says only their beginning.
fn statements(said: Vec<String>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut summary = String::new();
    for line in said {
        if let Some(text) = line.strip_prefix("summary ") {
            summary = text.to_owned();
        } else if let Some(text) = line.strip_prefix("db.statement ") {
            let text = if text.trim().is_empty() { summary.clone() } else { text.trim().to_owned() };
            if text.contains("fairlane_jobs") {
                texts.push(text);
            }
        }
    }
    texts
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
