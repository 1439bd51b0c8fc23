//! Workflow 1: an approved order is billed, and the invoice is mailed. Seed 1-27.

use std::collections::BTreeSet;
use std::time::Duration;

use fairlane::{Error, Tenant, backend_test};
use fairlane_workers::erp::services::orders;
use fastrand::Rng;
use tokio::task::JoinSet;

use crate::crew::Crew;
use crate::facts::rows;
use crate::mails::{Ends, assert_no_mail_twice, send_to};
use crate::people::staff;
use crate::support::processes::{Site, campaign, seeded};
use crate::support::shop::{add_customer, approve, lines, shop, tiles};
use crate::support::smtp::SmtpServer;
use crate::twice::{assert_delivered_twice, deliver_twice};

const CUSTOMERS: [&str; 4] = ["C-1", "C-2", "C-3", "C-4"];
const INVOICES: &str = "select count(*) as n from invoices";
const MAILED: &str = "select count(*) as n from notification_deliveries where type = 'Invoice' and status in ('sent', 'uncertain')";

async fn enter_orders(acme: &Tenant, count: usize) -> Vec<i64> {
    for code in &CUSTOMERS[1..] {
        add_customer(acme, code, Some(&format!("{}@customer.example", code.to_lowercase()))).await;
    }
    let mut entered = Vec::with_capacity(count);
    for chunk in (0..count).collect::<Vec<_>>().chunks(50) {
        let mut tx = acme.begin().await.unwrap();
        for number in chunk {
            let customer = CUSTOMERS[number % CUSTOMERS.len()];
            entered.push(orders::create(&mut tx, acme, customer, &tiles()).await.unwrap().id);
        }
        tx.commit().await.unwrap();
    }
    entered
}

/// Eight people approve at the same time. Some approvals are given up before their commit, some orders are cancelled at
/// once: whoever comes first, the invoice or that, wins.
fn approve_all(acme: &Tenant, entered: &[i64], rng: &mut Rng) -> JoinSet<()> {
    let mut people = JoinSet::new();
    for hand in entered.chunks(entered.len().div_ceil(8)) {
        let (acme, hand, mut rng) = (acme.clone(), hand.to_vec(), Rng::with_seed(rng.u64(..)));
        people.spawn(async move {
            for order in hand {
                if rng.u32(0..6) == 0 {
                    let mut tx = acme.begin().await.unwrap();
                    orders::approve(&mut tx, &acme, order, None).await.unwrap();
                    tx.rollback().await.unwrap();
                }
                approve(&acme, order).await.unwrap();
                if rng.u32(0..8) == 0 {
                    cancel_unless_billed(&acme, order).await;
                }
            }
        });
    }
    people
}

async fn cancel_unless_billed(acme: &Tenant, order: i64) {
    let mut tx = acme.begin().await.unwrap();
    match orders::cancel(&mut tx, acme, order).await {
        Ok(_) => tx.commit().await.unwrap(),
        Err(Error::Refused { .. }) => tx.rollback().await.unwrap(),
        Err(error) => panic!("{error}"),
    }
}

/// Each approved order has one invoice and no other has any; their numbers have no gap; each was told once.
async fn assert_billed_once(site: &Site) -> usize {
    let other = "select count(*) as n from sales_orders o where
        (select count(*) from invoices i where i.tenant_id = o.tenant_id and i.order_id = o.id)
        <> case o.status when 'approved' then 1 else 0 end";
    assert_eq!(site.count(other).await, 0, "orders without their one invoice");
    let numbers: BTreeSet<usize> = rows(site, "select number from invoices", |row| {
        let number: String = row.get("number").unwrap();
        number.rsplit('-').next().unwrap().parse().unwrap()
    })
    .await
    .into_iter()
    .collect();
    let invoices = usize::try_from(site.count(INVOICES).await).unwrap();
    assert_eq!(numbers, (1..=invoices).collect(), "gap-free numbers");
    let told = "select count(*) as n from fairlane_events where name = 'billing.invoice.generated'";
    assert_eq!(site.count(told).await, site.count(INVOICES).await, "invoices told");
    invoices
}

/// Finance has heard of each invoice once, and of each mail that nobody knows about; nobody else has heard of any.
async fn assert_finance_told_once(site: &Site, finance: i64, invoices: usize, ends: &Ends) {
    let told = rows(site, "select type, notifiable_id, dedupe_key from notifications", |row| {
        let kind: String = row.get("type").unwrap();
        (kind, row.get::<i64>("notifiable_id").unwrap(), row.get::<String>("dedupe_key").unwrap())
    })
    .await;
    let about = |kind: &str| told.iter().filter(|(one, ..)| one == kind).collect::<Vec<_>>();
    let generated = about("InvoiceGeneratedNotification");
    assert_eq!(generated.len(), invoices, "invoices told to finance");
    let keys: BTreeSet<_> = generated.iter().map(|(.., key)| key).collect();
    assert_eq!(keys.len(), invoices, "told once each");
    let alerts = about("AlertNotification");
    assert_eq!(alerts.len(), ends.uncertain, "uncertain mails told to finance");
    assert!([generated, alerts].concat().iter().all(|(_, user, _)| *user == finance), "{told:?}");
}

backend_test!(
    migrations: lines;
    async fn each_approved_order_ends_as_one_invoice_and_one_mail_whoever_is_killed(t: TestDb) {
        let (count, kills) = campaign((120, 4), (2000, 60));
        let site = Site::new(t).await;
        deliver_twice(&site).await;
        let server = SmtpServer::start().await;
        // Wide enough for a kill between the server's answer and the note of it.
        server.think(Duration::from_millis(30));
        send_to(&site, &server);
        let acme = shop(&site.t).await;
        let finance = staff(&acme, None).await.finance;
        let entered = enter_orders(&acme, count).await;
        let mut rng = seeded("each_approved_order_ends_as_one_invoice_and_one_mail_whoever_is_killed");
        let mut crew = Crew::start(&site, Rng::with_seed(rng.u64(..)));
        let people = approve_all(&acme, &entered, &mut rng);
        // A few are cancelled and never mailed.
        crew.kill_while(kills, MAILED, i64::try_from(count * 4 / 5).unwrap()).await;
        people.join_all().await;
        crew.finish().await;
        let invoices = assert_billed_once(&site).await;
        let of_invoices = "select count(*) as n from notification_deliveries where type = 'Invoice'";
        assert_eq!(site.count(of_invoices).await, i64::try_from(invoices).unwrap(), "mails to customers");
        let ends = assert_no_mail_twice(&site, &server).await;
        assert_eq!(ends.sent + ends.uncertain, invoices, "{ends:?}");
        let unnoted = "select count(*) as n from invoices i where (i.sent_at is not null) <> exists (select 1
            from notification_deliveries d where d.subject_type = 'invoice' and d.subject_id = i.id
            and d.type = 'Invoice' and d.status = 'sent')";
        assert_eq!(site.count(unnoted).await, 0, "invoices that do not know their mail");
        assert_finance_told_once(&site, finance, invoices, &ends).await;
        assert_delivered_twice(&site).await;
    }
);
