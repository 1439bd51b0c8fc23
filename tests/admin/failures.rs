use chrono::Utc;
use fairlane::admin::failed::{forget, retry};
use fairlane::backend_test;
use fairlane::store::audit;
use fairlane::store::failed::{self, FailedFilter, GroupBy};
use fairlane::store::job_lists;
use uuid::Uuid;

use crate::support::{
    acme, ana, claimed, count, fail_all, failed as fail, globex, ids, queued, queued_unique, read,
};

backend_test!(
    async fn a_retried_job_keeps_its_id_its_starts_and_its_errors(t: TestDb) {
        let id = fail(&t, &acme(&t), 1, "no route").await[0];
        let done = retry(&t.fairlane, &FailedFilter::default(), "all", &ana(), |_| {}).await.unwrap();
        assert_eq!(done.retried, 1);
        let job = read(&t, async |conn| job_lists::find(conn, None, id).await).await.expect("the job");
        assert_eq!(
            (job.job.state.as_str(), job.job.attempt, job.runs, job.generation),
            ("available", 0, 1, 1)
        );
        let attempts = read(&t, async |conn| job_lists::attempts(conn, id).await).await.rows;
        assert_eq!(attempts.iter().map(|a| a.error.as_deref()).collect::<Vec<_>>(), [Some("no route")]);
        assert_eq!(fail_all(&t, "no route again").await, [id]);
        let attempts = read(&t, async |conn| job_lists::attempts(conn, id).await).await.rows;
        assert_eq!(attempts.iter().map(|a| (a.run, a.generation)).collect::<Vec<_>>(), [(1, 0), (2, 1)]);
    }
);

backend_test!(
    async fn a_job_finds_its_own_retries_by_hand_and_no_others(t: TestDb) {
        let jobs = fail(&t, &acme(&t), 2, "no route").await;
        let only = FailedFilter { ids: Some(vec![jobs[0]]), ..FailedFilter::default() };
        retry(&t.fairlane, &only, "one", &ana(), |_| {}).await.unwrap();
        let retries = async |id| {
            let job = read(&t, async |conn| job_lists::find(conn, None, id).await).await.expect("the job");
            read(&t, async |conn| audit::retries(conn, id, job.job.created_at).await).await.rows
        };
        let found = retries(jobs[0]).await;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].actor.as_str(), found[0].reason.as_deref()), ("ana", Some("the ERP is back")));
        assert!(retries(jobs[1]).await.is_empty());
    }
);

backend_test!(
    async fn the_set_is_fixed_at_the_start_so_jobs_that_fail_meanwhile_stay(t: TestDb) {
        let early = fail(&t, &acme(&t), 3, "no route").await;
        let start = read(&t, async |conn| job_lists::now(conn).await).await;
        t.db.shift_clock(chrono::Duration::seconds(5));
        let late = fail(&t, &acme(&t), 2, "no route").await;
        t.db.shift_clock(chrono::Duration::seconds(-4));
        assert!(read(&t, async |conn| job_lists::now(conn).await).await > start);
        let done = retry(&t.fairlane, &FailedFilter::default(), "all", &ana(), |_| {}).await.unwrap();
        assert_eq!(done.retried, 3);
        assert_eq!(ids(&t, "select id from fairlane_jobs").await, early);
        assert_eq!(ids(&t, "select id from fairlane_failed_jobs").await, late);
    }
);

backend_test!(
    async fn retry_works_through_more_jobs_than_one_transaction_takes(t: TestDb) {
        fail(&t, &acme(&t), 1, "no route").await;
        let many = if t.url.starts_with("sqlite") {
            "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation,
                crashes, code, error, fingerprint, created_at, failed_at)
             with recursive n(n) as (select 1 union all select n + 1 from n where n < 2100)
             select printf('01900000-0000-7000-8000-%012x', n), f.tenant_id, f.queue, f.kind, f.priority, f.payload, 1,
                1, 0, 0, f.code, f.error, f.fingerprint, f.created_at, f.failed_at
             from n cross join fairlane_failed_jobs f"
        } else {
            "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation,
                crashes, code, error, fingerprint, created_at, failed_at)
             select ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, f.tenant_id, f.queue, f.kind,
                f.priority, f.payload, 1, 1, 0, 0, f.code, f.error, f.fingerprint, f.created_at, f.failed_at
             from generate_series(1, 2100) n cross join fairlane_failed_jobs f"
        };
        t.execute(many).await;
        let mut seen = Vec::new();
        let done =
            retry(&t.fairlane, &FailedFilter::default(), "all", &ana(), |so_far| seen.push(so_far.retried))
                .await;
        assert_eq!(done.unwrap().retried, 2101);
        assert_eq!(seen, [1000, 2000, 2101]);
    }
);

backend_test!(
    async fn a_live_holder_of_its_unique_key_keeps_a_job_failed(t: TestDb) {
        let first = queued_unique(&acme(&t), "order-7").await;
        fail_all(&t, "no route").await;
        let holder = queued_unique(&acme(&t), "order-7").await;
        let done = retry(&t.fairlane, &FailedFilter::default(), "all", &ana(), |_| {}).await.unwrap();
        assert_eq!((done.retried, done.key_taken), (0, 1));
        assert_eq!((done.taken[0].id, done.taken[0].holder), (first, Some(holder)));
        assert_eq!(ids(&t, "select id from fairlane_failed_jobs").await, [first]);
        // Another tenant's key of the same name is another key.
        let other = queued_unique(&globex(&t).await, "order-7").await;
        assert_ne!(other, holder);
    }
);

backend_test!(
    async fn of_several_with_one_free_key_the_oldest_failure_takes_it_and_holds_it(t: TestDb) {
        let mut jobs = Vec::new();
        for _ in 0..3 {
            jobs.push(queued_unique(&acme(&t), "order-7").await);
            fail_all(&t, "no route").await;
            t.db.shift_clock(chrono::Duration::seconds(1));
        }
        let done = retry(&t.fairlane, &FailedFilter::default(), "all", &ana(), |_| {}).await.unwrap();
        assert_eq!((done.retried, done.key_taken), (1, 2));
        assert_eq!(ids(&t, "select id from fairlane_jobs").await, [jobs[0]]);
        assert_eq!(queued_unique(&acme(&t), "order-7").await, jobs[0]);
    }
);

backend_test!(
    async fn filters_mean_tenant_kind_error_group_time_and_attempts(t: TestDb) {
        let other = globex(&t).await;
        let timeout = fail(&t, &acme(&t), 1, "timed out after 30s (100%)").await[0];
        let address = fail(&t, &acme(&t), 1, "no address").await[0];
        let foreign = fail(&t, &other, 1, "timed out after 31s (100%)").await[0];
        let meant = async |filter: FailedFilter| {
            let list = read(&t, async |conn| failed::list(conn, &filter, None, 10).await).await;
            let count = read(&t, async |conn| failed::count(conn, &filter).await).await;
            assert_eq!(count, list.rows.len() as i64, "{filter:?}");
            let mut found: Vec<Uuid> = list.rows.iter().map(|row| row.id).collect();
            found.sort();
            found
        };
        let all = FailedFilter::default;
        let acme_id = acme(&t).id().await.unwrap();
        assert_eq!(meant(all()).await, [timeout, address, foreign]);
        assert_eq!(meant(FailedFilter { tenant_id: Some(acme_id), ..all() }).await, [timeout, address]);
        assert_eq!(
            meant(FailedFilter { error: Some("TIMED OUT".into()), ..all() }).await,
            [timeout, foreign]
        );
        assert_eq!(meant(FailedFilter { error: Some("(100%)".into()), ..all() }).await, [timeout, foreign]);
        assert_eq!(meant(FailedFilter { error: Some("0_%".into()), ..all() }).await, Vec::<Uuid>::new());
        assert_eq!(meant(FailedFilter { kind: Some("test.nop".into()), ..all() }).await.len(), 3);
        assert_eq!(meant(FailedFilter { kind: Some("test".into()), ..all() }).await, Vec::<Uuid>::new());
        assert_eq!(meant(FailedFilter { attempts_min: Some(2), ..all() }).await, Vec::<Uuid>::new());
        assert_eq!(meant(FailedFilter { attempts_max: Some(1), ..all() }).await.len(), 3);
        assert_eq!(meant(FailedFilter { ids: Some(vec![address]), ..all() }).await, [address]);
        assert_eq!(meant(FailedFilter { ids: Some(vec![]), ..all() }).await, Vec::<Uuid>::new());
        let later = Some(Utc::now() + chrono::Duration::hours(1));
        assert_eq!(meant(FailedFilter { since: later, ..all() }).await, Vec::<Uuid>::new());
        assert_eq!(meant(FailedFilter { until: later, ..all() }).await.len(), 3);
        let groups = read(&t, async |conn| failed::groups(conn, &all(), GroupBy::Group, 10).await).await;
        assert_eq!(groups.iter().map(|g| (g.count, g.tenants)).collect::<Vec<_>>(), [(2, 2), (1, 1)]);
        let prefix = groups[0].name[..4].to_owned();
        assert_eq!(meant(FailedFilter { group: Some(prefix), ..all() }).await, [timeout, foreign]);
        let tenants = read(&t, async |conn| failed::groups(conn, &all(), GroupBy::Tenant, 10).await).await;
        assert_eq!(tenants.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), ["acme", "globex"]);
        let kinds = read(&t, async |conn| failed::groups(conn, &all(), GroupBy::Kind, 10).await).await;
        assert_eq!((kinds[0].name.as_str(), kinds[0].count), ("test.nop", 3));
    }
);

backend_test!(
    async fn pages_of_failures_follow_each_other(t: TestDb) {
        let all = fail(&t, &acme(&t), 5, "no route").await;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page =
                read(&t, async |conn| failed::list(conn, &FailedFilter::default(), after, 2).await).await;
            seen.extend(page.rows.iter().map(|row| row.id));
            after = page.rows.last().map(|row| (row.failed_at, row.id));
            if !page.more {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, all);
    }
);

backend_test!(
    async fn a_forgotten_job_is_gone_with_its_attempts_and_others_stay(t: TestDb) {
        let all = fail(&t, &acme(&t), 3, "no route").await;
        let filter = FailedFilter { ids: Some(vec![all[0]]), ..FailedFilter::default() };
        let gone = forget(&t.fairlane, &filter, "one", &ana(), |_| {}).await.unwrap();
        assert_eq!(gone, 1);
        assert_eq!(ids(&t, "select id from fairlane_failed_jobs").await, all[1..]);
        assert_eq!(ids(&t, "select job_id as id from fairlane_attempts").await, all[1..]);
        let deed = "select count(*) as n from fairlane_audit
            where action = 'job.forget' and actor = 'ana' and affected = 1 and reason = 'the ERP is back'";
        assert_eq!(count(&t, deed).await, 1);
    }
);

backend_test!(
    async fn two_retries_at_once_put_no_job_back_twice(t: TestDb) {
        let all = fail(&t, &acme(&t), 20, "no route").await;
        let filter = FailedFilter::default();
        let operator = ana();
        let (first, second) = tokio::join!(
            retry(&t.fairlane, &filter, "all", &operator, |_| {}),
            retry(&t.fairlane, &filter, "all", &operator, |_| {}),
        );
        assert_eq!(first.unwrap().retried + second.unwrap().retried, 20);
        assert_eq!(ids(&t, "select id from fairlane_jobs").await, all);
        assert_eq!(claimed(&t).await.len(), 20);
    }
);

backend_test!(
    async fn a_row_that_the_queue_would_refuse_stays_failed_alone(t: TestDb) {
        let all = fail(&t, &acme(&t), 3, "no route").await;
        t.execute(
            "update fairlane_failed_jobs set priority = 99
             where cast(id as text) = (select min(cast(id as text)) from fairlane_failed_jobs)",
        )
        .await;
        let done = retry(&t.fairlane, &FailedFilter::default(), "all", &ana(), |_| {}).await.unwrap();
        assert_eq!((done.retried, done.refused), (2, 1));
        assert_eq!(done.refusals[0].0, all[0]);
        assert_eq!(ids(&t, "select id from fairlane_jobs").await, all[1..]);
        queued(&acme(&t), 1).await;
    }
);
