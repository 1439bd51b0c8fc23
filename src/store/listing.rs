//! Pages of rows for people: a row that can't be read is named, and never hides the others.

use crate::db::Row;
use crate::error::Result;

/// A page of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// The rows that could be read.
    pub rows: Vec<T>,
    /// The rows that could not.
    pub damaged: Vec<DamagedRow>,
    /// Whether more rows may follow.
    pub more: bool,
}

/// A row that can't be read as what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRow {
    /// Its id, as it is stored.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a page whose statement names each row's id as text (`key`).
pub fn read_all<T>(rows: &[Row], limit: i64, read: impl Fn(&Row) -> Result<T>) -> Result<Listing<T>> {
    let mut listing = Listing { rows: Vec::new(), damaged: Vec::new(), more: rows.len() as i64 >= limit };
    for row in rows {
        match read(row) {
            Ok(read) => listing.rows.push(read),
            Err(why) => {
                let id = row.get("key").unwrap_or_else(|_| "(no text)".to_owned());
                listing.damaged.push(DamagedRow { id, why: why.to_string() });
            }
        }
    }
    Ok(listing)
}
