//! Numbers without gaps and without duplicates, whatever fails in between.

use fairlane::testing::TestDb;
use fairlane::{Tenant, backend_test, db::query, sql};
use fairlane_workers::erp::services::invoices::bill_order;
use fairlane_workers::erp::services::orders;
use fairlane_workers::erp::services::purchase_orders::{self, NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::receipts::{self, Arrival};
use fairlane_workers::erp::services::vendors::{self, NewVendor};

use crate::shop::catalogue;
use crate::support::shop::{count, lines, shop, tiles};

/// How a round ends, by its number.
enum End {
    Kept,
    RolledBack,
    Failed,
}

fn end(n: usize) -> End {
    match n % 4 {
        1 => End::RolledBack,
        3 => End::Failed,
        _ => End::Kept,
    }
}

/// Enters, approves and bills an order in one transaction, which is kept, rolled back, or fails with everything done.
async fn sell(acme: &Tenant, n: usize) -> fairlane::Result<()> {
    let id = acme.id().await?;
    let mut tx = acme.begin().await?;
    let order = orders::create(&mut tx, acme, "C-1", &tiles()).await?;
    orders::approve(&mut tx, acme, order.id, None).await?;
    bill_order(&mut tx.conn(), id, order.id).await?;
    match end(n) {
        End::Kept => tx.commit().await,
        End::RolledBack => tx.rollback().await,
        End::Failed => {
            let failed =
                query(sql!("insert into customers (tenant_id, code, name) values ($1, 'C-1', 'again')"));
            assert!(failed.bind(id).execute(&mut tx.conn()).await.is_err());
            Ok(())
        }
    }
}

/// Enters, approves and receives a purchase order in one transaction.
async fn buy(acme: &Tenant, n: usize) -> fairlane::Result<()> {
    let mut tx = acme.begin().await?;
    let line = NewPurchaseLine { sku: "T-1".into(), quantity: 4.into(), unit_cost: 2.into() };
    let new = NewOrder { vendor: "V-1".into(), lines: vec![line], ..NewOrder::default() };
    let order = purchase_orders::create(&mut tx, acme, new).await?;
    purchase_orders::submit(&mut tx, acme, order.id).await?;
    purchase_orders::approve(&mut tx, acme, order.id, None).await?;
    let lines = receipts::all_open(&mut tx, acme, order.id).await?;
    receipts::receive(&mut tx, acme, Arrival { purchase_order: order.id, lines, ..Arrival::default() })
        .await?;
    match end(n) {
        End::Kept => tx.commit().await,
        End::RolledBack => tx.rollback().await,
        // Dropped: as when the program fails.
        End::Failed => Ok(()),
    }
}

async fn numbers(t: &TestDb, statement: &'static str) -> Vec<String> {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let rows = query(sql!(statement)).fetch_all(&mut tx.conn()).await.unwrap();
    let mut numbers: Vec<String> = rows.iter().map(|row| row.get("number").unwrap()).collect();
    numbers.sort();
    numbers
}

fn without_gaps(prefix: &str, numbers: &[String]) {
    let year = &numbers[0][prefix.len() + 1..prefix.len() + 5];
    let expected: Vec<String> = (1..=numbers.len()).map(|n| format!("{prefix}-{year}-{n:05}")).collect();
    assert_eq!(numbers, expected);
}

backend_test!(migrations: lines;
    async fn eight_at_once_with_failures_and_rollbacks_in_between_leave_no_gap_and_no_duplicate(t: TestDb) {
        let acme = shop(&t).await;
        catalogue(&t).await;
        let mut tx = acme.begin().await.unwrap();
        vendors::create(&mut tx, &acme, NewVendor { code: "V-1".into(), name: "Vera".into(), ..NewVendor::default() }).await.unwrap();
        tx.commit().await.unwrap();
        let tasks = (0..8).map(|task| {
            let acme = acme.clone();
            tokio::spawn(async move {
                for round in 0..4 {
                    sell(&acme, task + round).await.unwrap();
                    buy(&acme, task + round).await.unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let kept = [
            ("SO", numbers(&t, "select number from sales_orders").await),
            ("INV", numbers(&t, "select number from invoices").await),
            ("PO", numbers(&t, "select number from purchase_orders").await),
            ("GR", numbers(&t, "select number from goods_receipts").await),
        ];
        for (prefix, numbers) in kept {
            // Of four rounds two are kept.
            assert_eq!(numbers.len(), 16, "{prefix}");
            without_gaps(prefix, &numbers);
        }
        assert_eq!(count(&t, "select count(*) as n from number_sequences where last <> 16").await, 0);
    }
);
