//! What providers report later.

use fairlane::backend_test;
use fairlane::{Tenant, sql};
use fairlane_workers::erp::notifications::Severity::Critical;
use fairlane_workers::erp::services::callbacks::{Bounce, BounceKind, mail_bounce, twilio_status};
use fairlane_workers::erp::sms::TwilioStatus;
use serde_json::json;

use crate::fake::{Answer, Fake};
use crate::support::shop::{count, lines, shop};
use crate::{beta, erp, phone, stands, tell, user, work};

async fn report(tenant: &Tenant, form: &str, url: Option<&str>) -> Option<String> {
    let report = TwilioStatus::read(form, url).unwrap();
    let mut tx = tenant.begin().await.unwrap();
    let delivery = twilio_status(&mut tx, tenant, &report).await.unwrap();
    tx.commit().await.unwrap();
    delivery.map(|delivery| delivery.status.as_str().to_owned())
}

backend_test!(migrations: lines;
    async fn reports_of_a_message_come_in_any_order_and_what_is_delivered_stays_so(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        fake.answer("Messages.json", Answer::new(201, json!({ "sid": "SM1", "status": "queued" })));
        user(&acme, "ana", "sms").await;
        phone(&acme, "ana", "+4915112345678").await;
        tell(&acme, "a:1", Critical).await;
        work(&t, &erp(&fake)).await;
        let beta = beta(&t).await;
        assert_eq!(report(&beta, "MessageSid=SM1&MessageStatus=failed", None).await, None, "none of theirs");
        assert_eq!(report(&acme, "MessageSid=SM9&MessageStatus=delivered", None).await, None);
        let said = async |status: &str| report(&acme, &format!("MessageSid=SM1&MessageStatus={status}"), None).await.unwrap();
        assert_eq!((said("sent").await.as_str(), said("delivered").await.as_str()), ("sent", "delivered"));
        assert_eq!((said("sent").await.as_str(), said("failed").await.as_str()), ("delivered", "delivered"));
        assert_eq!(stands(&acme, "a:1", "sms").await, ["ana delivered -"]);
    }
);

backend_test!(migrations: lines;
    async fn a_report_settles_what_nobody_knew_and_a_number_that_is_gone_gets_no_more(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        user(&acme, "ana", "sms").await;
        phone(&acme, "ana", "+4915112345678").await;
        fake.answer("Messages.json", Answer::new(201, "{}").held());
        tell(&acme, "a:1", Critical).await;
        work(&t, &erp).await;
        assert_eq!(stands(&acme, "a:1", "sms").await, ["ana uncertain sms_uncertain"]);
        let id = count(&t, "select id as n from notification_deliveries where channel = 'sms'").await;
        let url = format!("https://app.example.com/twilio/acme?delivery={id}");
        let said = async |form: &str| report(&acme, form, Some(&url)).await;
        assert_eq!(said("MessageSid=SM7&MessageStatus=sent").await.as_deref(), Some("sent"));
        // From now on it is known by its number.
        let undelivered = "MessageSid=SM7&MessageStatus=undelivered&ErrorCode=30006";
        assert_eq!(report(&acme, undelivered, None).await.as_deref(), Some("suppressed"));
        fake.forget_answers();
        let asked = fake.asked().len();
        tell(&acme, "a:2", Critical).await;
        work(&t, &erp).await;
        assert_eq!((stands(&acme, "a:2", "sms").await, fake.asked().len()), (vec!["ana suppressed sms_suppressed".to_owned()], asked));
    }
);

backend_test!(migrations: lines;
    async fn a_message_that_is_reported_before_its_answer_is_lost_stays_delivered(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let erp = erp(&fake);
        user(&acme, "ana", "sms").await;
        phone(&acme, "ana", "+4915112345678").await;
        fake.answer("Messages.json", Answer::new(201, "{}").held());
        tell(&acme, "a:1", Critical).await;
        let id = count(&t, "select id as n from notification_deliveries where channel = 'sms'").await;
        let url = format!("https://app.example.com/twilio/acme?delivery={id}");
        let meanwhile = async {
            fake.until_asked(1).await;
            let before = stands(&acme, "a:1", "sms").await;
            (before, report(&acme, "MessageSid=SM7&MessageStatus=delivered", Some(&url)).await)
        };
        let ((), (before, said)) = tokio::join!(work(&t, &erp), meanwhile);
        assert_eq!(before, ["ana sending -"], "nobody has answered yet");
        assert_eq!(said.as_deref(), Some("delivered"));
        assert_eq!(stands(&acme, "a:1", "sms").await, ["ana delivered -"], "the lost answer is no news");
        let noted = "select count(*) as n from delivery_attempts where outcome = 'uncertain'";
        assert_eq!((count(&t, noted).await, count(&t, "select count(*) as n from fairlane_attempts").await), (1, 0),
            "what the request came to is on record, and the job did not fail over it");
    }
);

backend_test!(migrations: lines;
    async fn a_mail_that_comes_back_or_annoys_is_the_last_to_its_address(t: TestDb) {
        let acme = shop(&t).await;
        user(&acme, "ana", "mail").await;
        tell(&acme, "a:1", Critical).await;
        work(&t, &fairlane_workers::erp::Erp::fake()).await;
        assert_eq!(stands(&acme, "a:1", "mail").await, ["ana sent -"]);
        let observer = t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let row = fairlane::db::query(sql!("select message_id from notification_deliveries where channel = 'mail'"))
            .fetch_one(&mut tx.conn())
            .await
            .unwrap();
        let message_id: String = row.get("message_id").unwrap();
        drop(tx);
        let bounce = async |kind, message_id: Option<&str>| {
            let bounce = Bounce {
                address: "Ana@example.com".into(), kind, reason: "550 no such user".into(),
                message_id: message_id.map(Into::into),
            };
            let mut tx = acme.begin().await.unwrap();
            let delivery = mail_bounce(&mut tx, &acme, &bounce).await.unwrap();
            tx.commit().await.unwrap();
            delivery.map(|delivery| delivery.status.as_str())
        };
        let suppressed = "select count(*) as n from mail_suppressions";
        assert_eq!((bounce(BounceKind::Soft, Some(&message_id)).await, count(&t, suppressed).await), (Some("sent"), 0));
        assert_eq!(bounce(BounceKind::Hard, Some(&message_id)).await, Some("suppressed"));
        assert_eq!(bounce(BounceKind::Complaint, None).await, None);
        assert_eq!(count(&t, suppressed).await, 1);
        tell(&acme, "a:2", Critical).await;
        assert_eq!(stands(&acme, "a:2", "mail").await, ["ana suppressed mail_suppressed"]);
    }
);
