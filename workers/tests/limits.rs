//! Execution limits over several worker processes and under SIGKILL, written down by a ledger outside them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod support;

use std::time::Duration;

use fairlane::backend_test;
use fairlane::limits::{LimitChange, Rate, Scope};
use fairlane::store::limits;
use fairlane::store::migrate::MigrationLine;
use support::ledger::{Act, Ledger, Part, Record, Sleep, begun, peak, running};
use support::load::{approve_orders, assert_every_order_billed_once};
use support::processes::Site;

const LIVE: &str = "select count(*) as n from fairlane_jobs";
const FAILED: &str = "select count(*) as n from fairlane_failed_jobs";

fn lines() -> Vec<MigrationLine> {
    Vec::new()
}

fn erp_lines() -> Vec<MigrationLine> {
    vec![fairlane_workers::erp::migrations()]
}

async fn limit(site: &Site, change: LimitChange) {
    let id = site.t.fairlane.tenant("acme").id().await.expect("a tenant");
    let mut tx = site.t.db.begin().await.expect("begun");
    limits::set(&mut tx.conn(), id, Scope::Total, "", change).await.expect("set");
    tx.commit().await.expect("committed");
}

async fn dispatch(site: &Site, jobs: impl IntoIterator<Item = Sleep>) {
    for job in jobs {
        site.t.fairlane.tenant("acme").dispatch(job).await.expect("dispatched");
    }
}

fn is_long(number: u64) -> bool {
    number.is_multiple_of(4)
}

/// Waits until such a job runs whose process has not been killed under it before, kills that process, and starts another.
async fn kill_one_that_runs(
    such: impl Fn(u64) -> bool,
    site: &Site,
    ledger: &Ledger,
    workers: &mut Vec<Part>,
    slots: usize,
) {
    let victim = |records: &[Record]| {
        let lost: Vec<u64> = killed(records);
        let fresh = |(_, number): &(u32, u64)| such(*number) && !lost.contains(number);
        let (pid, _) = running(records).into_iter().find(fresh)?;
        workers.iter().position(|worker| worker.pid() == pid)
    };
    let place = ledger.until("a job to run", victim).await;
    ledger.kill(workers.swap_remove(place));
    workers.push(ledger.worker(site, slots));
}

/// Jobs whose process was killed under them.
fn killed(records: &[Record]) -> Vec<u64> {
    let mut lost = Vec::new();
    for (place, gone) in records.iter().enumerate().filter(|(_, record)| record.act == Act::Gone) {
        let ran = running(&records[..place]);
        lost.extend(ran.into_iter().filter(|(pid, _)| *pid == gone.pid).map(|(_, number)| number));
    }
    lost
}

backend_test!(
    migrations: lines;
    async fn a_limit_on_concurrency_holds_while_processes_are_killed_and_no_slot_leaks(t: TestDb) {
        let site = Site::new(t).await;
        let two = LimitChange { concurrency: Some(Some(2)), ..LimitChange::default() };
        limit(&site, two).await;
        // Each fourth runs longer than the permits of a dead process last beyond its jobs' leases: what ran without a permit
        // would meet two others that have one.
        let jobs = (0..40).map(|number| Sleep::new(number, if is_long(number) { 1200 } else { 40 }));
        dispatch(&site, jobs).await;
        let ledger = Ledger::open(&site);
        let mut workers: Vec<Part> = (0..4).map(|_| ledger.worker(&site, 2)).collect();
        for _ in 0..4 {
            kill_one_that_runs(is_long, &site, &ledger, &mut workers, 2).await;
        }
        let since = ledger.records().len();
        let both = |records: &[Record]| (peak(&records[since..], |_| true) >= 2).then_some(());
        ledger.until("both permits to be used again", both).await;
        site.until("all jobs to be done", LIVE, |n| n == 0).await;
        let records = ledger.records();
        assert_eq!(peak(&records, |_| true), 2, "at the same time, with a limit of two");
        assert!(killed(&records).len() >= 4, "each kill hit a job that ran");
        assert_eq!(site.count(FAILED).await, 0, "failed");
    }
);

backend_test!(
    migrations: lines;
    async fn jobs_of_one_key_run_one_at_a_time_and_in_order_over_processes_that_are_killed(t: TestDb) {
        const KEYS: u64 = 3;
        let site = Site::new(t).await;
        let ledger = Ledger::open(&site);
        let mut workers: Vec<Part> = (0..3).map(|_| ledger.worker(&site, 4)).collect();
        let keyed = |number: u64| Sleep { key: Some(format!("account {}", number % KEYS)), ..Sleep::new(number, 15) };
        dispatch(&site, (0..40 * KEYS).map(keyed)).await;
        for _ in 0..3 {
            kill_one_that_runs(|_| true, &site, &ledger, &mut workers, 4).await;
        }
        site.until("all jobs to be done", LIVE, |n| n == 0).await;
        let records = ledger.records();
        for key in 0..KEYS {
            let of_key = |number: u64| number % KEYS == key;
            assert_eq!(peak(&records, of_key), 1, "jobs of one key at the same time");
            let order: Vec<u64> = begun(&records).into_iter().filter(|number| of_key(*number)).collect();
            // One that was killed begins again before any later one.
            assert!(order.is_sorted(), "{order:?}");
        }
        assert!(peak(&records, |_| true) > 1, "keys do not wait for each other");
        assert_eq!(site.count(FAILED).await, 0, "failed");
    }
);

backend_test!(
    migrations: lines;
    async fn no_second_has_more_starts_than_the_rate_over_three_processes(t: TestDb) {
        const RATE: usize = 20;
        let site = Site::new(t).await;
        let rate = Rate { count: 20, period: Duration::from_secs(1), burst: 1 };
        limit(&site, LimitChange { starts: Some(Some(rate)), ..LimitChange::default() }).await;
        dispatch(&site, (0..100).map(|number| Sleep::new(number, 1))).await;
        let ledger = Ledger::open(&site);
        let _workers: Vec<Part> = (0..3).map(|_| ledger.worker(&site, 4)).collect();
        site.until("all jobs to be done", LIVE, |n| n == 0).await;
        let records = ledger.records();
        let mut starts: Vec<u64> =
            records.iter().filter(|record| record.act == Act::Begin).map(|record| record.said).collect();
        starts.sort_unstable();
        let closest = starts.windows(RATE + 1).map(|window| window[RATE] - window[0]).min();
        let closest = Duration::from_micros(closest.expect("enough starts"));
        assert!(closest >= rate.period, "{} starts in {closest:?}", RATE + 1);
        let took = Duration::from_micros(starts[starts.len() - 1] - starts[0]);
        assert!(took < Duration::from_secs(8), "the rate was used: 100 starts took {took:?}");
    }
);

backend_test!(
    migrations: erp_lines;
    async fn a_worker_that_stops_when_empty_stays_until_a_rate_has_let_all_jobs_start(t: TestDb) {
        let site = Site::new(t).await;
        site.run(&["tenants", "limits", "acme", "--starts", "10/s"]);
        approve_orders(&site, 10).await;
        let (status, took) = site.worker(&["--queue", "high,default", "--stop-when-empty"]).wait(Duration::from_secs(60));
        assert!(status.success(), "{status}");
        assert_every_order_billed_once(&site, 10).await;
        assert!(took > Duration::from_millis(1800), "20 jobs at ten a second took {took:?}");
    }
);
