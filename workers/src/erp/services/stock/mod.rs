//! The stock: movements, and what follows from them.
//!
//! ```text
//! stock_movements   what happened, only ever added to: the truth
//! stock_levels      what is there: their sums, changed in the same transaction, rebuilt when in doubt
//! stock_reservations, stock_levels.reserved    what approved orders will take
//! stock_alerts      what somebody was told about
//! ```
//!
//! Everything that touches the stock of a product locks the product's ledger first, several in the order of their numbers.
//! Call one of these functions once in a transaction, with everything it is about (or [`lock`] that first), and transactions
//! never wait for one another in a circle.

mod book;
mod checks;
mod deliver;
mod expiry;
mod lots;
mod low;
mod rebuild;
mod receive;
mod record;
mod reserve;
mod reverse;
mod transfer;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

pub use crate::erp::store::batches::{Batch, NamedLot};
pub use crate::erp::store::stock::{MovementKind, Source};
pub use deliver::deliver;
pub use expiry::{STAGES, close_over, open_due, stage};
pub use lots::{batches, lock, set_last_day};
pub use low::{Place, check_levels, check_product};
pub use rebuild::{Difference, Rebuilt, rebuild};
pub use receive::post_receipt;
pub use record::{record, record_all, record_each};
pub(crate) use reserve::{give_back, reserve};
pub use reverse::{reverse, reverse_all};
pub use transfer::{Transfer, transfer};

/// A movement to be recorded.
#[derive(Debug, Clone)]
pub struct NewMovement {
    /// Of which product.
    pub product_id: i64,
    /// Where.
    pub location_id: i64,
    /// Of which batch; a product that tracks batches needs one.
    pub batch_id: Option<i64>,
    /// What happens.
    pub kind: MovementKind,
    /// How many. The kind says whether they come or leave; of an adjustment the sign does; of a count it is what is there.
    pub quantity: Decimal,
    /// What one cost, where it is known.
    pub unit_cost: Option<Decimal>,
    /// What it is worth in all: of a landed cost and a revaluation, which move nothing.
    pub amount: Option<Decimal>,
    /// When it happened, if not now.
    pub effective_at: Option<DateTime<Utc>>,
    /// What causes it: the same cause records a movement of the same kind once.
    pub source: Source,
    /// What it belongs to: the other half of a transfer, the receipt of a landed cost.
    pub related_movement_id: Option<i64>,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// Who does it.
    pub user_id: Option<i64>,
}

impl NewMovement {
    /// A movement with what every movement has.
    pub fn new(
        kind: MovementKind,
        product_id: i64,
        location_id: i64,
        quantity: Decimal,
        source: Source,
    ) -> Self {
        Self {
            product_id,
            location_id,
            batch_id: None,
            kind,
            quantity,
            unit_cost: None,
            amount: None,
            effective_at: None,
            source,
            related_movement_id: None,
            reason: None,
            user_id: None,
        }
    }

    /// Of a batch.
    pub fn batch(mut self, batch_id: impl Into<Option<i64>>) -> Self {
        self.batch_id = batch_id.into();
        self
    }

    /// With what one cost.
    pub fn unit_cost(mut self, unit_cost: impl Into<Option<Decimal>>) -> Self {
        self.unit_cost = unit_cost.into();
        self
    }

    /// At another time than now.
    pub fn effective_at(mut self, at: impl Into<Option<DateTime<Utc>>>) -> Self {
        self.effective_at = at.into();
        self
    }

    /// By a user.
    pub fn user(mut self, user_id: impl Into<Option<i64>>) -> Self {
        self.user_id = user_id.into();
        self
    }
}

/// What became of a movement that was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded now.
    Now {
        /// Its number inside the database.
        movement_id: i64,
        /// Its place among the movements of its product.
        seq: i64,
        /// What it changed.
        quantity: Decimal,
        /// What is there afterwards, of this batch at this location.
        on_hand: Decimal,
    },
    /// The same cause had recorded it before: nothing was changed.
    Before {
        /// The movement that is there.
        movement_id: i64,
    },
}

impl Recorded {
    /// The movement's number inside the database.
    pub fn movement_id(self) -> i64 {
        match self {
            Self::Now { movement_id, .. } | Self::Before { movement_id } => movement_id,
        }
    }

    /// Whether it is recorded now and was not before.
    pub fn is_new(self) -> bool {
        matches!(self, Self::Now { .. })
    }
}
