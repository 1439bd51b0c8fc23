//! Sums and products that are exact, or none. Pure.
//!
//! A decimal number has 28 digits, or 29 of a small one. What has more is rounded in silence by plain arithmetic; here it is refused.

use rust_decimal::Decimal;

use super::error::{ReportError, Result};

/// Adds an amount to a sum.
pub(super) fn add(sum: &mut Decimal, amount: Decimal) -> Result<()> {
    *sum = exact_sum(*sum, amount).ok_or_else(ReportError::too_large)?;
    Ok(())
}

/// One number and another; none where that has too many digits.
pub(super) fn exact_sum(one: Decimal, other: Decimal) -> Option<Decimal> {
    let sum = one.checked_add(other)?;
    let (one, other) = (one.normalize(), other.normalize());
    (sum.is_zero() || sum.scale() >= one.scale().max(other.scale())).then_some(sum)
}

/// One number times another; none where that has too many digits.
pub(super) fn exact_product(one: Decimal, other: Decimal) -> Option<Decimal> {
    let (one, other) = (one.normalize(), other.normalize());
    if one.is_zero() || other.is_zero() {
        return Some(Decimal::ZERO);
    }
    let product = one.checked_mul(other)?;
    (product.scale() == one.scale() + other.scale()).then(|| product.normalize())
}

/// The tax on a net amount, to the last digit.
pub(super) fn tax(net: Decimal, rate: Decimal) -> Option<Decimal> {
    exact_product(exact_product(net, rate)?, Decimal::new(1, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn what_would_be_rounded_in_silence_is_refused() {
        assert_eq!(tax(dec("33.3350"), dec("19.0000")), Some(dec("6.33365")));
        assert_eq!(tax(dec("0"), dec("19")), Some(Decimal::ZERO));
        let long = dec("92345678901234.0123456789");
        assert!(long.checked_mul(dec("19.1234")).is_some(), "plain arithmetic rounds it");
        assert_eq!(tax(long, dec("19.1234")), None);
        assert_eq!(exact_sum(dec("1000000000000000000"), dec("0.00000000000000000001")), None);
        assert_eq!(exact_sum(dec("1.10"), dec("-1.1")), Some(dec("0.00")));
    }
}
