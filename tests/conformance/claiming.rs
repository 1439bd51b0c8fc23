//! Taking jobs under a lease.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use fairlane::db::{Dialect, query};
use fairlane::testing::{ClaimFrom, claim_from};
use fairlane::{Job, backend_test, sql, store};
use uuid::Uuid;

use crate::support::*;

backend_test!(
    async fn a_claim_takes_the_lease_and_tells_all_about_the_job(t: TestDb) {
        let job = acme(&t).dispatch(Work { number: 5 }).attempts(4).await.unwrap();
        let worker_id = Uuid::now_v7();
        let claimed = claim_with(&t.db, &ClaimFrom { worker_id, ..request(&work_kinds()) }).await;
        let [taken] = claimed.as_slice() else { panic!("{claimed:?}") };
        assert_eq!((taken.id, taken.tenant.as_str(), taken.kind.as_str()), (job.id, "acme", Work::KIND));
        assert_eq!((taken.attempt, taken.run, taken.max_attempts), (1, 1, Some(4)));
        assert_eq!(serde_json::from_str::<Work>(&taken.payload).unwrap().number, 5);
        assert_eq!(places(&t, job.id).await, ["executing"]);
        assert_eq!(column::<Uuid>(&t, job.id, "token").await, taken.token);
        assert_eq!(column::<Uuid>(&t, job.id, "worker_id").await, worker_id);
        let started: chrono::DateTime<chrono::Utc> = column(&t, job.id, "started_at").await;
        let until: chrono::DateTime<chrono::Utc> = column(&t, job.id, "lease_until").await;
        assert_eq!(until - started, chrono::Duration::seconds(30));
        assert!(claim(&t, 10).await.is_empty(), "it is taken");
    }
);

backend_test!(
    async fn a_claim_never_takes_more_than_asked(t: TestDb) {
        let (globex, initech) = (add_tenant(&t, "globex").await, add_tenant(&t, "initech").await);
        for tenant in [&acme(&t), &globex, &initech] {
            tenant.dispatch_all((0..20).map(|number| Work { number })).await.unwrap();
        }
        for limit in [1, 2, 3, 4, 5, 7, 11] {
            let taken = claim(&t, limit).await.len();
            assert!(taken <= limit && taken >= 1, "{taken} of {limit}");
        }
    }
);

backend_test!(
    async fn a_burst_into_a_table_that_was_analysed_empty_is_not_over_claimed(t: TestDb) {
        t.execute("analyze").await;
        acme(&t).dispatch_all((0..200).map(|number| Work { number })).await.unwrap();
        assert_eq!(claim(&t, 5).await.len(), 5);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where state = 'executing'").await, 5);
    }
);

backend_test!(
    async fn a_tenants_jobs_come_by_priority_then_time_then_id(t: TestDb) {
        let tenant = acme(&t);
        let now = chrono::Utc::now();
        for (number, priority, seconds_ago) in [(1, 5, 10), (2, 0, 5), (3, 9, 60), (4, 5, 20), (5, 0, 9)] {
            let at = now - chrono::Duration::seconds(seconds_ago);
            tenant.dispatch(Work { number }).priority(priority).at(at).await.unwrap();
        }
        let mut order = Vec::new();
        for _ in 0..5 {
            let job = claim(&t, 1).await.pop().unwrap();
            order.push(serde_json::from_str::<Work>(&job.payload).unwrap().number);
        }
        assert_eq!(order, [5, 2, 4, 1, 3]);
    }
);

backend_test!(
    async fn one_claim_returns_its_jobs_in_order(t: TestDb) {
        for number in 0..8 {
            acme(&t).dispatch(Work { number }).priority(9 - i32::try_from(number).unwrap()).await.unwrap();
        }
        let numbers: Vec<u64> = claim(&t, 8)
            .await
            .iter()
            .map(|job| serde_json::from_str::<Work>(&job.payload).unwrap().number)
            .collect();
        assert_eq!(numbers, [7, 6, 5, 4, 3, 2, 1, 0]);
    }
);

backend_test!(
    async fn tenants_get_equal_shares_however_many_jobs_they_have(t: TestDb) {
        acme(&t).dispatch_all((0..500).map(|number| Work { number })).await.unwrap();
        for slug in ["globex", "initech", "umbrella"] {
            dispatch(&add_tenant(&t, slug).await, 10).await;
        }
        let mut shares = BTreeMap::new();
        for job in claim(&t, 20).await {
            *shares.entry(job.tenant).or_insert(0) += 1;
        }
        assert_eq!(shares.into_values().collect::<Vec<_>>(), [5, 5, 5, 5]);
    }
);

backend_test!(
    async fn only_served_kinds_and_the_queue_asked_for_are_claimed(t: TestDb) {
        acme(&t).dispatch(OtherWork).priority(0).await.unwrap();
        acme(&t).dispatch(Work { number: 1 }).queue("high").await.unwrap();
        assert!(claim(&t, 10).await.is_empty());
        let kinds = vec![OtherWork::KIND.to_owned(), Work::KIND.to_owned()];
        assert_eq!(claim_with(&t.db, &request(&kinds)).await.len(), 1);
        assert_eq!(claim_with(&t.db, &ClaimFrom { queue: "high", ..request(&kinds) }).await.len(), 1);
        assert!(claim_with(&t.db, &request(&[])).await.is_empty());
    }
);

backend_test!(
    async fn a_paused_queue_gives_nothing_until_its_pause_is_over(t: TestDb) {
        dispatch(&acme(&t), 1).await;
        write(&t, async |conn| {
            query(sql!("insert into fairlane_queues (name, paused_at, paused_until) values ('default', {now}, {now} + {ms:$1})"))
                .bind(60_000)
                .execute(conn)
                .await
        })
        .await;
        assert!(claim(&t, 1).await.is_empty());
        t.db.shift_clock(chrono::Duration::seconds(61));
        assert_eq!(claim(&t, 1).await.len(), 1);
        t.execute("update fairlane_queues set paused_until = null").await;
        dispatch(&acme(&t), 1).await;
        assert!(claim(&t, 1).await.is_empty(), "paused without end");
    }
);

backend_test!(
    async fn a_paused_tenant_is_skipped_and_its_share_goes_to_the_others(t: TestDb) {
        dispatch(&acme(&t), 4).await;
        dispatch(&add_tenant(&t, "globex").await, 4).await;
        t.execute("update fairlane_tenants set paused_at = created_at where slug = 'acme'").await;
        let claimed = claim(&t, 4).await;
        assert_eq!(claimed.len(), 4);
        assert!(claimed.iter().all(|job| job.tenant == "globex"));
    }
);

backend_test!(
    async fn suspects_are_claimed_apart(t: TestDb) {
        let ids = dispatch(&acme(&t), 2).await;
        write(&t, async |conn| {
            query(sql!("update fairlane_jobs set suspect = $2 where id = $1"))
                .bind(ids[0])
                .bind(true)
                .execute(conn)
                .await
        })
        .await;
        let (queues, kinds) = (vec![QUEUE.to_owned()], work_kinds());
        let waiting = async |queues: &[String], kinds: &[String]| {
            let mut tx = t.db.read().await.unwrap();
            store::suspects::waiting(&mut tx.conn(), queues, kinds).await.unwrap().len()
        };
        assert_eq!(waiting(&queues, &kinds).await, 1);
        assert_eq!(waiting(&["low".to_owned()], &kinds).await, 0);
        assert_eq!(waiting(&queues, &["x".to_owned()]).await, 0);
        let ordinary = claim(&t, 10).await;
        assert_eq!(ordinary.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[1]]);
        let suspects = claim_with(&t.db, &ClaimFrom { suspects: true, ..request(&kinds) }).await;
        assert_eq!(suspects.iter().map(|job| (job.id, job.suspect)).collect::<Vec<_>>(), [(ids[0], true)]);
        assert_eq!(waiting(&queues, &kinds).await, 0);
    }
);

backend_test!(
    async fn eight_claimers_take_every_job_exactly_once(t: TestDb) {
        acme(&t).dispatch_all((0..400).map(|number| Work { number })).await.unwrap();
        let claimers = (0..8).map(|_| {
            let db = t.db.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                loop {
                    let claimed = claim_with(&db, &ClaimFrom { limit: 7, ..request(&work_kinds()) }).await;
                    if claimed.is_empty() {
                        return ids;
                    }
                    ids.extend(claimed.iter().map(|job| (job.id, job.token)));
                }
            })
        });
        let mut ids = Vec::new();
        for claimer in claimers.collect::<Vec<_>>() {
            ids.extend(claimer.await.unwrap());
        }
        // A claimer that finds the last rows locked by another may stop early; nobody may take one twice.
        assert_eq!(ids.iter().map(|(id, _)| *id).collect::<HashSet<_>>().len(), ids.len());
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where attempt > 1").await, 0);
        ids.extend(claim(&t, 400).await.iter().map(|job| (job.id, job.token)));
        assert_eq!(ids.len(), 400);
    }
);

backend_test!(
    async fn a_claim_does_not_wait_for_another_one_under_way(t: TestDb) {
        if t.db.dialect() == Dialect::Sqlite {
            return; // One writer: claims are one statement each, and take turns.
        }
        let ids = dispatch(&acme(&t), 2).await;
        let kinds = work_kinds();
        let one = ClaimFrom { limit: 1, ..request(&kinds) };
        let mut slow = t.db.begin().await.unwrap();
        let first = claim_from(&mut slow.conn(), &one).await.unwrap();
        assert_eq!(first[0].as_ref().unwrap().id, ids[0]);
        let second = tokio::time::timeout(Duration::from_secs(5), claim_with(&t.db, &one)).await;
        assert_eq!(second.expect("no waiting for the first")[0].id, ids[1]);
        slow.rollback().await.unwrap();
    }
);

backend_test!(
    async fn no_two_claims_give_the_same_token(t: TestDb) {
        dispatch(&acme(&t), 1).await;
        let mut tokens = HashSet::new();
        for _ in 0..5 {
            let job = claim(&t, 1).await.pop().unwrap();
            assert!(tokens.insert(job.token));
            write(&t, async |conn| store::settle::release(conn, fence(&job)).await).await;
        }
    }
);

backend_test!(
    async fn a_damaged_row_is_reported_and_its_neighbours_are_claimed(t: TestDb) {
        let ids = dispatch(&acme(&t), 3).await;
        write(&t, async |conn| {
            query(sql!("update fairlane_jobs set attempt = -7 where id = $1"))
                .bind(ids[1])
                .execute(conn)
                .await
        })
        .await;
        let mut tx = t.db.single().await.unwrap();
        let claimed = claim_from(&mut tx.conn(), &request(&work_kinds())).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(claimed.iter().filter(|job| job.is_ok()).count(), 2);
        let damaged = claimed.into_iter().find_map(Result::err).unwrap();
        assert_eq!(damaged.id, ids[1]);
        assert!(damaged.why.contains("attempt"), "{}", damaged.why);
    }
);
