//! Text messages, push messages and webhooks, through real workers and fake providers, on both databases.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A state of the ERP, a database and a fake in one future.
#![allow(clippy::large_futures)]

#[path = "../support/mod.rs"]
mod support;

mod callbacks;
mod campaigns;
mod fake;
mod kills;
mod outbound;
mod push;
mod sms;
mod verbs;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Tenant};
use fairlane_workers::erp::notifications::why::{Explanation, explain};
use fairlane_workers::erp::notifications::{AlertNotification, Audience, Severity, notify_audience};
use fairlane_workers::erp::outbound::seal::Sealer;
use fairlane_workers::erp::outbound::{Outbound, OutboundSettings};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::settings::TwilioSettings;
use fairlane_workers::erp::sms::Twilio;
use fairlane_workers::erp::{Erp, registry};
use serde_json::json;

use fake::Fake;

/// A client that reaches fakes, and waits for them for half a second.
pub(crate) fn open() -> Outbound {
    Outbound::new(OutboundSettings {
        allow_private: true,
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_millis(700),
    })
}

pub(crate) const KEY: [u8; 32] = [7; 32];

pub(crate) fn sealer() -> Sealer {
    Sealer::new(&STANDARD.encode(KEY).into()).unwrap()
}

/// A state that sends text messages to a fake, and reaches fakes by webhook.
pub(crate) fn erp(fake: &Fake) -> Erp {
    let settings = TwilioSettings {
        url: fake.url(""),
        account: "AC1".into(),
        token: "tok3n".into(),
        from: "+15005550006".into(),
        status_url: "https://app.example.com/twilio/{tenant}".into(),
    };
    Erp { outbound: open(), sealer: sealer(), sms: Arc::new(Twilio::new(settings, open())), ..Erp::fake() }
}

/// Runs a worker until nothing is due.
pub(crate) async fn work(t: &TestDb, erp: &Erp) {
    let options = WorkerOptions {
        stop_when_empty: true,
        poll: Duration::from_millis(20),
        backoff: Backoff::List(vec![Duration::from_millis(10)]),
        concurrency: 4,
        ..WorkerOptions::default()
    };
    let worker = Worker::new(&t.fairlane).serve(registry(), erp.clone()).options(options);
    worker.run_until(std::future::pending()).await.unwrap();
}

/// Lets time pass, and works off what is due then.
pub(crate) async fn later(t: &TestDb, erp: &Erp, seconds: i64) {
    t.db.shift_clock(chrono::Duration::seconds(seconds));
    work(t, erp).await;
}

/// A user with a permission who wants to be told by a channel.
pub(crate) async fn user(tenant: &Tenant, name: &str, channel: &str) -> i64 {
    let mut tx = tenant.begin().await.unwrap();
    let email = format!("{name}@example.com");
    let id = users::ensure(&mut tx, tenant, name, &email, &["sales.view"]).await.unwrap();
    users::prefer(&mut tx, tenant, &email, "*", channel, Some(true)).await.unwrap();
    tx.commit().await.unwrap();
    id
}

pub(crate) async fn phone(tenant: &Tenant, name: &str, number: &str) {
    let mut tx = tenant.begin().await.unwrap();
    users::set_phone(&mut tx, tenant, &format!("{name}@example.com"), Some(number), None).await.unwrap();
    tx.commit().await.unwrap();
}

/// Tells those who see orders something.
pub(crate) async fn tell(tenant: &Tenant, key: &str, severity: Severity) {
    let alert = AlertNotification {
        severity,
        title: "Cold store".into(),
        message: "It has 9 degrees.".into(),
        context: json!({ "degrees": 9 }),
        action: None,
    };
    let mut tx = tenant.begin().await.unwrap();
    notify_audience(&mut tx, tenant, &Audience::holders("sales.view"), &alert, key).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn why(tenant: &Tenant, key: &str) -> Explanation {
    let id = tenant.id().await.unwrap();
    let mut tx = tenant.begin().await.unwrap();
    explain(&mut tx.conn(), id, key, None, (0, 100)).await.unwrap()
}

/// Who stands how by this channel: `ana sent -`.
pub(crate) async fn stands(tenant: &Tenant, key: &str, channel: &str) -> Vec<String> {
    let explained = why(tenant, key).await;
    let lines = explained.people.iter().filter(|line| line.channel.as_deref() == Some(channel));
    let mut lines: Vec<String> = lines
        .map(|line| {
            let status = line.status.map_or("-", |status| status.as_str());
            let who = line.who.trim_end_matches("@example.com");
            format!("{who} {status} {}", line.code.as_deref().unwrap_or("-"))
        })
        .collect();
    lines.sort();
    lines
}

/// Another tenant beside `acme`.
pub(crate) async fn beta(t: &TestDb) -> Tenant {
    t.execute("insert into fairlane_tenants (slug, name) values ('beta', 'Beta')").await;
    t.fairlane.tenant("beta")
}

pub(crate) const FAILED: &str = "select count(*) as n from fairlane_failed_jobs";
pub(crate) const WAITING: &str = "select count(*) as n from fairlane_jobs";
