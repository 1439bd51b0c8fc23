//! What each movement is worth.

use std::collections::HashMap;

/// What a movement has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: i64,
    /// How many came or, negative, left.
    pub(super) quantity: i128,
    /// By how much the stock is worth more.
    pub(super) value: i128,
    /// What of a cost belongs to goods that are gone.
    pub(super) expensed: i128,
    /// Of a count, the value of what it took out.
    pub(super) left: i128,
    /// How many of what left came back, and at what value.
    pub(super) returned: (i128, i128),
    /// Whether it is other than stored.
    pub(super) changed: bool,
}

impl Record {
    pub(super) fn new(id: i64, quantity: i128, value: i128) -> Self {
        Self { id, quantity, value, expensed: 0, left: 0, returned: (0, 0), changed: true }
    }
}

/// The movements of a replay, in its order.
#[derive(Debug, Default)]
pub(super) struct Records {
    rows: Vec<Record>,
    by_id: HashMap<i64, usize>,
}

impl Records {
    pub(super) fn add(&mut self, record: Record) {
        self.by_id.insert(record.id, self.rows.len());
        self.rows.push(record);
    }

    pub(super) fn get(&self, id: i64) -> Option<&Record> {
        self.by_id.get(&id).and_then(|at| self.rows.get(*at))
    }

    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut Record> {
        self.by_id.get(&id).and_then(|at| self.rows.get_mut(*at))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.rows.iter()
    }
}
