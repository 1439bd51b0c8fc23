//! Statistics of customers: what they are must be what the tables say, whatever happened in which order how often.
//! Seed 1-29.

use fairlane::testing::TestDb;
use fairlane::{Tenant, backend_test, db::query, sql};
use fairlane_workers::erp::events::{CustomerCreated, InvoiceGenerated};
use fairlane_workers::erp::services::statistics::Statistics;
use fairlane_workers::erp::services::{orders, statistics};
use fairlane_workers::erp::store;
use rust_decimal::Decimal;

use crate::shop::{bill, billed, deliver_again, pay, stored, work};
use crate::support::processes::seeded;
use crate::support::shop::{add_customer, approve, count, lines, shop, tiles};

const CUSTOMERS: [&str; 3] = ["C-1", "C-2", "C-3"];

/// What an observer computes from the tables, row by row: another way than the program's.
async fn recomputed(t: &TestDb, customer: &str) -> Statistics {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let conn = &mut tx.conn();
    let rows = query(sql!(
        "select o.status, o.ordered_at from sales_orders o join customers c on c.id = o.customer_id where c.code = $1"
    ))
    .bind(customer)
    .fetch_all(conn)
    .await
    .unwrap();
    let kept = rows.iter().filter(|row| row.get::<String>("status").unwrap() != "cancelled");
    let ordered: Vec<chrono::DateTime<chrono::Utc>> =
        kept.map(|row| row.get("ordered_at").unwrap()).collect();
    let rows = query(sql!(
        "select p.amount, p.received_at from payments p join customers c on c.id = p.customer_id where c.code = $1"
    ))
    .bind(customer)
    .fetch_all(conn)
    .await
    .unwrap();
    let paid: Vec<(Decimal, chrono::DateTime<chrono::Utc>)> =
        rows.iter().map(|row| (row.get("amount").unwrap(), row.get("received_at").unwrap())).collect();
    let rows = query(sql!(
        "select i.status, i.total, i.paid from invoices i join customers c on c.id = i.customer_id where c.code = $1"
    ))
    .bind(customer)
    .fetch_all(conn)
    .await
    .unwrap();
    let open = rows.iter().filter(|row| row.get::<String>("status").unwrap() == "open");
    let open: Decimal =
        open.map(|row| row.get::<Decimal>("total").unwrap() - row.get::<Decimal>("paid").unwrap()).sum();
    Statistics {
        total_orders: ordered.len() as i64,
        total_spent: paid.iter().map(|(amount, _)| *amount).sum::<Decimal>().normalize(),
        outstanding_balance: open.normalize(),
        last_order_at: ordered.iter().max().copied(),
        last_payment_at: paid.iter().filter(|(amount, _)| amount.is_sign_positive()).map(|(_, at)| *at).max(),
    }
}

/// What is stored.
async fn kept(tenant: &Tenant, customer: &str) -> Statistics {
    let id = tenant.id().await.unwrap();
    let mut tx = tenant.begin().await.unwrap();
    let customer = store::customers::by_code(&mut tx.conn(), id, customer).await.unwrap();
    store::statistics::find(&mut tx.conn(), id, customer.id).await.unwrap().unwrap().0
}

async fn cancel(tenant: &Tenant, order: i64) -> fairlane::Result<()> {
    let mut tx = tenant.begin().await?;
    orders::cancel(&mut tx, tenant, order).await?;
    tx.commit().await
}

async fn enter(tenant: &Tenant, customer: &str) -> i64 {
    let mut tx = tenant.begin().await.unwrap();
    let order = orders::create(&mut tx, tenant, customer, &tiles()).await.unwrap();
    tx.commit().await.unwrap();
    order.id
}

backend_test!(migrations: lines;
    async fn statistics_equal_a_recomputation_after_random_work_delivered_twice(t: TestDb) {
        let acme = shop(&t).await;
        for code in &CUSTOMERS[1..] {
            // Without an address the mails of their invoices would fail.
            add_customer(&acme, code, Some("ana@example.com")).await;
        }
        let mut random = seeded("statistics_equal_a_recomputation_after_random_work_delivered_twice");
        let (mut entered, mut invoices) = (Vec::new(), Vec::new());
        for step in 0..60 {
            match random.u32(0..6) {
                0 | 1 => entered.push(enter(&acme, CUSTOMERS[random.usize(0..3)]).await),
                2 if !entered.is_empty() => {
                    let order = entered.swap_remove(random.usize(0..entered.len()));
                    approve(&acme, order).await.unwrap();
                    // As the listener bills it: with its event.
                    let invoice = bill(&acme, order).await;
                    acme.publish(InvoiceGenerated::from(invoice.clone())).await.unwrap();
                    invoices.push(invoice.number);
                }
                3 if !entered.is_empty() => {
                    cancel(&acme, entered.swap_remove(random.usize(0..entered.len()))).await.unwrap();
                }
                4 | 5 if !invoices.is_empty() => {
                    let cents = random.i64(-3000..9000);
                    let amount = Decimal::new(cents, 2).to_string();
                    // Too much, or a refund of nothing, is refused: that is as good.
                    let _ = pay(&acme, &invoices[random.usize(0..invoices.len())], &format!("B-{step}"), &amount).await;
                }
                _ => {}
            }
            if step % 20 == 7 {
                work(&t).await;
            }
        }
        work(&t).await;
        for customer in CUSTOMERS {
            assert_eq!(kept(&acme, customer).await, recomputed(&t, customer).await, "{customer}");
        }
        let before = count(&t, "select count(*) as n from fairlane_events").await;
        deliver_again(&t).await;
        work(&t).await;
        for customer in CUSTOMERS {
            assert_eq!(kept(&acme, customer).await, recomputed(&t, customer).await, "{customer}");
        }
        assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, before);
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn however_many_events_wait_one_job_computes_a_customers_statistics(t: TestDb) {
        let acme = shop(&t).await;
        let event = stored::<CustomerCreated>(&t).await.remove(0);
        for _ in 0..20 {
            acme.publish(event.clone()).await.unwrap();
        }
        // The listeners alone: what they dispatch goes to the same queue and waits behind them.
        work(&t).await;
        let handled = "select count(*) as n from fairlane_job_history where kind = 'erp.update_customer_statistics@crm.customer.created'";
        assert_eq!(count(&t, handled).await, 21);
        let computed = count(&t, "select count(*) as n from fairlane_job_history where kind = 'erp.recompute_customer_statistics'").await;
        assert!((1..=8).contains(&computed), "{computed} jobs for 21 events");
        assert_eq!(count(&t, "select count(*) as n from fairlane_unique_keys").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_waiting_job_takes_in_all_that_is_committed_and_a_change_without_event_has_a_job_of_its_own(t: TestDb) {
        let acme = shop(&t).await;
        let customer = stored::<CustomerCreated>(&t).await[0].customer_id;
        for _ in 0..3 {
            let mut tx = acme.begin().await.unwrap();
            statistics::refresh_committed(&mut tx, &acme, customer).await.unwrap();
            tx.commit().await.unwrap();
        }
        let waiting = "select count(*) as n from fairlane_jobs where kind = 'erp.recompute_customer_statistics'";
        assert_eq!(count(&t, waiting).await, 1);
        let mut tx = acme.begin().await.unwrap();
        statistics::refresh(&mut tx, &acme, customer).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(count(&t, waiting).await, 2);
    }
);

backend_test!(migrations: lines;
    async fn a_cancelled_order_counts_no_more_and_amounts_of_another_currency_are_left_out(t: TestDb) {
        let acme = shop(&t).await;
        let (_, invoice) = billed(&acme).await;
        pay(&acme, &invoice.number, "B-1", "21.69").await.unwrap();
        let order = enter(&acme, "C-1").await;
        work(&t).await;
        let before = kept(&acme, "C-1").await;
        assert_eq!((before.total_orders, before.total_spent.to_string(), before.outstanding_balance.to_string()), (2, "21.69".into(), "100".into()));
        cancel(&acme, order).await.unwrap();
        work(&t).await;
        let after = kept(&acme, "C-1").await;
        assert_eq!(after.total_orders, 1);
        assert!(after.last_order_at < before.last_order_at);
        t.execute("insert into tenants (id, name, currency) select id, 'Acme', 'USD' from fairlane_tenants").await;
        let id = acme.id().await.unwrap();
        let mut tx = acme.begin().await.unwrap();
        let customer = store::customers::by_code(&mut tx.conn(), id, "C-1").await.unwrap();
        let computed = statistics::recompute(&mut tx.conn(), id, customer.id).await.unwrap();
        assert_eq!((computed.total_orders, computed.total_spent, computed.outstanding_balance), (1, Decimal::ZERO, Decimal::ZERO));
    }
);
