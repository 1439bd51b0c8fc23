//! What tenants have used adds up to what ran, whatever became of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::store::claim::Claimed;
use fairlane::store::failed::forget;
use fairlane::store::prune::{Retention, prune};
use fairlane::store::settle::{self, RunEnd};
use fairlane::store::usage::{self, UsageRow};
use fairlane::store::{cancel, complete, job_lists, rescue, revive};
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Context, Job, JobError, JobResult, Registry, backend_test};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::*;

/// The end of a run whose handler took so long.
fn after(job: &Claimed, millis: u64) -> RunEnd {
    RunEnd { fence: fence(job), worked: Duration::from_millis(millis) }
}

async fn used(t: &TestDb) -> Vec<UsageRow> {
    let listing = write(t, async |conn| usage::list(conn, None, DateTime::<Utc>::UNIX_EPOCH).await).await;
    assert!(listing.damaged.is_empty(), "{:?}", listing.damaged);
    listing.rows
}

/// Worker time, jobs and failures over all days.
async fn sums(t: &TestDb) -> (i64, i64, i64) {
    let rows = used(t).await;
    let sum = |of: fn(&UsageRow) -> i64| rows.iter().map(of).sum();
    (sum(|row| row.worked_ms), sum(|row| row.jobs), sum(|row| row.failures))
}

/// Claims the job that waits.
async fn next(t: &TestDb) -> Claimed {
    claim(t, 1).await.pop().expect("a job")
}

/// A job that ran for a second and failed.
async fn failed_job(t: &TestDb) -> Uuid {
    let job = claimed_job(t).await;
    assert!(write(t, async |conn| settle::fail(conn, after(&job, 1000), &failure("no")).await).await);
    job.id
}

backend_test!(
    async fn every_run_of_a_job_counts(t: TestDb) {
        let job = claimed_job(&t).await;
        let retried = settle::retry;
        assert!(
            write(&t, async |conn| retried(conn, after(&job, 100), Duration::ZERO, &failure("no")).await)
                .await
        );
        t.execute("update fairlane_jobs set state = 'available'").await;
        assert_eq!(
            used(&t).await.pop().map(|row| (row.day, row.worked_ms, row.jobs)),
            Some((None, 100, 0)),
            "so far"
        );
        let job = next(&t).await;
        assert!(write(&t, async |conn| settle::snooze(conn, after(&job, 20), Duration::ZERO).await).await);
        let job = next(&t).await;
        assert!(write(&t, async |conn| settle::release(conn, after(&job, 3)).await).await);
        let job = next(&t).await;
        assert_eq!(
            write(&t, async |conn| complete::complete(conn, &[after(&job, 4000)]).await).await,
            [job.id]
        );
        assert_eq!(sums(&t).await, (4123, 1, 0));
        let day: String = job_lists_day(&t).await;
        assert_eq!(used(&t).await[0].day.as_deref(), Some(day.as_str()), "the day on which it finished");
    }
);

async fn job_lists_day(t: &TestDb) -> String {
    let now = write(t, async |conn| job_lists::now(conn).await).await;
    now.format("%Y-%m-%d").to_string()
}

backend_test!(
    async fn many_completions_keep_their_own_times(t: TestDb) {
        dispatch(&acme(&t), 5).await;
        let jobs = claim(&t, 5).await;
        let ends: Vec<RunEnd> = jobs.iter().zip(1..).map(|(job, n)| after(job, 1 << n)).collect();
        assert_eq!(write(&t, async |conn| complete::complete(conn, &ends).await).await.len(), 5);
        for (job, n) in jobs.iter().zip(1..) {
            let worked = write(&t, async |conn| {
                fairlane::db::query(fairlane::sql!(
                    "select worked_ms from fairlane_job_history where id = $1"
                ))
                .bind(job.id)
                .fetch_one(conn)
                .await?
                .get::<i64>("worked_ms")
            })
            .await;
            assert_eq!(worked, 1 << n);
        }
        assert_eq!(sums(&t).await, (2 + 4 + 8 + 16 + 32, 5, 0));
    }
);

backend_test!(
    async fn a_stale_worker_adds_nothing(t: TestDb) {
        let job = claimed_job(&t).await;
        let stale = RunEnd { fence: wrong_fence(&job), worked: Duration::from_secs(9) };
        write(&t, async |conn| {
            complete::complete(conn, &[stale]).await?;
            settle::retry(conn, stale, Duration::ZERO, &failure("no")).await?;
            settle::snooze(conn, stale, Duration::ZERO).await?;
            settle::release(conn, stale).await?;
            settle::fail(conn, stale, &failure("no")).await?;
            settle::cancel(conn, stale, "no").await
        })
        .await;
        assert_eq!(sums(&t).await, (0, 0, 0));
    }
);

backend_test!(
    async fn a_cancelled_job_counts_with_what_it_ran(t: TestDb) {
        let job = claimed_job(&t).await;
        assert!(write(&t, async |conn| settle::cancel(conn, after(&job, 70), "enough").await).await);
        let job = claimed_job(&t).await;
        assert!(write(&t, async |conn| settle::release(conn, after(&job, 7)).await).await);
        let filter = job_lists::JobFilter {
            states: vec![fairlane::JobState::Available],
            ..job_lists::JobFilter::default()
        };
        write(&t, async |conn| {
            let now = job_lists::now(conn).await?;
            cancel::cancel_page(conn, &filter, now, Uuid::nil(), "enough", 10).await
        })
        .await;
        assert_eq!(sums(&t).await, (77, 2, 0));
    }
);

backend_test!(
    async fn a_killed_run_counts_up_to_its_last_heartbeat(t: TestDb) {
        let job = claimed_job(&t).await;
        t.db.shift_clock(chrono::Duration::seconds(10));
        let renewed =
            write(&t, async |conn| fairlane::store::lease::renew(conn, &[(job.id, job.token)], LEASE).await)
                .await;
        assert_eq!(renewed.len(), 1);
        t.db.shift_clock(chrono::Duration::seconds(100));
        write(&t, async |conn| rescue::rescue(conn, LEASE).await).await;
        let (worked, jobs, _) = sums(&t).await;
        assert!((10_000..13_000).contains(&worked), "{worked} ms, and not until it was found");
        assert_eq!(jobs, 0);
        // Never renewed: nobody knows that it ran at all.
        t.execute("update fairlane_jobs set suspect = (1 = 0)").await;
        next(&t).await;
        t.db.shift_clock(chrono::Duration::seconds(100));
        write(&t, async |conn| rescue::rescue(conn, LEASE).await).await;
        assert_eq!(sums(&t).await.0, worked);
        // A lease longer than the run: not before its start.
        t.execute("update fairlane_jobs set suspect = (1 = 0)").await;
        next(&t).await;
        t.db.shift_clock(chrono::Duration::seconds(100));
        write(&t, async |conn| rescue::rescue(conn, 4 * LEASE).await).await;
        assert_eq!(sums(&t).await.0, worked);
    }
);

backend_test!(
    async fn a_poison_pill_takes_its_time_along(t: TestDb) {
        let (mut expected, kinds) = (0, work_kinds());
        claimed_job(&t).await;
        for round in 0..4 {
            t.execute("update fairlane_jobs set started_at = run_at, lease_until = run_at where state = 'executing'").await;
            t.db.shift_clock(chrono::Duration::seconds(100));
            let rescued = write(&t, async |conn| rescue::rescue(conn, Duration::ZERO).await).await;
            assert_eq!(rescued.poisoned.len(), usize::from(round == 3), "round {round}: {rescued:?}");
            if round < 3 {
                t.execute("update fairlane_jobs set worked_ms = worked_ms + 50").await;
                expected += 50;
                let suspects = fairlane::testing::ClaimFrom { suspects: true, ..request(&kinds) };
                assert_eq!(claim_with(&t.db, &suspects).await.len(), 1);
            }
        }
        assert_eq!(sums(&t).await, (expected, 1, 1));
    }
);

backend_test!(
    async fn usage_stays_what_it_was_when_rows_are_pruned(t: TestDb) {
        failed_job(&t).await;
        let job = claimed_job(&t).await;
        write(&t, async |conn| complete::complete(conn, &[after(&job, 500)]).await).await;
        add_tenant(&t, "globex").await;
        t.db.shift_clock(chrono::Duration::days(1));
        let job = claimed_job(&t).await;
        write(&t, async |conn| complete::complete(conn, &[after(&job, 60)]).await).await;
        let before = used(&t).await;
        assert_eq!(before.len(), 2, "two days: {before:?}");
        assert_eq!((before[0].worked_ms, before[0].jobs, before[0].failures), (1500, 2, 1));
        for days in [7, 1, 90] {
            t.db.shift_clock(chrono::Duration::days(days));
            while prune(&t.db, &Retention::default()).await.unwrap() > 0 {}
            assert_eq!(used(&t).await, before);
        }
        assert_eq!(count(&t, "select count(*) as n from fairlane_job_history").await, 0);
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
        assert_eq!(count(&t, "select count(*) as n from fairlane_usage").await, 2);
    }
);

backend_test!(
    async fn usage_stays_what_it_was_when_a_failed_job_is_forgotten(t: TestDb) {
        let (first, second) = (failed_job(&t).await, failed_job(&t).await);
        let before = used(&t).await;
        for id in [first, second] {
            assert_eq!(write(&t, async |conn| forget(conn, &[id]).await).await, 1);
            assert_eq!(used(&t).await, before);
        }
        assert_eq!(write(&t, async |conn| forget(conn, &[first]).await).await, 0, "once");
        assert_eq!(sums(&t).await, (2000, 2, 2));
    }
);

backend_test!(
    async fn a_retried_failure_stays_and_the_next_end_counts_beside_it(t: TestDb) {
        let id = failed_job(&t).await;
        write(&t, async |conn| revive::revive(conn, &[id]).await).await;
        assert_eq!(sums(&t).await, (1000, 1, 1));
        let job = next(&t).await;
        write(&t, async |conn| complete::complete(conn, &[after(&job, 5)]).await).await;
        assert_eq!(sums(&t).await, (1005, 2, 1));
    }
);

backend_test!(
    async fn usage_is_told_by_tenant_and_from_a_day_on(t: TestDb) {
        let globex = add_tenant(&t, "globex").await;
        failed_job(&t).await;
        dispatch(&globex, 1).await;
        let job = next(&t).await;
        write(&t, async |conn| complete::complete(conn, &[after(&job, 9)]).await).await;
        let id = globex.id().await.unwrap();
        let told =
            async |tenant, from| write(&t, async |conn| usage::list(conn, tenant, from).await).await.rows;
        let all = told(None, DateTime::UNIX_EPOCH).await;
        assert_eq!(all.iter().map(|row| row.tenant.as_str()).collect::<Vec<_>>(), ["acme", "globex"]);
        assert_eq!(told(Some(id), DateTime::UNIX_EPOCH).await, all[1..]);
        assert!(told(None, Utc::now() + chrono::Duration::days(1)).await.is_empty());
    }
);

/// Takes a while, in one way or the other.
#[derive(Serialize, Deserialize)]
struct Takes {
    in_a_transaction: bool,
}

impl Job for Takes {
    const KIND: &'static str = "test.takes";
    type State = ();

    async fn run(self, ctx: Context<()>) -> JobResult {
        tokio::time::sleep(Duration::from_millis(30)).await;
        if self.in_a_transaction {
            let tx = ctx.begin().await?;
            return ctx.complete_in(tx).await;
        }
        if ctx.job().run == 1 { Err(JobError::snooze(Duration::ZERO)) } else { Ok(()) }
    }
}

backend_test!(
    async fn a_worker_measures_its_handlers_from_their_start_to_their_end(t: TestDb) {
        for in_a_transaction in [false, true] {
            acme(&t).dispatch(Takes { in_a_transaction }).await.unwrap();
        }
        let began = std::time::Instant::now();
        let registry = Registry::new().job::<Takes>();
        Worker::new(&t.fairlane)
            .serve(registry, ())
            .options(WorkerOptions { stop_when_empty: true, ..WorkerOptions::default() })
            .queues([QUEUE])
            .run_until(std::future::pending())
            .await
            .unwrap();
        let (worked, jobs, _) = sums(&t).await;
        assert_eq!(jobs, 2);
        let most = 3 * i64::try_from(began.elapsed().as_millis()).unwrap();
        assert!((90..=most).contains(&worked), "three runs of thirty milliseconds: {worked}");
    }
);
