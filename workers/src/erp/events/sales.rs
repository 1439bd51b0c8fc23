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

/// A sales order was entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCreated {
    /// The order.
    pub order_id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// Its version: 1.
    pub version: i64,
    /// Who buys.
    pub customer_id: i64,
    /// The customer's name at that time.
    pub customer_name: String,
    /// The currency of the amounts (ISO 4217).
    pub currency: String,
    /// What it comes to, tax included.
    pub total: Decimal,
    /// When it was entered.
    pub ordered_at: DateTime<Utc>,
    /// The user who entered it, where one is known.
    #[serde(default)]
    pub user_id: Option<i64>,
}

impl Event for OrderCreated {
    const NAME: &'static str = "sales.order.created";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "order", id: self.order_id.to_string(), version: Some(self.version) })
    }
}

/// A sales order was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFulfilled {
    /// The order.
    pub order_id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// Its version after the delivery.
    pub version: i64,
    /// Who buys.
    pub customer_id: i64,
    /// The customer's name at that time.
    pub customer_name: String,
    /// What was delivered, line by line; lines without a product of the catalogue are left out.
    pub lines: Vec<DeliveredLine>,
    /// When it was delivered.
    pub fulfilled_at: DateTime<Utc>,
    /// The user who delivered it, where one is known.
    #[serde(default)]
    pub user_id: Option<i64>,
}

/// A line of a delivered order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredLine {
    /// Its place in the order, from 1.
    pub line_no: i64,
    /// The product.
    pub product_id: i64,
    /// The product's code.
    pub sku: String,
    /// How many.
    pub quantity: Decimal,
    /// Where they left from.
    pub location_id: i64,
    /// The batch they are of, where one was chosen; else those that expire first are taken.
    #[serde(default)]
    pub batch_id: Option<i64>,
}

impl Event for OrderFulfilled {
    const NAME: &'static str = "sales.order.fulfilled";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "order", id: self.order_id.to_string(), version: Some(self.version) })
    }
}
