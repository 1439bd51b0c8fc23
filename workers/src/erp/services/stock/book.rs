//! What movements do to levels. Pure: the ledgers are locked, so what was read stays true until it is written.

use std::collections::HashMap;

use rust_decimal::Decimal;

use crate::erp::store::stock::levels::Level;
use crate::erp::store::stock::terms::Negative;
use crate::erp::store::stock::{MovementKind, Pool, plain};

/// What fits the columns of quantities.
const LARGEST_LEVEL: i64 = 999_999_999_999;

/// The levels of some pools, and which of them have changed.
#[derive(Debug, Default)]
pub(super) struct Book {
    levels: HashMap<Pool, Level>,
    changed: Vec<Pool>,
}

/// What a movement does to its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// What it changes.
    pub(super) quantity: Decimal,
    /// What is there afterwards.
    pub(super) on_hand: Decimal,
}

impl Book {
    pub(super) fn new(levels: Vec<Level>) -> Self {
        let levels = levels.into_iter().map(|level| (level.pool, level)).collect();
        Self { levels, changed: Vec::new() }
    }

    pub(super) fn level(&self, pool: Pool) -> Level {
        self.levels.get(&pool).copied().unwrap_or_else(|| Level::empty(pool))
    }

    /// What a movement would do, or why it may not.
    pub(super) fn weigh(
        &self,
        pool: Pool,
        kind: MovementKind,
        quantity: Decimal,
        negative: Negative,
    ) -> Result<Entry, String> {
        self.weigh_change(pool, change(kind, quantity, self.level(pool).on_hand), negative)
    }

    /// The same for a change whose sign is known.
    pub(super) fn weigh_change(
        &self,
        pool: Pool,
        quantity: Decimal,
        negative: Negative,
    ) -> Result<Entry, String> {
        let before = self.level(pool).on_hand;
        let on_hand = plain(before + quantity);
        let below = |number: Decimal| number.is_sign_negative() && !number.is_zero();
        if negative == Negative::Forbid && below(quantity) && below(on_hand) {
            return Err(format!("only {before} are there, and the stock must not fall below 0"));
        }
        if on_hand.abs() > Decimal::from(LARGEST_LEVEL) {
            return Err(format!("the stock would be {on_hand}; {LARGEST_LEVEL} is the most"));
        }
        Ok(Entry { quantity: plain(quantity), on_hand })
    }

    /// Enters what was weighed.
    pub(super) fn enter(&mut self, pool: Pool, entry: Entry) {
        let level = self.levels.entry(pool).or_insert_with(|| Level::empty(pool));
        level.on_hand = entry.on_hand;
        if !self.changed.contains(&pool) {
            self.changed.push(pool);
        }
    }

    /// The levels that have changed.
    pub(super) fn changed(&self) -> Vec<Level> {
        self.changed.iter().map(|pool| self.level(*pool)).collect()
    }
}

/// What a movement of this kind changes where so many are there.
pub(super) fn change(kind: MovementKind, quantity: Decimal, on_hand: Decimal) -> Decimal {
    match kind {
        MovementKind::Receipt | MovementKind::ReturnIn | MovementKind::TransferIn => quantity,
        MovementKind::Sale | MovementKind::ReturnOut | MovementKind::TransferOut => -quantity,
        MovementKind::Adjust => quantity,
        MovementKind::Count => quantity - on_hand,
        MovementKind::LandedCost | MovementKind::Revalue => Decimal::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: Pool = Pool { product_id: 1, location_id: 1, batch_id: None };

    fn enter(
        book: &mut Book,
        kind: MovementKind,
        quantity: i64,
        negative: Negative,
    ) -> Result<Entry, String> {
        let entry = book.weigh(POOL, kind, quantity.into(), negative)?;
        book.enter(POOL, entry);
        Ok(entry)
    }

    #[test]
    fn the_kind_says_whether_goods_come_or_leave_and_a_count_says_what_is_there() {
        let mut book = Book::default();
        let mut after = |kind, quantity| {
            let entry = enter(&mut book, kind, quantity, Negative::Alert).unwrap();
            (entry.quantity.to_string(), entry.on_hand.to_string())
        };
        assert_eq!(after(MovementKind::Receipt, 10), ("10".into(), "10".into()));
        assert_eq!(after(MovementKind::Sale, 4), ("-4".into(), "6".into()));
        assert_eq!(after(MovementKind::ReturnIn, 1), ("1".into(), "7".into()));
        assert_eq!(after(MovementKind::Adjust, -2), ("-2".into(), "5".into()));
        assert_eq!(after(MovementKind::Count, 3), ("-2".into(), "3".into()));
        assert_eq!(after(MovementKind::Count, 3), ("0".into(), "3".into()));
        assert_eq!(after(MovementKind::Revalue, 0), ("0".into(), "3".into()));
        assert_eq!(after(MovementKind::TransferOut, 3), ("-3".into(), "0".into()));
    }

    #[test]
    fn what_would_fall_below_nothing_is_refused_only_where_that_is_forbidden() {
        let mut book = Book::default();
        let why = enter(&mut book, MovementKind::Sale, 1, Negative::Forbid).unwrap_err();
        assert_eq!(why, "only 0 are there, and the stock must not fall below 0");
        assert!(book.changed().is_empty());
        assert!(enter(&mut book, MovementKind::Sale, 5, Negative::Allow).is_ok());
        // What comes in is welcome, though it does not suffice.
        assert!(enter(&mut book, MovementKind::Receipt, 2, Negative::Forbid).is_ok());
        assert_eq!(book.level(POOL).on_hand, Decimal::from(-3));
    }

    #[test]
    fn a_level_that_does_not_fit_its_column_is_refused() {
        let mut book = Book::default();
        let most = Decimal::from(LARGEST_LEVEL);
        assert!(book.weigh(POOL, MovementKind::Count, most, Negative::Alert).is_ok());
        let entry = book.weigh(POOL, MovementKind::Count, most, Negative::Alert).unwrap();
        book.enter(POOL, entry);
        assert!(book.weigh(POOL, MovementKind::Receipt, Decimal::ONE, Negative::Alert).is_err());
    }
}
