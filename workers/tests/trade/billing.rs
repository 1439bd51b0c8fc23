//! Payments of invoices.

use fairlane::{Error, backend_test};
use fairlane_workers::erp::events::InvoicePaymentReceived;
use fairlane_workers::erp::services::{invoices, orders, payments};

use crate::shop::{beta, bill, billed, pay, payment, stored};
use crate::support::shop::{approve, count, lines, shop, tiles};

backend_test!(migrations: lines;
    async fn payments_add_up_to_the_cent_and_close_the_invoice_and_more_is_refused_with_what_is_open(t: TestDb) {
        let acme = shop(&t).await;
        let (_, invoice) = billed(&acme).await;
        let number = invoice.number.as_str();
        let first = pay(&acme, number, "B-1", "40.10").await.unwrap();
        assert_eq!((first.invoice.outstanding().to_string(), first.invoice.status.as_str()), ("81.59".into(), "open"));
        let error = pay(&acme, number, "B-2", "81.60").await.unwrap_err();
        assert_eq!(error.to_string(), format!("a payment of 81.60 EUR on invoice {number}: only 81.59 EUR is open"));
        let error = pay(&acme, number, "B-2", "0.001").await.unwrap_err();
        assert!(error.to_string().contains("EUR has 2 decimals"), "{error}");
        assert!(pay(&acme, number, "B-2", "0").await.unwrap_err().to_string().contains("must not be 0"));
        let second = pay(&acme, number, "B-2", "81.59").await.unwrap();
        assert_eq!((second.invoice.outstanding().to_string(), second.invoice.status.as_str()), ("0.00".into(), "paid"));
        let events = stored::<InvoicePaymentReceived>(&t).await;
        let told: Vec<_> = events.iter().map(|e| (e.reference.as_str(), e.amount.to_string(), e.outstanding.to_string())).collect();
        assert_eq!(told, [("B-1", "40.10".into(), "81.59".into()), ("B-2", "81.59".into(), "0.00".into())]);
        assert_eq!(count(&t, "select count(*) as n from invoices where status = 'paid' and paid = total").await, 1);
        let error = pay(&acme, number, "B-3", "0.01").await.unwrap_err();
        assert!(error.to_string().ends_with("only 0.00 EUR is open"), "{error}");
    }
);

backend_test!(migrations: lines;
    async fn a_refund_is_negative_reopens_the_invoice_and_is_never_more_than_was_paid(t: TestDb) {
        let acme = shop(&t).await;
        let (_, invoice) = billed(&acme).await;
        let number = invoice.number.as_str();
        assert!(pay(&acme, number, "R-0", "-1").await.unwrap_err().to_string().ends_with("only 0.00 EUR was paid"));
        pay(&acme, number, "B-1", "121.69").await.unwrap();
        let refund = pay(&acme, number, "R-1", "-21.69").await.unwrap();
        assert_eq!((refund.invoice.paid.to_string(), refund.invoice.status.as_str()), ("100.00".into(), "open"));
        let error = pay(&acme, number, "R-2", "-100.01").await.unwrap_err();
        assert!(error.to_string().ends_with("only 100.00 EUR was paid"), "{error}");
        assert_eq!(stored::<InvoicePaymentReceived>(&t).await[1].outstanding.to_string(), "21.69");
    }
);

backend_test!(migrations: lines;
    async fn the_same_reference_again_is_the_same_payment_and_refused_when_it_says_something_else(t: TestDb) {
        let acme = shop(&t).await;
        let (_, invoice) = billed(&acme).await;
        let (_, other) = billed(&acme).await;
        let first = pay(&acme, &invoice.number, "B-1", "50").await.unwrap();
        let again = pay(&acme, &invoice.number, "B-1", "50.00").await.unwrap();
        assert!(again.before && !first.before);
        assert_eq!(again.payment, first.payment);
        for (invoice, amount) in [(&invoice.number, "51"), (&other.number, "50")] {
            let error = pay(&acme, invoice, "B-1", amount).await.unwrap_err();
            assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains("is booked already"), "{error}");
        }
        let mut card = payment(&invoice.number, "B-1", "50");
        card.method = "card".into();
        let mut tx = acme.begin().await.unwrap();
        assert!(payments::receive(&mut tx, &acme, card).await.is_err());
        tx.rollback().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from payments").await, 1);
        assert_eq!(stored::<InvoicePaymentReceived>(&t).await.len(), 1);
    }
);

backend_test!(migrations: lines;
    async fn eight_payments_at_once_never_pay_more_than_the_invoice_comes_to(t: TestDb) {
        let acme = shop(&t).await;
        let (_, invoice) = billed(&acme).await;
        let paying = (0..8).map(|n| {
            let (acme, number) = (acme.clone(), invoice.number.clone());
            // Two of a kind each: the bank tells of every payment twice.
            tokio::spawn(async move { pay(&acme, &number, &format!("B-{}", n % 7), "20").await })
        });
        let mut booked = 0;
        for paying in paying.collect::<Vec<_>>() {
            match paying.await.unwrap() {
                Ok(received) => booked += i64::from(!received.before),
                Err(error) => assert!(error.to_string().contains("is open"), "{error}"),
            }
        }
        // 121.69 takes six payments of 20, not seven.
        assert_eq!((booked, count(&t, "select count(*) as n from payments").await), (6, 6));
        let mut tx = acme.begin().await.unwrap();
        let invoice = invoices::named(&mut tx.conn(), acme.id().await.unwrap(), &invoice.number).await.unwrap();
        assert_eq!(invoice.paid.to_string(), "120.00");
    }
);

backend_test!(migrations: lines;
    async fn an_invoice_of_nothing_is_paid_from_the_start(t: TestDb) {
        let acme = shop(&t).await;
        let mut line = tiles().remove(0);
        line.unit_price = "0".parse().unwrap();
        let mut tx = acme.begin().await.unwrap();
        let order = orders::create(&mut tx, &acme, "C-1", &[line]).await.unwrap();
        tx.commit().await.unwrap();
        approve(&acme, order.id).await.unwrap();
        let invoice = bill(&acme, order.id).await;
        assert_eq!((invoice.total.to_string(), invoice.status.as_str()), ("0.00".into(), "paid"));
    }
);

backend_test!(migrations: lines;
    async fn another_tenants_invoice_and_user_answer_as_missing_ones(t: TestDb) {
        let acme = shop(&t).await;
        let (_, invoice) = billed(&acme).await;
        let beta = beta(&t).await;
        let error = pay(&beta, &invoice.number, "B-1", "1").await.unwrap_err();
        assert_eq!(error.to_string(), format!("invoice \"{}\" does not exist", invoice.number));
        let mut foreign = payment(&invoice.number, "B-1", "1");
        foreign.user = Some(4711);
        let mut tx = acme.begin().await.unwrap();
        let error = payments::receive(&mut tx, &acme, foreign).await.unwrap_err();
        assert_eq!(error.to_string(), "active user \"4711\" does not exist");
        let late = payments::NewPayment { received_at: Some(chrono::Utc::now() + chrono::Duration::days(400)), ..payment(&invoice.number, "B-1", "1") };
        assert!(payments::receive(&mut tx, &acme, late).await.unwrap_err().to_string().contains("in the future"));
        let early = payments::NewPayment { received_at: "0001-01-01T00:00:00Z".parse().ok(), ..payment(&invoice.number, "B-1", "1") };
        let error = payments::receive(&mut tx, &acme, early).await.unwrap_err();
        assert_eq!(error.to_string(), "the time 0001-01-01T00:00:00Z of the payment is not acceptable: it is before the year 2000; check the date");
        tx.rollback().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from payments").await, 0);
    }
);
