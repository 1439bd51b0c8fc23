//! The hot statements, each with rows to work on.

use std::time::Duration;

use fairlane::db::{Conn, Db};
use fairlane::store::keys::{self, ConfiguredKeys, TenantKey};
use fairlane::store::settle::{self, Fence};
use fairlane::store::{self, complete, lease, look, promote, prune, quota, rescue};
use fairlane::testing::{ClaimFrom, claim_from};
use fairlane::{Failure, Result};
use uuid::Uuid;

async fn write<T>(db: &Db, statements: impl AsyncFnOnce(&mut Conn<'_>) -> Result<T>) -> T {
    let mut tx = db.begin().await.unwrap();
    let written = statements(&mut tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    written
}

/// Runs every hot statement, each with rows to work on.
pub(crate) async fn run_hot_statements(db: &Db) {
    let kinds = vec!["test.work".to_owned()];
    let request = |queue, suspects| ClaimFrom {
        queue,
        limit: 20,
        kinds: &kinds,
        worker_id: Uuid::now_v7(),
        lease: Duration::from_secs(30),
        suspects,
    };
    let jobs = write(db, async |conn| claim_from(conn, &request("default", false)).await).await;
    write(db, async |conn| claim_from(conn, &request("low", true)).await).await;
    let fences: Vec<Fence> = jobs
        .iter()
        .map(|job| job.as_ref().unwrap())
        .map(|job| Fence { id: job.id, token: job.token })
        .collect();
    assert!(fences.len() >= 10, "{}", fences.len());
    let leases: Vec<_> = fences.iter().map(|fence| (fence.id, fence.token)).collect();
    write(db, async |conn| lease::renew(conn, &leases, Duration::from_secs(30)).await).await;
    let failure = Failure { code: "x".into(), message: "x".into() };
    assert!(write(db, async |conn| settle::retry(conn, fences[0], Duration::ZERO, &failure).await).await);
    assert!(write(db, async |conn| settle::fail(conn, fences[1], &failure).await).await);
    assert!(write(db, async |conn| settle::cancel(conn, fences[2], "x").await).await);
    assert!(write(db, async |conn| settle::snooze(conn, fences[3], Duration::ZERO).await).await);
    assert!(write(db, async |conn| settle::release(conn, fences[4]).await).await);
    assert_eq!(write(db, async |conn| complete::complete(conn, &fences[5..8]).await).await.len(), 3);
    db.shift_clock(chrono::Duration::seconds(31));
    write(db, async |conn| rescue::rescue(conn, Duration::from_secs(30)).await).await;
    db.shift_clock(chrono::Duration::seconds(-31));
    write(db, async |conn| promote::promote(conn).await).await;
    let tenant = write(db, async |conn| store::tenants::find(conn, "tenant-3").await).await.unwrap();
    assert!(write(db, async |conn| quota::pending(conn, tenant, 100).await).await == 100);
    assert!(write(db, async |conn| quota::pending_in(conn, tenant, "default", 100).await).await == 100);
    prune::prune(db, &prune::Retention::default()).await.unwrap();
}

/// The statements that begin somewhere in a queue.
pub(crate) async fn run_looks(db: &Db) {
    let kinds = vec!["test.work".to_owned()];
    write(db, async |conn| look::look(conn, ("", 0), 10).await).await;
    write(db, async |conn| {
        claim_from(
            conn,
            &ClaimFrom {
                queue: "default",
                limit: 1,
                kinds: &kinds,
                worker_id: Uuid::now_v7(),
                lease: Duration::from_secs(30),
                suspects: false,
            },
        )
        .await
    })
    .await;
    let keys = [TenantKey { tenant_id: 1, key: "printer".into() }].into();
    write(db, async |conn| {
        keys::set_aside(conn, &[Uuid::now_v7()], &keys, &kinds, &ConfiguredKeys::new()).await
    })
    .await;
}
