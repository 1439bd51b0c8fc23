//! ABC classes: the few products that make most of what was spent, the many that make little of it, and those between.
//!
//! What counts is what went out in the period at what it had cost: the cost of goods sold, movement by movement the same as in
//! the financial report. Products are put in order by it, the largest first. A product is of class A as long as those
//! before it make less than 80 % of the whole, of class B as long as they make less than 95 %, else of class C: so the
//! one that passes a limit belongs to the better class, and a product alone is of class A. What was not sold, or came back to
//! the same value, is of class C. Where one cost is not known the shares are not known, and no product has a class.
//!
//! The report has to know the classes before its first row, so movements of the period are read once more, in the same snapshot.
//! Memory grows with products that were sold in the period, not with movements: below 100 bytes each while they are put
//! in order, so below 100 MB for a million of them, and 8 bytes for each of class A or B afterwards.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::erp::reports::Source;
use crate::erp::reports::error::{ReportError, Result};
use crate::erp::reports::exact::{add, exact_product};
use crate::erp::store::report_rows::{Place, stock};

/// Movements of a page.
const PAGE: i64 = 2000;
/// The classes, and up to what share of the whole, in percent, they go.
pub(super) const CLASSES: [(&str, i64); 3] = [("A", 80), ("B", 95), ("C", 100)];
/// The last class: the place in the list.
const REST: usize = CLASSES.len() - 1;

/// What class each product is of.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// The products of each class but the last, in the order of their numbers.
    products: [Vec<i64>; REST],
    /// What was spent on each class.
    pub(super) spent: [Decimal; CLASSES.len()],
}

impl Classes {
    /// Reads what was spent; none where some of it is not known.
    pub(super) async fn read(source: &mut Source<'_>) -> Result<Option<Self>> {
        let mut spent: BTreeMap<i64, Decimal> = BTreeMap::new();
        let mut after = Place::before(&source.window);
        loop {
            let (scope, end) = (source.scope.as_deref(), source.window.end);
            let page = stock::costs(&mut source.conn, source.tenant, end, scope, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.place;
            for movement in &page {
                let Some(cost) = movement.cost else { return Ok(None) };
                add(spent.entry(movement.product_id).or_default(), cost)?;
            }
            source.watch.step(page.len()).await?;
        }
        Self::of(spent).map(Some)
    }

    fn of(spent: BTreeMap<i64, Decimal>) -> Result<Self> {
        let mut order = Vec::with_capacity(spent.len());
        order.extend(spent.into_iter().filter(|(_, cost)| *cost > Decimal::ZERO));
        order.sort_unstable_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
        let mut whole = Decimal::ZERO;
        for (_, cost) in &order {
            add(&mut whole, *cost)?;
        }
        let (mut classes, mut before, mut class) = (Self::default(), Decimal::ZERO, 0);
        for (product, cost) in order {
            while class < REST && !is_within(before, whole, class)? {
                class += 1;
            }
            if let Some(products) = classes.products.get_mut(class) {
                products.push(product);
            }
            if let Some(spent) = classes.spent.get_mut(class) {
                add(spent, cost)?;
            }
            add(&mut before, cost)?;
        }
        for products in &mut classes.products {
            products.sort_unstable();
            products.shrink_to_fit();
        }
        Ok(classes)
    }

    /// The place of a product's class in the list.
    pub(super) fn class(&self, product: i64) -> usize {
        let is_of = |products: &Vec<i64>| products.binary_search(&product).is_ok();
        self.products.iter().position(is_of).unwrap_or(REST)
    }
}

/// Whether what stands before a product leaves it in a class.
fn is_within(before: Decimal, whole: Decimal, class: usize) -> Result<bool> {
    let limit = CLASSES.get(class).map_or(100, |(_, limit)| *limit);
    let times = |one, other: i64| exact_product(one, Decimal::from(other)).ok_or_else(ReportError::too_large);
    Ok(times(before, 100)? < times(whole, limit)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes(spent: &[i64]) -> String {
        let spent: BTreeMap<i64, Decimal> =
            (1..).zip(spent.iter().map(|cents| Decimal::new(*cents, 2))).collect();
        let (of, all) = (Classes::of(spent.clone()).unwrap(), spent.keys());
        all.map(|product| CLASSES[of.class(*product)].0).collect()
    }

    #[test]
    fn the_product_that_passes_a_limit_belongs_to_the_better_class() {
        assert_eq!(classes(&[5000, 3000, 1500, 500]), "AABC", "80 % are reached before the third");
        assert_eq!(classes(&[5000, 2999, 1501, 500]), "AAAC", "80 % are not, 95 % are");
        assert_eq!(classes(&[500, 1500, 3000, 5000]), "CBAA");
        assert_eq!(classes(&[100]), "A");
        assert_eq!(classes(&[1, 0, -1]), "ACC", "what came back is nothing that went");
        assert_eq!(classes(&[]), "");
        assert_eq!(classes(&[25; 4]), "AAAA", "before the last stand 75 %");
        assert_eq!(classes(&[20; 5]), "AAAAB");
    }

    proptest! {
        #[test]
        fn no_product_is_of_a_better_class_than_one_on_which_more_was_spent(
            spent in prop::collection::vec(-100i64..1_000_000, 0..60)
        ) {
            let classes = classes(&spent).into_bytes();
            for (one, class) in spent.iter().zip(&classes) {
                for (other, theirs) in spent.iter().zip(&classes) {
                    prop_assert!(one <= other || class <= theirs);
                }
            }
            prop_assert!(spent.iter().all(|cents| *cents <= 0) || classes.contains(&b'A'));
        }
    }
}
