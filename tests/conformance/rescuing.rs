//! Jobs whose lease ran out.

use fairlane::db::query;
use fairlane::store::claim::Claimed;
use fairlane::store::rescue::{Rescued, rescue};
use fairlane::store::workers::{self, WorkerRow};
use fairlane::testing::{ClaimFrom, TestDb};
use fairlane::{backend_test, sql, store};
use uuid::Uuid;

use crate::support::*;

async fn rescue_now(t: &TestDb) -> Rescued {
    write(t, async |conn| rescue(conn, LEASE).await).await
}

fn lease_passes(t: &TestDb) {
    t.db.shift_clock(chrono::Duration::seconds(31));
}

async fn claim_as(t: &TestDb, worker_id: Uuid, suspects: bool) -> Claimed {
    let kinds = work_kinds();
    claim_with(&t.db, &ClaimFrom { worker_id, suspects, ..request(&kinds) }).await.pop().expect("a job")
}

pub(crate) async fn register(t: &TestDb) -> Uuid {
    register_with(t, None).await
}

/// Registers a worker that says how long its leases are.
pub(crate) async fn register_with(t: &TestDb, lease_ms: Option<i64>) -> Uuid {
    let now = chrono::Utc::now();
    let worker = WorkerRow {
        id: Uuid::now_v7(),
        name: "w".into(),
        host: "h".into(),
        pid: 1,
        version: "0".into(),
        queues: QUEUE.into(),
        concurrency: 1,
        lease_ms,
        state: "running".into(),
        running: 0,
        started_at: now,
        seen_at: now,
        stop_requested_at: None,
        stopped_at: None,
        stop_reason: None,
    };
    write(t, async |conn| workers::register(conn, &worker).await).await;
    worker.id
}

backend_test!(
    async fn only_expired_leases_are_rescued(t: TestDb) {
        dispatch(&acme(&t), 2).await;
        let first = claim(&t, 1).await.pop().unwrap();
        t.db.shift_clock(chrono::Duration::seconds(20));
        let second = claim(&t, 1).await.pop().unwrap();
        assert_eq!(rescue_now(&t).await, Rescued::default());
        t.db.shift_clock(chrono::Duration::seconds(11));
        let rescued = rescue_now(&t).await;
        assert_eq!((rescued.jobs, rescued.queues), (vec![first.id], vec!["default".to_owned()]));
        assert_eq!(places(&t, second.id).await, ["executing"]);
    }
);

backend_test!(
    async fn a_lost_lease_of_a_living_worker_is_no_crash(t: TestDb) {
        dispatch(&acme(&t), 1).await;
        let worker = register(&t).await;
        let job = claim_as(&t, worker, false).await;
        lease_passes(&t);
        write(&t, async |conn| workers::seen(conn, worker, "running", 1).await).await;
        assert_eq!(rescue_now(&t).await.jobs, [job.id]);
        assert!(!column::<bool>(&t, job.id, "suspect").await);
        assert_eq!(column::<i64>(&t, job.id, "leases_lost").await, 1);
        assert_eq!(column::<i64>(&t, job.id, "crashes").await, 0);
        let again = claim_as(&t, worker, false).await;
        assert_eq!((again.attempt, again.run), (1, 2), "the attempt was given back");
    }
);

backend_test!(
    async fn the_jobs_of_a_dead_worker_become_suspects_with_their_attempt(t: TestDb) {
        dispatch(&acme(&t), 1).await;
        let worker = register(&t).await;
        let job = claim_as(&t, worker, false).await;
        lease_passes(&t);
        assert_eq!(rescue_now(&t).await.jobs, [job.id]);
        assert!(column::<bool>(&t, job.id, "suspect").await);
        assert_eq!(column::<i64>(&t, job.id, "crashes").await, 0, "it did not run alone");
        assert_eq!(column::<i64>(&t, job.id, "attempt").await, 0);
    }
);

backend_test!(
    async fn a_rescue_records_how_the_run_ended(t: TestDb) {
        let (living, dead) = (register(&t).await, register(&t).await);
        for worker in [living, dead] {
            dispatch(&acme(&t), 1).await;
            claim_as(&t, worker, false).await;
        }
        lease_passes(&t);
        write(&t, async |conn| workers::seen(conn, living, "running", 1).await).await;
        rescue_now(&t).await;
        let attempts = rows(&t, "select * from fairlane_attempts order by outcome").await;
        let text = |attempt: &fairlane::db::Row, column: &str| attempt.get::<String>(column).unwrap();
        let told: Vec<_> = attempts
            .iter()
            .map(|row| (text(row, "outcome"), text(row, "code"), row.get::<Uuid>("worker_id").unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                ("crashed".to_owned(), "process_died".to_owned(), dead),
                ("lease_lost".to_owned(), "lease_lost".to_owned(), living)
            ]
        );
        assert_eq!(text(&attempts[0], "error"), "its worker process died");
        assert_eq!(
            (attempts[0].get::<i64>("run").unwrap(), attempts[0].get::<i64>("attempt").unwrap()),
            (1, 1)
        );
    }
);

backend_test!(
    async fn a_suspect_that_kills_three_processes_alone_fails_as_poison(t: TestDb) {
        let dispatch = acme(&t).dispatch(Work { number: 1 }).unique("k", fairlane::Unique::UntilDone);
        let id = dispatch.await.unwrap().id;
        claim(&t, 1).await;
        for crash in 0..4 {
            lease_passes(&t);
            let rescued = rescue_now(&t).await;
            if crash < 3 {
                assert_eq!(
                    (rescued.jobs.as_slice(), rescued.poisoned.len()),
                    ([id].as_slice(), 0),
                    "crash {crash}"
                );
                claim_as(&t, Uuid::now_v7(), true).await;
            } else {
                assert_eq!((rescued.jobs.len(), rescued.poisoned.as_slice()), (0, [id].as_slice()));
            }
        }
        assert_eq!(places(&t, id).await, ["discarded"]);
        assert_eq!(words(&t, "select code as word from fairlane_failed_jobs").await, ["poison_pill"]);
        assert_eq!(count(&t, "select count(*) as n from fairlane_unique_keys").await, 0);
    }
);

backend_test!(
    async fn a_suspect_that_finishes_once_is_cleared(t: TestDb) {
        dispatch(&acme(&t), 1).await;
        claim(&t, 1).await;
        lease_passes(&t);
        rescue_now(&t).await;
        let job = claim_as(&t, Uuid::now_v7(), true).await;
        let retry = store::settle::retry;
        write(&t, async |conn| retry(conn, fence(&job), std::time::Duration::ZERO, &failure("x")).await)
            .await;
        assert!(!column::<bool>(&t, job.id, "suspect").await);
    }
);

backend_test!(
    async fn a_job_completed_or_renewed_in_the_meantime_is_left_alone(t: TestDb) {
        dispatch(&acme(&t), 2).await;
        let jobs = claim(&t, 2).await;
        lease_passes(&t);
        write(&t, async |conn| store::complete::complete(conn, &[fence(&jobs[0])]).await).await;
        write(&t, async |conn| store::lease::renew(conn, &[(jobs[1].id, jobs[1].token)], LEASE).await).await;
        assert_eq!(rescue_now(&t).await, Rescued::default());
        assert_eq!(places(&t, jobs[0].id).await, ["completed"]);
        assert_eq!(places(&t, jobs[1].id).await, ["executing"]);
    }
);

backend_test!(
    async fn four_rescuers_rescue_each_job_once(t: TestDb) {
        acme(&t).dispatch_all((0..100).map(|number| Work { number })).await.unwrap();
        claim(&t, 100).await;
        lease_passes(&t);
        let rescuers = (0..4).map(|_| {
            let db = t.db.clone();
            tokio::spawn(async move {
                try_write(&db, async |conn| rescue(conn, LEASE).await).await.unwrap().jobs.len()
            })
        });
        let rescued: usize = futures::future::join_all(rescuers).await.into_iter().map(Result::unwrap).sum();
        assert_eq!(rescued, 100);
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_jobs where attempt = 0 and suspect").await,
            100
        );
    }
);

backend_test!(
    async fn a_damaged_poison_pill_does_not_keep_others_from_being_rescued(t: TestDb) {
        let ids = dispatch(&acme(&t), 2).await;
        claim(&t, 2).await;
        write(&t, async |conn| {
            query(sql!("update fairlane_jobs set crashes = 7, suspect = $2 where id = $1"))
                .bind(ids[0])
                .bind(true)
                .execute(conn)
                .await
        })
        .await;
        // The id is among the failed jobs already.
        t.execute(
            "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation,
                crashes, code, error, fingerprint, created_at)
             select id, tenant_id, queue, kind, priority, payload, attempt, runs, generation, crashes, 'x', 'x', 'x',
                created_at from fairlane_jobs where crashes = 7",
        )
        .await;
        lease_passes(&t);
        let rescued = rescue_now(&t).await;
        assert_eq!((rescued.jobs, rescued.poisoned), (vec![ids[1]], vec![ids[0]]));
        assert_eq!(places(&t, ids[0]).await, ["discarded"]);
    }
);
