//! What tenants may use, as administrators set it.

use std::time::Duration;

use fairlane::limits::{Limit, Rate, Scope};
use fairlane::store::limits::{self, LimitChange, TenantLimits};
use fairlane::testing::TestDb;
use fairlane::{Error, backend_test, store};

use crate::support::*;

const STARTS: Rate = Rate { count: 100, period: Duration::from_secs(1), burst: 10 };

/// Sets limits of a scope of acme.
async fn set(t: &TestDb, scope: Scope, name: &str, change: LimitChange) -> Limit {
    let id = acme(t).id().await.unwrap();
    write(t, async |conn| limits::set(conn, id, scope, name, change).await).await
}

async fn load(t: &TestDb) -> Vec<TenantLimits> {
    write(t, async |conn| limits::load(conn).await).await
}

backend_test!(
    async fn limits_are_loaded_as_they_were_set(t: TestDb) {
        add_tenant(&t, "globex").await;
        assert!(load(&t).await.is_empty(), "nobody is set apart yet");
        let total = LimitChange {
            concurrency: Some(Some(4)),
            starts: Some(Some(STARTS)),
            dispatches: Some(Some(Rate { count: 5, period: Duration::from_secs(60), burst: 1 })),
            pending: Some(Some(1000)),
            payload_bytes: Some(Some(65_536)),
        };
        let set_total = set(&t, Scope::Total, "", total).await;
        let one_at_a_time = LimitChange { concurrency: Some(Some(1)), ..LimitChange::default() };
        set(&t, Scope::Queue, "low", one_at_a_time).await;
        set(&t, Scope::Key, "erp", one_at_a_time).await;
        let loaded = load(&t).await;
        assert_eq!(loaded.iter().map(|tenant| tenant.slug.as_str()).collect::<Vec<_>>(), ["acme"]);
        let limits = &loaded[0].limits;
        assert_eq!(limits.total, set_total);
        assert_eq!(
            (limits.total.concurrency, limits.total.starts, limits.total.pending, limits.total.payload_bytes),
            (Some(4), Some(STARTS), Some(1000), Some(65_536))
        );
        let one = Limit { concurrency: Some(1), ..Limit::default() };
        assert_eq!((limits.queues.get("low"), limits.keys.get("erp")), (Some(&one), Some(&one)));
        let (own, damaged) = write(&t, async |conn| limits::of_tenant(conn, loaded[0].id).await).await;
        assert_eq!((&own, damaged.len()), (limits, 0));
    }
);

backend_test!(
    async fn a_change_touches_what_it_names_and_nothing_else(t: TestDb) {
        let starts = LimitChange { starts: Some(Some(STARTS)), ..LimitChange::default() };
        set(&t, Scope::Total, "", starts).await;
        let pending = LimitChange { pending: Some(Some(7)), ..LimitChange::default() };
        let both = set(&t, Scope::Total, "", pending).await;
        assert_eq!((both.starts, both.pending), (Some(STARTS), Some(7)));
        let no_starts = LimitChange { starts: Some(None), ..LimitChange::default() };
        let left = set(&t, Scope::Total, "", no_starts).await;
        assert_eq!((left.starts, left.pending), (None, Some(7)));
    }
);

backend_test!(
    async fn a_limit_that_goes_leaves_its_row_so_that_the_change_is_seen(t: TestDb) {
        let one = LimitChange { concurrency: Some(Some(1)), ..LimitChange::default() };
        set(&t, Scope::Queue, "low", one).await;
        let before = write(&t, async |conn| limits::latest_change(conn).await).await;
        t.db.shift_clock(chrono::Duration::seconds(1));
        assert!(set(&t, Scope::Queue, "low", LimitChange::CLEAR).await.is_empty());
        assert_eq!(count(&t, "select count(*) as n from fairlane_limits").await, 1);
        assert!(load(&t).await.is_empty());
        assert!(write(&t, async |conn| limits::latest_change(conn).await).await > before);
    }
);

backend_test!(
    async fn clearing_removes_one_scope_or_all_and_tells_which(t: TestDb) {
        let id = acme(&t).id().await.unwrap();
        let one = LimitChange { concurrency: Some(Some(1)), ..LimitChange::default() };
        set(&t, Scope::Total, "", one).await;
        set(&t, Scope::Queue, "low", one).await;
        set(&t, Scope::Key, "low", one).await;
        let before = write(&t, async |conn| limits::latest_change(conn).await).await;
        t.db.shift_clock(chrono::Duration::seconds(1));
        let clear = async |place| write(&t, async |conn| limits::clear(conn, id, place).await).await;
        assert_eq!(clear(Some((Scope::Key, "low"))).await, [(Scope::Key, "low".to_owned())]);
        assert!(write(&t, async |conn| limits::latest_change(conn).await).await > before);
        assert_eq!(clear(None).await, [(Scope::Total, String::new()), (Scope::Queue, "low".to_owned())]);
        assert!(clear(None).await.is_empty() && load(&t).await.is_empty());
    }
);

backend_test!(
    async fn weights_and_pauses_are_changes_too(t: TestDb) {
        let id = acme(&t).id().await.unwrap();
        let latest = async || write(&t, async |conn| limits::latest_change(conn).await).await.unwrap();
        let added = latest().await;
        t.db.shift_clock(chrono::Duration::seconds(1));
        write(&t, async |conn| store::tenants::set_weight(conn, id, 2.5).await).await;
        let weighed = latest().await;
        assert!(weighed > added);
        t.db.shift_clock(chrono::Duration::seconds(1));
        write(&t, async |conn| store::tenants::set_paused(conn, id, true, None).await).await;
        assert!(latest().await > weighed);
        let loaded = load(&t).await;
        assert_eq!((loaded[0].weight, loaded[0].paused), (2.5, true));
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let set = try_write(&t.db, async |conn| store::tenants::set_weight(conn, id, weight).await).await;
            assert!(matches!(set, Err(Error::Invalid { .. })), "{weight}: {set:?}");
        }
    }
);

backend_test!(
    async fn a_limit_names_its_queue_or_key_and_the_total_names_none(t: TestDb) {
        let id = acme(&t).id().await.unwrap();
        for (scope, name) in [(Scope::Total, "low"), (Scope::Queue, ""), (Scope::Key, "a\nb")] {
            let set =
                try_write(&t.db, async |conn| limits::set(conn, id, scope, name, LimitChange::CLEAR).await)
                    .await;
            assert!(matches!(set, Err(Error::Invalid { .. })), "{scope:?} {name}: {set:?}");
        }
    }
);

#[tokio::test]
async fn a_damaged_limit_does_not_hide_the_others() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let one = LimitChange { concurrency: Some(Some(1)), ..LimitChange::default() };
    set(&t, Scope::Queue, "low", one).await;
    set(&t, Scope::Queue, "high", one).await;
    t.execute("update fairlane_limits set concurrency = 'many' where name = 'high'").await;
    let loaded = load(&t).await;
    assert_eq!(loaded[0].limits.queues.keys().collect::<Vec<_>>(), ["low"]);
}
