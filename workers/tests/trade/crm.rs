//! Customers and leads.

use fairlane::{Error, backend_test};
use fairlane_workers::erp::events::{CustomerCreated, LeadConverted};
use fairlane_workers::erp::services::customers::CustomerChange;
use fairlane_workers::erp::services::{customers, leads, orders};

use crate::shop::{beta, deliver_again, stored, work};
use crate::support::shop::{add_customer, count, lines, shop, tiles};

backend_test!(migrations: lines;
    async fn a_new_customer_is_told_of_in_the_same_transaction(t: TestDb) {
        let acme = shop(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let new = customers::NewCustomer { code: "C-2".into(), name: "Bo".into(), ..Default::default() };
        customers::create(&mut tx, &acme, new).await.unwrap();
        tx.rollback().await.unwrap();
        let events = stored::<CustomerCreated>(&t).await;
        assert_eq!(events.iter().map(|e| e.code.as_str()).collect::<Vec<_>>(), ["C-1"]);
        assert_eq!(events[0].email.as_deref(), Some("ana@example.com"));
    }
);

backend_test!(migrations: lines;
    async fn a_change_on_an_old_version_is_refused_and_one_that_changes_nothing_keeps_the_version(t: TestDb) {
        let acme = shop(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let terms = CustomerChange { terms_days: Some(7), ..CustomerChange::default() };
        let changed = customers::update(&mut tx, &acme, "C-1", &terms, Some(1)).await.unwrap();
        assert_eq!((changed.version, changed.terms_days), (2, 7));
        assert_eq!(changed.email.as_deref(), Some("ana@example.com"));
        let error = customers::update(&mut tx, &acme, "C-1", &terms, Some(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "changing customer C-1: it was changed meanwhile: it has version 2, not 1");
        assert_eq!(customers::update(&mut tx, &acme, "C-1", &terms, None).await.unwrap().version, 2);
        let inactive = customers::deactivate(&mut tx, &acme, "C-1", Some(2)).await.unwrap();
        assert_eq!((inactive.version, inactive.active), (3, false));
        let error = orders::create(&mut tx, &acme, "C-1", &tiles()).await.unwrap_err();
        assert!(error.to_string().contains("not active"), "{error}");
    }
);

backend_test!(migrations: lines;
    async fn a_converted_lead_becomes_one_customer_however_often_that_is_told(t: TestDb) {
        let acme = shop(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let lead = leads::create(&mut tx, &acme, "Nora", Some("nora@example.com"), None).await.unwrap();
        leads::convert(&mut tx, &acme, lead.id, None).await.unwrap();
        let error = leads::convert(&mut tx, &acme, lead.id, None).await.unwrap_err();
        assert!(error.to_string().ends_with("it is converted already"), "{error}");
        tx.commit().await.unwrap();
        // Somebody has taken the code it would have got.
        add_customer(&acme, &format!("L-{:05}", lead.id), None).await;
        let event = stored::<LeadConverted>(&t).await.remove(0);
        acme.publish(event).await.unwrap();
        work(&t).await;
        deliver_again(&t).await;
        work(&t).await;
        let made = stored::<CustomerCreated>(&t).await.into_iter().filter(|e| e.lead_id == Some(lead.id)).collect::<Vec<_>>();
        assert_eq!(made.len(), 1);
        assert_eq!((made[0].code.clone(), made[0].name.as_str()), (format!("L-{:05}A", lead.id), "Nora"));
        assert_eq!(count(&t, "select count(*) as n from customers where email = 'nora@example.com'").await, 1);
        let linked = "select count(*) as n from leads l join customers c on c.id = l.converted_customer_id where c.name = 'Nora'";
        assert_eq!(count(&t, linked).await, 1);
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_lost_or_foreign_lead_is_not_converted(t: TestDb) {
        let acme = shop(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let lead = leads::create(&mut tx, &acme, "Nora", None, None).await.unwrap();
        leads::lose(&mut tx, &acme, lead.id).await.unwrap();
        assert!(leads::convert(&mut tx, &acme, lead.id, None).await.unwrap_err().to_string().ends_with("it is lost"));
        tx.commit().await.unwrap();
        let beta = beta(&t).await;
        let mut tx = beta.begin().await.unwrap();
        let error = leads::convert(&mut tx, &beta, lead.id, None).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        drop(tx);
        // An event that somebody published by hand makes no customer of it either.
        let event = LeadConverted {
            lead_id: lead.id, name: "Nora".into(), email: None, phone: None, version: 2,
            converted_at: chrono::Utc::now(), user_id: None,
        };
        acme.publish(event).await.unwrap();
        work(&t).await;
        assert_eq!(count(&t, "select count(*) as n from customers").await, 1);
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs where code = 'lead_not_convertible'").await, 1);
    }
);
