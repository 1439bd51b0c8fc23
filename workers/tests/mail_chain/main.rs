//! From the approval to the mail, through real workers and a real SMTP server, on both databases. Seed 1-21.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod kinds;
mod people;
mod templates;
mod tls;
mod verbs;

use std::time::Duration;

use fairlane::db::query;
use fairlane::testing::{Sandbox, TestDb};
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Event, Tenant, backend_test, sql};
use fairlane_workers::erp::events::{InvoiceGenerated, OrderApproved};
use fairlane_workers::erp::mail::{MailError, MemoryMailer, SmtpMailer};
use fairlane_workers::erp::services::{customers, orders, users};
use fairlane_workers::erp::settings::{SmtpSettings, SmtpTls};
use fairlane_workers::erp::{Erp, migrations, registry};
use support::shop::{add_customer, approve, count, enter, lines, shop, tiles};
use support::smtp::SmtpServer;

pub(crate) fn erp(port: u16) -> Erp {
    let settings =
        SmtpSettings { host: "127.0.0.1".into(), port, login: None, tls: SmtpTls::None, ca_file: None };
    Erp::fake().with_mailer(SmtpMailer::new(settings))
}

/// Runs a worker until nothing is left to do, retries included.
pub(crate) async fn work(t: &TestDb, erp: &Erp) {
    loop {
        let options = WorkerOptions {
            stop_when_empty: true,
            poll: Duration::from_millis(20),
            backoff: Backoff::List(vec![Duration::from_millis(10)]),
            concurrency: 4,
            ..WorkerOptions::default()
        };
        let worker = Worker::new(&t.fairlane).serve(registry(), erp.clone()).options(options);
        worker.run_until(std::future::pending()).await.unwrap();
        if count(t, "select count(*) as n from fairlane_jobs").await == 0 {
            return;
        }
    }
}

/// Two users see invoices, one of them has left; one does not see them.
pub(crate) async fn staff(tenant: &Tenant) -> i64 {
    let mut tx = tenant.begin().await.unwrap();
    let finance =
        users::ensure(&mut tx, tenant, "Finance", "finance@example.com", &["billing.view"]).await.unwrap();
    let left = users::ensure(&mut tx, tenant, "Left", "left@example.com", &["billing.view"]).await.unwrap();
    users::ensure(&mut tx, tenant, "Stock", "stock@example.com", &[]).await.unwrap();
    query(sql!("update users set active = false where tenant_id = $1 and id = $2"))
        .bind(tenant.id().await.unwrap())
        .bind(left)
        .execute(&mut tx.conn())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    finance
}

pub(crate) async fn set_email(tenant: &Tenant, email: &str) {
    let mut tx = tenant.begin().await.unwrap();
    customers::set_email(&mut tx, tenant, "C-1", email).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn text(t: &TestDb, statement: &'static str) -> String {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    query(sql!(statement)).fetch_one(&mut tx.conn()).await.unwrap().get("t").unwrap()
}

/// The published events of a type, as they are stored.
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

pub(crate) const SENT: &str = "select count(*) as n from notification_deliveries where status = 'sent'";
pub(crate) const FAILED: &str = "select code as t from fairlane_failed_jobs";
pub(crate) const WHY: &str = "select error as t from fairlane_failed_jobs";
pub(crate) const DELIVERY: &str = "select status as t from notification_deliveries where user_id is null";

backend_test!(migrations: lines;
    async fn an_approved_order_ends_as_one_mail_and_a_notification_for_those_who_see_invoices(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        let finance = staff(&acme).await;
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        let mails = server.received();
        assert_eq!(mails.len(), 1);
        assert_eq!((mails[0].from.as_str(), &mails[0].to[..]), ("no-reply@localhost", &["ana@example.com".to_owned()][..]));
        assert!(mails[0].data.contains("multipart/alternative") && mails[0].data.contains("121.69 EUR"), "{}", mails[0].data);
        assert_eq!(count(&t, SENT).await, 1);
        assert_eq!(count(&t, "select count(*) as n from invoices where sent_at is not null").await, 1);
        assert_eq!(text(&t, "select type as t from notifications").await, "InvoiceGeneratedNotification");
        assert_eq!(count(&t, "select notifiable_id as n from notifications").await, finance);
        let run = "select count(*) as n from fairlane_listener_runs where listener like 'erp.send_invoice_to_customer%'";
        assert_eq!(count(&t, run).await, 1);
        assert_eq!(stored::<InvoiceGenerated>(&t).await[0].total.to_string(), "121.69");
    }
);

backend_test!(migrations: lines;
    async fn events_delivered_again_make_no_second_invoice_mail_or_notification(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        staff(&acme).await;
        for _ in 0..5 {
            let order = enter(&acme).await;
            approve(&acme, order.id).await.unwrap();
        }
        for event in stored::<OrderApproved>(&t).await {
            acme.publish(event.clone()).await.unwrap();
            acme.publish(event).await.unwrap();
        }
        work(&t, &erp(server.port)).await;
        for event in stored::<InvoiceGenerated>(&t).await {
            acme.publish(event.clone()).await.unwrap();
            acme.publish(event).await.unwrap();
        }
        work(&t, &erp(server.port)).await;
        assert_eq!(server.received().len(), 5);
        assert_eq!(count(&t, "select count(*) as n from invoices").await, 5);
        assert_eq!(count(&t, "select count(*) as n from notifications").await, 5);
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn an_address_that_is_none_fails_for_good_and_says_what_to_type_next(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        set_email(&acme, "ana(at)example.com").await;
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!(text(&t, FAILED).await, "mail_address_refused");
        let why = text(&t, WHY).await;
        for part in ["INV-", "customer C-1", "ana(at)example.com", "customer set-email C-1 ADDRESS -t acme", "fairlane retry "] {
            assert!(why.contains(part), "{part} is missing in: {why}");
        }
        assert_eq!(text(&t, DELIVERY).await, "failed");
        assert!(server.received().is_empty());
        // Repaired, the next delivery of the event sends it.
        set_email(&acme, "ana@example.com").await;
        let event = stored::<InvoiceGenerated>(&t).await.remove(0);
        acme.publish(event).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!((server.received().len(), text(&t, DELIVERY).await.as_str()), (1, "sent"));
    }
);

backend_test!(migrations: lines;
    async fn a_missing_address_is_told_to_finance_and_fails_under_its_own_code(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        let finance = staff(&acme).await;
        set_email(&acme, "").await;
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!(text(&t, FAILED).await, "mail_address_missing");
        let alert = "select notifiable_id as n from notifications where type = 'AlertNotification'";
        assert_eq!(count(&t, alert).await, finance);
    }
);

backend_test!(migrations: lines;
    async fn a_server_that_is_away_is_tried_as_often_as_the_policy_says_then_the_delivery_failed(t: TestDb) {
        let acme = shop(&t).await;
        let port = SmtpServer::start().await.port;
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(port)).await;
        assert_eq!(text(&t, FAILED).await, "mail_unavailable");
        assert_eq!(count(&t, "select attempts as n from notification_deliveries where user_id is null").await, 8);
        assert_eq!(text(&t, DELIVERY).await, "failed");
    }
);

#[tokio::test]
async fn a_sandbox_runs_the_chain_without_a_worker_or_a_mail_server() {
    let outbox = MemoryMailer::default();
    let erp = Erp::fake().with_mailer(outbox.clone());
    let t = Sandbox::with_migrations(registry(), erp, vec![migrations()]).await.unwrap();
    add_customer(t.tenant(), "C-1", Some("ana@example.com")).await;
    let mut tx = t.tenant().begin().await.unwrap();
    let order = orders::create(&mut tx, t.tenant(), "C-1", &tiles()).await.unwrap();
    orders::approve(&mut tx, t.tenant(), order.id, None).await.unwrap();
    tx.commit().await.unwrap();
    outbox.refuse_next(MailError::Unavailable("try later".into()));
    t.drain().await.unwrap();
    assert!(outbox.sent().is_empty());
    t.advance(Duration::from_secs(60));
    t.drain().await.unwrap();
    assert_eq!(outbox.sent().len(), 1);
    assert_eq!(t.published::<InvoiceGenerated>().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_order_cancelled_before_it_is_billed_has_no_invoice_and_its_job_says_why() {
    let t = Sandbox::with_migrations(registry(), Erp::fake(), vec![migrations()]).await.unwrap();
    add_customer(t.tenant(), "C-1", Some("ana@example.com")).await;
    let mut tx = t.tenant().begin().await.unwrap();
    let order = orders::create(&mut tx, t.tenant(), "C-1", &tiles()).await.unwrap();
    orders::approve(&mut tx, t.tenant(), order.id, None).await.unwrap();
    orders::cancel(&mut tx, t.tenant(), order.id).await.unwrap();
    tx.commit().await.unwrap();
    t.drain().await.unwrap();
    assert!(t.published::<InvoiceGenerated>().await.unwrap().is_empty());
    assert!(t.failed().await.unwrap().is_empty());
    let mut tx = t.fairlane().db().read().await.unwrap();
    let row =
        query(sql!("select state, reason from fairlane_job_history where kind like 'erp.generate_invoice%'"))
            .fetch_one(&mut tx.conn())
            .await
            .unwrap();
    assert_eq!(row.get::<String>("state").unwrap(), "cancelled");
    assert!(row.get::<String>("reason").unwrap().contains(&order.number));
}
