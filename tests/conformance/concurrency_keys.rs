//! Jobs that share a concurrency key: set aside, let in, one after the other.

use std::collections::BTreeSet;

use fairlane::fair::Key;
use fairlane::limits::{LimitChange, Scope};
use fairlane::store::claim::{ClaimRequest, Claimed, LaneClaim};
use fairlane::store::keys::{self, ConfiguredKeys, TenantKey};
use fairlane::testing::{ClaimFrom, TestDb, claim_from};
use fairlane::{Context, Job, JobResult, Tenant, backend_test, store};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::quotas::limit;
use crate::support::*;

/// Nothing is configured.
const NONE: ConfiguredKeys = ConfiguredKeys::new();

/// A job of one account.
#[derive(Debug, Serialize, Deserialize)]
struct Keyed {
    account: String,
}

impl Job for Keyed {
    const KIND: &'static str = "test.keyed";
    type State = ();

    async fn run(self, _: Context<()>) -> JobResult {
        Ok(())
    }

    fn concurrency_key(&self) -> Option<String> {
        Some(self.account.clone())
    }
}

fn kinds() -> Vec<String> {
    vec![Keyed::KIND.to_owned()]
}

async fn dispatch_keyed(tenant: &Tenant, account: &str, jobs: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..jobs {
        ids.push(tenant.dispatch(Keyed { account: account.into() }).await.unwrap().id);
    }
    ids
}

fn keys_of(jobs: &[Claimed]) -> BTreeSet<TenantKey> {
    let key = |job: &Claimed| TenantKey {
        tenant_id: job.tenant_id,
        key: job.concurrency_key.clone().expect("a key"),
    };
    jobs.iter().map(key).collect()
}

/// Claims as a worker does: what finds its key taken is set aside in the same transaction.
async fn claim_keyed(t: &TestDb, most: usize) -> Vec<Claimed> {
    claim_configured(t, most, &NONE).await
}

async fn claim_configured(t: &TestDb, most: usize, configured: &ConfiguredKeys) -> Vec<Claimed> {
    let kinds = kinds();
    let from = ClaimFrom { limit: most, ..request(&kinds) };
    write(t, async |conn| {
        let claimed = claim_from(conn, &from).await?;
        let mut claimed: Vec<Claimed> = claimed.into_iter().map(|job| job.expect("a readable job")).collect();
        let ids: Vec<Uuid> = claimed.iter().map(|job| job.id).collect();
        let aside = keys::set_aside(conn, &ids, &keys_of(&claimed), &kinds, configured).await?;
        claimed.retain(|job| !aside.contains(&job.id));
        Ok(claimed)
    })
    .await
}

async fn complete(t: &TestDb, job: &Claimed) {
    write(t, async |conn| store::complete::complete(conn, &[fence(job)]).await).await;
}

async fn let_in(t: &TestDb, keys: &BTreeSet<TenantKey>) -> Vec<Uuid> {
    let_in_configured(t, keys, &NONE).await
}

async fn let_in_configured(t: &TestDb, keys: &BTreeSet<TenantKey>, configured: &ConfiguredKeys) -> Vec<Uuid> {
    let heads = write(t, async |conn| keys::let_in(conn, keys, configured).await).await;
    heads.iter().map(|head| head.key.id).collect()
}

fn ids(jobs: &[Claimed]) -> Vec<Uuid> {
    jobs.iter().map(|job| job.id).collect()
}

backend_test!(
    async fn jobs_of_one_key_run_one_at_a_time_and_in_their_order(t: TestDb) {
        let queued = dispatch_keyed(&acme(&t), "a-1", 4).await;
        let mut order = Vec::new();
        for turn in 0..4 {
            let claimed = claim_keyed(&t, 10).await;
            assert_eq!(claimed.len(), 1, "turn {turn}");
            assert!(claim_keyed(&t, 10).await.is_empty(), "turn {turn}: the others are set aside");
            order.push(claimed[0].id);
            complete(&t, &claimed[0]).await;
            let next = let_in(&t, &keys_of(&claimed)).await;
            assert_eq!(next, queued.iter().skip(turn + 1).take(1).copied().collect::<Vec<_>>());
        }
        assert_eq!(order, queued);
    }
);

backend_test!(
    async fn a_job_set_aside_gets_its_attempt_back_and_is_nobodys(t: TestDb) {
        let queued = dispatch_keyed(&acme(&t), "a-1", 2).await;
        claim_keyed(&t, 10).await;
        assert_eq!(places(&t, queued[1]).await, ["suspended"]);
        assert_eq!(column::<i64>(&t, queued[1], "attempt").await, 0);
        assert_eq!(column::<i64>(&t, queued[1], "runs").await, 0);
        assert_eq!(column::<Option<Uuid>>(&t, queued[1], "token").await, None);
        assert_eq!(column::<Option<Uuid>>(&t, queued[1], "worker_id").await, None);
    }
);

backend_test!(
    async fn keys_and_tenants_do_not_wait_for_each_other(t: TestDb) {
        dispatch_keyed(&acme(&t), "a-1", 2).await;
        dispatch_keyed(&acme(&t), "a-2", 2).await;
        dispatch_keyed(&add_tenant(&t, "globex").await, "a-1", 2).await;
        let claimed = claim_keyed(&t, 20).await;
        let keys: Vec<_> =
            claimed.iter().map(|job| (job.tenant.as_str(), job.concurrency_key.as_deref())).collect();
        let keys: BTreeSet<_> = keys.into_iter().collect();
        let expected = [("acme", Some("a-1")), ("acme", Some("a-2")), ("globex", Some("a-1"))];
        assert_eq!((claimed.len(), keys), (3, BTreeSet::from(expected)));
    }
);

backend_test!(
    async fn a_limit_for_the_key_lets_more_of_it_run_together(t: TestDb) {
        let two = LimitChange { concurrency: Some(Some(2)), ..LimitChange::default() };
        let acme = limit(&t, Scope::Key, "a-1", two).await;
        let queued = dispatch_keyed(&acme, "a-1", 5).await;
        dispatch_keyed(&acme, "a-2", 2).await;
        let claimed = claim_keyed(&t, 20).await;
        let of_key: Vec<&Claimed> =
            claimed.iter().filter(|job| job.concurrency_key.as_deref() == Some("a-1")).collect();
        assert_eq!((claimed.len(), of_key.len()), (3, 2), "the other key has no limit of its own");
        assert_eq!([of_key[0].id, of_key[1].id], queued[..2]);
        complete(&t, of_key[0]).await;
        assert_eq!(let_in(&t, &keys_of(&claimed)).await, [queued[2]]);
        assert_eq!(ids(&claim_keyed(&t, 20).await), [queued[2]]);
    }
);

backend_test!(
    async fn a_configured_limit_of_a_key_holds_until_somebody_sets_another(t: TestDb) {
        let acme = acme(&t);
        let key = TenantKey { tenant_id: acme.id().await.unwrap(), key: "a-1".into() };
        let globex = TenantKey { tenant_id: key.tenant_id + 1000, key: "a-1".into() };
        let three = ConfiguredKeys::from([(key.clone(), 3), (globex, 7)]);
        let queued = dispatch_keyed(&acme, "a-1", 6).await;
        let other = dispatch_keyed(&acme, "a-2", 2).await;
        let claimed = claim_configured(&t, 20, &three).await;
        assert_eq!(ids(&claimed), [&queued[..3], &other[..1]].concat(), "three of one key, one of the other");
        complete(&t, &claimed[0]).await;
        let key = BTreeSet::from([key]);
        let waiting = write(&t, async |conn| keys::with_jobs_aside(conn, 10, &three).await).await;
        assert_eq!(waiting, key, "the sweep goes by it too");
        assert_eq!(let_in_configured(&t, &key, &three).await, [queued[3]]);
        let two = LimitChange { concurrency: Some(Some(2)), ..LimitChange::default() };
        limit(&t, Scope::Key, "a-1", two).await;
        assert!(claim_configured(&t, 20, &three).await.is_empty(), "what is set at run time wins");
        let none = LimitChange { concurrency: Some(None), ..LimitChange::default() };
        limit(&t, Scope::Key, "a-1", none).await;
        assert_eq!(let_in_configured(&t, &key, &three).await, [queued[3]], "and goes again");
    }
);

backend_test!(
    async fn nobody_is_let_in_while_the_key_is_taken(t: TestDb) {
        dispatch_keyed(&acme(&t), "a-1", 3).await;
        let claimed = claim_keyed(&t, 10).await;
        assert!(let_in(&t, &keys_of(&claimed)).await.is_empty());
        complete(&t, &claimed[0]).await;
        assert_eq!(let_in(&t, &keys_of(&claimed)).await.len(), 1);
    }
);

backend_test!(
    async fn a_later_job_does_not_overtake_an_earlier_one_that_waits(t: TestDb) {
        let queued = dispatch_keyed(&acme(&t), "a-1", 2).await;
        // A claim that found the later one only, as when the earlier one came late or waits to run alone.
        for suspect in [false, true] {
            write(&t, async |conn| {
                fairlane::db::query(fairlane::sql!("update fairlane_jobs set suspect = $2 where id = $1"))
                    .bind(queued[0])
                    .bind(true)
                    .execute(conn)
                    .await
            })
            .await;
            let kinds = kinds();
            let aside = write(&t, async |conn| {
                let from = request(&kinds);
                let claimed = claim_from(conn, &from).await?;
                let claimed: Vec<Claimed> = claimed.into_iter().map(|job| job.expect("readable")).collect();
                assert_eq!(ids(&claimed), [queued[1]]);
                if !suspect {
                    let earlier = fairlane::sql!("update fairlane_jobs set suspect = $2 where id = $1");
                    fairlane::db::query(earlier).bind(queued[0]).bind(false).execute(conn).await?;
                }
                keys::set_aside(conn, &ids(&claimed), &keys_of(&claimed), &kinds, &NONE).await
            })
            .await;
            assert_eq!(aside, [queued[1]], "suspect: {suspect}");
            t.execute("update fairlane_jobs set state = 'available' where state = 'suspended'").await;
        }
    }
);

backend_test!(
    async fn the_sweep_finds_keys_that_have_room_and_jobs_that_wait_and_no_others(t: TestDb) {
        let acme = acme(&t);
        dispatch_keyed(&acme, "a-1", 3).await;
        dispatch_keyed(&acme, "a-2", 1).await;
        dispatch_keyed(&acme, "a-3", 2).await;
        let claimed = claim_keyed(&t, 10).await;
        assert_eq!(claimed.len(), 3);
        let waiting =
            async |most| write(&t, async |conn| keys::with_jobs_aside(conn, most, &NONE).await).await;
        assert_eq!(waiting(10).await, BTreeSet::new(), "whoever runs lets the next one in");
        for job in claimed.iter().filter(|job| job.concurrency_key.as_deref() != Some("a-3")) {
            complete(&t, job).await;
        }
        let key = TenantKey { tenant_id: acme.id().await.unwrap(), key: "a-1".into() };
        assert_eq!(waiting(10).await, BTreeSet::from([key]));
        assert!(waiting(0).await.is_empty());
    }
);

backend_test!(
    async fn a_claim_that_does_not_look_at_keys_takes_no_job_that_has_one(t: TestDb) {
        let acme = acme(&t);
        let with_key = dispatch_keyed(&acme, "a-1", 2).await;
        let plain = dispatch(&acme, 2).await;
        let kinds = [kinds(), work_kinds()].concat();
        let claim = async |keyed: bool| {
            let tenant_id = acme.id().await.unwrap();
            let lane =
                LaneClaim { queue: QUEUE, tenant_id, after: Key::START, limit: 10, only_short: false, keyed };
            let request = ClaimRequest {
                lanes: &[lane],
                kinds: &kinds,
                short_kinds: &[],
                worker_id: Uuid::now_v7(),
                lease: LEASE,
                names: &Default::default(),
            };
            let claimed = write(&t, async |conn| store::claim::claim(conn, &request).await).await;
            claimed.into_iter().map(|job| job.expect("readable").id).collect::<Vec<_>>()
        };
        assert_eq!(claim(false).await, plain);
        assert_eq!(places(&t, with_key[0]).await, ["available"], "not claimed for a moment either");
        assert_eq!(claim(true).await, with_key);
    }
);

backend_test!(
    async fn a_worker_waits_for_jobs_with_keys_in_open_lanes_of_its_own_and_for_no_others(t: TestDb) {
        dispatch_keyed(&acme(&t), "a-1", 2).await;
        let waits = async |queue: &str, kinds: &[String]| {
            write(&t, async |conn| keys::any_waits(conn, &[queue.to_owned()], kinds).await).await
        };
        assert!(waits(QUEUE, &kinds()).await, "both are available");
        claim_keyed(&t, 10).await;
        assert!(waits(QUEUE, &kinds()).await, "one runs, the other is aside");
        assert!(!waits("low", &kinds()).await && !waits(QUEUE, &work_kinds()).await);
        t.execute("update fairlane_tenants set paused_at = created_at").await;
        assert!(!waits(QUEUE, &kinds()).await, "paused");
    }
);

backend_test!(
    async fn a_killed_processs_key_goes_to_the_next_one_by_the_sweep(t: TestDb) {
        let queued = dispatch_keyed(&acme(&t), "a-1", 2).await;
        let claimed = claim_keyed(&t, 10).await;
        t.db.shift_clock(chrono::Duration::seconds(31));
        write(&t, async |conn| store::rescue::rescue(conn, LEASE).await).await;
        let waiting = write(&t, async |conn| keys::with_jobs_aside(conn, 10, &NONE).await).await;
        assert_eq!(waiting, keys_of(&claimed));
        assert_eq!(let_in(&t, &waiting).await, [queued[1]]);
        assert_eq!(places(&t, queued[0]).await, ["available"], "and the killed one waits again");
    }
);

backend_test!(
    async fn claims_at_the_same_moment_give_a_key_once(t: TestDb) {
        for round in 0..5 {
            dispatch_keyed(&acme(&t), &format!("a-{round}"), 8).await;
            let claims = (0..4).map(|_| claim_keyed(&t, 2));
            let claimed: Vec<Claimed> =
                futures::future::join_all(claims).await.into_iter().flatten().collect();
            assert!(claimed.len() <= 1, "round {round}: {claimed:?}");
            let running = "select count(*) as n from fairlane_jobs where state = 'executing'";
            assert!(count(&t, running).await <= 1, "round {round}");
            t.execute("delete from fairlane_jobs").await;
        }
    }
);
