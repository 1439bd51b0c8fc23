//! What happens to the stock.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::{Aggregate, Event};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::erp::valuation::{Method, Scope};

/// A movement was added to the ledger of the stock; it never changes afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockMovementRecorded {
    /// The movement.
    pub movement_id: i64,
    /// Its place among the movements of its product, from 1 without gaps.
    pub seq: i64,
    /// The product.
    pub product_id: i64,
    /// The product's code.
    pub sku: String,
    /// Where.
    pub location_id: i64,
    /// Of which batch, where the product has batches.
    #[serde(default)]
    pub batch_id: Option<i64>,
    /// What kind: `receipt`, `sale`, `count` ...
    pub kind: String,
    /// How many came (or, negative, left).
    pub quantity: Decimal,
    /// What is there afterwards, of this batch at this location.
    pub on_hand: Decimal,
    /// When it happened; it may have been recorded later.
    pub effective_at: DateTime<Utc>,
    /// What caused it: `order`, `goods_receipt`, `import`, `manual` ...
    pub source_type: String,
    /// Which one.
    pub source_id: String,
    /// The user who did it, where one is known.
    #[serde(default)]
    pub user_id: Option<i64>,
}

impl Event for StockMovementRecorded {
    const NAME: &'static str = "inventory.stock_movement.recorded";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "stock", id: self.product_id.to_string(), version: Some(self.seq) })
    }
}

/// What is available of a product at a location fell below its minimum; told once per crossing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowStockDetected {
    /// The crossing: open until stock is back.
    pub alert_id: i64,
    /// The product.
    pub product_id: i64,
    /// The product's code.
    pub sku: String,
    /// The product's name.
    pub product_name: String,
    /// Where.
    pub location_id: i64,
    /// The location's code.
    pub location: String,
    /// What is available: on hand less reserved.
    pub current: Decimal,
    /// The minimum.
    pub minimum: Decimal,
}

impl Event for LowStockDetected {
    const NAME: &'static str = "inventory.low_stock.detected";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "stock", id: self.product_id.to_string(), version: None })
    }
}

/// A batch comes near its last day, or is past it; told once for each stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockExpiring {
    /// The alert of this batch, location and stage.
    pub alert_id: i64,
    /// The product.
    pub product_id: i64,
    /// The product's code.
    pub sku: String,
    /// The product's name.
    pub product_name: String,
    /// The batch.
    pub batch_id: i64,
    /// The batch's number, as printed on it.
    pub lot: String,
    /// Its last day.
    pub expires_on: NaiveDate,
    /// Days until then in the tenant's time zone; negative when it is over.
    pub days_remaining: i64,
    /// The stage that was reached, in days: 90, 30, 7, 0.
    pub threshold: i64,
    /// Where.
    pub location_id: i64,
    /// The location's code.
    pub location: String,
    /// How many are there.
    pub quantity: Decimal,
}

impl Event for StockExpiring {
    const NAME: &'static str = "inventory.stock.expiring";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "batch", id: self.batch_id.to_string(), version: None })
    }
}

/// The stock of a product is worth another amount than it was when it was valued last. Beside the events that business is
/// made of ([`CATALOGUE`](super::CATALOGUE)): it tells of a computation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuationRecalculated {
    /// The run, in the log of valuations.
    pub run_id: i64,
    /// The product.
    pub product_id: i64,
    /// The product's code.
    pub sku: String,
    /// What a pool is.
    pub scope: Scope,
    /// How it was valued.
    pub method: Method,
    /// How many there are.
    pub quantity: Decimal,
    /// What they were worth; nothing where they were never valued.
    pub old_value: Option<Decimal>,
    /// What they are worth.
    pub value: Decimal,
    /// The place of the last movement that is in it.
    pub as_of_seq: i64,
}

impl Event for ValuationRecalculated {
    const NAME: &'static str = "inventory.valuation.recalculated";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "stock", id: self.product_id.to_string(), version: Some(self.as_of_seq) })
    }
}
