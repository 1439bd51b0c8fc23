//! Orders, invoices and the stock: the services and their numbers, on both databases. Seed 1-25.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alerts;
mod bins;
mod catalogue;
mod causes;
mod delivery;
mod ledger;
mod openboxes;
mod returns;
mod status;
#[path = "../support/mod.rs"]
mod support;
mod typed;
mod warehouse;
mod work;

use fairlane::db::Dialect;
use fairlane::{Error, Tenant, backend_test};
use fairlane_workers::erp::services::invoices::{Billing, bill_order};
use fairlane_workers::erp::services::profiles::ProfileChange;
use fairlane_workers::erp::services::{customers, orders, profiles, users};
use fairlane_workers::erp::store::customers::NewCustomer;
use fairlane_workers::erp::store::invoices::{self, Invoice};
use fairlane_workers::erp::store::orders::OrderStatus;
use support::shop::{add_customer, approve, count, enter, lines, shop, tiles};

const APPROVALS: &str = "select count(*) as n from fairlane_events where name = 'sales.order.approved'";

async fn bill(tenant: &Tenant, order: i64) -> fairlane::Result<Billing> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let billing = bill_order(&mut tx.conn(), id, order).await?;
    tx.commit().await?;
    Ok(billing)
}

async fn all_invoices(tenant: &Tenant) -> Vec<Invoice> {
    let id = tenant.id().await.unwrap();
    let mut tx = tenant.begin().await.unwrap();
    invoices::list(&mut tx.conn(), id, 1000).await.unwrap()
}

backend_test!(migrations: lines;
    async fn an_order_is_rounded_line_by_line_and_its_invoice_says_the_same(t: TestDb) {
        let acme = shop(&t).await;
        let order = enter(&acme).await;
        assert_eq!((order.number.ends_with("-00001"), order.status), (true, OrderStatus::Draft));
        assert_eq!([order.net, order.tax, order.total].map(|n| n.to_string()), ["102.51", "19.18", "121.69"]);
        approve(&acme, order.id).await.unwrap();
        let Billing::Billed(invoice) = bill(&acme, order.id).await.unwrap() else { panic!("not billed") };
        assert_eq!(invoice.total, order.total);
        assert_eq!((invoice.due_on - invoice.issued_on).num_days(), 14);
        let mut tx = acme.begin().await.unwrap();
        let lines = invoices::lines(&mut tx.conn(), acme.id().await.unwrap(), &invoice).await.unwrap();
        assert_eq!(lines.iter().map(|line| line.total.to_string()).collect::<Vec<_>>(), ["119.01", "2.68"]);
    }
);

backend_test!(migrations: lines;
    async fn approving_publishes_in_the_same_transaction_and_twice_is_refused(t: TestDb) {
        let acme = shop(&t).await;
        let order = enter(&acme).await;
        let mut tx = acme.begin().await.unwrap();
        orders::approve(&mut tx, &acme, order.id, None).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(count(&t, APPROVALS).await, 0);
        approve(&acme, order.id).await.unwrap();
        assert_eq!(count(&t, APPROVALS).await, 1);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where queue = 'high'").await, 1);
        let error = approve(&acme, order.id).await.unwrap_err();
        assert!(error.to_string().contains("it is approved already"), "{error}");
        assert_eq!(count(&t, APPROVALS).await, 1);
    }
);

backend_test!(migrations: lines;
    async fn eight_billing_at_once_number_their_invoices_without_gap_or_duplicate(t: TestDb) {
        let acme = shop(&t).await;
        let mut billing = Vec::new();
        for _ in 0..24 {
            let order = enter(&acme).await;
            approve(&acme, order.id).await.unwrap();
            billing.push(order.id);
        }
        let workers = billing.chunks(3).map(|orders| {
            let (acme, orders) = (acme.clone(), orders.to_vec());
            tokio::spawn(async move {
                for order in orders {
                    assert!(matches!(bill(&acme, order).await.unwrap(), Billing::Billed(_)));
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        let mut numbers: Vec<String> = all_invoices(&acme).await.into_iter().map(|i| i.number).collect();
        numbers.sort();
        let year = &numbers[0][4..8];
        let expected: Vec<String> = (1..=24).map(|n| format!("INV-{year}-{n:05}")).collect();
        assert_eq!(numbers, expected);
    }
);

backend_test!(migrations: lines;
    async fn a_rolled_back_invoice_leaves_nothing_and_its_number_to_the_next(t: TestDb) {
        let acme = shop(&t).await;
        let (first, second) = (enter(&acme).await, enter(&acme).await);
        approve(&acme, first.id).await.unwrap();
        approve(&acme, second.id).await.unwrap();
        let id = acme.id().await.unwrap();
        let mut tx = acme.begin().await.unwrap();
        assert!(matches!(bill_order(&mut tx.conn(), id, first.id).await.unwrap(), Billing::Billed(_)));
        tx.rollback().await.unwrap();
        let left = "select (select count(*) from invoices) + (select count(*) from invoice_lines)
            + (select count(*) from number_sequences where name = 'invoice') as n";
        assert_eq!(count(&t, left).await, 0);
        let Billing::Billed(invoice) = bill(&acme, second.id).await.unwrap() else { panic!("not billed") };
        assert!(invoice.number.ends_with("-00001"), "{}", invoice.number);
    }
);

backend_test!(migrations: lines;
    async fn an_order_is_billed_once_and_not_when_it_is_cancelled_or_a_draft(t: TestDb) {
        let acme = shop(&t).await;
        let (billed, cancelled, draft) = (enter(&acme).await, enter(&acme).await, enter(&acme).await);
        approve(&acme, billed.id).await.unwrap();
        approve(&acme, cancelled.id).await.unwrap();
        let Billing::Billed(first) = bill(&acme, billed.id).await.unwrap() else { panic!("not billed") };
        assert_eq!(bill(&acme, billed.id).await.unwrap(), Billing::BilledBefore(first));
        let mut tx = acme.begin().await.unwrap();
        orders::cancel(&mut tx, &acme, cancelled.id).await.unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(bill(&acme, cancelled.id).await.unwrap(), Billing::Cancelled { .. }));
        assert!(bill(&acme, draft.id).await.unwrap_err().to_string().contains("it is not approved"));
        let mut tx = acme.begin().await.unwrap();
        let error = orders::cancel(&mut tx, &acme, billed.id).await.unwrap_err();
        assert!(error.to_string().contains("billed already"), "{error}");
        drop(tx);
        assert_eq!(all_invoices(&acme).await.len(), 1);
    }
);

backend_test!(migrations: lines;
    async fn days_and_years_are_those_of_the_tenants_zone(t: TestDb) {
        let acme = shop(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let zone = |name: &str| ProfileChange { timezone: Some(name.into()), ..ProfileChange::default() };
        let error = profiles::change(&mut tx, &acme, &zone("Middle/Earth")).await.unwrap_err();
        assert!(error.to_string().contains("IANA"), "{error}");
        profiles::change(&mut tx, &acme, &zone("Pacific/Kiritimati")).await.unwrap();
        tx.commit().await.unwrap();
        // 31 December, 12:00 UTC is 1 January, 02:00 on Kiritimati.
        let now = chrono::Utc::now();
        let new_year = chrono::NaiveDate::from_ymd_opt(2030, 12, 31).unwrap().and_hms_opt(12, 0, 0).unwrap().and_utc();
        t.db.shift_clock(new_year - now);
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        let Billing::Billed(invoice) = bill(&acme, order.id).await.unwrap() else { panic!("not billed") };
        assert_eq!(invoice.number, "INV-2031-00001");
        assert_eq!((invoice.issued_on.to_string(), invoice.due_on.to_string()), ("2031-01-01".into(), "2031-01-15".into()));
    }
);

backend_test!(migrations: lines;
    async fn another_tenants_order_and_customer_answer_as_missing_ones(t: TestDb) {
        let acme = shop(&t).await;
        let order = enter(&acme).await;
        let mut tx = t.fairlane.begin().await.unwrap();
        fairlane::store::tenants::add(&mut tx.conn(), "beta", "Beta").await.unwrap();
        tx.commit().await.unwrap();
        let beta = t.fairlane.tenant("beta");
        assert!(matches!(approve(&beta, order.id).await.unwrap_err(), Error::NotFound { .. }));
        assert!(matches!(bill(&beta, order.id).await.unwrap_err(), Error::NotFound { .. }));
        let mut tx = beta.begin().await.unwrap();
        let error = customers::set_email(&mut tx, &beta, "C-1", "eve@example.com").await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
        drop(tx);
        // Each tenant counts its own.
        add_customer(&beta, "C-1", None).await;
        assert!(enter(&beta).await.number.ends_with("-00001"));
    }
);

backend_test!(migrations: lines;
    async fn what_services_refuse_they_name_and_nothing_is_stored(t: TestDb) {
        let acme = shop(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let error = orders::create(&mut tx, &acme, "C-9", &tiles()).await.unwrap_err();
        assert_eq!(error.to_string(), "customer \"C-9\" does not exist");
        let mut bad = tiles();
        bad[1].quantity = "-1".parse().unwrap();
        let error = orders::create(&mut tx, &acme, "C-1", &bad).await.unwrap_err();
        assert_eq!(error.to_string(), "line 2 is not acceptable: its quantity -1 is below 0");
        assert!(orders::create(&mut tx, &acme, "C-1", &[]).await.is_err());
        let error = users::ensure(&mut tx, &acme, "Bo", "bo@example.com", &["fly"]).await.unwrap_err();
        assert_eq!(error.to_string(), "permission \"fly\" does not exist");
        let again = NewCustomer { code: "C-1".into(), name: "X".into(), email: None, phone: None, terms_days: 0 };
        assert!(customers::create(&mut tx, &acme, again).await.unwrap_err().to_string().contains("taken"));
        tx.rollback().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from sales_orders").await, 0);
        assert_eq!(count(&t, "select count(*) as n from number_sequences").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_line_of_the_catalogue_takes_name_and_price_from_its_product(t: TestDb) {
        let acme = shop(&t).await;
        t.execute("insert into products (tenant_id, sku, name, price) select id, 'T-1', 'Blue tiles', 33.5 from fairlane_tenants").await;
        let id = acme.id().await.unwrap();
        let mut tx = acme.begin().await.unwrap();
        let mut line = orders::catalogue_line(&mut tx, &acme, "T-1", "3".parse().unwrap()).await.unwrap();
        let order = orders::create(&mut tx, &acme, "C-1", std::slice::from_ref(&line)).await.unwrap();
        assert_eq!(order.net.to_string(), "100.50");
        let stored = fairlane_workers::erp::store::orders::lines(&mut tx.conn(), id, order.id).await.unwrap();
        assert_eq!((stored[0].description.as_str(), stored[0].sku.as_deref()), ("Blue tiles", Some("T-1")));
        assert!(stored[0].product_id.is_some());
        line.sku = Some("T-9".into());
        let error = orders::create(&mut tx, &acme, "C-1", &[line]).await.unwrap_err();
        assert_eq!(error.to_string(), "product \"T-9\" does not exist");
    }
);

backend_test!(migrations: lines;
    async fn row_security_alone_hides_other_tenants_rows_and_invoices_cannot_be_rewritten(t: TestDb) {
        if t.db.dialect() == Dialect::Sqlite {
            return; // One file has one wall: the tenant in every statement.
        }
        let acme = shop(&t).await;
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        bill(&acme, order.id).await.unwrap();
        let mut tx = t.fairlane.begin().await.unwrap();
        fairlane::store::tenants::add(&mut tx.conn(), "beta", "Beta").await.unwrap();
        tx.commit().await.unwrap();
        let beta = t.fairlane.tenant("beta");
        for table in TABLES {
            let mut tx = beta.begin().await.unwrap();
            let link = tx.as_postgres().unwrap();
            let statement = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
            let seen: i64 = sqlx::query_scalar(statement).fetch_one(link).await.unwrap();
            assert_eq!(seen, 0, "beta sees rows of {table}");
        }
        let mut tx = acme.begin().await.unwrap();
        let refused = sqlx::query("update invoice_lines set total = 0").execute(tx.as_postgres().unwrap()).await;
        assert!(refused.unwrap_err().to_string().contains("permission denied"));
        drop(tx);
        let mut tx = acme.begin().await.unwrap();
        let foreign = "insert into customers (tenant_id, code, name) values ((select $1::bigint), 'X', 'X')";
        let id = beta.id().await.unwrap();
        let refused = sqlx::query(foreign).bind(id).execute(tx.as_postgres().unwrap()).await;
        assert!(refused.unwrap_err().to_string().contains("row-level security"));
    }
);

const TABLES: [&str; 17] = [
    "tenants",
    "users",
    "roles",
    "role_permissions",
    "user_roles",
    "customers",
    "sales_orders",
    "sales_order_lines",
    "invoices",
    "invoice_lines",
    "number_sequences",
    "notifications",
    "notification_deliveries",
    "notification_messages",
    "notification_preferences",
    "mail_suppressions",
    "mail_templates",
];
