//! A tenant's own words for its mails. Seed 1-37.

use fairlane::backend_test;
use fairlane_workers::erp::services::mail_templates::{self, TemplateChange};

use crate::support::shop::{approve, count, enter, lines, shop};
use crate::support::smtp::SmtpServer;
use crate::{SENT, erp, work};

fn subject(words: &str) -> TemplateChange {
    TemplateChange { subject: Some(words.into()), ..TemplateChange::default() }
}

backend_test!(migrations: lines;
    async fn a_tenants_words_are_checked_before_they_are_kept_and_are_in_its_mails_until_it_goes_back(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = shop(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let error = mail_templates::set(&mut tx, &acme, "invoice", subject("{{ invoice.totl }}")).await.unwrap_err();
        assert!(error.to_string().contains("the subject: "), "{error}");
        assert!(mail_templates::set(&mut tx, &acme, "nonsense", subject("x")).await.is_err());
        let change = TemplateChange {
            subject: Some("Bill {{ invoice.number }}".into()),
            text: Some("Pay {{ invoice.total }} now".into()),
            mjml: None,
        };
        let example = mail_templates::set(&mut tx, &acme, "invoice", change).await.unwrap();
        assert_eq!((example.subject.as_str(), example.text.as_str()), ("Bill INV-2026-00001", "Pay 119.01 now"));
        tx.commit().await.unwrap();
        let approve_one = async || {
            let order = enter(&acme).await;
            approve(&acme, order.id).await.unwrap();
            work(&t, &erp(server.port)).await;
            server.received().pop().unwrap().data
        };
        let mail = approve_one().await;
        assert!(mail.contains("Subject: Bill INV-") && mail.contains("Pay 121.69 now"), "{mail}");
        assert!(mail.contains("Please pay by"), "the HTML part is the product's still");
        let mut tx = acme.begin().await.unwrap();
        assert!(mail_templates::reset(&mut tx, &acme, "invoice").await.unwrap());
        tx.commit().await.unwrap();
        assert!(approve_one().await.contains("Subject: Invoice INV-"));
        // Words that were fine for the example and are not for a mail lose none.
        t.execute("insert into mail_templates (tenant_id, name, subject, text, mjml)
            select id, 'invoice', '{{ gone.away }}', 'x', 'x' from fairlane_tenants").await;
        assert!(approve_one().await.contains("Subject: Invoice INV-"));
        assert_eq!(count(&t, SENT).await, 3);
    }
);
