//! Ratios, rounded once.

use rust_decimal::Decimal;

use crate::erp::money::round_half_up;

/// One number over another as a percentage, rounded once to two decimals; nothing over nothing is not known.
pub(crate) fn percent(of: Option<Decimal>, over: Option<Decimal>) -> Option<Decimal> {
    let hundredfold = of?.checked_mul(Decimal::ONE_HUNDRED)?;
    hundredfold.checked_div(over?).map(|share| round_half_up(share, 2))
}

/// One number over another, rounded once; nothing over nothing is not known.
pub(crate) fn quotient(of: Option<Decimal>, over: Option<Decimal>, decimals: u32) -> Option<Decimal> {
    of?.checked_div(over?).map(|share| round_half_up(share, decimals))
}
