//! The rows of a report: spooled into a file while they are read, so that totals are known before the first row is
//! written and memory does not grow with them.
//!
//! A total is the sum of the cells that passed by, and nothing else: it can't differ from what is printed above it. One
//! empty cell makes the total empty, because the sum of what is known is not the sum. A cell for which there is nothing to be
//! known (the cost of goods of a service) is printed as an empty one and does no such thing.

mod cell;
mod column;
mod ratio;
mod spool;

pub use cell::Cell;
pub use column::{Column, Kind, Total};
pub(crate) use ratio::{percent, quotient};
pub use spool::{Spool, Spooled};
