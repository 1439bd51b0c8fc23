//! A database that comes and goes under a worker, or stands behind a pooler.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fairlane::db::Dialect;
use fairlane::testing::{PgBouncer, TEST_LOGIN, TestDb, cluster_or_skip};

use crate::support::load::{
    approve_orders, assert_every_order_billed_once, assert_imported_once, start_import,
};
use crate::support::processes::{Site, Worker};
use crate::support::shop::lines;
use crate::{LIVE, SOON};

/// Waits until the worker has logged that it can't reach its database, more often than before.
async fn until_it_tries_again(worker: &Worker, before: usize) {
    let deadline = Instant::now() + SOON;
    while failed_tries(worker) <= before {
        assert!(Instant::now() < deadline, "it does not notice:\n{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn failed_tries(worker: &Worker) -> usize {
    worker.log().matches("will try again").count()
}

/// Puts a link between the site and its PostgreSQL: without it nobody reaches the server. `None` on SQLite, and loudly
/// where the server of the tests is not reached through a socket.
fn cut_off(site: &mut Site, test: &str) -> Option<(PathBuf, PathBuf)> {
    let (before, rest) = site.t.url.split_once("host=/")?;
    let (socket, after) = rest.split_once('&').unwrap_or((rest, ""));
    let socket = PathBuf::from(format!("/{}", socket.replace("%20", " ").replace("%25", "%")));
    if !socket.is_dir() {
        writeln!(std::io::stderr(), "SKIPPED (PostgreSQL): {test} - the server has no socket").ok();
        return None;
    }
    let link = site.folder.path().join("pg");
    site.t.url = format!("{before}host={}&{after}", link.display());
    Some((socket, link))
}

fn connect(socket: &Path, link: &Path) {
    std::os::unix::fs::symlink(socket, link).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_waits_for_a_database_that_is_away_at_its_start() {
    let test = "a_worker_waits_for_a_database_that_is_away_at_its_start";
    let Some(t) = TestDb::postgres(test, lines).await.unwrap() else { return };
    let mut site = Site::new(t).await;
    approve_orders(&site, 3).await;
    let Some((socket, link)) = cut_off(&mut site, test) else { return };
    let waiting = site.worker(&[]);
    let stopped = site.worker(&[]);
    until_it_tries_again(&waiting, 0).await;
    until_it_tries_again(&stopped, 0).await;
    assert_eq!(stopped.terminate().0.code(), Some(0), "a waiting worker obeys SIGTERM");
    let script = site.fairlane(&["work", "--stop-when-empty"]).output().unwrap();
    assert_eq!(script.status.code(), Some(6), "a script is told");
    connect(&socket, &link);
    site.until("all jobs to be done", LIVE, |n| n == 0).await;
    assert!(waiting.terminate().0.success());
    assert_every_order_billed_once(&site, 3).await;
}

/// Ends every connection of the workers; returns how many there were.
async fn terminate_connections(site: &Site) -> i64 {
    site.count(
        "select count(pg_terminate_backend(pid)) as n from pg_stat_activity
         where datname = current_database() and application_name = 'fairlane'
           and usename = 'fairlane_test' and pid <> pg_backend_pid()",
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_terminated_under_load_lose_and_double_nothing() {
    let test = "connections_that_are_terminated_under_load_lose_and_double_nothing";
    let Some(t) = TestDb::postgres(test, lines).await.unwrap() else { return };
    assert_eq!(t.db.dialect(), Dialect::Postgres);
    let mut site = Site::new(t).await;
    approve_orders(&site, 300).await;
    start_import(&site, 10_000);
    let away = cut_off(&mut site, test);
    if let Some((socket, link)) = &away {
        connect(socket, link);
    }
    let workers = [site.worker(&["--queue", "high,default"]), site.worker(&["--queue", "low"])];
    let done = "select count(*) as n from fairlane_job_history";
    let mut ended = 0;
    for round in 1..=6 {
        site.until("some work to be done", done, |n| n >= round * 70).await;
        // As when the server is restarted: everybody is thrown out, and for a while nobody gets in.
        if let Some((socket, link)) = &away {
            let before = failed_tries(&workers[0]);
            std::fs::remove_file(link).unwrap();
            ended += terminate_connections(&site).await;
            until_it_tries_again(&workers[0], before).await;
            connect(socket, link);
        } else {
            ended += terminate_connections(&site).await;
        }
    }
    assert!(ended >= 12, "only {ended} connections were there to be ended");
    site.until("all jobs to be done", LIVE, |n| n == 0).await;
    for worker in workers {
        let log = worker.log();
        let (status, _) = worker.terminate();
        assert!(status.success(), "{status}");
        assert_eq!(log.matches("\"worker started\"").count(), 1, "it never ended in between");
    }
    assert_eq!(site.count("select count(*) as n from fairlane_failed_jobs").await, 0, "failed");
    assert_eq!(
        site.count("select count(distinct order_id) as n from invoices").await,
        300,
        "orders with an invoice"
    );
    assert_eq!(site.count("select count(*) as n from invoices").await, 300, "invoices");
    let own = "select count(*) as n from fairlane_job_history
        where kind like 'erp.generate_invoice%' or kind = 'erp.process_bulk_import'";
    assert_eq!(site.count(own).await, 301, "orders billed and the import");
    assert_imported_once(&site, 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_works_through_a_pgbouncer_as_it_comes() {
    let test = "the_binary_works_through_a_pgbouncer_as_it_comes";
    let Some(t) = TestDb::postgres(test, lines).await.unwrap() else { return };
    let Some(cluster) = cluster_or_skip(test).await else { return };
    let Some(bouncer) = PgBouncer::start(&cluster).await else { return };
    let mut site = Site::new(t).await;
    approve_orders(&site, 20).await;
    let name = site.t.url.split('?').next().unwrap().rsplit('/').next().unwrap();
    site.t.url = bouncer.url_as(name, TEST_LOGIN);
    std::fs::write(site.folder.path().join("fairlane.toml"), "[database]\npooler = \"transaction\"\n")
        .unwrap();
    start_import(&site, 1000);
    let workers = [site.worker(&[]), site.worker(&[])];
    site.until("all jobs to be done", LIVE, |n| n == 0).await;
    assert!(site.run(&["queues"]).contains("high"));
    for worker in workers {
        assert!(worker.terminate().0.success());
    }
    assert_eq!(site.count("select count(*) as n from fairlane_failed_jobs").await, 0, "failed");
    assert_eq!(site.count("select count(distinct order_id) as n from invoices").await, 20, "invoices");
    assert_imported_once(&site, 1000).await;
}
