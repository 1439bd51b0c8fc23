//! Permits that a process could not ask for again.

use std::cell::Cell;
use std::time::{Duration, Instant};

use fairlane::backend_test;
use fairlane::db::{Dialect, query};
use fairlane::sql;
use fairlane::testing::{Cluster, TestDb, or_skip};

use crate::kinds::{Log, What, act};
use crate::limits::{concurrency, limit_total};
use crate::support::{Running, count, eventually};

backend_test!(
    async fn a_process_whose_exchange_of_permits_hangs_starts_nothing_on_those_that_may_be_over(t: TestDb) {
        if t.db.dialect() == Dialect::Sqlite {
            return; // Who locks a table there locks the claims too.
        }
        // A change so young that the limits are read again before each exchange.
        limit_total(&t, "acme", concurrency(1)).await;
        let flood = (0..3000).map(|_| act("flood", What::Sleep(10)));
        t.fairlane.tenant("acme").dispatch_all(flood).await.expect("dispatched");
        let log = Log::default();
        let worker = Running::start(&t, &log);
        eventually("the flood runs", async || log.count("flood 1") > 10).await;
        let observer = t.observer().await.expect("an observer");
        let mut locked = observer.begin().await.expect("begun");
        let lock = sql!("lock table fairlane_limits in access exclusive mode");
        query(lock).execute(&mut locked.conn()).await.expect("locked");
        let seen = Cell::new((0, Instant::now()));
        eventually("nothing to start for a second", async || {
            let now = log.count("flood 1");
            if now != seen.get().0 {
                seen.set((now, Instant::now()));
            }
            seen.get().1.elapsed() > Duration::from_secs(1)
        })
        .await;
        let started = seen.get().0;
        locked.commit().await.expect("unlocked");
        eventually("the flood to go on", async || log.count("flood 1") > started).await;
        worker.stop().await;
    }
);

/// Room for a few hundred locks.
const FEW_LOCKS: &[&str] = &["max_locks_per_transaction=10", "max_connections=24"];

/// Adds tenants that may run one job at a time; the first of them have one that waits.
async fn add_limited_tenants(t: &TestDb, tenants: i64, with_work: i64) {
    let mut tx = t.db.begin().await.expect("begun");
    let added = sql!(
        "insert into fairlane_tenants (slug, name) select 'tenant-' || n, 'Tenant' from generate_series(1, $1) n"
    );
    query(added).bind(tenants).execute(&mut tx.conn()).await.expect("added");
    let limited = sql!(
        "insert into fairlane_limits (tenant_id, scope, name, concurrency)
         select id, 'total', '', 1 from fairlane_tenants where slug like 'tenant-%'"
    );
    query(limited).execute(&mut tx.conn()).await.expect("limited");
    tx.commit().await.expect("committed");
    for number in 1..=with_work {
        let tenant = t.fairlane.tenant(format!("tenant-{number}"));
        tenant.dispatch(act("limited", What::Succeed)).await.expect("dispatched");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_limited_tenants_fit_into_a_small_table_of_locks_and_idle_ones_cost_nothing() {
    let Some(cluster) = or_skip("permits", Cluster::with_settings(FEW_LOCKS).await) else { return };
    let t = TestDb::on(&cluster, Vec::new).await.expect("a database");
    add_limited_tenants(&t, 3000, 1200).await;
    let log = Log::default();
    let worker = Running::start(&t, &log);
    eventually("each of them has run", async || log.count("limited 1") == 1200).await;
    let held = "select count(*) as n from fairlane_permits where permits > 0 or wanted > 0";
    eventually("the permits are given back", async || count(&t, held).await == 0).await;
    let told = "select count(distinct tenant_id) as n from fairlane_permits";
    assert_eq!(count(&t, told).await, 1200, "nobody has asked for those without work");
    worker.stop().await;
}
