//! What reports are made of, read a page after the other: each page begins behind the last row of the one before.
//!
//! Pages are limited by documents; the lines of a page are handed on one by one. Amounts are summed in code: SQLite's sums
//! of decimals are not exact.

pub mod billing;
pub mod customers;
pub mod purchases;
pub mod sales;
pub mod stock;

use chrono::{DateTime, Utc};
use fairlane::db::Row;
use fairlane::{Error, Result};

/// From a point in time (in it) to another one (not in it), of documents in one currency.
#[derive(Debug, Clone)]
pub struct Window {
    /// The first instant.
    pub start: DateTime<Utc>,
    /// The first instant behind it.
    pub end: DateTime<Utc>,
    /// The currency (ISO 4217).
    pub currency: String,
}

/// A place in documents that are ordered by time: what follows is behind it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The time of the last document.
    pub at: DateTime<Utc>,
    /// Its number.
    pub id: i64,
}

impl Place {
    /// Before everything in a window.
    pub fn before(window: &Window) -> Self {
        Self { at: window.start, id: 0 }
    }
}

/// Takes rows one by one.
pub type Each<'e, T, E> = &'e mut (dyn FnMut(T) -> Result<(), E> + Send);

fn number(row: &Row, column: &str) -> Result<i64> {
    row.get::<Option<i64>>(column).map(Option::unwrap_or_default)
}

fn numbered(text: &str, column: &str) -> Result<i64> {
    text.parse().map_err(|_| Error::Damaged(format!("{column}: \"{text}\" is no number")))
}
