//! Webhooks: signed, tried again by the table, disabled, replayed.

use std::net::IpAddr;
use std::time::Duration;

use fairlane::backend_test;
use fairlane::testing::TestDb;
use fairlane::{Error, Tenant};
use fairlane_workers::erp::Erp;
use fairlane_workers::erp::notifications::Severity::Warning;
use fairlane_workers::erp::notifications::why::explain;
use fairlane_workers::erp::outbound::guard::Lookup;
use fairlane_workers::erp::outbound::{Outbound, OutboundSettings};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::services::webhooks::{self, Added, Keeper};
use fairlane_workers::erp::store::people;
use fairlane_workers::erp::webhooks::verify;
use futures::future::BoxFuture;
use secrecy::SecretString;

use crate::fake::{Answer, Asked, Fake};
use crate::support::shop::{count, lines, shop};
use crate::{FAILED, WAITING, beta, erp, later, open, sealer, stands, tell, user, work};

const DISABLED: &str = "select count(*) as n from webhook_endpoints where disabled_at is not null";
const DELIVERY: &str = "select min(id) as n from notification_deliveries where channel = 'webhook'";
const DAY: i64 = 86_400;

pub(crate) async fn add(tenant: &Tenant, url: &str, types: &[&str], who: Option<&str>) -> Added {
    let types: Vec<String> = types.iter().map(|kind| (*kind).to_owned()).collect();
    let (sealer, outbound) = (sealer(), open());
    let keeper = Keeper { sealer: &sealer, outbound: &outbound };
    let mut tx = tenant.begin().await.unwrap();
    let added = webhooks::add(&mut tx, tenant, keeper, url, &types, who).await.unwrap();
    tx.commit().await.unwrap();
    added
}

fn is_signed(asked: &Asked, secret: &SecretString) -> bool {
    let at = asked.header("webhook-timestamp").parse().unwrap();
    verify(secret, asked.header("webhook-id"), at, &asked.text(), asked.header("webhook-signature"))
}

/// How the first delivery by webhook stands.
async fn status(t: &TestDb, tenant: &Tenant) -> String {
    let id = count(t, DELIVERY).await;
    let mut tx = tenant.begin().await.unwrap();
    let found =
        fairlane_workers::erp::store::deliveries::find(&mut tx.conn(), tenant.id().await.unwrap(), id).await;
    let found = found.unwrap().unwrap();
    format!("{} {}", found.status.as_str(), found.code.unwrap_or_else(|| "-".into()))
}

backend_test!(migrations: lines;
    async fn a_tenants_endpoint_gets_what_its_users_are_told_signed_by_every_secret_of_the_moment(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let (erp, beta) = (erp(&fake), beta(&t).await);
        user(&acme, "ana", "in_app").await;
        user(&acme, "bob", "in_app").await;
        user(&beta, "ana", "in_app").await;
        let first = add(&acme, &fake.url("/all"), &[], None).await;
        add(&acme, &fake.url("/reports"), &["ReportGeneratedNotification"], None).await;
        add(&beta, &fake.url("/beta"), &[], None).await;
        tell(&acme, "a:1", Warning).await;
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp).await;
        let asked = fake.asked();
        assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/all"), "once, for two users that were told twice");
        assert!(is_signed(&asked[0], &first.secret));
        let body = asked[0].json();
        assert_eq!((&body["type"], &body["data"]["key"]), (&"AlertNotification".into(), &"a:1".into()));
        assert_eq!((&body["data"]["context"]["degrees"], &body["data"]["severity"]), (&9.into(), &"warning".into()));
        assert_eq!(status(&t, &acme).await, "sent -");
        // A new secret: the old one signs beside it for a day.
        let mut tx = acme.begin().await.unwrap();
        let hour = Duration::from_secs(3600);
        let second = webhooks::rotate(&mut tx, &acme, &sealer(), first.endpoint.id, hour).await.unwrap();
        tx.commit().await.unwrap();
        tell(&acme, "a:2", Warning).await;
        work(&t, &erp).await;
        let asked = fake.asked().remove(1);
        assert!(is_signed(&asked, &first.secret) && is_signed(&asked, &second.secret));
        t.db.shift_clock(chrono::Duration::hours(2));
        tell(&acme, "a:3", Warning).await;
        work(&t, &erp).await;
        let asked = fake.asked().remove(2);
        assert!(!is_signed(&asked, &first.secret) && is_signed(&asked, &second.secret));
        let stored = "select count(*) as n from webhook_secrets where sealed like '%whsec%'";
        assert_eq!(count(&t, stored).await, 0, "secrets are sealed");
    }
);

backend_test!(migrations: lines;
    async fn what_fails_is_tried_again_by_the_table_and_a_replay_has_the_id_of_the_first(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        let endpoint = add(&acme, &fake.url("/hook"), &[], None).await.endpoint.id;
        fake.answer("/hook", Answer::new(500, "down"));
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp).await;
        for (done, wait) in [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].into_iter().enumerate() {
            assert_eq!((fake.asked().len(), status(&t, &acme).await.as_str()), (done + 1, "pending endpoint_refused"));
            // The first wait is over too soon to look into its middle.
            let half = if done == 0 { 0 } else { wait / 2 };
            later(&t, &erp, half).await;
            assert_eq!(fake.asked().len(), done + 1, "not before {wait} s");
            later(&t, &erp, wait - half + 1).await;
        }
        assert_eq!((fake.asked().len(), status(&t, &acme).await.as_str()), (10, "failed endpoint_refused"));
        assert_eq!((count(&t, FAILED).await, count(&t, WAITING).await, count(&t, DISABLED).await), (1, 0, 0));
        assert_eq!(count(&t, "select count(*) as n from delivery_attempts where http_status = 500").await, 10);
        fake.forget_answers();
        let mut tx = acme.begin().await.unwrap();
        assert_eq!(webhooks::replay_failed(&mut tx, &acme, endpoint).await.unwrap(), 1);
        tx.commit().await.unwrap();
        work(&t, &erp).await;
        let asked = fake.asked();
        assert_eq!((asked.len(), status(&t, &acme).await.as_str()), (11, "sent -"));
        assert_eq!((asked[10].header("webhook-id"), asked[10].text()), (asked[0].header("webhook-id"), asked[0].text()));
    }
);

backend_test!(migrations: lines;
    async fn nothing_is_sent_before_its_time_nor_to_who_wants_to_be_left_alone(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        add(&acme, &fake.url("/hook"), &[], None).await;
        fake.answer("/hook", Answer::new(429, "").header("retry-after", "600"));
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp).await;
        fake.forget_answers();
        later(&t, &erp, 300).await;
        // Another message to the same endpoint waits too.
        tell(&acme, "a:2", Warning).await;
        later(&t, &erp, 200).await;
        assert_eq!((fake.asked().len(), status(&t, &acme).await.as_str()), (1, "pending endpoint_throttled"));
        later(&t, &erp, 110).await;
        assert_eq!((fake.asked().len(), count(&t, WAITING).await), (3, 0));
        assert_eq!(status(&t, &acme).await, "sent -");
    }
);

backend_test!(migrations: lines;
    async fn an_endpoint_that_fails_for_five_days_is_disabled_and_those_who_care_are_told(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        let mut tx = acme.begin().await.unwrap();
        users::ensure(&mut tx, &acme, "Ops", "ops@example.com", &["integrations"]).await.unwrap();
        tx.commit().await.unwrap();
        let endpoint = add(&acme, &fake.url("/hook"), &["AlertNotification"], None).await.endpoint.id;
        fake.answer("/hook", Answer::new(503, ""));
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp).await;
        later(&t, &erp, 4 * DAY).await;
        assert_eq!(count(&t, DISABLED).await, 0);
        later(&t, &erp, DAY + 60).await;
        assert_eq!((count(&t, DISABLED).await, status(&t, &acme).await.as_str()), (1, "failed endpoint_refused"));
        let told = "select count(*) as n from notifications where type = 'AlertNotification'";
        assert_eq!(count(&t, told).await, 1, "ops has it in the application");
        let asked = fake.asked().len();
        tell(&acme, "a:2", Warning).await;
        work(&t, &erp).await;
        assert_eq!(fake.asked().len(), asked, "nothing is sent there");
        fake.forget_answers();
        let mut tx = acme.begin().await.unwrap();
        webhooks::enable(&mut tx, &acme, endpoint).await.unwrap();
        assert_eq!(webhooks::replay_failed(&mut tx, &acme, endpoint).await.unwrap(), 1);
        tx.commit().await.unwrap();
        work(&t, &erp).await;
        assert_eq!(status(&t, &acme).await, "sent -");
    }
);

backend_test!(migrations: lines;
    async fn gone_is_gone_at_once_and_a_success_wipes_the_sheet_clean(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        add(&acme, &fake.url("/hook"), &[], None).await;
        fake.answer("/hook", Answer::new(500, ""));
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp).await;
        fake.forget_answers();
        later(&t, &erp, 4 * DAY).await;
        assert_eq!(count(&t, "select count(*) as n from webhook_endpoints where failing_since is null").await, 1);
        fake.answer("/hook", Answer::new(500, ""));
        tell(&acme, "a:2", Warning).await;
        later(&t, &erp, 2 * DAY).await;
        assert_eq!(count(&t, DISABLED).await, 0, "it has succeeded in between");
        fake.answer("/hook", Answer::new(410, ""));
        later(&t, &erp, DAY).await;
        assert_eq!((count(&t, DISABLED).await, count(&t, WAITING).await), (1, 0));
    }
);

/// Every name leads to this machine.
#[derive(Debug)]
struct Inside;

impl Lookup for Inside {
    fn look_up(&self, _: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::ready(Ok(vec!["127.0.0.1".parse().unwrap()])))
    }
}

backend_test!(migrations: lines;
    async fn redirects_are_failures_and_addresses_inside_are_refused(t: TestDb) {
        let (fake, sink, acme) = (Fake::start().await, Fake::start().await, shop(&t).await);
        add(&acme, &fake.url("/hook"), &[], None).await;
        fake.answer("/hook", Answer::new(302, "").header("location", sink.url("/")));
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp(&fake)).await;
        assert_eq!((sink.asked().len(), status(&t, &acme).await.as_str()), (0, "pending redirected"));
        // The same with the guard on: an address that was fine when it was added leads inside when it is used.
        t.execute("update webhook_endpoints set url = 'https://hooks.example.com/x'").await;
        let guarded = Outbound::new(OutboundSettings::default()).with_lookup(Inside);
        let erp = Erp { outbound: guarded, ..erp(&fake) };
        later(&t, &erp, 10).await;
        assert_eq!(status(&t, &acme).await, "failed address_forbidden");
        assert_eq!(fake.asked().len(), 1);
        let (sealer, strict) = (sealer(), Outbound::new(OutboundSettings::default()));
        let keeper = Keeper { sealer: &sealer, outbound: &strict };
        let mut tx = acme.begin().await.unwrap();
        for url in ["http://hooks.example.com/", "https://10.0.0.1/", "https://[::1]/", "https://2130706433/", "hooks"] {
            let error = webhooks::add(&mut tx, &acme, keeper, url, &[], None).await.unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{url}: {error}");
        }
    }
);

backend_test!(migrations: lines;
    async fn a_user_gets_their_own_by_their_own_endpoint_and_why_says_what_keeps_it_back(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        user(&acme, "ana", "in_app").await;
        user(&acme, "bob", "webhook").await;
        let endpoint = add(&acme, &fake.url("/ana"), &[], Some("ana@example.com")).await.endpoint.id;
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp).await;
        assert_eq!(stands(&acme, "a:1", "webhook").await, ["ana sent -", "bob skipped no_endpoint"]);
        let asked = fake.asked();
        assert_eq!((asked.len(), &asked[0].json()["data"]["user"]["email"]), (1, &"ana@example.com".into()));
        let mut tx = acme.begin().await.unwrap();
        webhooks::disable(&mut tx, &acme, endpoint, "moved").await.unwrap();
        tx.commit().await.unwrap();
        tell(&acme, "a:2", Warning).await;
        assert_eq!(stands(&acme, "a:2", "webhook").await[0], "ana skipped endpoint_disabled");
        // Asked about one user, it says of every channel why nothing came by it.
        let id = acme.id().await.unwrap();
        let mut tx = acme.begin().await.unwrap();
        let ana = people::named(&mut tx.conn(), id, "ana@example.com").await.unwrap();
        let explained = explain(&mut tx.conn(), id, "a:2", Some(&ana), (0, 10)).await.unwrap();
        let code = |channel: &str| {
            let line = explained.people.iter().find(|line| line.channel.as_deref() == Some(channel));
            line.and_then(|line| line.code.clone()).unwrap_or_default()
        };
        assert_eq!((code("sms").as_str(), code("push").as_str()), ("preference_default", "preference_default"));
        assert_eq!((code("mail").as_str(), code("webhook").as_str()), ("preference_default", "endpoint_disabled"));
    }
);

backend_test!(migrations: lines;
    async fn a_key_that_is_not_the_one_that_sealed_is_said_and_nothing_is_sent_unsigned(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        add(&acme, &fake.url("/hook"), &[], None).await;
        tell(&acme, "a:1", Warning).await;
        let other = Erp { sealer: fairlane_workers::erp::outbound::seal::Sealer::without_key(), ..erp(&fake) };
        work(&t, &other).await;
        assert_eq!((fake.asked().len(), status(&t, &acme).await.as_str()), (0, "pending webhook_secret"));
        later(&t, &erp(&fake), 10).await;
        assert_eq!((fake.asked().len(), status(&t, &acme).await.as_str()), (1, "sent -"));
    }
);

backend_test!(migrations: lines;
    async fn an_endpoint_that_is_taken_away_gets_nothing_more_and_what_was_on_its_way_says_so(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        user(&acme, "ana", "in_app").await;
        let endpoint = add(&acme, &fake.url("/ana"), &[], Some("ana@example.com")).await.endpoint.id;
        fake.answer("/ana", Answer::new(500, "down"));
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp).await;
        assert_eq!((fake.asked().len(), status(&t, &acme).await.as_str()), (1, "pending endpoint_refused"));
        let (sealer, outbound) = (sealer(), open());
        let keeper = Keeper { sealer: &sealer, outbound: &outbound };
        let mut tx = acme.begin().await.unwrap();
        let again = webhooks::add(&mut tx, &acme, keeper, &fake.url("/b"), &[], Some("ana@example.com")).await;
        let why = again.unwrap_err().to_string();
        assert!(why.contains(&format!("fairlane erp webhook remove {endpoint}")), "{why}");
        drop(tx);
        let mut tx = acme.begin().await.unwrap();
        let removed = webhooks::remove(&mut tx, &acme, endpoint).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((removed.endpoint.id, removed.left), (endpoint, 1));
        later(&t, &erp, DAY).await;
        assert_eq!((fake.asked().len(), status(&t, &acme).await.as_str()), (1, "skipped endpoint_removed"));
        assert_eq!((count(&t, WAITING).await, count(&t, FAILED).await), (0, 0));
        let left = "select (select count(*) from webhook_endpoints) + (select count(*) from webhook_secrets) as n";
        assert_eq!(count(&t, left).await, 0, "its secrets go with it");
        let mut tx = acme.begin().await.unwrap();
        let gone = webhooks::remove(&mut tx, &acme, endpoint).await.unwrap_err();
        assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
        drop(tx);
        add(&acme, &fake.url("/b"), &[], Some("ana@example.com")).await;
        tell(&acme, "a:2", Warning).await;
        work(&t, &erp).await;
        assert_eq!(fake.asked_at("/b").len(), 1);
    }
);

backend_test!(migrations: lines;
    async fn what_an_endpoint_takes_while_it_is_taken_away_is_out_and_what_it_refuses_then_is_left(t: TestDb) {
        let acme = shop(&t).await;
        for (answer, stands) in [(200, "sent -"), (500, "skipped no_endpoint")] {
            let fake = Fake::start().await;
            let erp = erp(&fake);
            t.execute("delete from webhook_endpoints").await;
            t.execute("delete from notification_deliveries").await;
            let endpoint = add(&acme, &fake.url("/hook"), &[], None).await.endpoint.id;
            fake.answer("/hook", Answer::new(answer, "").held());
            tell(&acme, &format!("a:{answer}"), Warning).await;
            let taken_away = async {
                fake.until_asked(1).await;
                let mut tx = acme.begin().await.unwrap();
                webhooks::remove(&mut tx, &acme, endpoint).await.unwrap();
                tx.commit().await.unwrap();
                fake.release();
            };
            tokio::join!(work(&t, &erp), taken_away);
            later(&t, &erp, 10).await;
            assert_eq!((fake.asked().len(), status(&t, &acme).await.as_str()), (1, stands));
        }
    }
);
