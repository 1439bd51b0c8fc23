//! What happens to sales orders.

use chrono::{DateTime, Utc};
use fairlane::{Aggregate, Event};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A sales order passed its approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderApproved {
    /// The order.
    pub order_id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// Its version after the approval.
    pub version: i64,
    /// Who buys.
    pub customer_id: i64,
    /// The customer's name at that time.
    pub customer_name: String,
    /// The currency of the amounts (ISO 4217).
    pub currency: String,
    /// What it comes to, tax included.
    pub total: Decimal,
    /// The user who approved it; none where a program did.
    pub approved_by: Option<i64>,
    /// When it was approved.
    pub approved_at: DateTime<Utc>,
}

impl Event for OrderApproved {
    const NAME: &'static str = "sales.order.approved";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "order", id: self.order_id.to_string(), version: Some(self.version) })
    }
}
