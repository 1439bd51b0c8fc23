//! Sums that are exact, or none. Pure.

use rust_decimal::Decimal;

use super::error::{ReportError, Result};

/// Adds an amount to a sum.
pub(super) fn add(sum: &mut Decimal, amount: Decimal) -> Result<()> {
    *sum = sum.checked_add(amount).ok_or_else(ReportError::too_large)?;
    Ok(())
}
