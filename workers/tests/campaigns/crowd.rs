//! Many users, campaigns to them, and what became of those.

use std::collections::BTreeMap;
use std::time::Duration;

use fairlane::db::query;
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Tenant, sql};
use fairlane_workers::erp::campaigns::settings::CampaignSettings;
use fairlane_workers::erp::mail::{Mailer, SmtpMailer};
use fairlane_workers::erp::services::campaigns::{self, CampaignReport, NewCampaign};
use fairlane_workers::erp::settings::{SmtpSettings, SmtpTls};
use fairlane_workers::erp::store::campaigns::Campaign;
use fairlane_workers::erp::{Erp, registry};

use crate::support::processes::Site;
use crate::support::smtp::SmtpServer;

/// The tenant `acme` with so many users, `user-1@example.com` and so on.
pub(crate) async fn crowd(t: &TestDb, users: usize) -> Tenant {
    t.fairlane.clone().with(&registry()).announce().await.unwrap();
    let acme = t.fairlane.tenant("acme");
    let mut tx = acme.begin().await.unwrap();
    query(sql!(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < $2)
         insert into users (tenant_id, name, email)
         select $1, 'User ' || cast(i as text), 'user-' || cast(i as text) || '@example.com' from n"
    ))
    .bind(acme.id().await.unwrap())
    .bind(i64::try_from(users).unwrap())
    .execute(&mut tx.conn())
    .await
    .unwrap();
    tx.commit().await.unwrap();
    acme
}

pub(crate) fn address(user: usize) -> String {
    format!("user-{user}@example.com")
}

pub(crate) fn through(port: u16) -> SmtpMailer {
    SmtpMailer::new(SmtpSettings {
        host: "127.0.0.1".into(),
        port,
        login: None,
        tls: SmtpTls::None,
        ca_file: None,
    })
}

/// What handlers have: chunks of so many users, so many mails at a time.
pub(crate) fn erp(mailer: impl Mailer + 'static, chunk_users: i64, mail_connections: usize) -> Erp {
    let campaigns = CampaignSettings {
        chunk_users,
        mail_connections,
        outage_wait: Duration::from_millis(20),
        ..CampaignSettings::default()
    };
    let unsubscribe_url = "https://app.example.com/stop/{token}".into();
    Erp { campaigns, unsubscribe_url, ..Erp::fake().with_mailer(mailer) }
}

/// Runs a worker until nothing is due.
pub(crate) async fn work(t: &TestDb, erp: &Erp) {
    work_patiently(t, erp, Duration::from_millis(10)).await;
}

/// The same, with so long before what has failed is tried again.
pub(crate) async fn work_patiently(t: &TestDb, erp: &Erp, backoff: Duration) {
    let options = WorkerOptions {
        stop_when_empty: true,
        poll: Duration::from_millis(20),
        backoff: Backoff::List(vec![backoff]),
        concurrency: 4,
        ..WorkerOptions::default()
    };
    let worker = Worker::new(&t.fairlane).serve(registry(), erp.clone()).options(options);
    worker.run_until(std::future::pending()).await.unwrap();
}

/// An announcement to everybody, in the application and by mail.
pub(crate) fn news() -> NewCampaign {
    NewCampaign {
        kind: "announcement".into(),
        title: "Closed on Monday".into(),
        message: "We move.".into(),
        channels: vec!["in_app".into(), "mail".into()],
        ..NewCampaign::default()
    }
}

/// Writes a campaign and has it told.
pub(crate) async fn start(tenant: &Tenant, new: NewCampaign) -> Campaign {
    let mut tx = tenant.begin().await.unwrap();
    let id = campaigns::create(&mut tx, tenant, new).await.unwrap().id;
    let campaign = campaigns::send(&mut tx, tenant, id, None).await.unwrap();
    tx.commit().await.unwrap();
    campaign
}

pub(crate) async fn report(tenant: &Tenant, id: i64) -> CampaignReport {
    let mut tx = tenant.begin().await.unwrap();
    campaigns::report(&mut tx.conn(), tenant.id().await.unwrap(), id).await.unwrap()
}

/// How many deliveries stand so, by `mail sent` or `mail skipped preference_off`.
pub(crate) fn counted(report: &CampaignReport) -> BTreeMap<String, i64> {
    let line = |count: &fairlane_workers::erp::store::campaigns::ChannelCount| {
        let code = count.code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
        (format!("{} {}{code}", count.channel, count.status), count.deliveries)
    };
    report.counts.iter().map(line).collect()
}

pub(crate) fn counts(expected: &[(&str, i64)]) -> BTreeMap<String, i64> {
    expected.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect()
}

/// How often each address got a mail.
pub(crate) fn copies(server: &SmtpServer) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for mail in server.received() {
        *copies.entry(mail.to[0].clone()).or_default() += 1;
    }
    copies
}

pub(crate) fn nobody_twice(server: &SmtpServer) {
    let copies = copies(server);
    let twice: Vec<_> = copies.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "more than one mail: {twice:?}");
}

/// Lets worker processes send through a server, in chunks of so many users.
pub(crate) fn configure(site: &Site, server: &SmtpServer, chunk_users: usize) {
    let settings = format!(
        "[mail]\ntransport = \"smtp\"\nsmtp_host = \"127.0.0.1\"\nsmtp_port = {}\nsmtp_tls = \"none\"\n\
         [campaigns]\nchunk_users = {chunk_users}\noutage_wait = \"50ms\"\n",
        server.port
    );
    std::fs::write(site.folder.path().join("fairlane.toml"), settings).unwrap();
}
