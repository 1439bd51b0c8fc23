//! Recency, frequency and monetary class of customers who bought in the period: each from 1 to 5, a fifth of them apiece.
//!
//! The three figures are the day of the last order, the number of orders and what was ordered less what came back, the orders and
//! amounts of the period. A class is 1 and one more for each whole fifth of the customers whose figure is smaller, so equal figures
//! have the same class and nobody is of class 5 who has not four fifths below. Who did not buy in the period has no class.
//!
//! Classes are of all customers together, so they are read before the first row, in the same snapshot. Memory grows with customers
//! who bought in the period: 28 bytes each, and twice that while the lists grow, below 60 MB for a million of them.

use chrono::NaiveDate;
use rust_decimal::Decimal;

/// The figures of all customers who bought, each list from the smallest.
#[derive(Debug, Default)]
pub(super) struct Classes {
    last: Vec<NaiveDate>,
    orders: Vec<i64>,
    amounts: Vec<Decimal>,
}

impl Classes {
    /// Takes a customer who bought.
    pub(super) fn take(&mut self, last: NaiveDate, orders: i64, amount: Decimal) {
        self.last.push(last);
        self.orders.push(orders);
        self.amounts.push(amount);
    }

    /// All are there.
    pub(super) fn sort(&mut self) {
        self.last.sort_unstable();
        self.orders.sort_unstable();
        self.amounts.sort_unstable();
    }

    /// What a customer who bought is called: `R5 F1 M3`.
    pub(super) fn name(&self, last: NaiveDate, orders: i64, amount: Decimal) -> String {
        let (recency, frequency) = (class(&self.last, &last), class(&self.orders, &orders));
        format!("R{recency} F{frequency} M{}", class(&self.amounts, &amount))
    }
}

fn class<T: Ord>(sorted: &[T], own: &T) -> usize {
    let smaller = sorted.partition_point(|other| other < own);
    1 + (5 * smaller).checked_div(sorted.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_a_fifth_and_equals_are_of_the_same() {
        let of = |all: &[i64]| all.iter().map(|own| class(all, own)).collect::<Vec<_>>();
        assert_eq!(of(&[1, 2, 3, 4, 5]), [1, 2, 3, 4, 5]);
        assert_eq!(of(&[1, 1, 1, 1, 9]), [1, 1, 1, 1, 5]);
        assert_eq!(of(&[1, 9, 9, 9, 9]), [1, 2, 2, 2, 2]);
        assert_eq!(of(&[7]), [1]);
        assert_eq!(of(&(0..10).collect::<Vec<_>>()), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    }
}
