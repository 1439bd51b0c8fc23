//! An order was delivered: its goods leave the stock.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use fairlane::db::Conn;
use fairlane::{Result, Tenant, Transaction};
use rust_decimal::Decimal;

use super::lots::lock;
use super::reserve::release;
use super::{MovementKind, NewMovement, Source, record_all};
use crate::erp::events::{DeliveredLine, OrderFulfilled};
use crate::erp::store::stock::levels::Level;
use crate::erp::store::stock::{levels, movements, reservations, sites};
use crate::erp::store::{batches, profiles};

/// Records the sale movements of a delivered order and ends its reservations; a line that has its movements is left
/// alone. A line without a batch is taken from those that expire first, of those that are still good on the day; what other
/// orders hold back of a batch is taken last. The bins of where a line comes from are a part of it.
pub async fn deliver(tx: &mut Transaction, tenant: &Tenant, event: &OrderFulfilled) -> Result<()> {
    let id = tenant.id().await?;
    let mut products: Vec<i64> = event.lines.iter().map(|line| line.product_id).collect();
    let held = reservations::of_order(&mut tx.conn(), id, event.order_id).await?;
    products.extend(super::reserve::products(&held));
    lock(tx, tenant, &products).await?;
    release(tx, tenant, event.order_id).await?;
    let conn = &mut tx.conn();
    let order = event.order_id.to_string();
    let done: HashSet<i64> =
        movements::of_source(conn, id, "order", &order).await?.iter().map(|done| done.source.line).collect();
    let mut lines: Vec<&DeliveredLine> =
        event.lines.iter().filter(|line| !done.contains(&line.line_no)).collect();
    // Who names a batch takes it before the order's other lines help themselves.
    lines.sort_by_key(|line| line.batch_id.is_none());
    let day = profiles::find(conn, id).await?.day(event.fulfilled_at);
    let mut shelves = Shelves::read(conn, id, &lines).await?;
    let mut sales = Vec::new();
    for line in lines {
        for (part, taken) in (0..).zip(shelves.take(line, day)) {
            let source = Source::new("order", &order).line(line.line_no).part(part);
            let (product, quantity) = (line.product_id, taken.quantity);
            let sale = NewMovement::new(MovementKind::Sale, product, taken.location, quantity, source);
            sales.push(sale.batch(taken.batch).effective_at(event.fulfilled_at).user(event.user_id));
        }
    }
    record_all(tx, tenant, &sales).await?;
    Ok(())
}

/// A pile of one batch, or of goods without one, at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pile {
    location: i64,
    batch: Option<i64>,
    expires_on: Option<NaiveDate>,
    /// What nobody holds back.
    free: Decimal,
    /// What other orders hold back of this batch: this one's is given back before.
    held: Decimal,
}

impl Pile {
    fn new(expires_on: Option<NaiveDate>, level: &Level) -> Self {
        let (location, batch) = (level.pool.location_id, level.pool.batch_id);
        // What is held back without a batch is held back of none.
        let reserved = if batch.is_some() { level.reserved } else { Decimal::ZERO };
        let held = reserved.min(level.on_hand).max(Decimal::ZERO);
        Self { location, batch, expires_on, free: level.on_hand - held, held }
    }

    fn free(&mut self) -> &mut Decimal {
        &mut self.free
    }

    fn held(&mut self) -> &mut Decimal {
        &mut self.held
    }
}

/// What is taken from one pile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    location: i64,
    batch: Option<i64>,
    quantity: Decimal,
}

/// What lies where, and in which batch more than there is would be missing.
#[derive(Debug, Default)]
struct Shelves {
    /// By product.
    piles: HashMap<i64, Vec<Pile>>,
    /// The locations that lines come from, with the bins in them.
    within: HashMap<i64, Vec<i64>>,
    newest: HashMap<i64, i64>,
}

impl Shelves {
    async fn read(conn: &mut Conn<'_>, tenant: i64, lines: &[&DeliveredLine]) -> Result<Self> {
        let products: Vec<i64> = lines.iter().map(|line| line.product_id).collect();
        let locations: Vec<i64> = lines.iter().map(|line| line.location_id).collect();
        let within = sites::within(conn, tenant, &locations).await?;
        let parts: Vec<i64> = within.values().flatten().copied().collect();
        let levels = levels::at(conn, tenant, &products, &parts).await?;
        let here: Vec<i64> = levels.iter().filter_map(|level| level.pool.batch_id).collect();
        let days: HashMap<i64, Option<NaiveDate>> = batches::find(conn, tenant, &here)
            .await?
            .into_iter()
            .map(|batch| (batch.id, batch.expires_on))
            .collect();
        let mut shelves = Self { within, ..Self::default() };
        for level in levels.iter().filter(|level| level.on_hand > Decimal::ZERO) {
            let expires_on = level.pool.batch_id.and_then(|batch| days.get(&batch).copied().flatten());
            shelves.piles.entry(level.pool.product_id).or_default().push(Pile::new(expires_on, level));
        }
        levels.iter().for_each(|level| shelves.hold(level));
        shelves.newest = batches::newest_of_tracked(conn, tenant, &products).await?;
        Ok(shelves)
    }

    /// Holds back in the bins of a place what is held back of a batch at the place and does not lie there itself.
    fn hold(&mut self, level: &Level) {
        let Some(parts) = self.within.get(&level.pool.location_id).filter(|_| level.pool.batch_id.is_some())
        else {
            return;
        };
        let mut beyond = level.reserved - level.on_hand.max(Decimal::ZERO);
        for pile in self.piles.entry(level.pool.product_id).or_default() {
            let is_bin = pile.location != level.pool.location_id && parts.contains(&pile.location);
            if is_bin && pile.batch == level.pool.batch_id && beyond > Decimal::ZERO {
                let part = pile.free.min(beyond);
                pile.free -= part;
                pile.held += part;
                beyond -= part;
            }
        }
    }

    /// Takes what a line needs: from which piles, how many of each.
    fn take(&mut self, line: &DeliveredLine, day: NaiveDate) -> Vec<Taken> {
        let piles = self.piles.entry(line.product_id).or_default();
        piles.sort_by_key(|pile| {
            (order(pile, day), pile.location != line.location_id, pile.location, pile.batch)
        });
        let parts = self.within.get(&line.location_id);
        let here = |location: i64| {
            location == line.location_id || parts.is_some_and(|parts| parts.contains(&location))
        };
        let mut taken = Vec::new();
        let mut missing = line.quantity;
        for share in [Pile::free, Pile::held] {
            for pile in piles.iter_mut() {
                if !here(pile.location) || line.batch_id.is_some_and(|batch| pile.batch != Some(batch)) {
                    continue;
                }
                let part = (*share(pile)).min(missing);
                if part > Decimal::ZERO {
                    *share(pile) -= part;
                    missing -= part;
                    add(&mut taken, Taken { location: pile.location, batch: pile.batch, quantity: part });
                }
            }
        }
        if missing > Decimal::ZERO {
            match taken.last_mut() {
                Some(last) => last.quantity += missing,
                None => {
                    let batch = line.batch_id.or_else(|| self.newest.get(&line.product_id).copied());
                    taken.push(Taken { location: line.location_id, batch, quantity: missing });
                }
            }
        }
        taken
    }
}

/// A pile is one part of a line, however it was put together.
fn add(taken: &mut Vec<Taken>, part: Taken) {
    match taken.iter_mut().find(|other| (other.location, other.batch) == (part.location, part.batch)) {
        Some(same) => same.quantity += part.quantity,
        None => taken.push(part),
    }
}

/// What is still good before what is not, the earliest last day first, what lasts for ever behind that.
fn order(pile: &Pile, day: NaiveDate) -> (bool, Reverse<bool>, Option<NaiveDate>) {
    let over = pile.expires_on.is_some_and(|last| last < day);
    (over, Reverse(pile.expires_on.is_some()), pile.expires_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn shelves() -> Shelves {
        let pile = |batch, expires_on: &str, left: i64| Pile {
            location: 1,
            batch: Some(batch),
            expires_on: (!expires_on.is_empty()).then(|| day(expires_on)),
            free: left.into(),
            held: Decimal::ZERO,
        };
        let piles = vec![
            pile(1, "", 10),
            pile(2, "2026-12-31", 3),
            pile(3, "2026-06-30", 4),
            pile(4, "2026-01-31", 9),
        ];
        Shelves {
            piles: HashMap::from([(1, piles)]),
            within: HashMap::from([(1, vec![1, 11, 12])]),
            newest: HashMap::from([(2, 77)]),
        }
    }

    fn take(shelves: &mut Shelves, product: i64, batch: Option<i64>, quantity: i64) -> Vec<(i64, i64)> {
        let line = DeliveredLine {
            line_no: 1,
            product_id: product,
            sku: "T".into(),
            quantity: quantity.into(),
            location_id: 1,
            batch_id: batch,
        };
        let whole = |part: Decimal| part.to_string().parse().unwrap();
        let taken = shelves.take(&line, day("2026-03-01"));
        taken.into_iter().map(|part| (part.batch.unwrap_or_default(), whole(part.quantity))).collect()
    }

    #[test]
    fn a_line_takes_what_expires_first_and_what_is_over_last() {
        let mut shelves = shelves();
        assert_eq!(take(&mut shelves, 1, None, 5), [(3, 4), (2, 1)]);
        assert_eq!(take(&mut shelves, 1, None, 13), [(2, 2), (1, 10), (4, 1)]);
    }

    #[test]
    fn bins_are_a_part_of_where_a_line_comes_from_and_come_behind_it_unless_they_expire_before() {
        let mut shelves = shelves();
        let pile = |location, batch, expires_on, left: i64| Pile {
            location,
            batch,
            expires_on,
            free: left.into(),
            held: Decimal::ZERO,
        };
        let piles = vec![
            pile(12, None, None, 4),
            pile(1, None, None, 2),
            pile(11, Some(5), Some(day("2026-05-31")), 3),
            pile(99, None, None, 100),
        ];
        shelves.piles.insert(4, piles);
        let line = |location_id, quantity: i64| DeliveredLine {
            line_no: 1,
            product_id: 4,
            sku: "T".into(),
            quantity: quantity.into(),
            location_id,
            batch_id: None,
        };
        let taken = shelves.take(&line(1, 6), day("2026-03-01"));
        assert_eq!(taken.iter().map(|part| part.location).collect::<Vec<_>>(), [11, 1, 12]);
        let taken = shelves.take(&line(12, 2), day("2026-03-01"));
        assert_eq!(
            taken.iter().map(|part| (part.location, part.quantity)).collect::<Vec<_>>(),
            [(12, 2.into())]
        );
    }

    #[test]
    fn a_line_that_names_its_batch_takes_that_one_whatever_is_left_of_it() {
        let mut shelves = shelves();
        assert_eq!(take(&mut shelves, 1, Some(2), 5), [(2, 5)]);
        assert_eq!(take(&mut shelves, 1, Some(9), 2), [(9, 2)]);
    }

    #[test]
    fn what_another_order_holds_back_of_a_batch_is_taken_when_nothing_else_is_left() {
        let mut shelves = shelves();
        for pile in shelves.piles.get_mut(&1).unwrap().iter_mut().filter(|pile| pile.batch == Some(3)) {
            (pile.free, pile.held) = (1.into(), 3.into());
        }
        assert_eq!(take(&mut shelves, 1, None, 5), [(3, 1), (2, 3), (1, 1)]);
        assert_eq!(take(&mut shelves, 1, None, 19), [(1, 9), (4, 9), (3, 1)]);
    }

    #[test]
    fn what_is_missing_is_missing_of_the_last_batch_or_of_the_newest() {
        let mut shelves = shelves();
        assert_eq!(take(&mut shelves, 1, None, 30), [(3, 4), (2, 3), (1, 10), (4, 13)]);
        assert_eq!(take(&mut shelves, 2, None, 2), [(77, 2)]);
        assert_eq!(take(&mut shelves, 3, None, 2), [(0, 2)]);
    }
}
