//! Workflow 3: whatever customers order and pay, their statistics are what the tables say. Seed 1-29.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fairlane::db::query;
use fairlane::{Error, Tenant, backend_test, sql};
use fairlane_workers::erp::services::orders;
use fairlane_workers::erp::services::payments::{self, NewPayment};
use fastrand::Rng;
use rust_decimal::Decimal;
use tokio::task::JoinSet;

use crate::crew::Crew;
use crate::facts::rows;
use crate::support::processes::{Site, campaign, seeded};
use crate::support::shop::{add_customer, approve, lines, shop, tiles};
use crate::twice::{assert_delivered_twice, deliver_twice};

const CUSTOMERS: [&str; 5] = ["C-1", "C-2", "C-3", "C-4", "C-5"];
const DONE: &str = "select count(*) as n from fairlane_job_history";

/// What somebody at a desk has in hand.
struct Desk {
    acme: Tenant,
    rng: Rng,
    drafts: Vec<i64>,
    approved: Vec<i64>,
}

impl Desk {
    /// Something a shop does: orders come, are approved, delivered or called off, and invoices are paid, or paid back.
    async fn step(&mut self) {
        match self.rng.u32(0..9) {
            0..=2 => self.enter().await,
            3 | 4 => self.approve().await,
            5 => self.deliver().await,
            6 => self.cancel().await,
            _ => self.pay().await,
        }
    }

    fn pick(&mut self, from: fn(&mut Self) -> &mut Vec<i64>) -> Option<i64> {
        let many = from(self).len();
        let one = if many > 0 { self.rng.usize(..many) } else { return None };
        Some(from(self).swap_remove(one))
    }

    async fn enter(&mut self) {
        let customer = CUSTOMERS[self.rng.usize(..CUSTOMERS.len())];
        let mut lines = tiles();
        lines[0].quantity = self.rng.i64(1..20).into();
        let mut tx = self.acme.begin().await.unwrap();
        self.drafts.push(orders::create(&mut tx, &self.acme, customer, &lines).await.unwrap().id);
        tx.commit().await.unwrap();
    }

    async fn approve(&mut self) {
        let Some(order) = self.pick(|desk| &mut desk.drafts) else { return };
        approve(&self.acme, order).await.unwrap();
        self.approved.push(order);
    }

    async fn deliver(&mut self) {
        let Some(order) = self.pick(|desk| &mut desk.approved) else { return };
        let mut tx = self.acme.begin().await.unwrap();
        orders::fulfil(&mut tx, &self.acme, order, None).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn cancel(&mut self) {
        let Some(order) = self.pick(|desk| &mut desk.drafts) else { return };
        let mut tx = self.acme.begin().await.unwrap();
        orders::cancel(&mut tx, &self.acme, order).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Pays a part of some invoice, or gives something back; the bank tells of it twice.
    async fn pay(&mut self) {
        let Some(invoice) = self.some_invoice().await else { return };
        let new = NewPayment {
            invoice,
            reference: format!("B-{}", self.rng.u64(..)),
            method: "transfer".into(),
            amount: Decimal::new(self.rng.i64(-2000..12_000), 2),
            received_at: None,
            user: None,
        };
        for _ in 0..2 {
            let mut tx = self.acme.begin().await.unwrap();
            match payments::receive(&mut tx, &self.acme, new.clone()).await {
                Ok(_) => tx.commit().await.unwrap(),
                // More than is open, or more back than was paid: refused is as good.
                Err(Error::Refused { .. } | Error::Invalid { .. }) => return tx.rollback().await.unwrap(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn some_invoice(&mut self) -> Option<String> {
        let id = self.acme.id().await.unwrap();
        let mut tx = self.acme.begin().await.unwrap();
        let statement = sql!("select number from invoices where tenant_id = $1 order by number");
        let rows = query(statement).bind(id).fetch_all(&mut tx.conn()).await.unwrap();
        tx.rollback().await.unwrap();
        let one = if rows.is_empty() { return None } else { self.rng.usize(..rows.len()) };
        Some(rows[one].get("number").unwrap())
    }
}

/// Eight desks work at the same time.
fn open_desks(acme: &Tenant, steps: usize, rng: &mut Rng) -> JoinSet<()> {
    let mut desks = JoinSet::new();
    for _ in 0..8 {
        let rng = Rng::with_seed(rng.u64(..));
        let mut desk = Desk { acme: acme.clone(), rng, drafts: Vec::new(), approved: Vec::new() };
        desks.spawn(async move {
            for _ in 0..steps {
                desk.step().await;
            }
        });
    }
    desks
}

type Time = Option<DateTime<Utc>>;

/// What there is to know of a customer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Figures {
    orders: i64,
    spent: Decimal,
    outstanding: Decimal,
    last_order: Time,
    last_payment: Time,
}

/// What is stored.
async fn stored(site: &Site) -> BTreeMap<i64, Figures> {
    let statement =
        "select customer_id, total_orders, total_spent, outstanding_balance, last_order_at, last_payment_at
        from customer_statistics";
    let read = rows(site, statement, |row| {
        let figures = Figures {
            orders: row.get("total_orders").unwrap(),
            spent: row.get::<Decimal>("total_spent").unwrap(),
            outstanding: row.get::<Decimal>("outstanding_balance").unwrap(),
            last_order: row.get("last_order_at").unwrap(),
            last_payment: row.get("last_payment_at").unwrap(),
        };
        (row.get("customer_id").unwrap(), figures)
    });
    read.await.into_iter().collect()
}

/// What orders, invoices and payments come to, read row by row and summed as decimals: no sum of a database is trusted.
async fn recomputed(site: &Site) -> BTreeMap<i64, Figures> {
    let customers = rows(site, "select id from customers", |row| row.get::<i64>("id").unwrap()).await;
    let mut figures: BTreeMap<i64, Figures> =
        customers.into_iter().map(|customer| (customer, Figures::default())).collect();
    let orders = "select customer_id, ordered_at from sales_orders where status <> 'cancelled'";
    for (customer, at) in rows(site, orders, |row| {
        (row.get::<i64>("customer_id").unwrap(), row.get::<Time>("ordered_at").unwrap())
    })
    .await
    {
        let of = figures.get_mut(&customer).unwrap();
        of.orders += 1;
        of.last_order = of.last_order.max(at);
    }
    let paid = "select i.customer_id, p.amount, p.received_at from payments p join invoices i on i.id = p.invoice_id";
    for (customer, amount, at) in rows(site, paid, |row| {
        let amount: Decimal = row.get("amount").unwrap();
        (row.get::<i64>("customer_id").unwrap(), amount, row.get::<Time>("received_at").unwrap())
    })
    .await
    {
        let of = figures.get_mut(&customer).unwrap();
        of.spent += amount;
        of.outstanding -= amount;
        if amount > Decimal::ZERO {
            of.last_payment = of.last_payment.max(at);
        }
    }
    for (customer, total) in rows(site, "select customer_id, total from invoices", |row| {
        (row.get::<i64>("customer_id").unwrap(), row.get::<Decimal>("total").unwrap())
    })
    .await
    {
        figures.get_mut(&customer).unwrap().outstanding += total;
    }
    figures
}

backend_test!(
    migrations: lines;
    async fn statistics_are_what_the_tables_say_once_all_is_done_whoever_is_killed(t: TestDb) {
        let (steps, kills) = campaign((25, 4), (400, 50));
        let site = Site::new(t).await;
        deliver_twice(&site).await;
        let acme = shop(&site.t).await;
        for code in &CUSTOMERS[1..] {
            add_customer(&acme, code, Some("customer@customer.example")).await;
        }
        // One who never orders has statistics too.
        add_customer(&acme, "C-0", None).await;
        let mut rng = seeded("statistics_are_what_the_tables_say_once_all_is_done_whoever_is_killed");
        let mut crew = Crew::start(&site, Rng::with_seed(rng.u64(..)));
        let desks = open_desks(&acme, steps, &mut rng);
        // A step leads to some three jobs.
        crew.kill_while(kills, DONE, i64::try_from(8 * steps * 3).unwrap()).await;
        desks.join_all().await;
        crew.finish().await;
        let expected = recomputed(&site).await;
        assert!(expected.values().any(|one| one.spent > Decimal::ZERO && one.outstanding > Decimal::ZERO));
        assert_eq!(stored(&site).await, expected);
        assert_delivered_twice(&site).await;
    }
);
