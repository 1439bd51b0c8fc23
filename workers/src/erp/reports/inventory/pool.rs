//! A product at a place: what came and went of it, and how old what is left is.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use crate::erp::reports::error::Result;
use crate::erp::reports::exact::add;
use crate::erp::store::report_rows::stock::Moved;

/// The last days of the first three steps of ageing.
const AGES: [i64; 3] = [30, 60, 90];
/// A batch expires soon that ends within so many days.
const SOON: i64 = 30;

/// A product at a location, of a batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    pub(super) opening: Decimal,
    pub(super) incoming: Decimal,
    pub(super) outgoing: Decimal,
    pub(super) adjusted: Decimal,
    pub(super) opening_value: Option<Decimal>,
    pub(super) closing_value: Option<Decimal>,
    /// What is left of what came, the oldest first.
    layers: VecDeque<(NaiveDate, Decimal)>,
    /// What went beyond what had come.
    owed: Decimal,
    pub(super) last_out: Option<NaiveDate>,
}

impl Pool {
    pub(super) fn unmoved() -> Self {
        Self { opening_value: Some(Decimal::ZERO), closing_value: Some(Decimal::ZERO), ..Self::default() }
    }

    pub(super) fn closing(&self) -> Decimal {
        self.opening + self.incoming + self.outgoing + self.adjusted
    }

    /// What is there; what is below nothing is not.
    pub(super) fn there(&self) -> Decimal {
        self.closing().max(Decimal::ZERO)
    }

    /// What is there and expires soon, or has expired: all of it, or nothing.
    pub(super) fn expiring(&self, expires: Option<NaiveDate>, to: NaiveDate) -> Decimal {
        let soon = expires.is_some_and(|end| (end - to).num_days() <= SOON);
        if soon { self.there() } else { Decimal::ZERO }
    }

    /// What is there of something of which nothing has left since a day: all of it, or nothing.
    pub(super) fn dead(&self, from: NaiveDate) -> Decimal {
        let dead = self.last_out.is_none_or(|day| day < from);
        if dead { self.there() } else { Decimal::ZERO }
    }

    /// What is missing to nothing.
    pub(super) fn missing(&self) -> Decimal {
        (-self.closing()).max(Decimal::ZERO)
    }

    pub(super) fn take(&mut self, moved: &Moved, day: NaiveDate, start: DateTime<Utc>) -> Result<()> {
        let before = moved.at < start;
        let column = match moved.kind.as_str() {
            _ if before => &mut self.opening,
            "adjust" | "count" => &mut self.adjusted,
            "sale" | "return_out" | "transfer_out" => &mut self.outgoing,
            _ => &mut self.incoming,
        };
        add(column, moved.quantity)?;
        let valued = |sum: Option<Decimal>| match (sum, moved.value) {
            (Some(sum), Some(value)) => sum.checked_add(value),
            _ => None,
        };
        self.closing_value = valued(self.closing_value);
        if before {
            self.opening_value = valued(self.opening_value);
        }
        if matches!(moved.kind.as_str(), "sale" | "return_out") && moved.quantity.is_sign_negative() {
            self.last_out = self.last_out.max(Some(day));
        }
        self.age(moved.quantity, day)
    }

    /// What goes is taken from the oldest.
    fn age(&mut self, quantity: Decimal, day: NaiveDate) -> Result<()> {
        if quantity.is_sign_positive() {
            let settled = quantity.min(self.owed);
            self.owed -= settled;
            let left = quantity - settled;
            match self.layers.back_mut() {
                _ if left.is_zero() => {}
                Some((last, there)) if *last == day => add(there, left)?,
                _ => self.layers.push_back((day, left)),
            }
            return Ok(());
        }
        let mut going = -quantity;
        while let Some((_, there)) = self.layers.front_mut() {
            let taken = going.min(*there);
            (*there, going) = (*there - taken, going - taken);
            if !there.is_zero() {
                break;
            }
            self.layers.pop_front();
            if going.is_zero() {
                break;
            }
        }
        add(&mut self.owed, going)
    }

    /// What is there by age, the youngest first.
    pub(super) fn ages(&self, to: NaiveDate) -> [Decimal; 4] {
        let mut ages = [Decimal::ZERO; 4];
        for (day, quantity) in &self.layers {
            let days = (to - *day).num_days();
            let step = AGES.iter().position(|last| days <= *last).unwrap_or(AGES.len());
            if let Some(age) = ages.get_mut(step) {
                *age += *quantity;
            }
        }
        // What is owed was taken before it came: it is not there.
        if let Some(youngest) = ages.first_mut() {
            *youngest -= self.owed;
        }
        ages
    }
}

/// The pools of a product, by location and batch.
pub(super) type Pools = BTreeMap<(i64, Option<i64>), Pool>;

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_oldest_goes_first_and_what_went_too_early_is_taken_from_what_comes_next() {
        let mut pool = Pool::unmoved();
        for (quantity, date) in
            [(5, "2026-01-01"), (5, "2026-02-01"), (-7, "2026-02-02"), (-4, "2026-02-03"), (3, "2026-03-30")]
        {
            pool.age(Decimal::from(quantity), day(date)).unwrap();
        }
        assert_eq!(pool.ages(day("2026-03-31")).map(|age| age.normalize().to_string()), ["2", "0", "0", "0"]);
        pool.age(Decimal::from(4), day("2026-01-15")).unwrap();
        assert_eq!(pool.ages(day("2026-03-31")).map(|age| age.normalize().to_string()), ["2", "0", "4", "0"]);
    }
}
