//! Rows damaged by hand: SQLite stores anything in any column. One of them never stops the others.

use chrono::{DateTime, Utc};
use fairlane::backend_test;
use fairlane::db::query;
use fairlane::sql;
use fairlane::store::cancel::cancel_page;
use fairlane::store::failed::{FailedFilter, lock_page};
use fairlane::store::job_lists::JobFilter;
use fairlane::store::prune::{Retention, prune};
use fairlane::store::rescue::{Rescued, rescue};
use fairlane::store::{lease, promote, schedules, settle, workers};
use fairlane::testing::TestDb;
use uuid::Uuid;

use crate::support::*;

async fn sqlite() -> TestDb {
    TestDb::sqlite(Vec::new).await.expect("a database")
}

/// Writes one column of one job.
async fn damage(t: &TestDb, id: Uuid, statement: &'static str) {
    let touched = write(t, async |conn| query(sql!(statement)).bind(id).execute(conn).await).await;
    assert_eq!(touched, 1);
}

async fn rescue_now(t: &TestDb) -> Rescued {
    write(t, async |conn| rescue(conn, LEASE).await).await
}

#[tokio::test]
async fn a_running_job_without_a_readable_id_is_parked_and_the_others_are_rescued() {
    let t = sqlite().await;
    let ids = dispatch(&acme(&t), 4).await;
    claim(&t, 4).await;
    damage(&t, ids[0], "update fairlane_jobs set id = 'garbage' where id = $1").await;
    damage(&t, ids[1], "update fairlane_jobs set id = x'ff00' where id = $1").await;
    damage(&t, ids[2], "update fairlane_jobs set queue = x'ff00' where id = $1").await;
    t.db.shift_clock(chrono::Duration::seconds(31));
    let mut rescued = rescue_now(&t).await;
    rescued.damaged.sort();
    rescued.jobs.sort();
    assert_eq!(rescued.damaged, ["'garbage'", "X'FF00'"]);
    assert_eq!(rescued.jobs, ids[2..]);
    assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where state = 'suspended'").await, 2);
    assert_eq!(rescue_now(&t).await, Rescued::default(), "they are reported once");
}

#[tokio::test]
async fn a_poison_pill_with_an_unreadable_kind_fails_and_the_others_are_rescued() {
    let t = sqlite().await;
    let ids = dispatch(&acme(&t), 2).await;
    claim(&t, 2).await;
    let statement = "update fairlane_jobs set kind = x'ff00', crashes = 7, suspect = 1 where id = $1";
    damage(&t, ids[0], statement).await;
    t.db.shift_clock(chrono::Duration::seconds(31));
    let rescued = rescue_now(&t).await;
    assert_eq!((rescued.jobs, rescued.poisoned), (vec![ids[1]], vec![ids[0]]));
}

#[tokio::test]
async fn a_lease_that_ends_at_no_time_runs_out_after_a_whole_one() {
    let t = sqlite().await;
    let ids = dispatch(&acme(&t), 1).await;
    claim(&t, 1).await;
    damage(&t, ids[0], "update fairlane_jobs set lease_until = 'soon' where id = $1").await;
    assert_eq!(rescue_now(&t).await, Rescued::default(), "its worker may still renew it");
    t.db.shift_clock(chrono::Duration::seconds(31));
    assert_eq!(rescue_now(&t).await.jobs, ids);
}

#[tokio::test]
async fn a_due_job_with_an_unreadable_queue_does_not_keep_the_others_waiting() {
    let t = sqlite().await;
    let ids = dispatch(&acme(&t), 2).await;
    t.execute("update fairlane_jobs set state = 'retryable'").await;
    damage(&t, ids[0], "update fairlane_jobs set queue = x'ff00' where id = $1").await;
    assert_eq!(write(&t, async |conn| promote::promote(conn).await).await.queues, [QUEUE]);
    assert_eq!(places(&t, ids[1]).await, ["available"]);
}

#[tokio::test]
async fn an_unreadable_reason_to_cancel_costs_no_job_its_lease() {
    let t = sqlite().await;
    dispatch(&acme(&t), 2).await;
    let jobs = claim(&t, 2).await;
    let statement = "update fairlane_jobs set cancel_requested_at = 1, cancel_reason = x'ff00' where id = $1";
    damage(&t, jobs[0].id, statement).await;
    let leases: Vec<_> = jobs.iter().map(|job| (job.id, job.token)).collect();
    let held = write(&t, async |conn| lease::renew(conn, &leases, LEASE).await).await;
    let mut held: Vec<_> = held.into_iter().map(|held| (held.id, held.cancel_reason)).collect();
    held.sort();
    let mut wanted = vec![(jobs[0].id, Some(String::new())), (jobs[1].id, None)];
    wanted.sort();
    assert_eq!(held, wanted);
}

#[tokio::test]
async fn an_event_without_a_readable_id_does_not_stop_the_retention() {
    let t = sqlite().await;
    acme(&t).publish(OrderApproved { order: 1 }).await.expect("published");
    t.execute("update fairlane_events set id = 'garbage'").await;
    acme(&t).publish(OrderApproved { order: 2 }).await.expect("published");
    t.db.shift_clock(chrono::Duration::days(31));
    prune(&t.db, &Retention::default()).await.expect("pruned");
    assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, 0);
}

#[tokio::test]
async fn a_damaged_time_of_a_change_keeps_no_worker_from_looking() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    acme(&t).dispatch(Work { number: 1 }).await.unwrap();
    t.execute("update fairlane_tenants set changed_at = 'garbage'").await;
    t.execute("insert into fairlane_limits (tenant_id, scope, changed_at) select id, 'total', 'x' from fairlane_tenants").await;
    let mut tx = t.db.read().await.unwrap();
    let look = fairlane::store::look::look(&mut tx.conn(), ("", 0), 10).await.unwrap();
    assert_eq!((look.heads.len(), look.changed_at), (1, None));
}

#[tokio::test]
async fn a_damaged_worker_row_is_named_and_hides_no_other() {
    let t = sqlite().await;
    for id in ["garbage".to_owned(), Uuid::now_v7().to_string()] {
        write(&t, async |conn| {
            query(sql!(
                "insert into fairlane_workers (id, name, host, pid, version, queues, concurrency, state, started_at,
                    seen_at)
                 values ($1, 'w', 'h', 1, '0', 'default', 1, 'running', {now}, {now})"
            ))
            .bind(id.as_str())
            .execute(conn)
            .await
        })
        .await;
    }
    let listing = write(&t, async |conn| workers::list(conn, LEASE).await).await;
    assert_eq!((listing.rows.len(), listing.damaged[0].id.as_str()), (1, "garbage"));
    let asked = write(&t, async |conn| workers::request_stop(conn, None, None, None).await).await;
    assert_eq!(asked, [listing.rows[0].id]);
}

#[tokio::test]
async fn a_damaged_schedule_is_named_and_hides_no_other() {
    let t = sqlite().await;
    let good = crate::schedules::nightly(&t, Utc::now() - chrono::Duration::seconds(2)).await;
    t.execute(
        "insert into fairlane_schedules (id, tenant_id, name, cron, timezone, kind, payload, queue, priority, missed,
            next_tick_at)
         select 'garbage', tenant_id, 'a', cron, timezone, kind, payload, queue, priority, missed, 1
         from fairlane_schedules",
    )
    .await;
    let (_, due) = write(&t, async |conn| schedules::due(conn).await).await;
    let all = write(&t, async |conn| schedules::list(conn, None).await).await;
    for listing in [due, all] {
        assert_eq!(listing.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [good.id]);
        assert_eq!(listing.damaged[0].id, "garbage");
    }
}

#[tokio::test]
async fn a_page_full_of_unreadable_failed_jobs_does_not_end_the_set() {
    let t = sqlite().await;
    let ids = dispatch(&acme(&t), 3).await;
    for job in claim(&t, 3).await {
        write(&t, async |conn| settle::fail(conn, fence(&job), &failure("x")).await).await;
    }
    for (id, text) in [(ids[0], "garbage"), (ids[1], "rubbish")] {
        write(&t, async |conn| {
            query(sql!("update fairlane_failed_jobs set id = $2, failed_at = 7 where id = $1"))
                .bind(id)
                .bind(text)
                .execute(conn)
                .await
        })
        .await;
    }
    let after = (DateTime::UNIX_EPOCH, Uuid::nil());
    let page = write(&t, async |conn| lock_page(conn, &FailedFilter::default(), after, 2).await).await;
    assert_eq!(page.ids, [ids[2]]);
}

#[tokio::test]
async fn a_page_full_of_unreadable_jobs_does_not_end_a_cancellation() {
    let t = sqlite().await;
    let ids = dispatch(&acme(&t), 3).await;
    damage(&t, ids[0], "update fairlane_jobs set id = '00000000-garbage-1' where id = $1").await;
    damage(&t, ids[1], "update fairlane_jobs set id = '00000000-garbage-2' where id = $1").await;
    let fixed_at = Utc::now() + chrono::Duration::seconds(1);
    let filter = JobFilter::default();
    let page = write(&t, async |conn| cancel_page(conn, &filter, fixed_at, Uuid::nil(), "x", 2).await).await;
    assert_eq!(page.waiting, [ids[2]]);
}

backend_test!(
    async fn a_job_that_the_history_knows_already_can_be_cancelled(t: TestDb) {
        let ids = dispatch(&acme(&t), 1).await;
        t.execute(
            "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, attempt, runs,
                generation, created_at)
             select id, tenant_id, queue, kind, priority, 'completed', payload, attempt, runs, generation, created_at
             from fairlane_jobs",
        )
        .await;
        let fixed_at = Utc::now() + chrono::Duration::seconds(1);
        let filter = JobFilter::default();
        let page =
            write(&t, async |conn| cancel_page(conn, &filter, fixed_at, Uuid::nil(), "x", 2).await).await;
        assert_eq!(page.waiting, ids);
        assert_eq!(places(&t, ids[0]).await, ["completed"]);
    }
);
