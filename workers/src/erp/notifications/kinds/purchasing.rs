//! What is told about purchases.

use rust_decimal::Decimal;
use serde_json::json;

use crate::erp::notifications::{Action, Note, Notification, Severity};

/// A purchase order was approved.
#[derive(Debug, Clone)]
pub struct PurchaseOrderApprovedNotification {
    /// The purchase order.
    pub purchase_order_id: i64,
    /// Its number.
    pub number: String,
    /// Who delivers.
    pub vendor_name: String,
    /// What it comes to.
    pub amount: Decimal,
    /// The currency (ISO 4217).
    pub currency: String,
}

impl Notification for PurchaseOrderApprovedNotification {
    const TYPE: &'static str = "PurchaseOrderApprovedNotification";

    fn note(&self) -> Note {
        Note {
            severity: Severity::Success,
            title: format!("Purchase order {} approved", self.number),
            message: format!("{} {} to {}.", self.amount, self.currency, self.vendor_name),
            context: json!({
                "purchase_order_id": self.purchase_order_id, "po_number": self.number,
                "vendor_name": self.vendor_name, "amount": self.amount, "currency": self.currency,
            }),
            action: Some(Action::new("View purchase order", format!("purchase-order/{}", self.number))),
        }
    }
}
