//! What happens to purchase orders.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::{Aggregate, Event};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A purchase order passed its approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseOrderApproved {
    /// The purchase order.
    pub purchase_order_id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// Its version after the approval.
    pub version: i64,
    /// Who delivers.
    pub vendor_id: i64,
    /// The vendor's name at that time.
    pub vendor_name: String,
    /// Where the vendor's mails go to.
    #[serde(default)]
    pub vendor_email: Option<String>,
    /// The currency of the amount (ISO 4217).
    pub currency: String,
    /// What it comes to.
    pub total: Decimal,
    /// When it is expected.
    #[serde(default)]
    pub expected_on: Option<NaiveDate>,
    /// The user who asked for it.
    #[serde(default)]
    pub requested_by: Option<i64>,
    /// The user who approved it; none where a program did.
    #[serde(default)]
    pub approved_by: Option<i64>,
    /// When it was approved.
    pub approved_at: DateTime<Utc>,
}

impl Event for PurchaseOrderApproved {
    const NAME: &'static str = "procurement.purchase_order.approved";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(purchase_order(self.purchase_order_id, self.version))
    }
}

/// Goods of a purchase order arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodsReceived {
    /// The receipt.
    pub receipt_id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// The purchase order they belong to.
    pub purchase_order_id: i64,
    /// The purchase order's number.
    pub purchase_order_number: String,
    /// The purchase order's version after it.
    pub version: i64,
    /// Where they were put.
    pub location_id: i64,
    /// What arrived, line by line.
    pub lines: Vec<ReceivedLine>,
    /// When they arrived.
    pub received_at: DateTime<Utc>,
    /// The user who took them in, where one is known.
    #[serde(default)]
    pub user_id: Option<i64>,
}

/// A line of a goods receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedLine {
    /// Its place in the receipt, from 1.
    pub line_no: i64,
    /// The product.
    pub product_id: i64,
    /// The product's code.
    pub sku: String,
    /// How many.
    pub quantity: Decimal,
    /// What one cost, from the purchase order.
    pub unit_cost: Decimal,
    /// The batch's number, where the product has batches.
    #[serde(default)]
    pub lot: Option<String>,
    /// The batch's last day.
    #[serde(default)]
    pub expires_on: Option<NaiveDate>,
}

impl Event for GoodsReceived {
    const NAME: &'static str = "procurement.goods.received";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(purchase_order(self.purchase_order_id, self.version))
    }
}

fn purchase_order(id: i64, version: i64) -> Aggregate {
    Aggregate { kind: "purchase_order", id: id.to_string(), version: Some(version) }
}
