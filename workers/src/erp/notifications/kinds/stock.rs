//! What is told about stock.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde_json::json;

use crate::erp::notifications::{Action, Note, Notification, Severity};

/// A product has fallen below what should be there.
#[derive(Debug, Clone)]
pub struct LowStockNotification {
    /// The product.
    pub product_id: i64,
    /// Its name.
    pub product_name: String,
    /// Its code.
    pub product_sku: String,
    /// What is there.
    pub current_quantity: Decimal,
    /// What should be there.
    pub minimum_quantity: Decimal,
    /// Where.
    pub location_id: i64,
    /// The code people know the place by.
    pub location_code: String,
}

impl Notification for LowStockNotification {
    const TYPE: &'static str = "LowStockNotification";

    fn note(&self) -> Note {
        let (current, minimum) = (self.current_quantity.normalize(), self.minimum_quantity.normalize());
        Note {
            severity: Severity::Warning,
            title: format!("Low stock: {}", self.product_name),
            message: format!(
                "{} ({}) at {}: {current} left, {minimum} should be there.",
                self.product_name, self.product_sku, self.location_code
            ),
            context: json!({
                "product_id": self.product_id, "product_name": self.product_name, "product_sku": self.product_sku,
                "current_quantity": current, "minimum_quantity": minimum,
                "location_id": self.location_id, "location_code": self.location_code,
            }),
            action: Some(Action::new("View product details", format!("product/{}", self.product_sku))),
        }
    }
}

/// A batch expires soon, or has expired.
#[derive(Debug, Clone)]
pub struct StockExpiryNotification {
    /// The batch.
    pub batch_id: i64,
    /// The number on it.
    pub lot: String,
    /// The product.
    pub product_id: i64,
    /// Its name.
    pub product_name: String,
    /// Its code.
    pub product_sku: String,
    /// Where it is.
    pub location_id: i64,
    /// The code people know the place by.
    pub location_code: String,
    /// The last day it is good.
    pub expires_on: NaiveDate,
    /// Days until then; negative once it is over.
    pub days_remaining: i64,
    /// How much of it is there.
    pub quantity: Decimal,
}

impl StockExpiryNotification {
    /// A week or less, or over: critical. A month or less: a warning.
    pub fn severity(days_remaining: i64) -> Severity {
        match days_remaining {
            ..=7 => Severity::Critical,
            8..=30 => Severity::Warning,
            _ => Severity::Info,
        }
    }

    fn when(&self) -> String {
        match self.days_remaining {
            ..=-2 => format!("expired {} days ago", -self.days_remaining),
            -1 => "expired yesterday".into(),
            0 => "expires today".into(),
            1 => "expires tomorrow".into(),
            days => format!("expires in {days} days"),
        }
    }
}

impl Notification for StockExpiryNotification {
    const TYPE: &'static str = "StockExpiryNotification";

    fn note(&self) -> Note {
        let quantity = self.quantity.normalize();
        Note {
            severity: Self::severity(self.days_remaining),
            title: format!("Batch {} of {} {}", self.lot, self.product_name, self.when()),
            message: format!(
                "{quantity} of {} ({}), batch {} at {}: good until {}.",
                self.product_name, self.product_sku, self.lot, self.location_code, self.expires_on
            ),
            context: json!({
                "batch_id": self.batch_id, "batch_number": self.lot, "expiry_date": self.expires_on,
                "days_remaining": self.days_remaining, "quantity": quantity,
                "product_id": self.product_id, "product_name": self.product_name, "product_sku": self.product_sku,
                "location_id": self.location_id, "location_code": self.location_code,
            }),
            action: Some(Action::new("View batch details", format!("batch/{}", self.batch_id))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_critical_within_a_week_or_once_expired_and_a_warning_within_a_month() {
        let severities: Vec<_> =
            [-3, 0, 7, 8, 30, 31].map(|days| StockExpiryNotification::severity(days).as_str()).into();
        assert_eq!(severities, ["critical", "critical", "critical", "warning", "warning", "info"]);
    }
}
