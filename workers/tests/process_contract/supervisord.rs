//! The shipped supervisord.conf under a real supervisord (Debian package `supervisor`). Seed 1-33, 1-40.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fairlane::db::query;
use fairlane::{backend_test, sql};

use crate::support::load::{
    approve_more, approve_orders, assert_every_order_billed_once, assert_imported_once, short_site,
    start_import,
};
use crate::support::processes::Site;
use crate::support::shop::lines;
use crate::support::supervisor::{PROCESSES, Supervisor, signal};

const LIVE: &str = "select count(*) as n from fairlane_jobs";
const EXECUTING: &str = "select count(*) as n from fairlane_jobs where state = 'executing'";
const PROGRESS: &str = "select coalesce(max(progress_done), 0) as n from fairlane_jobs";

/// The values of a column of texts, without repetition.
async fn words(site: &Site, statement: &'static str) -> BTreeSet<String> {
    let mut tx = site.observer.read().await.unwrap();
    let rows = query(sql!(statement)).fetch_all(&mut tx.conn()).await.unwrap();
    let texts = rows.iter().map(|row| row.get::<String>("word").unwrap());
    texts.flat_map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// How often supervisord noted an end of this kind.
fn ended(supervisor: &Supervisor, how: &str) -> usize {
    supervisor.log().lines().filter(|line| line.contains("fairlane-") && line.contains(how)).count()
}

backend_test!(
    migrations: lines;
    async fn every_queue_of_the_erp_has_a_worker_and_its_work_is_done(t: TestDb) {
        let site = short_site(t).await;
        let Some(supervisor) = Supervisor::start(&site, "every_queue_of_the_erp_has_a_worker").await else { return };
        approve_orders(&site, 5).await;
        start_import(&site, 1000);
        site.until("all jobs to be done", LIVE, |n| n == 0).await;
        assert_every_order_billed_once(&site, 5).await;
        assert_imported_once(&site, 1000).await;
        let used = words(&site, "select distinct queue as word from fairlane_job_history").await;
        let served = words(&site, "select queues as word from fairlane_workers where state = 'running'").await;
        assert_eq!(used, ["default", "high", "low"].map(str::to_owned).into());
        assert_eq!(served, used, "queues with a worker");
        let known = words(&site, "select cast(pid as text) as word from fairlane_workers where state = 'running'").await;
        assert_eq!(known, supervisor.pids().iter().map(u32::to_string).collect());
    }
);

backend_test!(
    migrations: lines;
    async fn restart_ends_every_worker_with_0_and_supervisord_brings_new_ones(t: TestDb) {
        let site = short_site(t).await;
        let Some(supervisor) = Supervisor::start(&site, "restart_ends_every_worker_with_0").await else { return };
        let all_registered = "select count(*) as n from fairlane_workers where state = 'running'";
        site.until("the workers to register", all_registered, |n| n == PROCESSES as i64).await;
        let before = supervisor.pids();
        let acme = approve_orders(&site, 50).await;
        let told = site.run(&["restart", "--wait"]);
        assert!(told.contains("3 of 3 workers have stopped"), "{told}");
        let new = |s: &Supervisor| s.pids().len() == PROCESSES && s.pids().is_disjoint(&before);
        supervisor.until("new workers", new).await;
        assert_eq!(ended(&supervisor, "(exit status 0; expected)"), PROCESSES, "{}", supervisor.log());
        let obeyed = "select count(*) as n from fairlane_workers where stop_reason = 'restart_signal'";
        assert_eq!(site.count(obeyed).await, PROCESSES as i64);
        approve_more(&acme, 10).await;
        site.until("all jobs to be done", LIVE, |n| n == 0).await;
        assert_every_order_billed_once(&site, 60).await;
        let burned = "select count(*) as n from fairlane_job_history where attempt <> 1";
        assert_eq!(site.count(burned).await, 0, "attempts burned");
    }
);

backend_test!(
    migrations: lines;
    async fn stop_all_finishes_or_gives_back_what_runs_and_leaves_nothing_executing(t: TestDb) {
        let site = short_site(t).await;
        let Some(supervisor) = Supervisor::start(&site, "stop_all_finishes_or_gives_back").await else { return };
        start_import(&site, 20_000);
        site.until("the import to be under way", PROGRESS, |n| n > 0).await;
        let begun = Instant::now();
        supervisor.ctl(&["stop", "all"]);
        assert!(begun.elapsed() < Duration::from_secs(45), "stopwaitsecs is 45, it took {:?}", begun.elapsed());
        assert_eq!(supervisor.pids().len(), 0);
        assert_eq!(ended(&supervisor, "(exit status 0)"), PROCESSES, "{}", supervisor.log());
        assert_eq!(ended(&supervisor, "SIGKILL"), 0, "{}", supervisor.log());
        assert_eq!(site.count(EXECUTING).await, 0, "still executing");
        let given_back = "select count(*) as n from fairlane_jobs where attempt = 0 and state = 'available'";
        assert_eq!(site.count(given_back).await, site.count(LIVE).await, "neither done nor given back");
        let drained = "select count(*) as n from fairlane_workers where stop_reason = 'interrupted'";
        assert_eq!(site.count(drained).await, PROCESSES as i64);
        supervisor.ctl(&["start", "all"]);
        site.until("the import to be done", LIVE, |n| n == 0).await;
        assert_imported_once(&site, 20_000).await;
        assert_eq!(site.count("select attempt as n from fairlane_job_history").await, 1, "the attempt");
        assert_eq!(site.count("select count(*) as n from fairlane_attempts").await, 0, "errors recorded");
    }
);

backend_test!(
    migrations: lines;
    async fn a_killed_worker_comes_back_and_its_job_is_done(t: TestDb) {
        let site = short_site(t).await;
        let Some(supervisor) = Supervisor::start(&site, "a_killed_worker_comes_back").await else { return };
        start_import(&site, 15_000);
        site.until("the import to be under way", PROGRESS, |n| n > 0).await;
        let victim = "select pid as n from fairlane_workers where queues = 'low' and state = 'running'";
        let victim = u32::try_from(site.count(victim).await).unwrap();
        assert!(supervisor.pids().contains(&victim), "{victim} is none of supervisord's");
        signal("KILL", victim);
        let back = |s: &Supervisor| s.pids().len() == PROCESSES && !s.pids().contains(&victim);
        supervisor.until("the killed worker to come back", back).await;
        site.until("the import to be done", LIVE, |n| n == 0).await;
        assert_imported_once(&site, 15_000).await;
        assert_eq!(ended(&supervisor, "terminated by SIGKILL; not expected"), 1, "{}", supervisor.log());
    }
);
