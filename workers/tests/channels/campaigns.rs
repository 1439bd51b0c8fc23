//! Campaigns by text message, push message and webhook: in their turn, and only as long as they may.

use std::time::Duration;

use fairlane::testing::TestDb;
use fairlane::{Tenant, backend_test};
use fairlane_workers::erp::Erp;
use fairlane_workers::erp::jobs::SendMessage;
use fairlane_workers::erp::notifications::Severity::Critical;
use fairlane_workers::erp::services::campaigns::{self, NewCampaign};

use crate::fake::{Answer, Fake};
use crate::push::{app, pushing};
use crate::support::shop::{count, lines, shop};
use crate::webhooks::add;
use crate::{WAITING, later, phone, stands, tell, user, work};

const HOUR: Duration = Duration::from_secs(3600);
/// Longer than any message waits before it looks again.
const BEYOND: i64 = 3600 + 601;

/// Three users who are reached by every channel.
async fn crew(tenant: &Tenant, fake: &Fake) {
    for (number, name) in ["ana", "bob", "eve"].into_iter().enumerate() {
        user(tenant, name, "sms").await;
        phone(tenant, name, &format!("+491511234567{number}")).await;
        app(tenant, name, &format!("token-{name}")).await;
        add(tenant, &fake.url(&format!("/hook/{name}")), &[], Some(&format!("{name}@example.com"))).await;
    }
    fake.answer("Messages.json", Answer::new(201, "{\"sid\": \"SM1\"}"));
    fake.answer("messages:send", Answer::new(200, "{\"name\": \"m/1\"}"));
}

async fn start(tenant: &Tenant, channels: &[&str]) -> i64 {
    let new = NewCampaign {
        kind: "alert".into(),
        critical: true,
        title: "Cold store".into(),
        message: "It fails.".into(),
        channels: channels.iter().map(|name| (*name).to_owned()).collect(),
        ..NewCampaign::default()
    };
    let mut tx = tenant.begin().await.unwrap();
    let id = campaigns::create(&mut tx, tenant, new).await.unwrap().id;
    campaigns::send(&mut tx, tenant, id, None).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn rate(tenant: &Tenant, channel: &str, rate: Option<(u32, Duration)>) {
    let mut tx = tenant.begin().await.unwrap();
    campaigns::set_rate(&mut tx, tenant, channel, rate).await.unwrap();
    tx.commit().await.unwrap();
}

/// How many messages of a campaign have arrived, by text message, push message and webhook.
fn arrived(fake: &Fake) -> [usize; 3] {
    ["Messages.json", "messages:send", "/hook/"].map(|path| fake.asked_at(path).len())
}

/// How many deliveries of a channel stand so.
async fn standing(t: &TestDb, statement: &'static str) -> i64 {
    count(t, statement).await
}

backend_test!(migrations: lines;
    async fn each_channel_lets_out_as_many_messages_of_campaigns_in_a_time_as_its_rate_says(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let (mut erp, _folder) = pushing(&fake);
        crew(&acme, &fake).await;
        // The settings' rate for one, the tenant's own for the others, and that goes before the settings'.
        erp.campaigns.webhook_rate = Some((1, HOUR));
        erp.campaigns.push_rate = Some((1000, HOUR));
        rate(&acme, "push", Some((1, HOUR))).await;
        rate(&acme, "sms", Some((2, HOUR))).await;
        start(&acme, &["sms", "push", "webhook"]).await;
        work(&t, &erp).await;
        assert_eq!(arrived(&fake), [1, 1, 1], "one of each, the others wait their turn");
        let attempts = "select count(*) as n from notification_deliveries where status = 'pending' and attempts > 0";
        assert_eq!(count(&t, attempts).await, 0, "to wait is no attempt");
        // What is of no campaign waits for none.
        tell(&acme, "a:1", Critical).await;
        work(&t, &erp).await;
        assert_eq!(arrived(&fake), [4, 4, 4], "three more of each");
        later(&t, &erp, 1801).await;
        assert_eq!(arrived(&fake), [5, 4, 4], "two an hour");
        later(&t, &erp, BEYOND - 1801).await;
        assert_eq!(arrived(&fake), [6, 5, 5]);
        later(&t, &erp, BEYOND).await;
        assert_eq!((arrived(&fake), count(&t, WAITING).await), ([6, 6, 6], 0));
    }
);

backend_test!(migrations: lines;
    async fn of_many_that_wait_for_one_place_an_hour_none_looks_before_those_before_it_have_theirs(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let (erp, _folder) = pushing(&fake);
        crew(&acme, &fake).await;
        rate(&acme, "sms", Some((30, HOUR))).await;
        start(&acme, &["sms"]).await;
        work(&t, &erp).await;
        // Two minutes each: the second may go in two, the third in four.
        assert_eq!((arrived(&fake)[0], count(&t, WAITING).await), (1, 2));
        later(&t, &erp, 125).await;
        assert_eq!((arrived(&fake)[0], count(&t, WAITING).await), (2, 1));
        assert_eq!(count(&t, "select max(runs) as n from fairlane_jobs").await, 1, "it has not looked in vain");
        later(&t, &erp, 125).await;
        assert_eq!(arrived(&fake)[0], 3);
    }
);

/// Sends one of three at once and one an hour.
async fn slowly(t: &TestDb) -> (Fake, Tenant, Erp, tempfile::TempDir) {
    let (fake, acme) = (Fake::start().await, shop(t).await);
    let (erp, folder) = pushing(&fake);
    crew(&acme, &fake).await;
    for channel in ["sms", "push", "webhook"] {
        rate(&acme, channel, Some((1, HOUR))).await;
    }
    (fake, acme, erp, folder)
}

backend_test!(migrations: lines;
    async fn what_waits_in_a_campaign_that_is_held_up_leaves_by_no_channel_until_it_goes_on(t: TestDb) {
        let (fake, acme, erp, _folder) = slowly(&t).await;
        let id = start(&acme, &["sms", "push", "webhook"]).await;
        work(&t, &erp).await;
        let mut tx = acme.begin().await.unwrap();
        campaigns::pause(&mut tx, &acme, id).await.unwrap();
        tx.commit().await.unwrap();
        later(&t, &erp, BEYOND).await;
        assert_eq!((arrived(&fake), count(&t, WAITING).await), ([1, 1, 1], 0), "nothing leaves, and no job stays");
        let held = "select count(*) as n from notification_deliveries where status = 'deferred' and code = 'campaign_paused'";
        assert_eq!(standing(&t, held).await, 6);
        let mut tx = acme.begin().await.unwrap();
        campaigns::resume(&mut tx, &acme, id).await.unwrap();
        tx.commit().await.unwrap();
        for _ in 0..2 {
            later(&t, &erp, BEYOND).await;
        }
        assert_eq!((arrived(&fake), count(&t, WAITING).await), ([3, 3, 3], 0), "everybody has it once");
    }
);

backend_test!(migrations: lines;
    async fn what_waits_in_a_campaign_that_is_called_off_leaves_by_no_channel(t: TestDb) {
        let (fake, acme, erp, _folder) = slowly(&t).await;
        let id = start(&acme, &["sms", "push", "webhook"]).await;
        work(&t, &erp).await;
        let mut tx = acme.begin().await.unwrap();
        campaigns::cancel(&mut tx, &acme, id).await.unwrap();
        tx.commit().await.unwrap();
        // One that was put back when its attempt failed, behind the back of whoever called it off.
        t.execute(
            "update notification_deliveries set status = 'pending', code = null
             where id = (select max(id) from notification_deliveries where channel = 'webhook')",
        )
        .await;
        let last = "select max(id) as n from notification_deliveries where channel = 'webhook'";
        acme.dispatch(SendMessage { delivery_id: count(&t, last).await }).await.unwrap();
        later(&t, &erp, BEYOND).await;
        assert_eq!((arrived(&fake), count(&t, WAITING).await), ([1, 1, 1], 0));
        let left = "select count(*) as n from notification_deliveries where status = 'skipped' and code = 'campaign_cancelled'";
        assert_eq!(standing(&t, left).await, 6);
    }
);

backend_test!(migrations: lines;
    async fn what_is_called_off_while_the_other_side_thinks_is_out_all_the_same_and_says_so(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let (erp, _folder) = pushing(&fake);
        user(&acme, "ana", "sms").await;
        add(&acme, &fake.url("/hook/ana"), &[], Some("ana@example.com")).await;
        fake.answer("/hook/", Answer::new(200, "").held());
        let id = start(&acme, &["webhook"]).await;
        let called_off = async {
            fake.until_asked(1).await;
            let mut tx = acme.begin().await.unwrap();
            campaigns::cancel(&mut tx, &acme, id).await.unwrap();
            tx.commit().await.unwrap();
            fake.forget_answers();
        };
        tokio::join!(work(&t, &erp), called_off);
        assert_eq!((arrived(&fake)[2], stands(&acme, "campaign:1", "webhook").await), (1, vec!["ana sent -".to_owned()]));
    }
);
