//! What these tests share: a worker that runs until nothing is left, billed orders, payments, products, events again.

use std::time::Duration;

use fairlane::db::query;
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Event, Tenant, sql};
use fairlane_workers::erp::services::invoices::{Billing, bill_order};
use fairlane_workers::erp::services::payments::{self, NewPayment, Received};
use fairlane_workers::erp::store::invoices::Invoice;
use fairlane_workers::erp::store::orders::Order;
use fairlane_workers::erp::{Erp, registry};
use uuid::Uuid;

use crate::support::shop::{approve, count, enter};

/// Runs a worker until nothing is left to do, retries included.
pub(crate) async fn work(t: &TestDb) {
    for _ in 0..200 {
        let options = WorkerOptions {
            stop_when_empty: true,
            poll: Duration::from_millis(20),
            backoff: Backoff::List(vec![Duration::from_millis(10)]),
            concurrency: 4,
            ..WorkerOptions::default()
        };
        let worker = Worker::new(&t.fairlane).serve(registry(), Erp::fake()).options(options);
        worker.run_until(std::future::pending()).await.unwrap();
        if count(t, "select count(*) as n from fairlane_jobs").await == 0 {
            return;
        }
    }
    panic!("there are always jobs left");
}

/// An order of 121.69 EUR, approved and billed.
pub(crate) async fn billed(tenant: &Tenant) -> (Order, Invoice) {
    let order = enter(tenant).await;
    approve(tenant, order.id).await.unwrap();
    let invoice = bill(tenant, order.id).await;
    (order, invoice)
}

pub(crate) async fn bill(tenant: &Tenant, order: i64) -> Invoice {
    let id = tenant.id().await.unwrap();
    let mut tx = tenant.begin().await.unwrap();
    let billing = bill_order(&mut tx.conn(), id, order).await.unwrap();
    tx.commit().await.unwrap();
    let Billing::Billed(invoice) = billing else { panic!("not billed") };
    *invoice
}

pub(crate) fn payment(invoice: &str, reference: &str, amount: &str) -> NewPayment {
    NewPayment {
        invoice: invoice.into(),
        reference: reference.into(),
        method: "transfer".into(),
        amount: amount.parse().unwrap(),
        received_at: None,
        user: None,
    }
}

pub(crate) async fn pay(
    tenant: &Tenant,
    invoice: &str,
    reference: &str,
    amount: &str,
) -> fairlane::Result<Received> {
    let mut tx = tenant.begin().await?;
    let received = payments::receive(&mut tx, tenant, payment(invoice, reference, amount)).await?;
    tx.commit().await?;
    Ok(received)
}

/// The published events of a type, oldest first, as they are stored.
pub(crate) async fn stored<E: Event>(t: &TestDb) -> Vec<E> {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let rows = query(sql!("select payload from fairlane_events where name = $1 order by id"))
        .bind(E::NAME)
        .fetch_all(&mut tx.conn())
        .await
        .unwrap();
    rows.iter().map(|row| serde_json::from_value(row.get("payload").unwrap()).unwrap()).collect()
}

/// Delivers every event once more: a second job for each listener and event, as a queue that delivers at least once may.
pub(crate) async fn deliver_again(t: &TestDb) {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.begin().await.unwrap();
    let rows = query(sql!(
        "select e.id as event_id, e.tenant_id, s.listener, s.event_name, s.queue
         from fairlane_events e join fairlane_subscriptions s on s.event_name = e.name"
    ))
    .fetch_all(&mut tx.conn())
    .await
    .unwrap();
    for row in rows {
        let kind = format!(
            "{}@{}",
            row.get::<String>("listener").unwrap(),
            row.get::<String>("event_name").unwrap()
        );
        query(sql!(
            "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id, created_at)
             values ($1, $2, $3, $4, 5, 'available', {now}, {json:$5}, $6, {now})"
        ))
        .bind(Uuid::now_v7())
        .bind(row.get::<i64>("tenant_id").unwrap())
        .bind(row.get::<String>("queue").unwrap())
        .bind(kind)
        .bind("null")
        .bind(row.get::<Uuid>("event_id").unwrap())
        .execute(&mut tx.conn())
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}

/// A product of the catalogue and a place to put it.
pub(crate) async fn catalogue(t: &TestDb) {
    t.execute(
        "insert into products (tenant_id, sku, name, price) select id, 'T-1', 'Blue tiles', 33.5 from fairlane_tenants",
    )
    .await;
    t.execute(
        "insert into products (tenant_id, sku, name, price, track_batches)
         select id, 'G-1', 'Glue', 9.9, true from fairlane_tenants",
    )
    .await;
    t.execute(
        "insert into locations (tenant_id, code, name) select id, 'MAIN', 'Main store' from fairlane_tenants",
    )
    .await;
}

/// Another tenant, with nothing of its own.
pub(crate) async fn beta(t: &TestDb) -> Tenant {
    let mut tx = t.fairlane.begin().await.unwrap();
    fairlane::store::tenants::add(&mut tx.conn(), "beta", "Beta").await.unwrap();
    tx.commit().await.unwrap();
    t.fairlane.tenant("beta")
}
