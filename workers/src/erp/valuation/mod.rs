//! What the stock is worth: movements become layers, values and balances. Pure; no database in it.
//!
//! ```text
//! entry.rs    a movement as the replay takes it, and how it is valued: method, scope, decimals
//! fixed.rs    numbers: whole millionths of a piece, whole units of the currency, ratios rounded once
//! pool.rs     one pool of stock: its layers, and what has left it before it came
//! ledger.rs   the replay: entry by entry, ordered by (effective time, seq)
//! steps.rs    what each kind of movement does
//! records.rs  what each movement is worth
//! figures.rs  what is told of a pool: quantity, value, average cost, layers
//! ageing.rs   how long the stock has been there
//! queue.rs    the bare queue of quantities and rates, first in first out or last in first out
//! ```
//!
//! The rules, and what was chosen where systems differ: docs/ERP.md, "What the stock is worth".

pub mod ageing;
mod entry;
mod figures;
mod fixed;
mod ledger;
mod pool;
pub mod queue;
mod records;
mod steps;

pub use entry::{Counted, Entry, Method, Place, PoolKey, Scope, Step, Terms};
pub use figures::{LayerFigures, MovementValue, PoolFigures};
pub use fixed::ValuationError;
pub use ledger::{Ledger, Snapshot};
