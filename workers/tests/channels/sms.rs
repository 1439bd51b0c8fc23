//! Text messages. Seed 0-24.

use std::sync::Arc;

use fairlane::backend_test;
use fairlane_workers::erp::Erp;
use fairlane_workers::erp::notifications::Severity::{Critical, Warning};
use fairlane_workers::erp::services::{profiles, users};
use fairlane_workers::erp::settings::GatewaySettings;
use fairlane_workers::erp::sms::HttpGateway;
use serde_json::json;

use crate::fake::{Answer, Fake};
use crate::support::shop::{count, lines, shop};
use crate::{FAILED, WAITING, erp, later, open, phone, stands, tell, user, work};

fn error(code: i64) -> serde_json::Value {
    json!({ "code": code, "message": "no", "status": 400 })
}

backend_test!(migrations: lines;
    async fn critical_news_rings_the_phone_and_lesser_news_not_until_the_tenant_says_so(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        fake.answer("Messages.json", Answer::new(201, json!({ "sid": "SM1", "status": "queued" })));
        user(&acme, "ana", "sms").await;
        user(&acme, "bob", "sms").await;
        user(&acme, "eve", "in_app").await;
        phone(&acme, "ana", "+49 151 12345678").await;
        tell(&acme, "a:1", Critical).await;
        tell(&acme, "a:1", Critical).await;
        tell(&acme, "a:2", Warning).await;
        work(&t, &erp(&fake)).await;
        assert_eq!(stands(&acme, "a:1", "sms").await, ["ana sent -", "bob skipped no_phone"]);
        assert_eq!(stands(&acme, "a:2", "sms").await, ["ana skipped below_threshold", "bob skipped below_threshold"]);
        let asked = fake.asked();
        assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/2010-04-01/Accounts/AC1/Messages.json"));
        assert_eq!(asked[0].header("authorization"), "Basic QUMxOnRvazNu");
        let form = asked[0].text();
        for part in ["To=%2B4915112345678", "From=%2B15005550006", "Body=Cold%20store%3A%20It%20has%209%20degrees.",
            "StatusCallback=https%3A%2F%2Fapp.example.com%2Ftwilio%2Facme%3Fdelivery%3D"] {
            assert!(form.contains(part), "{part} is missing in {form}");
        }
        let mut tx = acme.begin().await.unwrap();
        profiles::set_sms_from(&mut tx, &acme, Warning).await.unwrap();
        tx.commit().await.unwrap();
        tell(&acme, "a:3", Warning).await;
        work(&t, &erp(&fake)).await;
        assert_eq!((stands(&acme, "a:3", "sms").await[0].as_str(), fake.asked().len()), ("ana sent -", 2));
    }
);

backend_test!(migrations: lines;
    async fn each_documented_error_of_the_provider_decides_what_becomes_of_the_message(t: TestDb) {
        let (fake, sink, acme) = (Fake::start().await, Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        user(&acme, "ana", "sms").await;
        phone(&acme, "ana", "+4915112345678").await;
        let round = async |key: &str, answer: Answer| {
            fake.forget_answers();
            fake.answer("Messages.json", answer);
            tell(&acme, key, Critical).await;
            work(&t, &erp).await;
            stands(&acme, key, "sms").await.remove(0)
        };
        assert_eq!(round("a:1", Answer::new(400, error(21602))).await, "ana failed sms_refused");
        let moved = Answer::new(307, "").header("location", sink.url("/Messages.json"));
        assert_eq!(round("a:2", moved).await, "ana failed redirected");
        assert_eq!((sink.asked().len(), count(&t, FAILED).await), (0, 2));
        // What passes is tried again, not before it was asked to.
        assert_eq!(round("a:3", Answer::new(429, error(20429)).header("retry-after", "90")).await, "ana pending sms_rate");
        let asked = fake.asked().len();
        later(&t, &erp, 80).await;
        assert_eq!(fake.asked().len(), asked, "it wants to be left alone for 90 seconds");
        fake.forget_answers();
        later(&t, &erp, 15).await;
        assert_eq!(stands(&acme, "a:3", "sms").await, ["ana sent -"]);
        assert_eq!(round("a:4", Answer::new(503, "")).await, "ana pending sms_unavailable");
        assert_eq!(round("a:5", Answer::new(401, error(20003))).await, "ana pending sms_settings");
        fake.forget_answers();
        later(&t, &erp, 10).await;
        assert_eq!(count(&t, WAITING).await, 0);
        // A number that has said STOP is left alone from then on.
        assert_eq!(round("a:6", Answer::new(400, error(21610))).await, "ana suppressed sms_stopped");
        let asked = fake.asked().len();
        assert_eq!(round("a:7", Answer::new(201, "{}")).await, "ana suppressed sms_suppressed");
        assert_eq!(fake.asked().len(), asked);
        let mut tx = acme.begin().await.unwrap();
        users::lift_suppression(&mut tx, &acme, "+4915112345678").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(round("a:8", Answer::new(400, error(21614))).await, "ana suppressed sms_number_invalid");
        assert_eq!(count(&t, FAILED).await, 2, "a number that takes nothing is nobody's failure");
    }
);

backend_test!(migrations: lines;
    async fn a_message_whose_answer_was_lost_is_uncertain_and_not_sent_again_unasked(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        user(&acme, "ana", "sms").await;
        phone(&acme, "ana", "+4915112345678").await;
        fake.answer("Messages.json", Answer::new(201, "{}").held());
        tell(&acme, "a:1", Critical).await;
        work(&t, &erp).await;
        fake.forget_answers();
        later(&t, &erp, 100_000).await;
        assert_eq!(stands(&acme, "a:1", "sms").await, ["ana uncertain sms_uncertain"]);
        assert_eq!((fake.asked().len(), count(&t, WAITING).await, count(&t, FAILED).await), (1, 0, 0));
        let outcome = "select count(*) as n from delivery_attempts where outcome = 'uncertain' and target = 'sms'";
        assert_eq!(count(&t, outcome).await, 1);
    }
);

backend_test!(migrations: lines;
    async fn a_gateway_that_knows_repeats_is_asked_again_under_the_same_key(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let settings = GatewaySettings {
            url: fake.url("/send"),
            body: "{\"to\": {{ to }}, \"from\": {{ from }}, \"text\": {{ text }}, \"id\": {{ id }}}".into(),
            token: "tok3n".into(), from: "Acme".into(), id_pointer: "/id".into(), forgives_repeats: true,
        };
        let erp = Erp { sms: Arc::new(HttpGateway::new(settings, open())), ..erp(&fake) };
        user(&acme, "ana", "sms").await;
        phone(&acme, "ana", "+4915112345678").await;
        fake.answer("/send", Answer::new(200, "{}").held());
        tell(&acme, "a:1", Critical).await;
        work(&t, &erp).await;
        assert_eq!(stands(&acme, "a:1", "sms").await, ["ana pending no_answer"]);
        fake.forget_answers();
        fake.answer("/send", Answer::new(200, json!({ "id": 4711 })));
        later(&t, &erp, 10).await;
        let asked = fake.asked();
        assert_eq!((asked.len(), stands(&acme, "a:1", "sms").await), (2, vec!["ana sent -".to_owned()]));
        assert_eq!(asked[0].header("idempotency-key"), asked[1].header("idempotency-key"));
        assert_eq!((asked[1].header("authorization"), &asked[1].json()["to"]), ("Bearer tok3n", &json!("+4915112345678")));
        assert_eq!(count(&t, "select count(*) as n from notification_deliveries where message_id = '4711'").await, 1);
    }
);
