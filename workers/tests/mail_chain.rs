//! From the approval to the mail, through real workers and a real SMTP server, on both databases.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use fairlane::db::query;
use fairlane::testing::{Sandbox, TestDb};
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Event, Tenant, backend_test, sql};
use fairlane_workers::erp::events::{InvoiceGenerated, OrderApproved};
use fairlane_workers::erp::mail::{
    Content, Mail, MailError, Mailbox, Mailer, MemoryMailer, SmtpMailer, check_address,
};
use fairlane_workers::erp::services::{customers, orders, users};
use fairlane_workers::erp::settings::{SmtpSettings, SmtpTls};
use fairlane_workers::erp::store::deliveries::{self, Claim, NewDelivery};
use fairlane_workers::erp::{Erp, migrations, registry};
use support::shop::{add_customer, approve, count, enter, lines, shop, tiles};
use support::smtp::{Answer, SmtpServer};
use uuid::Uuid;

fn erp(port: u16) -> Erp {
    let settings =
        SmtpSettings { host: "127.0.0.1".into(), port, login: None, tls: SmtpTls::None, ca_file: None };
    Erp::fake().with_mailer(SmtpMailer::new(settings))
}

/// Runs a worker until nothing is left to do, retries included.
async fn work(t: &TestDb, erp: &Erp) {
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
async fn staff(tenant: &Tenant) -> i64 {
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

async fn set_email(tenant: &Tenant, email: &str) {
    let mut tx = tenant.begin().await.unwrap();
    customers::set_email(&mut tx, tenant, "C-1", email).await.unwrap();
    tx.commit().await.unwrap();
}

async fn text(t: &TestDb, statement: &'static str) -> String {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    query(sql!(statement)).fetch_one(&mut tx.conn()).await.unwrap().get("t").unwrap()
}

/// The published events of a type, as they are stored.
async fn stored<E: Event>(t: &TestDb) -> Vec<E> {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let rows = query(sql!("select payload from fairlane_events where name = $1 order by id"))
        .bind(E::NAME)
        .fetch_all(&mut tx.conn())
        .await
        .unwrap();
    rows.iter().map(|row| serde_json::from_value(row.get("payload").unwrap()).unwrap()).collect()
}

const SENT: &str = "select count(*) as n from notification_deliveries where status = 'sent'";
const FAILED: &str = "select code as t from fairlane_failed_jobs";
const WHY: &str = "select error as t from fairlane_failed_jobs";
const DELIVERY: &str = "select status as t from notification_deliveries";

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
        assert_eq!(count(&t, "select count(*) as n from fairlane_listener_runs").await, 2);
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
    async fn two_jobs_for_one_mail_take_turns_and_the_second_finds_it_sent(t: TestDb) {
        let acme = shop(&t).await;
        let id = acme.id().await.unwrap();
        let new = NewDelivery {
            dedupe_key: "inv:1:mail", kind: "Invoice", subject_type: "invoice", subject_id: 1,
            recipient: Some("ana@example.com"), message_id: "<1@localhost>",
        };
        let claim = async |job: Uuid| {
            let mut tx = acme.begin().await.unwrap();
            let claim = deliveries::claim(&mut tx.conn(), id, job, Duration::from_secs(90), &new).await.unwrap();
            tx.commit().await.unwrap();
            claim
        };
        let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
        assert_eq!(claim(first).await, Claim::Granted);
        assert_eq!(claim(second).await, Claim::Busy);
        assert_eq!(claim(first).await, Claim::Granted, "the same job, after a crash");
        t.db.shift_clock(chrono::Duration::seconds(91));
        assert_eq!(claim(second).await, Claim::Granted, "the first one's worker is gone");
        let mut tx = acme.begin().await.unwrap();
        assert!(deliveries::mark_sent(&mut tx.conn(), id, "inv:1:mail", "250 ok").await.unwrap());
        deliveries::mark_unsent(&mut tx.conn(), id, "inv:1:mail", "failed", "x", "x").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(claim(first).await, Claim::Sent, "what is sent stays sent");
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
    async fn a_recipient_the_server_refuses_for_good_is_tried_once_and_one_it_defers_again(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        server.answer("ana@example.com", Answer::Recipient("550 5.1.1 no such user"));
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!(text(&t, FAILED).await, "mail_address_refused");
        assert!(text(&t, WHY).await.contains("no such user"));
        assert_eq!(count(&t, "select attempt as n from fairlane_failed_jobs").await, 1);
        server.answer("ana@example.com", Answer::RecipientOnce("451 4.7.1 greylisted"));
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!(server.received().len(), 1);
        assert_eq!(count(&t, "select max(attempts) as n from notification_deliveries").await, 2);
    }
);

backend_test!(migrations: lines;
    async fn a_message_refused_for_good_is_not_sent_again(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        server.answer("ana@example.com", Answer::Message("554 5.7.1 spam"));
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!(text(&t, FAILED).await, "mail_message_refused");
        assert!(server.received().is_empty());
    }
);

backend_test!(migrations: lines;
    async fn a_lost_reply_means_a_second_copy_with_the_same_message_id(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        server.answer("ana@example.com", Answer::LoseReply);
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        let ids: Vec<String> = server.received().iter().map(|mail| {
            mail.data.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned()
        }).collect();
        assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
        assert_eq!(count(&t, SENT).await, 1);
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
        assert_eq!(text(&t, "select type as t from notifications").await, "AlertNotification");
        assert_eq!(count(&t, "select notifiable_id as n from notifications").await, finance);
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
        assert_eq!(count(&t, "select attempts as n from notification_deliveries").await, 8);
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
    let row = query(sql!("select state, reason from fairlane_job_history"))
        .fetch_one(&mut tx.conn())
        .await
        .unwrap();
    assert_eq!(row.get::<String>("state").unwrap(), "cancelled");
    assert!(row.get::<String>("reason").unwrap().contains(&order.number));
}

/// A mail to `ana@example.com`, handed over with little patience.
async fn hand_over(port: u16, tls: SmtpTls, login: Option<(&str, &str)>) -> Result<String, MailError> {
    let login = login.map(|(name, password)| (name.to_owned(), password.to_owned().into()));
    let settings = SmtpSettings { host: "127.0.0.1".into(), port, login, tls, ca_file: None };
    let from = "Fairlane <no-reply@localhost>".parse().unwrap();
    let to = Mailbox::new(None, check_address("ana@example.com").unwrap());
    let content = Content { subject: "Hello".into(), text: ".\r\n.dot".into(), html: "<p>ü</p>".into() };
    let mail = Mail::compose("<1@localhost>".into(), &from, to, content).unwrap();
    let mailer = SmtpMailer::new(settings).within(Duration::from_millis(300));
    mailer.send(&mail).await.map(|receipt| receipt.reply)
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left_and_after_the_message_the_outcome_is_uncertain() {
    let server = SmtpServer::start().await;
    server.answer("ana@example.com", Answer::SilentToRecipient);
    let error = hand_over(server.port, SmtpTls::None, None).await.unwrap_err();
    assert_eq!((error.code(), error.is_permanent()), ("mail_unavailable", false));
    server.answer("ana@example.com", Answer::SilentToMessage);
    let error = hand_over(server.port, SmtpTls::None, None).await.unwrap_err();
    assert_eq!((error.code(), error.is_permanent()), ("mail_uncertain", false));
    server.forget_answers();
    assert_eq!(hand_over(server.port, SmtpTls::None, None).await.unwrap(), "250 taken");
    assert!(
        server.received()[0].data.contains("\r\n.dot\r\n"),
        "a line that begins with a dot arrives as it was"
    );
}

#[tokio::test]
async fn without_the_encryption_asked_for_neither_password_nor_mail_goes_out() {
    let server = SmtpServer::start().await;
    let error = hand_over(server.port, SmtpTls::Starttls, Some(("ana", "secret"))).await.unwrap_err();
    assert_eq!((error.code(), error.is_permanent()), ("mail_server_refused", false));
    assert!(hand_over(server.port, SmtpTls::Tls, Some(("ana", "secret"))).await.is_err());
    let commands = server.commands();
    assert!(!commands.iter().any(|command| command == "AUTH" || command == "MAIL"), "{commands:?}");
}
