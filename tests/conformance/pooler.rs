//! PgBouncer in transaction mode: nothing may live in a session.

use fairlane::client::WakeMode;
use fairlane::db::{Db, DbOptions, Pooler, query};
use fairlane::store::{complete, lease, promote, rescue};
use fairlane::testing::{PgBouncer, TEST_LOGIN, TestDb, cluster_or_skip};
use fairlane::{ClientSettings, Event, Fairlane};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_jobs_go_through_a_transaction_pooler() {
    let test = "a hundred jobs through PgBouncer";
    let Some(t) = TestDb::postgres(test, Vec::new).await.unwrap() else { return };
    let Some(cluster) = cluster_or_skip(test).await else { return };
    let Some(bouncer) = PgBouncer::start(&cluster).await else { return };
    let name = t.url.split('?').next().unwrap().rsplit('/').next().unwrap();
    let options =
        DbOptions { pooler: Pooler::Transaction, ..DbOptions::new(bouncer.url_as(name, TEST_LOGIN)) };
    let db = Db::open(&options).await.unwrap();
    let settings = ClientSettings { wake: WakeMode::Poll, ..ClientSettings::default() };
    let client = Fairlane::new(db.clone(), settings);
    let tenant = client.tenant("acme");
    subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;

    let dispatches = (0..40).map(|number| {
        let tenant = tenant.clone();
        tokio::spawn(async move { tenant.dispatch(Work { number }).await.map(drop) })
    });
    for dispatched in futures::future::join_all(dispatches).await {
        dispatched.unwrap().unwrap();
    }
    tenant.dispatch_all((0..40).map(|number| Work { number })).await.unwrap();
    tenant.publish(OrderApproved { order: 1 }).await.unwrap();
    let mut tx = tenant.begin().await.unwrap();
    for number in 0..19 {
        tenant.dispatch(Work { number }).idempotency_key(number.to_string()).in_tx(&mut tx).await.unwrap();
    }
    tx.commit().await.unwrap();

    let kinds = vec!["test.work".to_owned(), "invoice@sales.order.approved".to_owned()];
    let mut done = 0;
    loop {
        let jobs = claim_with(&db, &request(&kinds)).await;
        if jobs.is_empty() {
            break;
        }
        let leases: Vec<_> = jobs.iter().map(|job| (job.id, job.token)).collect();
        let held = try_write(&db, async |conn| lease::renew(conn, &leases, LEASE).await).await.unwrap();
        assert_eq!(held.len(), jobs.len());
        let fences: Vec<_> = jobs.iter().map(fence).collect();
        let mut tx = db.single().await.unwrap();
        done += complete::complete(&mut tx.conn(), &fences).await.unwrap().len();
        tx.commit().await.unwrap();
        try_write(&db, async |conn| promote::promote(conn).await).await.unwrap();
        try_write(&db, async |conn| rescue::rescue(conn, LEASE).await).await.unwrap();
    }
    assert_eq!(done, 100);
    assert_eq!(count(&t, "select count(*) as n from fairlane_job_history").await, 100);
}

async fn jit(db: &Db, tenant: i64) -> [String; 2] {
    let mut shown = Vec::new();
    for mut tx in [db.single().await.unwrap(), db.begin_for(tenant).await.unwrap()] {
        let row = query(fairlane::sql!("show jit")).fetch_one(&mut tx.conn()).await.unwrap();
        shown.push(row.get("jit").unwrap());
    }
    shown.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_never_compiled_behind_a_pooler_or_without_one() {
    let test = "statements are never compiled";
    let Some(t) = TestDb::postgres(test, Vec::new).await.unwrap() else { return };
    let tenant = t.fairlane.tenant("acme").id().await.unwrap();
    assert_eq!(jit(&t.db, tenant).await, ["off", "off"]);
    let Some(cluster) = cluster_or_skip(test).await else { return };
    let Some(bouncer) = PgBouncer::start(&cluster).await else { return };
    let name = t.url.split('?').next().unwrap().rsplit('/').next().unwrap();
    let options =
        DbOptions { pooler: Pooler::Transaction, ..DbOptions::new(bouncer.url_as(name, TEST_LOGIN)) };
    assert_eq!(jit(&Db::open(&options).await.unwrap(), tenant).await, ["off", "off"]);
}
