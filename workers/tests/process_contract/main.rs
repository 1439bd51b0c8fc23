//! What a worker process promises its process manager: signals, limits, exit codes, and a database that comes and goes.
//! Seed 1-32.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod database;
mod poison_pill;
mod supervisord;

use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use fairlane::db::query;
use fairlane::testing::TestDb;
use fairlane::{backend_test, sql};
use support::load::{approve_more, approve_orders, assert_every_order_billed_once};
use support::processes::{Site, Worker};
use support::shop::lines;

const LIVE: &str = "select count(*) as n from fairlane_jobs";
const EXECUTING: &str = "select count(*) as n from fairlane_jobs where state = 'executing'";
const RUNNING: &str = "select count(*) as n from fairlane_workers where state = 'running'";
const SOON: Duration = Duration::from_secs(30);

/// Why the only worker of the site stopped, as the database has it.
async fn stop_reason(site: &Site) -> String {
    let mut tx = site.observer.read().await.unwrap();
    let statement =
        sql!("select coalesce(stop_reason, 'none') as reason from fairlane_workers where state = 'stopped'");
    let row = query(statement).fetch_one(&mut tx.conn()).await.unwrap();
    row.get("reason").unwrap()
}

/// Ends by itself or by a signal before: the exit code, after comparing the reasons in log and database.
async fn ends_with(site: &Site, worker: Worker, reason: &str) -> i32 {
    let log = worker.log_path().to_owned();
    let (status, _) = worker.wait(SOON);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("worker stopped"), "{log}");
    assert!(log.contains(&format!("\"reason\":\"{reason}\"")), "no reason {reason} in the log:\n{log}");
    assert_eq!(stop_reason(site).await, reason);
    status.code().unwrap_or_else(|| panic!("ended by a signal: {status}"))
}

/// Mails of this site go to a server that takes connections and never says a word: a job that runs for 20 s.
fn silent_mail_server(site: &Site) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = format!(
        "[mail]\ntransport = \"smtp\"\nsmtp_host = \"127.0.0.1\"\nsmtp_port = {port}\nsmtp_tls = \"none\"\n"
    );
    std::fs::write(site.folder.path().join("fairlane.toml"), settings).unwrap();
    listener
}

/// A worker in the middle of a mail to the silent server.
async fn worker_in_a_mail(site: &Site, args: &[&str]) -> Worker {
    approve_orders(site, 1).await;
    let worker = site.worker(args);
    // Not the listener before it, `erp.send_invoice_to_customer`: a worker that stops then never begins the mail.
    let mailing = "select count(*) as n from fairlane_jobs
        where state = 'executing' and kind = 'erp.send_mail' and (select count(*) from fairlane_jobs) = 1";
    site.until("the mail to be under way", mailing, |n| n == 1).await;
    worker
}

/// The job waits with its attempt, and nobody has written an error.
async fn assert_given_back(site: &Site) {
    let given_back = "select count(*) as n from fairlane_jobs where state = 'available' and attempt = 0";
    assert_eq!(site.count(given_back).await, 1, "given back with its attempt");
    assert_eq!(site.count("select count(*) as n from fairlane_attempts").await, 0, "errors recorded");
}

backend_test!(
    migrations: lines;
    async fn usr2_pauses_a_worker_and_cont_resumes_it(t: TestDb) {
        let site = Site::new(t).await;
        let acme = approve_orders(&site, 1).await;
        let worker = site.worker(&[]);
        site.until("the first order to be done", LIVE, |n| n == 0).await;
        worker.signal("USR2");
        let paused = "select count(*) as n from fairlane_workers where state = 'paused'";
        site.until("the pause to be known", paused, |n| n == 1).await;
        approve_more(&acme, 1).await;
        // Three heartbeats are several looks for work.
        for _ in 0..3 {
            let mut tx = site.observer.begin().await.unwrap();
            let statement = sql!("update fairlane_workers set state = 'running'");
            query(statement).execute(&mut tx.conn()).await.unwrap();
            tx.commit().await.unwrap();
            site.until("the next heartbeat", paused, |n| n == 1).await;
        }
        let waiting = "select count(*) as n from fairlane_jobs where state = 'available' and kind like 'erp.generate_invoice%'";
        assert_eq!(site.count(waiting).await, 1);
        worker.signal("CONT");
        site.until("the second order to be done", LIVE, |n| n == 0).await;
        site.until("the end of the pause to be known", RUNNING, |n| n == 1).await;
        assert!(worker.terminate().0.success());
        assert_every_order_billed_once(&site, 2).await;
    }
);

backend_test!(
    migrations: lines;
    async fn the_first_signal_lets_a_job_finish_the_second_gives_it_back_at_once(t: TestDb) {
        let site = Site::new(t).await;
        let _server = silent_mail_server(&site);
        let worker = worker_in_a_mail(&site, &["--drain-timeout", "60s"]).await;
        worker.signal("TERM");
        let draining = "select count(*) as n from fairlane_workers where state = 'draining'";
        site.until("the drain to be known", draining, |n| n == 1).await;
        assert_eq!(site.count(EXECUTING).await, 1, "the first signal let it run");
        let begun = Instant::now();
        worker.signal("TERM");
        assert_eq!(ends_with(&site, worker, "interrupted").await, 0);
        assert!(begun.elapsed() < Duration::from_secs(5), "at once, not after {:?}", begun.elapsed());
        assert_given_back(&site).await;
    }
);

backend_test!(
    migrations: lines;
    async fn a_job_that_outlives_the_drain_time_is_given_back_and_the_exit_code_is_0(t: TestDb) {
        let site = Site::new(t).await;
        let _server = silent_mail_server(&site);
        let worker = worker_in_a_mail(&site, &["--drain-timeout", "1s"]).await;
        let begun = Instant::now();
        worker.signal("TERM");
        assert_eq!(ends_with(&site, worker, "interrupted").await, 0);
        assert!(begun.elapsed() < Duration::from_secs(8), "drain time is 1 s, it took {:?}", begun.elapsed());
        assert_given_back(&site).await;
    }
);

backend_test!(
    migrations: lines;
    async fn term_int_and_quit_end_an_idle_worker_with_0(t: TestDb) {
        let site = Site::new(t).await;
        for signal in ["TERM", "INT", "QUIT"] {
            site.t.execute("delete from fairlane_workers").await;
            let worker = site.worker(&[]);
            site.until("the worker to register", RUNNING, |n| n == 1).await;
            worker.signal(signal);
            assert_eq!(ends_with(&site, worker, "interrupted").await, 0, "SIG{signal}");
        }
    }
);

backend_test!(
    migrations: lines;
    async fn a_worker_above_its_memory_limit_ends_with_12(t: TestDb) {
        let site = Site::new(t).await;
        let worker = site.worker(&["--memory", "1"]);
        assert_eq!(ends_with(&site, worker, "memory").await, 12);
    }
);

backend_test!(
    migrations: lines;
    async fn each_limit_ends_a_worker_with_0_and_its_reason(t: TestDb) {
        let site = Site::new(t).await;
        let acme = approve_orders(&site, 4).await;
        let cases: [(&[&str], &str, Option<i64>); 4] = [
            (&["--once"], "once", Some(1)),
            (&["--max-jobs", "2"], "max_jobs", Some(2)),
            (&["--stop-when-empty"], "empty", None),
            (&["--max-time", "1"], "max_time", Some(0)),
        ];
        let mut done = 0;
        for (args, reason, jobs) in cases {
            site.t.execute("delete from fairlane_workers").await;
            let worker = site.worker(args);
            assert_eq!(ends_with(&site, worker, reason).await, 0, "{args:?}");
            let now = site.count("select count(*) as n from fairlane_job_history").await;
            match jobs {
                Some(jobs) => assert_eq!(now, done + jobs, "{args:?}"),
                None => assert_eq!(site.count(LIVE).await, 0, "{args:?}"),
            }
            done = now;
        }
        assert_every_order_billed_once(&site, 4).await;
        drop(acme);
    }
);

#[tokio::test]
async fn a_wrong_flag_ends_with_2_and_says_what_is_right() {
    let site = Site::new(TestDb::sqlite(lines).await.unwrap()).await;
    let ended = |args: &[&str]| -> Output {
        site.fairlane(&[&["work"], args].concat()).stdin(Stdio::null()).output().unwrap()
    };
    let cases: [(&[&str], &str); 9] = [
        (&["--concurency", "4"], "--concurrency"),
        (&["--concurrency", "0"], "--concurrency"),
        (&["--sleep", "soon"], "--sleep"),
        (&["--memory", "much"], "--memory"),
        (&["--max-jobs", "many"], "--max-jobs"),
        (&["--queue", ""], "--queue"),
        (&["--drain-timeout", "1 fortnight"], "--drain-timeout"),
        (&["--drain-timeout", "1ms"], "--drain-timeout"),
        (&["--lease", "1ms"], "--lease"),
    ];
    for (args, words) in cases {
        let output = ended(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words) && said.starts_with("error: "), "{args:?}: {said}");
        assert!(
            said.contains("tip:") || said.contains("hint:") || said.contains("try '--help'"),
            "{args:?}: {said}"
        );
    }
    assert_eq!(site.count("select count(*) as n from fairlane_workers").await, 0, "nothing was started");
}
