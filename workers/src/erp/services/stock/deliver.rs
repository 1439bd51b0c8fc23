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
use crate::erp::store::stock::{Pool, levels, movements, reservations};
use crate::erp::store::{batches, profiles};

/// Records the sale movements of a delivered order and ends its reservations; a line that has its movements is left
/// alone. A line without a batch is taken from those that expire first, of those that are still good on the day; what other
/// orders hold back of a batch is taken last.
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
        for (part, (batch, quantity)) in (0..).zip(shelves.take(line, day)) {
            let source = Source::new("order", &order).line(line.line_no).part(part);
            let sale =
                NewMovement::new(MovementKind::Sale, line.product_id, line.location_id, quantity, source);
            sales.push(sale.batch(batch).effective_at(event.fulfilled_at).user(event.user_id));
        }
    }
    record_all(tx, tenant, &sales).await?;
    Ok(())
}

/// A pile of one batch, or of goods without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pile {
    batch: Option<i64>,
    expires_on: Option<NaiveDate>,
    /// What nobody holds back.
    free: Decimal,
    /// What other orders hold back of this batch: this one's is given back before.
    held: Decimal,
}

impl Pile {
    fn new(batch: Option<i64>, expires_on: Option<NaiveDate>, level: &Level) -> Self {
        // What is held back without a batch is held back of none.
        let reserved = if batch.is_some() { level.reserved } else { Decimal::ZERO };
        let held = reserved.min(level.on_hand).max(Decimal::ZERO);
        Self { batch, expires_on, free: level.on_hand - held, held }
    }

    fn free(&mut self) -> &mut Decimal {
        &mut self.free
    }

    fn held(&mut self) -> &mut Decimal {
        &mut self.held
    }
}

/// What lies where, and in which batch more than there is would be missing.
#[derive(Debug, Default)]
struct Shelves {
    piles: HashMap<(i64, i64), Vec<Pile>>,
    newest: HashMap<i64, i64>,
}

impl Shelves {
    async fn read(conn: &mut Conn<'_>, tenant: i64, lines: &[&DeliveredLine]) -> Result<Self> {
        let products: Vec<i64> = lines.iter().map(|line| line.product_id).collect();
        let locations: Vec<i64> = lines.iter().map(|line| line.location_id).collect();
        let levels = levels::at(conn, tenant, &products, &locations).await?;
        let here: Vec<i64> = levels.iter().filter_map(|level| level.pool.batch_id).collect();
        let days: HashMap<i64, Option<NaiveDate>> = batches::find(conn, tenant, &here)
            .await?
            .into_iter()
            .map(|batch| (batch.id, batch.expires_on))
            .collect();
        let mut shelves = Self::default();
        for level in levels.iter().filter(|level| level.on_hand > Decimal::ZERO) {
            let Pool { product_id, location_id, batch_id: batch } = level.pool;
            let expires_on = batch.and_then(|batch| days.get(&batch).copied().flatten());
            let pile = Pile::new(batch, expires_on, level);
            shelves.piles.entry((product_id, location_id)).or_default().push(pile);
        }
        shelves.newest = batches::newest_of_tracked(conn, tenant, &products).await?;
        Ok(shelves)
    }

    /// Takes what a line needs: from which batches, how many of each.
    fn take(&mut self, line: &DeliveredLine, day: NaiveDate) -> Vec<(Option<i64>, Decimal)> {
        let piles = self.piles.entry((line.product_id, line.location_id)).or_default();
        piles.sort_by_key(|pile| order(pile, day));
        let mut taken = Vec::new();
        let mut missing = line.quantity;
        for share in [Pile::free, Pile::held] {
            for pile in piles.iter_mut() {
                if line.batch_id.is_some_and(|batch| pile.batch != Some(batch)) {
                    continue;
                }
                let part = (*share(pile)).min(missing);
                if part > Decimal::ZERO {
                    *share(pile) -= part;
                    missing -= part;
                    add(&mut taken, pile.batch, part);
                }
            }
        }
        if missing > Decimal::ZERO {
            match taken.last_mut() {
                Some((_, part)) => *part += missing,
                None => {
                    let batch = line.batch_id.or_else(|| self.newest.get(&line.product_id).copied());
                    taken.push((batch, missing));
                }
            }
        }
        taken
    }
}

/// A batch is one part of a line, however it was put together.
fn add(taken: &mut Vec<(Option<i64>, Decimal)>, batch: Option<i64>, part: Decimal) {
    match taken.iter_mut().find(|(other, _)| *other == batch) {
        Some((_, sum)) => *sum += part,
        None => taken.push((batch, part)),
    }
}

/// What is still good before what is not, the earliest last day first, what lasts for ever behind that.
fn order(pile: &Pile, day: NaiveDate) -> (bool, Reverse<bool>, Option<NaiveDate>, Option<i64>) {
    let over = pile.expires_on.is_some_and(|last| last < day);
    (over, Reverse(pile.expires_on.is_some()), pile.expires_on, pile.batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn shelves() -> Shelves {
        let pile = |batch, expires_on: &str, left: i64| Pile {
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
        Shelves { piles: HashMap::from([((1, 1), piles)]), newest: HashMap::from([(2, 77)]) }
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
        taken.into_iter().map(|(batch, part)| (batch.unwrap_or_default(), whole(part))).collect()
    }

    #[test]
    fn a_line_takes_what_expires_first_and_what_is_over_last() {
        let mut shelves = shelves();
        assert_eq!(take(&mut shelves, 1, None, 5), [(3, 4), (2, 1)]);
        assert_eq!(take(&mut shelves, 1, None, 13), [(2, 2), (1, 10), (4, 1)]);
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
        for pile in shelves.piles.get_mut(&(1, 1)).unwrap().iter_mut().filter(|pile| pile.batch == Some(3)) {
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
