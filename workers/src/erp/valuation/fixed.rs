//! Numbers of the replay: integers, so that nothing is lost and nothing is slow. A quantity counts millionths of a piece, an
//! amount counts the currency's smallest units.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

/// Decimals of a quantity.
pub(super) const QUANTITY_DECIMALS: u32 = 6;
/// Decimals of a unit cost: more than any table keeps.
const COST_DECIMALS: u32 = 8;

/// Why a product cannot be valued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuationError {
    /// A number does not fit.
    #[error("movement {movement}: its {what} is too large to be computed exactly")]
    TooLarge {
        /// The movement.
        movement: i64,
        /// What of it.
        what: &'static str,
    },
}

/// A product of two factors that did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overflow;

/// `a * b / c`, rounded half up (away from zero) once.
pub(super) fn ratio(a: i128, b: i128, c: i128) -> Result<i128, Overflow> {
    let product = a.checked_mul(b).ok_or(Overflow)?;
    let (product, c) = if c < 0 { (-product, -c) } else { (product, c) };
    let half = if product < 0 { -(c / 2) } else { c / 2 };
    product.checked_add(half).and_then(|sum| sum.checked_div(c)).ok_or(Overflow)
}

/// A share of a value: the last part takes what is left, so nothing is left of nothing.
pub(super) fn share(value: i128, part: i128, whole: i128) -> Result<i128, Overflow> {
    if part == whole { Ok(value) } else { ratio(value, part, whole) }
}

/// A decimal number as whole units of 10^-`decimals`, rounded half up.
pub(super) fn whole(number: Decimal, decimals: u32) -> Result<i128, Overflow> {
    let (mantissa, scale) = (number.mantissa(), number.scale());
    if scale <= decimals {
        let factor = 10_i128.checked_pow(decimals - scale).ok_or(Overflow)?;
        return mantissa.checked_mul(factor).ok_or(Overflow);
    }
    ratio(mantissa, 1, 10_i128.checked_pow(scale - decimals).ok_or(Overflow)?)
}

/// Whole units of 10^-`decimals` as a decimal number.
pub(super) fn decimal(units: i128, decimals: u32) -> Decimal {
    Decimal::try_from_i128_with_scale(units, decimals).unwrap_or(Decimal::MAX)
}

/// What a quantity costs: a value for a quantity, not a rounded cost of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rate {
    value: i64,
    quantity: i64,
}

impl Rate {
    /// So much for so many; nothing where it is no rate.
    pub(super) fn of(value: i128, quantity: i128) -> Option<Self> {
        let (value, quantity) = if quantity < 0 { (-value, -quantity) } else { (value, quantity) };
        if quantity == 0 {
            return None;
        }
        Some(Self { value: value.to_i64()?, quantity: quantity.to_i64()? })
    }

    /// The cost of one piece, in a currency with this many decimals.
    pub(super) fn per_piece(cost: Decimal, decimals: u32) -> Option<Self> {
        let cost = cost.normalize();
        let scale = cost.scale().min(COST_DECIMALS);
        let units = whole(cost, scale).ok()?;
        // units / 10^scale a piece = units * 10^decimals smallest units for 10^scale pieces.
        let value = units.checked_mul(10_i128.pow(decimals))?;
        Self::of(value, 10_i128.pow(scale + QUANTITY_DECIMALS))
    }

    /// What so many cost, rounded once.
    pub(super) fn times(self, quantity: i128) -> Result<i128, Overflow> {
        ratio(i128::from(self.value), quantity, i128::from(self.quantity))
    }

    /// The cost of one, with so many decimals.
    pub(super) fn cost(self, currency_decimals: u32, decimals: u32) -> Decimal {
        let pieces = 10_i128.pow(QUANTITY_DECIMALS + decimals);
        let units = 10_i128.pow(currency_decimals).saturating_mul(i128::from(self.quantity));
        ratio(i128::from(self.value), pieces, units).map_or(Decimal::MAX, |units| decimal(units, decimals))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn half_a_unit_is_rounded_up_and_away_from_zero() {
        assert_eq!(
            [ratio(5, 1, 10), ratio(4, 1, 10), ratio(-5, 1, 10), ratio(-4, 1, 10)],
            [Ok(1), Ok(0), Ok(-1), Ok(0)]
        );
        assert_eq!(ratio(100, 1, 3), Ok(33));
        assert_eq!(whole(dec("10.005"), 2), Ok(1001));
        assert_eq!(whole(dec("-10.005"), 2), Ok(-1001));
    }

    #[test]
    fn three_parts_of_a_hundred_are_a_hundred() {
        let first = share(10_000, 1, 3).unwrap();
        let second = share(10_000 - first, 1, 2).unwrap();
        let third = share(10_000 - first - second, 1, 1).unwrap();
        assert_eq!([first, second, third], [3333, 3334, 3333]);
    }

    #[test]
    fn a_cost_of_a_piece_is_exact_in_any_currency() {
        let of = |cost: &str, decimals| Rate::per_piece(dec(cost), decimals).unwrap();
        assert_eq!(of("10.005", 2).times(2_000_000), Ok(2001));
        assert_eq!(of("3", 0).times(500_000), Ok(2), "1.5 is rounded up");
        assert_eq!(of("0.0001", 4).times(1_000_000), Ok(1));
        assert_eq!(of("10.005", 2).cost(2, 3), dec("10.005"));
        assert_eq!(Rate::of(301, 3_000_000).unwrap().cost(2, 2), dec("1.00"));
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_no_panic() {
        assert_eq!(ratio(i128::MAX, 2, 1), Err(Overflow));
        assert_eq!(whole(Decimal::MAX, 20), Err(Overflow));
    }
}
