//! Who is told what, through which channel, and how that is explained. Seed 1-26, 1-36.

use std::time::Duration;

use fairlane::testing::TestDb;
use fairlane::{Event, Tenant, backend_test};
use fairlane_workers::erp::Erp;
use fairlane_workers::erp::events::{
    InvoicePaymentReceived, LowStockDetected, OrderFulfilled, PurchaseOrderApproved, StockExpiring,
};
use fairlane_workers::erp::notifications::why::{Explanation, explain, keys_of};
use fairlane_workers::erp::notifications::{
    AnnouncementNotification, Audience, SALES_VIEW, Told, notify, notify_audience, via,
};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::store::people::{self, location_id};

use crate::support::shop::{approve, count, enter, lines, shop};
use crate::support::smtp::{Answer, SmtpServer};
use crate::{erp, text, work};

async fn places(t: &TestDb) {
    t.execute(
        "insert into locations (tenant_id, code, name) select id, 'MAIN', 'Main' from fairlane_tenants",
    )
    .await;
    t.execute(
        "insert into locations (tenant_id, code, name) select id, 'NORTH', 'North' from fairlane_tenants",
    )
    .await;
}

/// A user who may do something: at one place, or everywhere.
async fn user(tenant: &Tenant, name: &str, permissions: &[&str], at: Option<&str>) -> i64 {
    let mut tx = tenant.begin().await.unwrap();
    let id = tenant.id().await.unwrap();
    let location = match at {
        Some(code) => Some(location_id(&mut tx.conn(), id, code).await.unwrap()),
        None => None,
    };
    let email = format!("{name}@example.com");
    let user = users::ensure_at(&mut tx, tenant, name, &email, permissions, location).await.unwrap();
    tx.commit().await.unwrap();
    user
}

async fn prefer(tenant: &Tenant, who: &str, kind: &str, channel: &str, wanted: bool) {
    let mut tx = tenant.begin().await.unwrap();
    let email = format!("{who}@example.com");
    users::prefer(&mut tx, tenant, &email, kind, channel, Some(wanted)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn low_stock(tenant: &Tenant, alert_id: i64) -> LowStockDetected {
    let mut tx = tenant.begin().await.unwrap();
    let location = location_id(&mut tx.conn(), tenant.id().await.unwrap(), "MAIN").await.unwrap();
    LowStockDetected {
        alert_id,
        product_id: 5,
        sku: "T-1".into(),
        product_name: "Blue tiles".into(),
        location_id: location,
        location: "MAIN".into(),
        current: "3".parse().unwrap(),
        minimum: "10".parse().unwrap(),
    }
}

/// Publishes an event twice and works everything off.
async fn twice<E: Event + Clone>(t: &TestDb, tenant: &Tenant, event: E, port: u16) {
    tenant.publish(event.clone()).await.unwrap();
    tenant.publish(event).await.unwrap();
    work(t, &erp(port)).await;
}

async fn why(tenant: &Tenant, key: &str) -> Explanation {
    let id = tenant.id().await.unwrap();
    let mut tx = tenant.begin().await.unwrap();
    explain(&mut tx.conn(), id, key, None, (0, 100)).await.unwrap()
}

/// Who, by which channel, with which code: `ana@example.com in_app delivered -`.
fn told(explained: &Explanation) -> Vec<String> {
    let line = |line: &fairlane_workers::erp::notifications::why::Line| {
        let status = line.status.map_or("-", |status| status.as_str());
        let name = line.who.trim_end_matches("@example.com");
        format!(
            "{name} {} {status} {}",
            line.channel.as_deref().unwrap_or("-"),
            line.code.as_deref().unwrap_or("-")
        )
    };
    let mut lines: Vec<String> = explained.people.iter().map(line).collect();
    lines.sort();
    lines
}

backend_test!(migrations: lines;
    async fn low_stock_is_told_to_those_who_watch_the_place_and_why_explains_everybody(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        places(&t).await;
        user(&acme, "everywhere", &["inventory.alerts"], None).await;
        user(&acme, "main", &["inventory.alerts"], Some("MAIN")).await;
        user(&acme, "north", &["inventory.alerts"], Some("NORTH")).await;
        user(&acme, "seller", &["sales.view"], None).await;
        user(&acme, "left", &["inventory.alerts"], None).await;
        let mut tx = acme.begin().await.unwrap();
        users::set_active(&mut tx, &acme, "left@example.com", false).await.unwrap();
        tx.commit().await.unwrap();
        let event = low_stock(&acme, 17).await;
        twice(&t, &acme, event, server.port).await;
        let explained = why(&acme, "low:17").await;
        assert_eq!(told(&explained), [
            "everywhere in_app delivered -", "everywhere mail skipped preference_default", "left - - inactive",
            "main in_app delivered -", "main mail skipped preference_default", "north - - other_location",
            "seller - - no_permission",
        ]);
        assert_eq!((explained.severity, explained.location.as_deref()), (Some("warning"), Some("MAIN")));
        assert_eq!(count(&t, "select count(*) as n from notifications").await, 2, "told once");
        let data: serde_json::Value = serde_json::from_str(&text(&t, "select cast(min(cast(data as text)) as text) as t from notifications").await).unwrap();
        assert_eq!((&data["context"]["product_sku"], &data["action"]["target"]), (&"T-1".into(), &"product/T-1".into()));
        let mut tx = acme.begin().await.unwrap();
        let keys = keys_of(&mut tx.conn(), acme.id().await.unwrap(), "low:17").await.unwrap();
        assert_eq!(keys, ["low:17"]);
        drop(tx);
        // The place says nothing to another tenant.
        t.execute("insert into fairlane_tenants (slug, name) values ('beta', 'Beta')").await;
        let beta = t.fairlane.tenant("beta");
        let mut tx = beta.begin().await.unwrap();
        assert!(explain(&mut tx.conn(), beta.id().await.unwrap(), "low:17", None, (0, 10)).await.is_err());
        assert!(server.received().is_empty());
    }
);

backend_test!(migrations: lines;
    async fn each_user_is_told_by_the_channels_of_their_choice_and_what_is_left_out_is_on_record(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        places(&t).await;
        user(&acme, "ana", &["inventory.alerts"], None).await;
        user(&acme, "bob", &["inventory.alerts"], None).await;
        prefer(&acme, "ana", "*", "mail", true).await;
        prefer(&acme, "ana", "LowStockNotification", "in_app", false).await;
        let mut tx = acme.begin().await.unwrap();
        let id = acme.id().await.unwrap();
        let ana = people::named(&mut tx.conn(), id, "ana@example.com").await.unwrap().id;
        assert_eq!(via(&mut tx.conn(), id, ana, "LowStockNotification").await.unwrap(), ["mail"]);
        assert_eq!(via(&mut tx.conn(), id, ana, "AlertNotification").await.unwrap(), ["in_app", "mail"]);
        drop(tx);
        let event = low_stock(&acme, 1).await;
        twice(&t, &acme, event, server.port).await;
        assert_eq!(told(&why(&acme, "low:1").await), [
            "ana in_app skipped preference_off", "ana mail sent -",
            "bob in_app delivered -", "bob mail skipped preference_default",
        ]);
        let mails = server.received();
        assert_eq!((mails.len(), &mails[0].to[..]), (1, &["ana@example.com".to_owned()][..]));
        assert!(mails[0].data.contains("Subject: Low stock: Blue tiles"), "{}", mails[0].data);
        assert!(!mails[0].data.contains("List-Unsubscribe"), "it concerns its reader");
        // Who has changed their mind, or is gone, when the mail is to be sent gets none.
        let publish = async |alert| acme.publish(low_stock(&acme, alert).await).await.unwrap();
        publish(2).await;
        work_listeners(&t, &erp(server.port)).await;
        prefer(&acme, "ana", "LowStockNotification", "mail", false).await;
        work(&t, &erp(server.port)).await;
        assert!(told(&why(&acme, "low:2").await).contains(&"ana mail skipped preference_off".to_owned()));
        assert_eq!(server.received().len(), 1);
    }
);

/// Runs the listeners that are due, and not the mails they put on their way.
async fn work_listeners(t: &TestDb, erp: &fairlane_workers::erp::Erp) {
    use fairlane::Registry;
    use fairlane::worker::{Worker, WorkerOptions};
    use fairlane_workers::erp::listeners::SendLowStockNotification;
    let options =
        WorkerOptions { stop_when_empty: true, poll: Duration::from_millis(20), ..WorkerOptions::default() };
    let registry = Registry::new().on::<LowStockDetected, SendLowStockNotification>();
    let worker = Worker::new(&t.fairlane).serve(registry, erp.clone()).options(options);
    worker.run_until(std::future::pending()).await.unwrap();
}

backend_test!(migrations: lines;
    async fn a_bulk_mail_can_be_stopped_by_its_token_and_only_its_own_kind(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        let ana = user(&acme, "ana", &["sales.view"], None).await;
        prefer(&acme, "ana", "*", "mail", true).await;
        let announce = async |key: &str| {
            let notification = AnnouncementNotification {
                title: "Closed on Monday".into(), message: "We move.".into(), action: None,
            };
            let mut tx = acme.begin().await.unwrap();
            let told = notify_audience(&mut tx, &acme, &Audience::holders(SALES_VIEW), &notification, key).await.unwrap();
            tx.commit().await.unwrap();
            told
        };
        let erp = fairlane_workers::erp::Erp { unsubscribe_url: "https://app.example.com/stop/{token}".into(), ..erp(server.port) };
        assert_eq!(announce("news:1").await, Told { delivered: 2, left: 0 });
        assert_eq!(announce("news:1").await, Told::default(), "told before");
        work(&t, &erp).await;
        let mail = server.received().remove(0).data.replace("\r\n ", " ");
        assert!(mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{mail}");
        let token = mail.split("https://app.example.com/stop/").nth(1).unwrap();
        let token: String = token.chars().take_while(char::is_ascii_hexdigit).collect();
        let mut tx = acme.begin().await.unwrap();
        let stopped = users::unsubscribe(&mut tx, &acme, &token).await.unwrap();
        assert_eq!((stopped.user.id, stopped.kind.as_str()), (ana, "AnnouncementNotification"));
        assert!(users::unsubscribe(&mut tx, &acme, "guessed").await.is_err());
        tx.commit().await.unwrap();
        assert_eq!(announce("news:2").await, Told { delivered: 1, left: 1 });
        work(&t, &erp).await;
        assert_eq!(server.received().len(), 1);
    }
);

backend_test!(migrations: lines;
    async fn a_users_address_that_is_refused_is_left_alone_by_what_is_told_later(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        places(&t).await;
        user(&acme, "ana", &["inventory.alerts"], None).await;
        prefer(&acme, "ana", "*", "mail", true).await;
        server.answer("ana@example.com", Answer::Recipient("550 5.1.1 no such user"));
        for alert in [1, 2] {
            let event = low_stock(&acme, alert).await;
            twice(&t, &acme, event, server.port).await;
        }
        assert!(told(&why(&acme, "low:1").await).contains(&"ana mail suppressed mail_address_refused".to_owned()));
        assert!(told(&why(&acme, "low:2").await).contains(&"ana mail suppressed mail_suppressed".to_owned()));
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 1, "the first alone");
    }
);

backend_test!(migrations: lines;
    async fn the_listeners_tell_whom_they_should_once_however_often_their_events_come(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        places(&t).await;
        let finance = user(&acme, "finance", &["billing.view"], None).await;
        let buyer = user(&acme, "buyer", &["procurement"], None).await;
        let asker = user(&acme, "asker", &[], None).await;
        let seller = user(&acme, "seller", &["sales.view"], None).await;
        let watch = user(&acme, "watch", &["inventory.alerts"], Some("MAIN")).await;
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        work(&t, &erp(server.port)).await;
        let now = chrono::Utc::now();
        twice(&t, &acme, InvoicePaymentReceived {
            payment_id: 7, reference: "BANK-1".into(), method: "transfer".into(), amount: "50.00".parse().unwrap(),
            currency: "EUR".into(), invoice_id: 1, invoice_number: "INV-1".into(), outstanding: "71.69".parse().unwrap(),
            customer_id: order.customer_id, customer_name: "Customer C-1".into(), received_at: now, user_id: None,
        }, server.port).await;
        twice(&t, &acme, PurchaseOrderApproved {
            purchase_order_id: 3, number: "PO-1".into(), version: 2, vendor_id: 1, vendor_name: "Tile Works".into(),
            vendor_email: Some("tiles@example.com".into()), currency: "EUR".into(), total: "500".parse().unwrap(),
            expected_on: None, requested_by: Some(asker), approved_by: None, approved_at: now,
        }, server.port).await;
        let location_id = low_stock(&acme, 1).await.location_id;
        twice(&t, &acme, StockExpiring {
            alert_id: 2, product_id: 5, sku: "T-1".into(), product_name: "Paste".into(), batch_id: 9, lot: "L-9".into(),
            expires_on: now.date_naive(), days_remaining: 5, threshold: 7, location_id, location: "MAIN".into(),
            quantity: "4".parse().unwrap(),
        }, server.port).await;
        let fulfilled = OrderFulfilled {
            order_id: order.id, number: order.number.clone(), version: 3, customer_id: order.customer_id,
            customer_name: "Customer C-1".into(), lines: Vec::new(), fulfilled_at: now, user_id: None,
        };
        twice(&t, &acme, fulfilled, server.port).await;
        let told = stored_notifications(&t).await;
        let of = |user: i64, kind: &str, severity: &str| (user, kind.to_owned(), severity.to_owned());
        let mut expected = [
            of(finance, "InvoiceGeneratedNotification", "info"), of(finance, "PaymentReceivedNotification", "success"),
            of(buyer, "PurchaseOrderApprovedNotification", "success"),
            of(asker, "PurchaseOrderApprovedNotification", "success"),
            of(seller, "OrderStatusNotification", "success"), of(seller, "OrderStatusNotification", "success"),
            of(watch, "StockExpiryNotification", "critical"),
        ];
        expected.sort();
        assert_eq!(told, expected);
        // The customer got the invoice and the receipt; the vendor nothing, for nobody has asked for that.
        let mut mails: Vec<String> = server.received().into_iter().map(|mail| mail.to[0].clone()).collect();
        mails.sort();
        assert_eq!(mails, ["ana@example.com", "ana@example.com"]);
        let receipt = server.received().remove(1).data;
        assert!(receipt.contains("50.00 EUR") && receipt.contains("71.69 EUR"), "{receipt}");
    }
);

backend_test!(migrations: lines;
    async fn a_vendor_who_is_to_have_it_gets_the_approved_order_by_mail_once(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        let approved = PurchaseOrderApproved {
            purchase_order_id: 3, number: "PO-2026-00001".into(), version: 2, vendor_id: 1, vendor_name: "Tile Works".into(),
            vendor_email: Some("tiles@example.com".into()), currency: "EUR".into(), total: "500.00".parse().unwrap(),
            expected_on: None, requested_by: None, approved_by: None, approved_at: chrono::Utc::now(),
        };
        let wanted = Erp { mail_purchase_orders: true, ..erp(server.port) };
        for event in [approved.clone(), PurchaseOrderApproved { vendor_email: None, purchase_order_id: 4, ..approved.clone() }, approved] {
            acme.publish(event).await.unwrap();
            work(&t, &wanted).await;
        }
        let mails = server.received();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].to, ["tiles@example.com"]);
        let data = &mails[0].data;
        assert!(data.contains("PO-2026-00001") && data.contains("500.00 EUR"), "{data}");
    }
);

async fn stored_notifications(t: &TestDb) -> Vec<(i64, String, String)> {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let statement = fairlane::sql!("select notifiable_id, type, data from notifications order by 1, 2");
    let rows = fairlane::db::query(statement).fetch_all(&mut tx.conn()).await.unwrap();
    let read = |row: &fairlane::db::Row| {
        let data: serde_json::Value = row.get("data").unwrap();
        (
            row.get("notifiable_id").unwrap(),
            row.get("type").unwrap(),
            data["severity"].as_str().unwrap().to_owned(),
        )
    };
    let mut told: Vec<_> = rows.iter().map(read).collect();
    told.sort();
    told
}

backend_test!(migrations: lines;
    async fn one_user_can_be_told_something_and_nobody_of_another_tenant(t: TestDb) {
        let acme = shop(&t).await;
        let ana = user(&acme, "ana", &[], None).await;
        t.execute("insert into fairlane_tenants (slug, name) values ('beta', 'Beta')").await;
        let beta = t.fairlane.tenant("beta");
        let notification = AnnouncementNotification { title: "Hello".into(), message: "There".into(), action: None };
        let mut tx = beta.begin().await.unwrap();
        let told = notify(&mut tx, &beta, ana, &notification, "hello:1").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(told, Told::default());
        let mut tx = acme.begin().await.unwrap();
        let told = notify(&mut tx, &acme, ana, &notification, "hello:1").await.unwrap();
        let found = people::named(&mut tx.conn(), acme.id().await.unwrap(), "ANA@example.com").await.unwrap();
        assert_eq!((told, found.id), (Told { delivered: 1, left: 1 }, ana));
        tx.rollback().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from notifications").await, 0, "as part of the transaction");
    }
);
