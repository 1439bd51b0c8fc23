//! The servers that tests run on: shared, isolated, repaired, and never left running.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the functions around the tests fail as tests do"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fairlane::testing::{Cluster, PgBouncer, Template, cluster_or_skip};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The key of the server that a child process of these tests holds.
const CHILD_KEY: &str = "FAIRLANE_CLUSTER_TEST_KEY";

/// A server of one test's own; its folder goes with it.
struct Private {
    key: String,
    home: PathBuf,
}

impl Private {
    /// Opens the server for the first time; nothing where PostgreSQL is not installed.
    async fn open(test: &str) -> Option<(Self, Cluster)> {
        cluster_or_skip(test).await?;
        let key = format!("{test} in {}", env!("CARGO_TARGET_TMPDIR"));
        // A server that was named by URL says nothing about binaries to start another one with.
        let cluster =
            Cluster::at(&key).await.inspect_err(|skip| eprintln!("SKIPPED: {test} - {skip}")).ok()?;
        let home = socket_folder(&cluster.admin_url("postgres")).parent().unwrap().to_owned();
        Some((Self { key, home }, cluster))
    }

    async fn reopen(&self) -> Cluster {
        Cluster::at(&self.key).await.unwrap()
    }

    fn server_pid(&self) -> String {
        let file = std::fs::read_to_string(self.home.join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    /// A process that takes a lease on the same server and keeps it until it is killed.
    fn child(&self) -> (Child, String, PathBuf) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_process_holds_a_cluster", "--nocapture"]).env(CHILD_KEY, &self.key);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let said = lines.map(Result::unwrap).find_map(|line| Some(line.split_once("SERVER ")?.1.to_owned()));
        let said = said.expect("the child says which server it is on");
        let (server, bouncer) = said.split_once(" BOUNCER ").unwrap();
        (child, server.to_owned(), PathBuf::from(bouncer))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        wait_until("the server has stopped", || !self.home.join("data/postmaster.pid").exists());
        std::fs::remove_dir_all(&self.home).ok();
    }
}

fn socket_folder(url: &str) -> &Path {
    Path::new(url.split_once("host=").unwrap().1.split('&').next().unwrap())
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_running(pid: &str) -> bool {
    let state = Command::new("ps").args(["-o", "state=", "-p", pid]).output().unwrap().stdout;
    !state.is_empty() && !state.starts_with(b"Z")
}

fn parent_of(pid: &str) -> String {
    let output = Command::new("ps").args(["-o", "ppid=", "-p", pid]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn kill_9(pid: &str) {
    assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
}

async fn scalar(url: &str, query: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let value = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    value
}

async fn execute(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn numbers(cluster: &Cluster) -> Template {
    let migrate = async |url: String| {
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::raw_sql("create table numbers (n int)").execute(&mut connection).await?;
        connection.close().await
    };
    cluster.template("cluster tests 1", migrate).await.unwrap()
}

/// The start of the server tells one server from another, whoever asks.
const STARTED: &str = "select pg_postmaster_start_time()::text";

#[tokio::test]
async fn child_process_holds_a_cluster() {
    let Ok(key) = std::env::var(CHILD_KEY) else { return };
    let cluster = Cluster::at(&key).await.unwrap();
    let bouncer = PgBouncer::start(&cluster).await;
    let bouncer_url = bouncer.as_ref().map_or("host=none".to_owned(), |bouncer| bouncer.url("postgres"));
    let socket = socket_folder(&bouncer_url).join(".s.PGSQL.6432");
    let server = scalar(&cluster.admin_url("postgres"), STARTED).await;
    println!("SERVER {server} BOUNCER {}", socket.display());
    std::io::stdin().lines().for_each(drop);
}

#[tokio::test]
async fn two_processes_share_one_server_which_outlives_either() {
    let Some((place, cluster)) = Private::open("two_processes_share").await else { return };
    let started = scalar(&cluster.admin_url("postgres"), STARTED).await;
    let (mut first, first_server, _) = place.child();
    let (mut second, second_server, _) = place.child();
    assert_eq!((&first_server, &second_server), (&started, &started));
    drop(cluster);
    first.kill().unwrap();
    first.wait().unwrap();
    // Longer than the watchdog waits for the next process, so the second one's lease must count.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(scalar(&place.reopen().await.admin_url("postgres"), STARTED).await, started);
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
}

#[tokio::test]
async fn a_killed_process_leaves_nothing_running() {
    let Some((place, cluster)) = Private::open("killed_process").await else { return };
    let (mut child, _, bouncer) = place.child();
    drop(cluster);
    let server = place.server_pid();
    let watchdog = parent_of(&server);
    assert!(is_running(&server) && is_running(&watchdog));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("server and watchdog are gone", || !is_running(&server) && !is_running(&watchdog));
    wait_until("PgBouncer's supervisor has ended it and tidied up", || !bouncer.exists());
}

#[tokio::test]
async fn a_stale_data_directory_is_repaired() {
    let Some((place, cluster)) = Private::open("stale_directory").await else { return };
    // A crash: nobody watches the server any more, and its data are not to be trusted.
    let orphan = place.server_pid();
    kill_9(&parent_of(&orphan));
    drop(cluster);
    let cluster = place.reopen().await;
    assert_eq!(scalar(&cluster.admin_url("postgres"), "select 'works'").await, "works");
    assert_ne!(place.server_pid(), orphan);
    assert!(!is_running(&orphan), "the orphan was ended");
    // Another version's or half-initialised: the stamp of a complete directory of this version is missing.
    // Damaged: the stamp is right, and the server does not start.
    let cluster = reopen_after(&place, cluster, |data| {
        std::fs::write(data.join("fairlane.stamp"), "1 postgres (PostgreSQL) 9.6 ").unwrap();
        std::fs::write(data.join("PG_VERSION"), "9.6\n").unwrap();
    });
    let cluster = reopen_after(&place, cluster.await, |data| {
        std::fs::remove_file(data.join("global/pg_control")).unwrap();
    });
    assert_eq!(scalar(&cluster.await.admin_url("postgres"), "select 'works'").await, "works");
}

/// Waits for the server to stop, damages its data directory, and opens it again.
async fn reopen_after(place: &Private, cluster: Cluster, damage: impl Fn(&Path)) -> Cluster {
    let server = place.server_pid();
    drop(cluster);
    wait_until("the server has stopped", || !is_running(&server));
    damage(&place.home.join("data"));
    place.reopen().await
}

#[tokio::test]
async fn a_server_that_stopped_in_order_keeps_its_templates() {
    let Some((place, cluster)) = Private::open("kept_templates").await else { return };
    numbers(&cluster).await;
    let server = place.server_pid();
    drop(cluster);
    wait_until("the server has stopped", || !is_running(&server));
    let cluster = place.reopen().await;
    let not_again = async |_| Err(sqlx::Error::WorkerCrashed);
    cluster.template("cluster tests 1", not_again).await.expect("the template is still there");
}

#[tokio::test]
async fn each_database_is_isolated_and_dropped_with_its_value() {
    let Some(cluster) = cluster_or_skip("each_database_is_isolated").await else { return };
    let template = numbers(&cluster).await;
    let (one, other) = tokio::join!(cluster.database(&template), cluster.database(&template));
    let (one, other) = (one.unwrap(), other.unwrap());
    execute(&one.url, "insert into numbers values (1)").await;
    assert_eq!(scalar(&one.url, "select count(*)::text from numbers").await, "1");
    assert_eq!(scalar(&other.url, "select count(*)::text from numbers").await, "0");
    let (name, _open) = (one.name.clone(), PgConnection::connect(&one.url).await.unwrap());
    drop(one);
    let mut admin = PgConnection::connect(&cluster.admin_url("postgres")).await.unwrap();
    let left: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert!(!left, "dropped although a connection was open");
}

#[tokio::test]
async fn a_failing_migration_leaves_no_template() {
    let Some(cluster) = cluster_or_skip("a_failing_migration").await else { return };
    let version = format!("fails {}", std::process::id());
    let fail = async |_| Err(sqlx::Error::WorkerCrashed);
    assert!(cluster.template(&version, fail).await.is_err());
    assert!(cluster.template(&version, fail).await.is_err(), "tried again");
}

#[tokio::test]
async fn databases_of_a_crashed_run_are_swept() {
    let Some((place, cluster)) = Private::open("crashed_run").await else { return };
    let template = numbers(&cluster).await;
    let kept = cluster.database(&template).await.unwrap();
    execute(&cluster.admin_url("postgres"), "create database fairlane_test_00c0ffee_00000001").await;
    let names = "select coalesce(string_agg(datname, ' '), '') from pg_database where datname like 'fairlane\\_test\\_%'";
    let next = place.reopen().await;
    assert_eq!(scalar(&next.admin_url("postgres"), names).await, kept.name, "the living handle's is kept");
}

#[tokio::test]
async fn a_test_can_log_in_as_a_role_that_row_level_security_binds() {
    let Some(cluster) = cluster_or_skip("roles").await else { return };
    let database = cluster.database(&numbers(&cluster).await).await.unwrap();
    // Roles are cluster-wide: another run's must not be in the way.
    let role = format!("cluster_test_app_{}", std::process::id());
    execute(&database.url, &format!("create role {role} login; grant select on numbers to {role}")).await;
    execute(&database.url, "insert into numbers values (1)").await;
    execute(&database.url, "alter table numbers enable row level security").await;
    let count = "select count(*)::text from numbers";
    assert_eq!(scalar(&database.url_as(&role), count).await, "0");
    assert_eq!(scalar(&database.url, count).await, "1");
    execute(&database.url, &format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn pgbouncer_pools_transactions_and_ends_with_its_value() {
    let Some(cluster) = cluster_or_skip("pgbouncer").await else { return };
    let database = cluster.database(&numbers(&cluster).await).await.unwrap();
    let Some(bouncer) = PgBouncer::start(&cluster).await else { return };
    let role = format!("cluster_test_pooled_{}", std::process::id());
    execute(&database.url, &format!("create role {role} login")).await;
    let url = bouncer.url_as(&database.name, &role);
    // A PgBouncer as it comes refuses this start-up parameter.
    let options = url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().extra_float_digits(None);
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let user: Vec<sqlx::postgres::PgRow> =
        sqlx::raw_sql("select 1 where current_user like 'cluster_test_pooled%'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(user.len(), 1);
    // The mode, seen from inside: a second client gets the server connection that the first one is not using.
    let mut second = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("select set_config('fairlane.seen', 'yes', false)").execute(&mut connection).await.unwrap();
    let shared = "select 1 where current_setting('fairlane.seen', true) = 'yes'";
    assert_eq!(sqlx::raw_sql(shared).fetch_all(&mut second).await.unwrap().len(), 1);
    drop(bouncer);
    execute(&database.url, &format!("drop role {role}")).await;
    assert!(PgConnection::connect_with(&options).await.is_err());
}
