//! Overdue invoices, and the schedules that look for them.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::testing::TestDb;
use fairlane::{Tenant, backend_test};
use fairlane_workers::erp::events::InvoiceOverdue;
use fairlane_workers::erp::jobs::ScanOverdueInvoices;
use fairlane_workers::erp::services::orders::NewLine;
use fairlane_workers::erp::services::profiles::{self, ProfileChange};
use fairlane_workers::erp::services::returns::{self, Returned};
use fairlane_workers::erp::services::{scanners, users};
use fairlane_workers::erp::store;

use crate::shop::{billed, deliver_again, pay, stored, work};
use crate::support::shop::{count, lines, shop};

async fn scan(t: &TestDb, tenant: &Tenant) -> Vec<(i64, i64)> {
    // Twice at once: a tick and somebody who is impatient.
    tenant.dispatch(ScanOverdueInvoices {}).await.unwrap();
    tenant.dispatch(ScanOverdueInvoices {}).await.unwrap();
    work(t).await;
    stored::<InvoiceOverdue>(t).await.iter().map(|told| (told.stage, told.days_overdue)).collect()
}

/// Moves the clock to this hour (UTC) of a day.
async fn set_clock(t: &TestDb, day: NaiveDate, hour: u32) {
    let at: DateTime<Utc> = day.and_hms_opt(hour, 0, 0).unwrap().and_utc();
    let now = store::now(&mut t.db.read().await.unwrap().conn()).await.unwrap();
    t.db.shift_clock(at - now);
}

async fn zone(tenant: &Tenant, name: &str) {
    let mut tx = tenant.begin().await.unwrap();
    let change = ProfileChange { timezone: Some(name.into()), ..ProfileChange::default() };
    profiles::change(&mut tx, tenant, &change).await.unwrap();
    tx.commit().await.unwrap();
}

backend_test!(migrations: lines;
    async fn an_overdue_invoice_is_told_of_once_a_stage_on_the_tenants_days(t: TestDb) {
        let acme = shop(&t).await;
        let (_, invoice) = billed(&acme).await;
        let (_, paid) = billed(&acme).await;
        pay(&acme, &paid.number, "B-1", "121.69").await.unwrap();
        pay(&acme, &invoice.number, "B-2", "21.69").await.unwrap();
        let due = invoice.due_on;
        set_clock(&t, due, 23).await;
        assert_eq!(scan(&t, &acme).await, []);
        // 11:00 UTC on the last day to pay is the next day already on Kiritimati.
        set_clock(&t, due, 11).await;
        zone(&acme, "Pacific/Kiritimati").await;
        assert_eq!(scan(&t, &acme).await, [(1, 1)]);
        let told = stored::<InvoiceOverdue>(&t).await.remove(0);
        assert_eq!((told.number.as_str(), told.outstanding.to_string()), (invoice.number.as_str(), "100.00".into()));
        assert_eq!(scan(&t, &acme).await, [(1, 1)]);
        set_clock(&t, due + chrono::Days::new(6), 12).await;
        assert_eq!(scan(&t, &acme).await, [(1, 1), (7, 7)]);
        assert_eq!(scan(&t, &acme).await, [(1, 1), (7, 7)]);
        set_clock(&t, due + chrono::Days::new(40), 12).await;
        assert_eq!(scan(&t, &acme).await, [(1, 1), (7, 7), (30, 41)]);
        set_clock(&t, due + chrono::Days::new(400), 12).await;
        assert_eq!(scan(&t, &acme).await.len(), 3);
        assert_eq!(count(&t, "select count(*) as n from invoice_reminders").await, 3);
    }
);

backend_test!(migrations: lines;
    async fn an_invoice_that_nobody_looked_at_for_long_is_told_of_with_its_latest_stage_alone(t: TestDb) {
        let acme = shop(&t).await;
        let (_, invoice) = billed(&acme).await;
        set_clock(&t, invoice.due_on + chrono::Days::new(12), 12).await;
        assert_eq!(scan(&t, &acme).await, [(7, 12)]);
        pay(&acme, &invoice.number, "B-1", "121.69").await.unwrap();
        set_clock(&t, invoice.due_on + chrono::Days::new(31), 12).await;
        assert_eq!(scan(&t, &acme).await, [(7, 12)]);
    }
);

backend_test!(migrations: lines;
    async fn who_sees_invoices_is_reminded_once_a_stage_however_often_it_is_told(t: TestDb) {
        let acme = shop(&t).await;
        let (_, invoice) = billed(&acme).await;
        let mut tx = acme.begin().await.unwrap();
        users::ensure(&mut tx, &acme, "Fin", "fin@example.com", &["billing.view"]).await.unwrap();
        users::ensure(&mut tx, &acme, "Store", "store@example.com", &["inventory.alerts"]).await.unwrap();
        tx.commit().await.unwrap();
        let reminders = "select count(*) as n from notifications where type = 'ReminderNotification'";
        for (days, told) in [(1, 1), (7, 2)] {
            set_clock(&t, invoice.due_on + chrono::Days::new(days), 12).await;
            scan(&t, &acme).await;
            deliver_again(&t).await;
            work(&t).await;
            assert_eq!(count(&t, reminders).await, told);
        }
    }
);

backend_test!(migrations: lines;
    async fn nobody_is_reminded_of_what_came_back(t: TestDb) {
        let acme = shop(&t).await;
        let (order, invoice) = billed(&acme).await;
        let (other, owed) = billed(&acme).await;
        // Paid, all of it returned, and its money given back: the invoice is open again, and nothing is owed.
        pay(&acme, &invoice.number, "B-1", "121.69").await.unwrap();
        give_back(&acme, &order.number, "121.69").await;
        pay(&acme, &invoice.number, "R-1", "-121.69").await.unwrap();
        give_back(&acme, &other.number, "121.68").await;
        set_clock(&t, invoice.due_on + chrono::Days::new(1), 12).await;
        assert_eq!(scan(&t, &acme).await, [(1, 1)], "a cent is owed");
        assert_eq!(stored::<InvoiceOverdue>(&t).await[0].number, owed.number);
    }
);

/// The paper of a return of this order, over this amount.
async fn give_back(tenant: &Tenant, order: &str, amount: &str) {
    let goods = NewLine {
        sku: None,
        description: "Tiles".into(),
        quantity: 1.into(),
        unit_price: amount.parse().unwrap(),
        discount: 0.into(),
        tax_rate: 0.into(),
    };
    let back = Returned {
        customer: "C-1".into(),
        order: Some(order.into()),
        lines: vec![goods],
        ..Returned::default()
    };
    let mut tx = tenant.begin().await.unwrap();
    returns::enter(&mut tx, tenant, back).await.unwrap();
    tx.commit().await.unwrap();
}

async fn schedules(tenant: &Tenant) -> Vec<fairlane::store::schedules::ScheduleRow> {
    let mut tx = tenant.begin().await.unwrap();
    scanners::stored(&mut tx.conn(), tenant.id().await.unwrap()).await.unwrap()
}

async fn switch(tenant: &Tenant, only: Option<&str>, on: bool) -> fairlane::Result<()> {
    let mut tx = tenant.begin().await?;
    scanners::switch(&mut tx, tenant, only, on, "ana").await?;
    tx.commit().await
}

backend_test!(migrations: lines;
    async fn scanners_tick_in_the_tenants_zone_from_its_profile_on_and_off_stays_off(t: TestDb) {
        let acme = shop(&t).await;
        assert_eq!(schedules(&acme).await.len(), 0);
        zone(&acme, "Europe/Berlin").await;
        let made = schedules(&acme).await;
        assert_eq!(made.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(), ["erp.scan_overdue_invoices", "erp.scan_expiring_stock", "erp.remove_old_reports"]);
        assert!(made.iter().all(|row| row.timezone == "Europe/Berlin" && row.payload == serde_json::json!({})));
        switch(&acme, Some("scan-overdue-invoices"), false).await.unwrap();
        t.execute("update fairlane_schedules set cron = '15 7 * * *' where name = 'scan-expiring-stock'").await;
        zone(&acme, "Asia/Tokyo").await;
        let moved = schedules(&acme).await;
        assert!(moved.iter().all(|row| row.timezone == "Asia/Tokyo"));
        assert!(moved[0].paused_at.is_some() && moved[1].paused_at.is_none());
        let local = moved[1].next_tick_at.with_timezone(&chrono_tz::Asia::Tokyo);
        assert_eq!((moved[1].cron.as_str(), local.format("%H:%M").to_string()), ("15 7 * * *", "07:15".into()));
        switch(&acme, None, true).await.unwrap();
        assert!(schedules(&acme).await.iter().all(|row| row.paused_at.is_none()));
        let error = switch(&acme, Some("scan-the-sky"), true).await.unwrap_err();
        assert_eq!(error.to_string(), "scanner \"scan-the-sky\" does not exist");
        assert_eq!(count(&t, "select count(*) as n from fairlane_audit where actor = 'ana'").await, 2);
        let id = acme.id().await.unwrap();
        let mut tx = acme.begin().await.unwrap();
        assert_eq!(store::profiles::find(&mut tx.conn(), id).await.unwrap().timezone.name(), "Asia/Tokyo");
    }
);
