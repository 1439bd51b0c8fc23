//! What tenants may use, as real workers keep to it.

use std::time::Duration;

use fairlane::limits::{LimitChange, LimitDefaults, Rate, Scope, TenantDefaults};
use fairlane::store::limits;
use fairlane::testing::TestDb;
use fairlane::worker::{StopReason, Worker, WorkerOptions};
use fairlane::{ClientSettings, Fairlane, backend_test};

use crate::kinds::{Log, Urgent, What, act, keyed, registry};
use crate::support::{Running, add_tenant, count, eventually, quick};

pub(crate) async fn limit_total(t: &TestDb, slug: &str, change: LimitChange) {
    let id = t.fairlane.tenant(slug).id().await.expect("a tenant");
    let mut tx = t.db.begin().await.expect("begun");
    limits::set(&mut tx.conn(), id, Scope::Total, "", change).await.expect("set");
    tx.commit().await.expect("committed");
}

pub(crate) fn concurrency(most: u32) -> LimitChange {
    LimitChange { concurrency: Some(Some(most)), ..LimitChange::default() }
}

fn starts(count: u32, period: Duration) -> LimitChange {
    LimitChange { starts: Some(Some(Rate { count, period, burst: 1 })), ..LimitChange::default() }
}

/// Queues jobs as if their process had died under them.
async fn dispatch_suspects(t: &TestDb, jobs: Vec<(&str, What)>) {
    for (tenant, what) in jobs {
        let job = t.fairlane.tenant(tenant).dispatch(act(tenant, what));
        job.delay(Duration::from_secs(3600)).await.expect("dispatched");
    }
    make_suspects(t).await;
}

/// What was put off becomes a suspect that waits.
async fn make_suspects(t: &TestDb) {
    t.execute(
        "update fairlane_jobs set suspect = true, state = 'available', run_at = created_at where state = 'scheduled'",
    )
    .await;
}

backend_test!(
    async fn a_suspect_waits_for_a_permit_of_its_tenant_and_keeps_no_other_waiting(t: TestDb) {
        add_tenant(&t, "beta").await;
        limit_total(&t, "acme", concurrency(1)).await;
        let log = Log::default();
        let busy = Running::start(&t, &log);
        let holder = t.fairlane.tenant("acme").dispatch(act("holder", What::UntilStopping));
        holder.timeout(Duration::from_secs(60)).await.expect("dispatched");
        eventually("the permit is in use", async || log.count("holder 1") == 1).await;
        dispatch_suspects(&t, vec![("acme", What::Succeed), ("beta", What::Succeed)]).await;
        let free = Running::start(&t, &log);
        eventually("the other tenant's suspect runs", async || log.count("beta 1") == 1).await;
        assert_eq!(log.count("acme 1"), 0, "two at a time with a limit of one: {:?}", log.entries());
        busy.stop().await;
        eventually("the permit is free", async || log.count("acme 1") == 1).await;
        free.stop().await;
    }
);

backend_test!(
    async fn a_suspect_among_its_tenants_own_jobs_gets_the_next_permit(t: TestDb) {
        limit_total(&t, "acme", concurrency(1)).await;
        dispatch_suspects(&t, vec![("acme", What::Sleep(20))]).await;
        for _ in 0..150 {
            t.fairlane.tenant("acme").dispatch(act("ordinary", What::Sleep(20))).await.expect("dispatched");
        }
        let log = Log::default();
        // So late that ordinary jobs come first.
        t.execute("update fairlane_jobs set state = 'scheduled' where suspect").await;
        let worker = Running::start(&t, &log);
        eventually("ordinary jobs run", async || log.count("ordinary 1") > 2).await;
        make_suspects(&t).await;
        let before = log.count("ordinary 1");
        eventually("the suspect runs", async || log.count("acme 1") == 1).await;
        let entries = log.entries();
        let place = entries.iter().position(|entry| entry == "acme 1").expect("it ran");
        // A busy worker looks for suspects twice a second.
        assert!(place < before + 75, "after {place} others, {before} before it was there");
        worker.stop().await;
    }
);

backend_test!(
    async fn a_suspect_whose_key_is_taken_is_set_aside_and_runs_when_it_is_free(t: TestDb) {
        let log = Log::default();
        let busy = Running::start(&t, &log);
        let acme = t.fairlane.tenant("acme");
        let holder = acme.dispatch(keyed("a-1", 1, None));
        holder.timeout(Duration::from_secs(60)).await.expect("dispatched");
        eventually("the key is in use", async || log.count("a-1 1 begins") == 1).await;
        for account in ["a-1", "a-2"] {
            let suspect = acme.dispatch(keyed(account, 2, Some(1))).delay(Duration::from_secs(3600));
            suspect.await.expect("dispatched");
        }
        make_suspects(&t).await;
        let free = Running::start(&t, &log);
        eventually("the other key's suspect runs", async || log.count("a-2 2 ends") == 1).await;
        let aside = "select count(*) as n from fairlane_jobs where state = 'suspended' and attempt = 0";
        eventually("the first is set aside", async || count(&t, aside).await == 1).await;
        assert_eq!(log.count("a-1 2 begins"), 0, "{:?}", log.entries());
        busy.stop().await;
        eventually("the key is free", async || log.count("a-1 2 ends") == 1).await;
        free.stop().await;
    }
);

backend_test!(
    async fn a_suspect_whose_tenant_has_used_up_its_rate_waits_and_keeps_no_other_waiting(t: TestDb) {
        add_tenant(&t, "beta").await;
        limit_total(&t, "acme", starts(1, Duration::from_secs(3600))).await;
        let log = Log::default();
        let first = Running::start(&t, &log);
        t.fairlane.tenant("acme").dispatch(act("first", What::Succeed)).await.expect("dispatched");
        eventually("the rate is used up", async || log.count("first 1") == 1).await;
        first.stop().await;
        // Another process does not know that.
        let worker = Running::start(&t, &log);
        dispatch_suspects(&t, vec![("acme", What::Succeed), ("beta", What::Succeed)]).await;
        eventually("the other tenant's suspect runs", async || log.count("beta 1") == 1).await;
        for _ in 0..20 {
            t.fairlane.tenant("beta").dispatch(act("ordinary", What::Succeed)).await.expect("dispatched");
        }
        eventually("others run", async || log.count("ordinary 1") == 20).await;
        assert_eq!(log.count("acme 1"), 0, "a second start in the hour: {:?}", log.entries());
        worker.stop().await;
    }
);

backend_test!(
    async fn a_worker_that_stops_when_empty_stays_for_jobs_that_wait_for_their_key_or_rate(t: TestDb) {
        add_tenant(&t, "beta").await;
        limit_total(&t, "beta", starts(20, Duration::from_secs(1))).await;
        for number in 0..12 {
            let (acme, beta) = (t.fairlane.tenant("acme"), t.fairlane.tenant("beta"));
            acme.dispatch(keyed("a-1", number, Some(5))).await.expect("dispatched");
            beta.dispatch(act("beta", What::Succeed)).await.expect("dispatched");
        }
        let log = Log::default();
        // Keys outlast the rate in the second round.
        for round in 1..=2 {
            let options = WorkerOptions { stop_when_empty: true, ..quick() };
            let worker = Worker::new(&t.fairlane).serve(registry(), log.clone()).options(options);
            assert_eq!(worker.run_until(std::future::pending()).await.expect("ran"), StopReason::Empty);
            let left = count(&t, "select count(*) as n from fairlane_jobs").await;
            assert_eq!(left, 0, "round {round}: {:?}", log.entries());
            for number in 12..20 {
                let job = keyed("a-1", number, Some(5));
                t.fairlane.tenant("acme").dispatch(job).await.expect("dispatched");
            }
        }
        let entries: Vec<String> =
            log.entries().into_iter().filter(|entry| entry.starts_with("a-1")).collect();
        let expected = (0..20).flat_map(|n| [format!("a-1 {n} begins"), format!("a-1 {n} ends")]);
        assert_eq!(entries, expected.collect::<Vec<_>>(), "one at a time, in order");
    }
);

backend_test!(
    async fn a_worker_that_stops_when_empty_stays_for_a_job_whose_key_another_process_holds(t: TestDb) {
        let log = Log::default();
        let busy = Running::start(&t, &log);
        let acme = t.fairlane.tenant("acme");
        let holder = acme.dispatch(keyed("a-1", 1, None));
        holder.timeout(Duration::from_secs(60)).await.expect("dispatched");
        eventually("the key is in use", async || log.count("a-1 1 begins") == 1).await;
        acme.dispatch(keyed("a-1", 2, Some(1))).await.expect("dispatched");
        let mut last = Running::with(&t, &log, WorkerOptions { stop_when_empty: true, ..quick() });
        // One that does not stay ends within a few milliseconds.
        let ended = tokio::time::timeout(Duration::from_millis(500), &mut last.task).await;
        assert!(ended.is_err(), "it left a job behind: {:?}", log.entries());
        busy.stop().await;
        assert_eq!(last.task.await.expect("joined").expect("ran"), StopReason::Empty);
        assert_eq!(log.count("a-1 2 ends"), 1);
    }
);

backend_test!(
    async fn a_rate_that_queues_share_goes_to_the_first_of_them(t: TestDb) {
        limit_total(&t, "acme", starts(40, Duration::from_secs(1))).await;
        let acme = t.fairlane.tenant("acme");
        acme.dispatch_all((0..40).map(|_| act("later", What::Succeed))).await.expect("dispatched");
        acme.dispatch_all((0..20).map(|_| Urgent {})).await.expect("dispatched");
        let log = Log::default();
        let worker = Running::start(&t, &log);
        eventually("the urgent jobs have run", async || log.count("urgent") == 20).await;
        let later = log.count("later 1");
        // The floor of later queues is owed something now and then, and the last urgent ones leave starts to them.
        assert!(later <= 10, "{later} of the later queue went first: {:?}", log.entries());
        worker.stop().await;
    }
);

/// How many jobs of an account ran at the same time, at most.
fn most_at_once(log: &Log, account: &str) -> usize {
    let (mut running, mut most) = (0, 0);
    for entry in log.entries().iter().filter(|entry| entry.starts_with(account)) {
        if entry.ends_with("begins") {
            running += 1;
        } else {
            running -= 1;
        }
        most = most.max(running);
    }
    most
}

backend_test!(
    async fn the_configuration_says_how_many_jobs_of_a_key_run_together(t: TestDb) {
        let key = LimitChange { concurrency: Some(Some(2)), ..LimitChange::default() };
        let acme = TenantDefaults { keys: [("a-1".to_owned(), key)].into(), ..TenantDefaults::default() };
        let tenants = [("acme".to_owned(), acme)].into();
        let limits = LimitDefaults { tenants, ..LimitDefaults::default() };
        let fairlane = Fairlane::new(t.db.clone(), ClientSettings { limits, ..ClientSettings::default() });
        for number in 0..8 {
            for account in ["a-1", "a-2"] {
                fairlane.tenant("acme").dispatch(keyed(account, number, Some(20))).await.expect("dispatched");
            }
        }
        let log = Log::default();
        let options = WorkerOptions { stop_when_empty: true, ..quick() };
        let worker = Worker::new(&fairlane).serve(registry(), log.clone()).options(options);
        assert_eq!(worker.run_until(std::future::pending()).await.expect("ran"), StopReason::Empty);
        assert_eq!((most_at_once(&log, "a-1"), most_at_once(&log, "a-2")), (2, 1), "{:?}", log.entries());
    }
);
