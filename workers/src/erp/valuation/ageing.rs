//! How long the stock has been there: what comes makes a slot, what leaves takes from the oldest.

use std::collections::VecDeque;

use chrono::NaiveDate;
use rust_decimal::Decimal;

/// Last days of all buckets but the last: 0-30, 31-60, 61-90, more.
pub const RANGES: [i64; 3] = [30, 60, 90];

/// Goods of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Since when they are there.
    pub since: NaiveDate,
    /// How many; fewer than nothing where more left than came.
    pub quantity: Decimal,
    /// What they are worth.
    pub value: Decimal,
}

/// The slots of a product, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    slots: VecDeque<Slot>,
}

impl Slots {
    /// The slots, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// How many there are.
    pub fn quantity(&self) -> Decimal {
        self.slots.iter().map(|slot| slot.quantity).sum()
    }

    /// Goods come or, with a negative quantity, leave.
    pub fn moves(&mut self, quantity: Decimal, value: Decimal, on: NaiveDate) {
        let (mut quantity, mut value) = (quantity, value);
        // The first slot has the other sign: goods that leave, or that stand in for what left before.
        while let Some(first) = self.slots.front_mut()
            && !quantity.is_zero()
            && first.quantity.is_sign_negative() != quantity.is_sign_negative()
        {
            if first.quantity.abs() > quantity.abs() {
                let part = first.value * quantity / first.quantity;
                first.quantity += quantity;
                first.value += part;
                return;
            }
            let part = value * first.quantity / quantity;
            (quantity, value) = (quantity + first.quantity, value + part);
            self.slots.pop_front();
        }
        if !quantity.is_zero() {
            self.slots.push_back(Slot { since: on, quantity, value });
        }
    }

    /// So many are there: the difference comes or leaves, at no value of its own.
    pub fn count(&mut self, quantity: Decimal, on: NaiveDate) {
        self.moves(quantity - self.quantity(), Decimal::ZERO, on);
    }

    /// Quantity and value by age in days on a day: up to each end of `ranges`, and beyond the last.
    pub fn buckets(&self, as_of: NaiveDate, ranges: &[i64]) -> Vec<(Decimal, Decimal)> {
        let mut buckets = vec![(Decimal::ZERO, Decimal::ZERO); ranges.len() + 1];
        for slot in &self.slots {
            let bucket = &mut buckets[bucket(as_of, slot.since, ranges)];
            bucket.0 += slot.quantity;
            bucket.1 += slot.value;
        }
        buckets
    }
}

/// Which bucket goods that came on a day are in.
pub fn bucket(as_of: NaiveDate, since: NaiveDate, ranges: &[i64]) -> usize {
    let days = (as_of - since).num_days();
    ranges.iter().position(|last| days <= *last).unwrap_or(ranges.len())
}
