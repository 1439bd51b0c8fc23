//! What the replay takes: movements, and how they are valued.

use std::fmt;
use std::str::FromStr;

use fairlane::{Error, Result};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// How the cost of what leaves is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// What came first leaves first, at its own cost.
    Fifo,
    /// What leaves costs the average of what is there.
    Average,
}

/// What one pool of stock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All of a product.
    #[default]
    Product,
    /// What lies at one location.
    Location,
    /// One batch, wherever it lies.
    Batch,
    /// One batch at one location.
    LocationBatch,
}

macro_rules! words {
    ($type:ty, $what:literal, $($variant:ident => $word:literal),+) => {
        impl $type {
            /// The word in the database and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(word: &str) -> Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(Error::Invalid {
                        what: format!(concat!("the ", $what, " \"{}\""), word),
                        why: concat!("it must be one of", $(" ", $word),+).into(),
                    }),
                }
            }
        }
    };
}

words!(Method, "method", Fifo => "fifo", Average => "average");
words!(Scope, "scope", Product => "product", Location => "location", Batch => "batch", LocationBatch => "location_batch");

/// Where a movement happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Place {
    /// At which location.
    pub location: i64,
    /// Of which batch.
    pub batch: Option<i64>,
}

/// A pool of stock: of one location or all, of one batch or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct PoolKey {
    /// The location, where the scope divides by it.
    pub location: Option<i64>,
    /// The batch, where the scope divides by it and there is one.
    pub batch: Option<i64>,
}

impl Scope {
    /// The pool a place belongs to.
    pub fn pool(self, place: Place) -> PoolKey {
        let by_location = matches!(self, Self::Location | Self::LocationBatch);
        let by_batch = matches!(self, Self::Batch | Self::LocationBatch);
        PoolKey { location: by_location.then_some(place.location), batch: place.batch.filter(|_| by_batch) }
    }
}

/// How a product is valued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How the cost of what leaves is found.
    pub method: Method,
    /// What one pool is.
    pub scope: Scope,
    /// Decimals of the currency.
    pub currency_decimals: u32,
    /// Decimals of quantities, at most 6: what is less than half of the last one is nothing.
    pub quantity_decimals: u32,
    /// What one costs where nothing better is known.
    pub standard_cost: Option<Decimal>,
}

impl Terms {
    /// By this method and scope, in a currency with cents.
    pub fn new(method: Method, scope: Scope) -> Self {
        Self { method, scope, currency_decimals: 2, quantity_decimals: 6, standard_cost: None }
    }
}

/// What a count says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// So many are there.
    To(Decimal),
    /// So many more (or, negative, fewer) than were there when it was recorded.
    By(Decimal),
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Goods arrive.
    Receipt,
    /// Goods leave.
    Issue,
    /// What has left by the movement named comes back, at the cost it left with.
    ReturnIn,
    /// What came by the movement named goes back: its layer first.
    ReturnOut,
    /// Goods leave for another place.
    TransferOut,
    /// The goods of the transfer named arrive.
    TransferIn,
    /// Somebody counted.
    Count(Counted),
    /// A correction; of the movement named, where one is.
    Adjust,
    /// A cost of the receipt named.
    LandedCost,
    /// The pool is worth so much more.
    Revalue,
}

/// A movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// When it happened, in microseconds since 1970.
    pub at: i64,
    /// Where.
    pub place: Place,
    /// What happens.
    pub step: Step,
    /// How many come or, negative, leave; nothing of counts, costs and revaluations.
    pub quantity: Decimal,
    /// What one costs, where that is known.
    pub unit_cost: Option<Decimal>,
    /// What a cost or revaluation comes to.
    pub amount: Option<Decimal>,
    /// The movement it belongs to.
    pub of: Option<i64>,
}
