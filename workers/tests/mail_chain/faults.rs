//! A mail server that refuses, puts off, says nothing or is lost; and a worker that dies at the worst moment.
//! Seed 1-24, 1-39.

use std::time::Duration;

use fairlane::backend_test;
use fairlane::db::{Db, Dialect, Tx, query};
use fairlane::sql;
use fairlane_workers::erp::events::InvoiceGenerated;
use fairlane_workers::erp::mail::{Content, Mail, MailError, Mailbox, Mailer, SmtpMailer, check_address};
use fairlane_workers::erp::services::deliveries::{Resolution, resolve};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::settings::{SmtpSettings, SmtpTls};

use crate::support::processes::Site;
use crate::support::shop::{approve, count, enter, lines, shop};
use crate::support::smtp::{Answer, SmtpServer};
use crate::{DELIVERY, FAILED, SENT, WHY, erp, set_email, staff, stored, text, work};

const UNCERTAIN: &str = "select id as n from notification_deliveries where status = 'uncertain'";
const ALL_FAILED: &str = "select count(*) as n from fairlane_failed_jobs";

fn ids(server: &SmtpServer) -> Vec<String> {
    let mails = server.received().into_iter();
    mails
        .map(|mail| mail.data.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned())
        .collect()
}

backend_test!(migrations: lines;
    async fn a_recipient_the_server_puts_off_is_tried_again(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        server.answer("ana@example.com", Answer::RecipientOnce("451 4.7.1 greylisted"));
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!((server.received().len(), count(&t, SENT).await), (1, 1));
        assert_eq!(count(&t, "select max(attempts) as n from notification_deliveries").await, 2);
    }
);

backend_test!(migrations: lines;
    async fn an_address_the_server_refuses_for_good_gets_nothing_more_until_somebody_lifts_it(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        server.answer("ana@example.com", Answer::Recipient("550 5.1.1 no such user"));
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!(text(&t, FAILED).await, "mail_address_refused");
        let why = text(&t, WHY).await;
        for part in ["no such user", "suppressions lift ana@example.com -t acme", "customer set-email C-1 ADDRESS -t acme"] {
            assert!(why.contains(part), "{part} is missing in: {why}");
        }
        assert_eq!(count(&t, "select attempt as n from fairlane_failed_jobs").await, 1);
        assert_eq!(text(&t, DELIVERY).await, "suppressed");
        // The next mail does not even ask the server.
        let asked = server.commands().len();
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!(server.commands().len(), asked);
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs where code = 'mail_suppressed'").await, 1);
        // Lifted, what is told again goes out.
        server.forget_answers();
        let mut tx = acme.begin().await.unwrap();
        users::lift_suppression(&mut tx, &acme, "ANA@example.com").await.unwrap();
        assert!(users::lift_suppression(&mut tx, &acme, "ana@example.com").await.is_err(), "there is one no more");
        tx.commit().await.unwrap();
        for event in stored::<InvoiceGenerated>(&t).await {
            acme.publish(event).await.unwrap();
        }
        work(&t, &erp(server.port)).await;
        assert_eq!((server.received().len(), count(&t, SENT).await), (2, 2));
    }
);

backend_test!(migrations: lines;
    async fn a_server_that_will_not_serve_us_costs_no_address_its_mails(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        server.answer("ana@example.com", Answer::Recipient("554 5.7.1 relay access denied"));
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!(text(&t, FAILED).await, "mail_message_refused");
        assert_eq!(count(&t, "select count(*) as n from mail_suppressions").await, 0);
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
        assert_eq!((text(&t, DELIVERY).await.as_str(), server.received().len()), ("failed", 0));
        assert_eq!(count(&t, "select count(*) as n from mail_suppressions").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_reply_that_is_lost_after_the_message_is_shown_as_uncertain_and_nothing_is_sent_again_unasked(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        let finance = staff(&acme).await;
        server.answer("ana@example.com", Answer::LoseReply);
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!((server.received().len(), text(&t, DELIVERY).await.as_str()), (1, "uncertain"));
        assert_eq!(count(&t, ALL_FAILED).await, 0);
        assert_eq!(count(&t, "select count(*) as n from invoices where sent_at is not null").await, 0);
        let told = "select notifiable_id as n from notifications where type = 'AlertNotification'";
        assert_eq!(count(&t, told).await, finance, "who sees invoices is told");
        // However often it is told again.
        for event in stored::<InvoiceGenerated>(&t).await {
            acme.publish(event).await.unwrap();
        }
        work(&t, &erp(server.port)).await;
        assert_eq!(server.received().len(), 1);
        // A person decides.
        let id = count(&t, UNCERTAIN).await;
        let mut tx = acme.begin().await.unwrap();
        resolve(&mut tx, &acme, id, Resolution::Resend).await.unwrap();
        tx.commit().await.unwrap();
        work(&t, &erp(server.port)).await;
        let ids = ids(&server);
        assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "the second copy has the Message-ID of the first");
        assert_eq!(text(&t, DELIVERY).await, "sent");
        let mut tx = acme.begin().await.unwrap();
        let error = resolve(&mut tx, &acme, id, Resolution::Resend).await.unwrap_err();
        assert!(error.to_string().contains("it is sent"), "{error}");
    }
);

backend_test!(migrations: lines;
    async fn an_uncertain_mail_that_has_arrived_counts_as_sent_and_so_does_its_invoice(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        server.answer("ana@example.com", Answer::LoseReply);
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        let id = count(&t, UNCERTAIN).await;
        t.execute("insert into fairlane_tenants (slug, name) values ('beta', 'Beta')").await;
        let beta = t.fairlane.tenant("beta");
        let mut tx = beta.begin().await.unwrap();
        let error = resolve(&mut tx, &beta, id, Resolution::Sent).await.unwrap_err();
        assert_eq!(error.to_string(), format!("delivery \"{id}\" does not exist"), "another tenant's");
        drop(tx);
        let mut tx = acme.begin().await.unwrap();
        resolve(&mut tx, &acme, id, Resolution::Sent).await.unwrap();
        tx.commit().await.unwrap();
        work(&t, &erp(server.port)).await;
        assert_eq!((server.received().len(), text(&t, DELIVERY).await.as_str()), (1, "sent"));
        assert_eq!(count(&t, "select count(*) as n from invoices where sent_at is not null").await, 1);
    }
);

backend_test!(migrations: lines;
    async fn a_letter_that_will_not_arrive_is_told_once_to_those_who_see_invoices(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        let finance = staff(&acme).await;
        let told = "select count(*) as n from notifications where type = 'AlertNotification'";
        for (number, answer) in [Answer::Message("554 5.7.1 spam"), Answer::Recipient("550 5.1.1 no such user")].into_iter().enumerate() {
            server.answer("ana@example.com", answer);
            let order = enter(&acme).await;
            approve(&acme, order.id).await.unwrap();
            work(&t, &erp(server.port)).await;
            assert_eq!(count(&t, told).await, number as i64 + 1);
        }
        // However often it is told again.
        for event in stored::<InvoiceGenerated>(&t).await {
            acme.publish(event).await.unwrap();
        }
        work(&t, &erp(server.port)).await;
        let to = "select count(*) as n from notifications where type = 'AlertNotification' and notifiable_id = (select min(id) from users where name = 'Finance')";
        assert_eq!((count(&t, told).await, count(&t, to).await), (2, 2));
        assert!(finance > 0);
    }
);

/// Lets workers send their mails through a server.
fn send_through(site: &Site, server: &SmtpServer) {
    let settings = format!(
        "[mail]\ntransport = \"smtp\"\nsmtp_host = \"127.0.0.1\"\nsmtp_port = {}\nsmtp_tls = \"none\"\n",
        server.port
    );
    std::fs::write(site.folder.path().join("fairlane.toml"), settings).unwrap();
}

/// Keeps everybody from writing deliveries, as a database that hangs would.
async fn hold_deliveries(observer: &Db) -> Tx {
    let mut tx = observer.begin().await.unwrap();
    if observer.dialect() == Dialect::Postgres {
        query(sql!("lock table notification_deliveries in share mode"))
            .execute(&mut tx.conn())
            .await
            .unwrap();
    }
    tx
}

backend_test!(migrations: lines;
    async fn a_worker_killed_between_the_servers_answer_and_its_note_leaves_an_uncertain_mail_and_no_second_one(t: TestDb) {
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        send_through(&site, &server);
        let acme = shop(&site.t).await;
        server.answer("ana@example.com", Answer::HoldReply);
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        let worker = site.worker(&["--concurrency", "2"]);
        server.until_received(1).await;
        let held = hold_deliveries(&site.observer).await;
        server.release();
        // Whoever says goodbye has heard the answer; writing it down has to wait.
        server.until_said("QUIT", 1).await;
        worker.kill();
        held.rollback().await.unwrap();
        let worker = site.worker(&["--concurrency", "2"]);
        site.until("the mail to be uncertain", "select count(*) as n from notification_deliveries where status = 'uncertain'", |n| n == 1).await;
        site.until("nothing to be left", "select count(*) as n from fairlane_jobs", |n| n == 0).await;
        assert!(worker.terminate().0.success());
        assert_eq!(server.received().len(), 1, "not sent twice");
        let listed = site.run(&["notifications", "list", "--uncertain", "-t", "acme", "-o", "json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed["data"][0]["dedupe_key"], "inv:1:mail", "{listed}");
        server.forget_answers();
        let id = listed["data"][0]["id"].to_string();
        site.run(&["notifications", "resolve", &id, "resend", "-t", "acme"]);
        site.run(&["work", "--stop-when-empty"]);
        assert_eq!((server.received().len(), site.count(SENT).await), (2, 1));
    }
);

backend_test!(migrations: lines;
    async fn a_worker_killed_before_the_message_leaves_a_mail_that_is_sent_once(t: TestDb) {
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        send_through(&site, &server);
        let acme = shop(&site.t).await;
        server.answer("ana@example.com", Answer::SilentToRecipient);
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        let worker = site.worker(&["--concurrency", "2"]);
        server.until_said("RCPT", 1).await;
        worker.kill();
        server.forget_answers();
        let worker = site.worker(&["--concurrency", "2"]);
        site.until("the mail to be sent", SENT, |n| n == 1).await;
        assert!(worker.terminate().0.success());
        assert_eq!(server.received().len(), 1);
    }
);

backend_test!(migrations: lines;
    async fn an_address_set_right_is_used_by_the_mail_that_waits(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        set_email(&acme, "new@example.com").await;
        work(&t, &erp(server.port)).await;
        assert_eq!(server.received()[0].to, ["new@example.com"]);
        let recipient = "select recipient as t from notification_deliveries where user_id is null";
        assert_eq!(text(&t, recipient).await, "new@example.com");
    }
);

/// A mail to `ana@example.com`, handed over with little patience.
async fn hand_over(port: u16, tls: SmtpTls, login: Option<(&str, &str)>) -> Result<String, MailError> {
    let login = login.map(|(name, password)| (name.to_owned(), password.to_owned().into()));
    let settings = SmtpSettings { host: "127.0.0.1".into(), port, login, tls, ca_file: None };
    let from = "Fairlane <no-reply@localhost>".parse().unwrap();
    let to = Mailbox::new(None, check_address("ana@example.com").unwrap());
    let content = Content { subject: "Hello".into(), text: ".\r\n.dot".into(), html: "<p>ü</p>".into() };
    let mail = Mail::compose("<1@localhost>".into(), &from, to, content, None).unwrap();
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
