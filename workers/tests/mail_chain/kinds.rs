//! The ten kinds of notifications as they are stored. Seed 1-17.

use fairlane::{Tenant, Transaction, backend_test};
use fairlane_workers::erp::notifications::{
    Action, AlertNotification, AnnouncementNotification, InvoiceGeneratedNotification, KINDS,
    LowStockNotification, Notification, OrderStatusNotification, PaymentReceivedNotification,
    PurchaseOrderApprovedNotification, ReminderNotification, ReportGeneratedNotification, Severity,
    StockExpiryNotification, notify,
};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::store::notifications::list;
use fairlane_workers::erp::store::orders::OrderStatus;
use rust_decimal::Decimal;
use serde_json::json;

use crate::support::shop::{lines, shop};

async fn tell<N: Notification>(tx: &mut Transaction, tenant: &Tenant, user: i64, notification: N) {
    notify(tx, tenant, user, &notification, N::TYPE).await.unwrap();
}

backend_test!(migrations: lines;
    async fn all_ten_kinds_are_stored_with_severity_context_and_action(t: TestDb) {
        let acme = shop(&t).await;
        let id = acme.id().await.unwrap();
        let mut tx = acme.begin().await.unwrap();
        let user = users::ensure(&mut tx, &acme, "Ana", "ana@example.com", &[]).await.unwrap();
        let (day, ten, eur) = ("2026-03-31".parse().unwrap(), Decimal::TEN, || "EUR".to_owned());
        let place = || (7, "MAIN".to_owned());
        let tx_ = &mut tx;
        tell(tx_, &acme, user, LowStockNotification {
            product_id: 1, product_name: "Tiles".into(), product_sku: "T-1".into(), current_quantity: Decimal::ONE,
            minimum_quantity: ten, location_id: place().0, location_code: place().1,
        }).await;
        tell(tx_, &acme, user, StockExpiryNotification {
            batch_id: 2, lot: "L-2".into(), product_id: 1, product_name: "Paste".into(), product_sku: "P-1".into(),
            location_id: place().0, location_code: place().1, expires_on: day, days_remaining: 20, quantity: ten,
        }).await;
        tell(tx_, &acme, user, InvoiceGeneratedNotification {
            invoice_id: 3, invoice_number: "INV-3".into(), customer_id: 1, customer_name: "C".into(), amount: ten,
            currency: eur(), due_on: day,
        }).await;
        tell(tx_, &acme, user, PaymentReceivedNotification {
            payment_id: 4, reference: "BANK-4".into(), amount: ten, currency: eur(), method: "transfer".into(),
            invoice_number: "INV-3".into(), customer_name: "C".into(),
        }).await;
        tell(tx_, &acme, user, OrderStatusNotification {
            order_id: 5, order_number: "SO-5".into(), status: OrderStatus::Cancelled, customer_name: "C".into(),
        }).await;
        tell(tx_, &acme, user, PurchaseOrderApprovedNotification {
            purchase_order_id: 6, number: "PO-6".into(), vendor_name: "V".into(), amount: ten, currency: eur(),
        }).await;
        tell(tx_, &acme, user, ReportGeneratedNotification {
            report_id: 7, report_type: "sales".into(), file_name: "sales.json".into(),
            download_link: "reports/7/sales.json".into(),
        }).await;
        tell(tx_, &acme, user, AnnouncementNotification {
            title: "Closed".into(), message: "On Monday.".into(), action: Some(Action::new("Read more", "news/1")),
        }).await;
        tell(tx_, &acme, user, ReminderNotification {
            title: "Count".into(), message: "Stock.".into(), due_at: Some(chrono::DateTime::UNIX_EPOCH),
            context: json!({ "task": 9 }), action: Some(Action::new("Open task", "task/9")),
        }).await;
        tell(tx_, &acme, user, AlertNotification {
            severity: Severity::Critical, title: "Stopped".into(), message: "Nothing goes out.".into(),
            context: json!({ "queue": "high" }), action: Some(Action::new("Look", "queues/high")),
        }).await;
        let stored = list(&mut tx.conn(), id, Some(user), true, 100).await.unwrap();
        assert_eq!(stored.len(), KINDS.len() - 1, "a digest is a mail of what is stored before");
        let facts = [
            ("LowStockNotification", "warning", json!({ "product_sku": "T-1", "current_quantity": "1", "minimum_quantity": "10" }), "product/T-1"),
            ("StockExpiryNotification", "warning", json!({ "batch_number": "L-2", "expiry_date": "2026-03-31", "quantity": "10" }), "batch/2"),
            ("InvoiceGeneratedNotification", "info", json!({ "invoice_number": "INV-3", "customer_name": "C", "amount": "10" }), "invoice/INV-3"),
            ("PaymentReceivedNotification", "success", json!({ "payment_reference": "BANK-4", "amount": "10", "method": "transfer" }), "payment/BANK-4"),
            ("OrderStatusNotification", "warning", json!({ "order_number": "SO-5", "status": "cancelled", "customer_name": "C" }), "order/SO-5"),
            ("PurchaseOrderApprovedNotification", "success", json!({ "po_number": "PO-6", "vendor_name": "V", "amount": "10" }), "purchase-order/PO-6"),
            ("ReportGeneratedNotification", "success", json!({ "report_type": "sales", "file_name": "sales.json" }), "reports/7/sales.json"),
            ("AnnouncementNotification", "info", json!({}), "news/1"),
            ("ReminderNotification", "info", json!({ "task": 9, "due_at": "1970-01-01T00:00:00Z" }), "task/9"),
            ("AlertNotification", "critical", json!({ "queue": "high" }), "queues/high"),
        ];
        for (kind, severity, context, target) in facts {
            let data = &stored.iter().find(|one| one.kind == kind).unwrap_or_else(|| panic!("no {kind}")).data;
            assert_eq!((&data["severity"], &data["action"]["target"]), (&json!(severity), &json!(target)), "{kind}");
            for (name, value) in context.as_object().unwrap() {
                assert_eq!(&data["context"][name], value, "{kind}: {name}");
            }
            assert!(data["title"].is_string() && data["message"].is_string(), "{kind}");
        }
    }
);
