//! One look at the queues: lanes with their heads, and what else wants doing.

use std::time::Duration;

use fairlane::fair::Key;
use fairlane::store::look::{Look, look, look_at_recent};
use fairlane::testing::TestDb;
use fairlane::{backend_test, sql, store};

use crate::support::*;

async fn look_at_all(t: &TestDb) -> Look {
    let mut tx = t.db.read().await.unwrap();
    look(&mut tx.conn(), ("", 0), 100).await.unwrap()
}

backend_test!(
    async fn a_look_at_nothing_finds_nothing(t: TestDb) {
        let found = look_at_all(&t).await;
        assert!(found.heads.is_empty(), "{found:?}");
        assert_eq!((found.due, found.next_due, found.expired), (false, None, false));
        assert_eq!((found.suspects, found.tick, found.aside), (false, false, false));
    }
);

backend_test!(
    async fn each_lane_shows_its_first_job(t: TestDb) {
        let (acme, globex) = (acme(&t), add_tenant(&t, "globex").await);
        dispatch(&acme, 2).await;
        let urgent = acme.dispatch(OtherWork).priority(1).await.unwrap().id;
        let low = acme.dispatch(Work { number: 9 }).queue("low").await.unwrap().id;
        let other = dispatch(&globex, 1).await[0];
        let found = look_at_all(&t).await;
        let heads: Vec<_> =
            found.heads.iter().map(|head| (head.queue.as_str(), head.tenant_id, head.key.id)).collect();
        let (acme, globex) = (acme.id().await.unwrap(), globex.id().await.unwrap());
        assert_eq!(heads, [(QUEUE, acme, urgent), (QUEUE, globex, other), ("low", acme, low)]);
        let first = &found.heads[0];
        assert_eq!((first.kind.as_str(), first.key.priority), ("test.other_work", 1));
        assert!(found.heads.iter().all(|head| head.open && !head.keyed && head.key > Key::START));
    }
);

backend_test!(
    async fn what_is_new_is_seen_without_going_through_the_lanes(t: TestDb) {
        let (acme, globex) = (acme(&t), add_tenant(&t, "globex").await);
        // Made an hour ago, by its id: only a look through the lanes finds it.
        let hour_ago =
            uuid::Timestamp::from_unix(uuid::NoContext, (chrono::Utc::now().timestamp() - 3600) as u64, 0);
        acme.dispatch(OtherWork).id(uuid::Uuid::new_v7(hour_ago)).await.unwrap();
        let newer = dispatch(&acme, 2).await;
        let low = globex.dispatch(Work { number: 9 }).queue("low").await.unwrap().id;
        let recent = async |most| {
            let mut tx = t.db.read().await.unwrap();
            let found = look_at_recent(&mut tx.conn(), Duration::from_secs(60), most).await.unwrap();
            found.heads.iter().map(|head| head.key.id).collect::<Vec<_>>()
        };
        let mut heads = recent(100).await;
        heads.sort();
        let mut expected = vec![newer[0], low];
        expected.sort();
        assert_eq!(heads, expected);
        assert_eq!(recent(1).await, [low], "the newest of all");
        assert_eq!(look_at_all(&t).await.heads.len(), 2);
    }
);

backend_test!(
    async fn a_page_of_lanes_goes_on_behind_the_last(t: TestDb) {
        for slug in ["globex", "initech"] {
            dispatch(&add_tenant(&t, slug).await, 2).await;
        }
        dispatch(&acme(&t), 2).await;
        let mut seen = Vec::new();
        let mut after = (String::new(), 0);
        loop {
            let mut tx = t.db.read().await.unwrap();
            let page = look(&mut tx.conn(), (&after.0, after.1), 1).await.unwrap().heads;
            assert!(page.len() <= 1);
            let Some(last) = page.last() else { break };
            after = (last.queue.clone(), last.tenant_id);
            seen.push(last.tenant_id);
        }
        seen.dedup();
        assert_eq!(seen.len(), 3);
    }
);

backend_test!(
    async fn lanes_of_paused_tenants_and_queues_are_not_open(t: TestDb) {
        dispatch(&acme(&t), 1).await;
        dispatch(&add_tenant(&t, "globex").await, 1).await;
        t.execute("update fairlane_tenants set paused_at = created_at where slug = 'acme'").await;
        let open = async || look_at_all(&t).await.heads.iter().map(|head| head.open).collect::<Vec<_>>();
        assert_eq!(open().await, [false, true]);
        write(&t, async |conn| {
            fairlane::db::query(sql!("insert into fairlane_queues (name, paused_at, paused_until) values ('default', {now}, {now} + {ms:$1})"))
                .bind(60_000)
                .execute(conn)
                .await
        })
        .await;
        assert_eq!(open().await, [false, false]);
        t.db.shift_clock(chrono::Duration::seconds(61));
        assert_eq!(open().await, [false, true], "the queue's pause is over");
    }
);

backend_test!(
    async fn a_look_tells_what_is_due_and_when_the_next_job_is(t: TestDb) {
        acme(&t).dispatch(Work { number: 1 }).delay(Duration::from_secs(100)).await.unwrap();
        let found = look_at_all(&t).await;
        let next = found.next_due.expect("a time");
        assert!(!found.due && found.heads.is_empty());
        assert!(next <= Duration::from_secs(100) && next > Duration::from_secs(60), "{next:?}");
        t.db.shift_clock(chrono::Duration::seconds(101));
        assert!(look_at_all(&t).await.due);
        write(&t, async |conn| store::promote::promote(conn).await).await;
        let found = look_at_all(&t).await;
        assert_eq!((found.due, found.next_due, found.heads.len()), (false, None, 1));
    }
);

backend_test!(
    async fn a_look_tells_that_a_lease_has_run_out(t: TestDb) {
        claimed_job(&t).await;
        assert!(!look_at_all(&t).await.expired);
        t.db.shift_clock(chrono::Duration::seconds(31));
        assert!(look_at_all(&t).await.expired);
    }
);

backend_test!(
    async fn suspects_are_told_of_and_head_no_lane(t: TestDb) {
        dispatch(&acme(&t), 1).await;
        t.execute("update fairlane_jobs set suspect = true").await;
        let found = look_at_all(&t).await;
        assert!(found.suspects && found.heads.is_empty());
    }
);

backend_test!(
    async fn a_look_tells_that_a_schedule_is_to_tick(t: TestDb) {
        t.execute(
            "insert into fairlane_schedules
                (id, tenant_id, name, cron, timezone, kind, payload, queue, priority, missed, next_tick_at)
             select '019a0000-0000-7000-8000-000000000001', id, 'daily', '0 6 * * *', 'UTC', 'test.work', '{}', 'default',
                5, 'once', created_at from fairlane_tenants",
        )
        .await;
        assert!(look_at_all(&t).await.tick);
        t.execute("update fairlane_schedules set paused_at = next_tick_at").await;
        assert!(!look_at_all(&t).await.tick, "a paused one does not tick");
    }
);

backend_test!(
    async fn a_look_tells_that_jobs_wait_aside_for_their_key(t: TestDb) {
        dispatch(&acme(&t), 1).await;
        t.execute("update fairlane_jobs set concurrency_key = 'a-1'").await;
        let found = look_at_all(&t).await;
        assert!(found.heads[0].keyed && !found.aside);
        t.execute("update fairlane_jobs set state = 'suspended'").await;
        let found = look_at_all(&t).await;
        assert!(found.heads.is_empty() && found.aside);
    }
);
