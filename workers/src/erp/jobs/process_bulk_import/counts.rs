//! How many rows became what, and the checkpoint that remembers it.

use serde::{Deserialize, Serialize};

use super::tabular::Position;

/// How many rows of a file became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows behind the header, blank ones not counted.
    pub total: u64,
    /// New records.
    pub created: u64,
    /// Changed records.
    pub updated: u64,
    /// Rows that say what was stored already.
    pub unchanged: u64,
    /// Rows left out on purpose.
    pub skipped: u64,
    /// Rows refused.
    pub failed: u64,
    /// Blank records between the rows.
    pub blank: u64,
}

impl Counts {
    /// Rows that are stored as the file says.
    pub fn imported(&self) -> u64 {
        self.created + self.updated + self.unchanged
    }

    /// Whether every row became exactly one thing.
    pub fn add_up(&self) -> bool {
        self.total == self.imported() + self.skipped + self.failed
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.skipped += other.skipped;
        self.failed += other.failed;
    }
}

/// Everything a later attempt needs to go on as if nothing had happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint<M> {
    /// Where the next row starts; `None` at the beginning of the file.
    pub position: Option<Position>,
    /// What the rows before it became.
    pub counts: Counts,
    /// What the import type remembers of the rows before it.
    pub memory: M,
}
