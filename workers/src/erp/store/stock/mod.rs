//! The stock: an append-only ledger of movements and what is computed from it.
//!
//! | file | tables |
//! |---|---|
//! | [`ledgers`] | `stock_ledgers`: who may record movements of a product now, and their numbers |
//! | [`movements`] | `stock_movements` |
//! | [`levels`] | `stock_levels` |
//! | [`reservations`] | `stock_reservations` |
//! | [`sites`] | `locations`: which of them are bins of the same warehouse |
//! | [`postings`] | `goods_receipts.posted_at` |
//! | [`referred`] | what movements refer to: products, locations, batches, users |
//! | [`terms`] | the stock's rules in `tenants.settings` |

pub mod ledgers;
pub mod levels;
pub mod movements;
pub mod postings;
pub mod referred;
pub mod reservations;
pub mod sites;
pub mod terms;

use std::fmt;

use chrono::{DateTime, Utc};
use fairlane::db::Row;
use fairlane::{Error, Result};
use rust_decimal::Decimal;
use serde::Serialize;

use super::words::words;

/// What kind of thing happened to the stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// Goods arrived.
    Receipt,
    /// Goods were delivered to a customer.
    Sale,
    /// A customer brought goods back.
    ReturnIn,
    /// Goods went back to a vendor.
    ReturnOut,
    /// Goods left for another location.
    TransferOut,
    /// Goods arrived from another location.
    TransferIn,
    /// Somebody counted what is there.
    Count,
    /// A correction without a count: broken, lost, found.
    Adjust,
    /// A cost that belongs to goods which arrived before: freight, customs.
    LandedCost,
    /// The goods are worth more or less than before.
    Revalue,
}

impl MovementKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Receipt,
        Self::Sale,
        Self::ReturnIn,
        Self::ReturnOut,
        Self::TransferOut,
        Self::TransferIn,
        Self::Count,
        Self::Adjust,
        Self::LandedCost,
        Self::Revalue,
    ];
}

words!(MovementKind, "kind of a stock movement",
    Receipt => "receipt", Sale => "sale", ReturnIn => "return_in", ReturnOut => "return_out",
    TransferOut => "transfer_out", TransferIn => "transfer_in", Count => "count", Adjust => "adjust",
    LandedCost => "landed_cost", Revalue => "revalue");

/// What caused a movement; together with the movement's kind it is unique in a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Source {
    /// `order`, `goods_receipt`, `import`, `manual` ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub id: String,
    /// Which line of it; 0 where it has none.
    pub line: i64,
    /// Counts the movements of one line that was taken from several batches.
    pub part: i64,
}

impl Source {
    /// A cause without lines.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into(), line: 0, part: 0 }
    }

    /// The same cause, with one of its lines.
    pub fn line(mut self, line: i64) -> Self {
        self.line = line;
        self
    }

    /// The same line, with one of its parts.
    pub fn part(mut self, part: i64) -> Self {
        self.part = part;
        self
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)?;
        if self.line != 0 {
            write!(f, " line {}", self.line)?;
        }
        if self.part != 0 {
            write!(f, " part {}", self.part)?;
        }
        Ok(())
    }
}

/// Where a quantity lies: of which product, at which location, of which batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Pool {
    /// The product.
    pub product_id: i64,
    /// The location.
    pub location_id: i64,
    /// The batch, where the stock has one.
    pub batch_id: Option<i64>,
}

impl Pool {
    pub(crate) fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            product_id: row.get("product_id")?,
            location_id: row.get("location_id")?,
            batch_id: row.get("batch_id")?,
        })
    }
}

/// A movement as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Movement {
    /// Its number inside the database.
    pub id: i64,
    /// Its place among the movements of its product, from 1 without gaps.
    pub seq: i64,
    /// Where it happened.
    #[serde(flatten)]
    pub pool: Pool,
    /// What happened.
    pub kind: MovementKind,
    /// How many came (or, negative, left); of a count, what it changed.
    pub quantity: Decimal,
    /// What one cost, where it is known.
    pub unit_cost: Option<Decimal>,
    /// What it is worth in all, where that is told and not computed.
    pub amount: Option<Decimal>,
    /// When it happened.
    pub effective_at: DateTime<Utc>,
    /// When it was written down.
    pub recorded_at: DateTime<Utc>,
    /// What caused it.
    pub source: Source,
    /// The other half of a transfer, or what a cost belongs to.
    pub related_movement_id: Option<i64>,
    /// The movement it takes back.
    pub reverses_id: Option<i64>,
    /// Why, as somebody wrote.
    pub reason: Option<String>,
    /// Who did it, where one is known.
    pub user_id: Option<i64>,
}

impl Movement {
    fn read(row: &Row) -> Result<Self> {
        let kind: String = row.get("kind")?;
        Ok(Self {
            id: row.get("id")?,
            seq: row.get("seq")?,
            pool: Pool::read(row)?,
            kind: kind.parse()?,
            quantity: plain(row.get("quantity")?),
            unit_cost: row.get::<Option<Decimal>>("unit_cost")?.map(plain),
            amount: row.get::<Option<Decimal>>("amount")?.map(plain),
            effective_at: row.get("effective_at")?,
            recorded_at: row.get("recorded_at")?,
            source: Source {
                kind: row.get("source_type")?,
                id: row.get("source_id")?,
                line: row.get("source_line")?,
                part: row.get("source_part")?,
            },
            related_movement_id: row.get("related_movement_id")?,
            reverses_id: row.get("reverses_id")?,
            reason: row.get("reason")?,
            user_id: row.get("user_id")?,
        })
    }
}

/// The same number on both databases: PostgreSQL fills a column's decimals with zeros.
pub(crate) fn plain(number: Decimal) -> Decimal {
    if number.is_zero() { Decimal::ZERO } else { number.normalize() }
}

/// Rows as SQLite takes a list of them: a JSON array.
pub(crate) fn json_rows<T: Serialize>(rows: &[T]) -> Result<String> {
    serde_json::to_string(rows)
        .map_err(|why| Error::Invalid { what: "a list of rows".into(), why: why.to_string() })
}
