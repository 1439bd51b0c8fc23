//! Worker processes killed while the other side thinks.

use fairlane::backend_test;
use fairlane_workers::erp::notifications::Severity::Critical;
use fairlane_workers::erp::services::webhooks::{self, Keeper};

use crate::fake::{Answer, Fake};
use crate::support::processes::Site;
use crate::support::shop::{lines, shop};
use crate::{KEY, open, phone, sealer, tell, user};

/// Lets workers send by a fake.
fn send_through(site: &Site, fake: &Fake) {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode(KEY);
    let settings = format!(
        "[outbound]\nallow_private = true\nsecret_key = \"{key}\"\n[sms]\nprovider = \"twilio\"\nfrom = \"+15005550006\"\n\
         twilio_account = \"AC1\"\ntwilio_token = \"tok3n\"\ntwilio_url = \"{}\"\n",
        fake.url("")
    );
    std::fs::write(site.folder.path().join("fairlane.toml"), settings).unwrap();
}

const SENDING: &str = "select count(*) as n from notification_deliveries where status = 'sending'";
const UNCERTAIN: &str = "select count(*) as n from notification_deliveries where status = 'uncertain'";
const SENT: &str = "select count(*) as n from notification_deliveries where status = 'sent'";
const JOBS: &str = "select count(*) as n from fairlane_jobs";

backend_test!(migrations: lines;
    async fn a_worker_killed_while_the_provider_thinks_leaves_an_uncertain_message_and_no_second_one(t: TestDb) {
        let site = Site::new(t).await;
        let fake = Fake::start().await;
        send_through(&site, &fake);
        let acme = shop(&site.t).await;
        user(&acme, "ana", "sms").await;
        phone(&acme, "ana", "+4915112345678").await;
        fake.answer("Messages.json", Answer::new(201, "{\"sid\": \"SM1\"}").held());
        tell(&acme, "a:1", Critical).await;
        let worker = site.worker(&["--concurrency", "2"]);
        fake.until_asked(1).await;
        assert_eq!(site.count(SENDING).await, 1);
        worker.kill();
        fake.forget_answers();
        let worker = site.worker(&["--concurrency", "2"]);
        site.until("the message to be uncertain", UNCERTAIN, |n| n == 1).await;
        site.until("nothing to be left", JOBS, |n| n == 0).await;
        assert!(worker.terminate().0.success());
        assert_eq!(fake.asked().len(), 1, "not sent twice");
        let listed = site.run(&["notifications", "list", "--uncertain", "-t", "acme", "-o", "json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed["data"][0]["channel"], "sms", "{listed}");
        let id = listed["data"][0]["id"].to_string();
        site.run(&["notifications", "resolve", &id, "resend", "-t", "acme"]);
        site.run(&["work", "--stop-when-empty"]);
        assert_eq!((fake.asked().len(), site.count(SENT).await), (2, 1));
    }
);

backend_test!(migrations: lines;
    async fn a_worker_killed_while_an_endpoint_thinks_is_followed_by_one_that_sends_the_same_id_again(t: TestDb) {
        let site = Site::new(t).await;
        let fake = Fake::start().await;
        send_through(&site, &fake);
        let acme = shop(&site.t).await;
        let (sealer, outbound) = (sealer(), open());
        let mut tx = acme.begin().await.unwrap();
        let keeper = Keeper { sealer: &sealer, outbound: &outbound };
        webhooks::add(&mut tx, &acme, keeper, &fake.url("/hook"), &[], None).await.unwrap();
        tx.commit().await.unwrap();
        fake.answer("/hook", Answer::new(200, "").held());
        tell(&acme, "a:1", Critical).await;
        let worker = site.worker(&["--concurrency", "2"]);
        fake.until_asked(1).await;
        worker.kill();
        fake.forget_answers();
        let worker = site.worker(&["--concurrency", "2"]);
        site.until("the webhook to be sent", SENT, |n| n == 1).await;
        site.until("nothing to be left", JOBS, |n| n == 0).await;
        assert!(worker.terminate().0.success());
        let asked = fake.asked();
        assert_eq!((asked.len(), asked[0].header("webhook-id")), (2, asked[1].header("webhook-id")));
        let printed = site.run(&["erp", "webhook", "attempts", "1", "-t", "acme", "-o", "json"]);
        assert!(printed.contains("\"outcome\":\"sent\"") || printed.contains("\"outcome\": \"sent\""), "{printed}");
    }
);
