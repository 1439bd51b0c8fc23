//! Amounts, exact to the currency's smallest unit. Pure.
//!
//! The rounding rule: a line's net amount, and then the tax on that rounded net amount, are each rounded once, half up
//! (0.005 becomes 0.01), to the currency's decimals. Totals are sums of rounded lines and are never rounded again, so
//! the total of an invoice is the sum of what is printed above it.

use fairlane::{Error, Result};
use rust_decimal::{Decimal, RoundingStrategy};

/// What one line of an order or invoice is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTerms {
    /// How many.
    pub quantity: Decimal,
    /// The price of one, without tax.
    pub unit_price: Decimal,
    /// What is taken off the line, without tax.
    pub discount: Decimal,
    /// Tax in percent.
    pub tax_rate: Decimal,
}

/// What a line or a whole document comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// Without tax.
    pub net: Decimal,
    /// The tax.
    pub tax: Decimal,
    /// Tax included.
    pub total: Decimal,
}

/// Beyond these a product of two factors would not fit an exact decimal any more.
const LARGEST_FACTOR: i64 = 1_000_000_000;
const LARGEST_AMOUNT: i64 = 100_000_000_000_000;
const LARGEST_RATE: i64 = 1000;

impl LineTerms {
    /// Refuses what cannot be computed exactly or stored; `what` names the line.
    pub fn check(&self, what: &str) -> Result<()> {
        in_range(what, "quantity", self.quantity, 6, LARGEST_FACTOR)?;
        in_range(what, "unit price", self.unit_price, 4, LARGEST_FACTOR)?;
        in_range(what, "discount", self.discount, 4, LARGEST_AMOUNT)?;
        in_range(what, "tax rate", self.tax_rate, 4, LARGEST_RATE)?;
        if self.quantity.is_zero() {
            return Err(invalid(what, "its quantity must be above 0".into()));
        }
        Ok(())
    }

    /// The line's amounts in a currency with this many decimals; `what` names the line.
    pub fn amounts(&self, what: &str, decimals: u32) -> Result<Amounts> {
        self.check(what)?;
        let net = round_half_up(self.quantity * self.unit_price - self.discount, decimals);
        if net.is_sign_negative() && !net.is_zero() {
            return Err(invalid(what, format!("its discount {} is more than the line", self.discount)));
        }
        if net > Decimal::from(LARGEST_AMOUNT) {
            return Err(invalid(what, format!("it comes to more than {LARGEST_AMOUNT}")));
        }
        let tax = round_half_up(net * self.tax_rate / Decimal::ONE_HUNDRED, decimals);
        Ok(Amounts { net, tax, total: net + tax })
    }
}

impl Amounts {
    /// The sum of lines; `what` names the document.
    pub fn sum<'a>(what: &str, decimals: u32, lines: impl IntoIterator<Item = &'a Amounts>) -> Result<Self> {
        let zero = exact(Decimal::ZERO, decimals);
        let mut sum = Self { net: zero, tax: zero, total: zero };
        for line in lines {
            sum = Self { net: sum.net + line.net, tax: sum.tax + line.tax, total: sum.total + line.total };
            if sum.total > Decimal::from(LARGEST_AMOUNT) {
                return Err(invalid(what, format!("it comes to more than {LARGEST_AMOUNT}")));
            }
        }
        Ok(sum)
    }
}

/// Half up, away from zero: the rule of invoices.
pub fn round_half_up(amount: Decimal, decimals: u32) -> Decimal {
    exact(amount.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero), decimals)
}

/// The same amount written with exactly this many decimals: databases keep their own number of zeros.
pub fn exact(mut amount: Decimal, decimals: u32) -> Decimal {
    amount.rescale(decimals);
    amount
}

fn in_range(what: &str, field: &str, value: Decimal, decimals: u32, largest: i64) -> Result<()> {
    if value.is_sign_negative() && !value.is_zero() {
        return Err(invalid(what, format!("its {field} {value} is below 0")));
    }
    if value > Decimal::from(largest) {
        return Err(invalid(what, format!("its {field} {value} is above {largest}")));
    }
    if value.normalize().scale() > decimals {
        return Err(invalid(what, format!("its {field} {value} has more than {decimals} decimals")));
    }
    Ok(())
}

fn invalid(what: &str, why: String) -> Error {
    Error::Invalid { what: what.to_owned(), why }
}

/// The decimals of a currency by ISO 4217: its code's own, else 2.
pub fn currency_decimals(code: &str) -> u32 {
    match code {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(quantity: &str, unit_price: &str, discount: &str, tax_rate: &str) -> LineTerms {
        let read = |text: &str| text.parse().unwrap();
        LineTerms {
            quantity: read(quantity),
            unit_price: read(unit_price),
            discount: read(discount),
            tax_rate: read(tax_rate),
        }
    }

    fn shown(amounts: Amounts) -> [String; 3] {
        [amounts.net.to_string(), amounts.tax.to_string(), amounts.total.to_string()]
    }

    #[test]
    fn a_line_is_rounded_half_up_to_the_currency_once() {
        let line = terms("3", "33.335", "0", "19").amounts("line 1", 2).unwrap();
        assert_eq!(shown(line), ["100.01", "19.00", "119.01"]);
        // 2.50 x 7 % = 0.175: up, not to the even neighbour.
        let line = terms("1", "2.5", "0", "7").amounts("line 1", 2).unwrap();
        assert_eq!(shown(line), ["2.50", "0.18", "2.68"]);
        let yen = terms("3", "33.5", "0.5", "10").amounts("line 1", 0).unwrap();
        assert_eq!(shown(yen), ["100", "10", "110"]);
    }

    #[test]
    fn a_line_that_cannot_be_exact_is_refused_by_name() {
        let refused = |line: LineTerms| line.amounts("line 2", 2).unwrap_err().to_string();
        assert!(refused(terms("0", "1", "0", "0")).contains("quantity must be above 0"));
        assert!(refused(terms("-1", "1", "0", "0")).contains("below 0"));
        assert!(refused(terms("1", "1", "1.01", "0")).contains("more than the line"));
        assert!(refused(terms("1", "0.00001", "0", "0")).contains("more than 4 decimals"));
        assert!(refused(terms("1000000000", "1000000000", "0", "0")).contains("comes to more than"));
        assert!(refused(terms("1", "1", "0", "1001")).starts_with("line 2 is not acceptable"));
        assert!(refused(terms("79228162514264337593543950335", "1", "0", "0")).contains("above"));
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_its_lines_and_each_line_is_within_half_a_cent(
            lines in prop::collection::vec((1i64..10_000_000, 0i64..1_000_000_000, 0i64..3000), 1..40),
            decimals in 0u32..=4,
        ) {
            let mut amounts = Vec::new();
            for (quantity, price, rate) in lines {
                let terms = LineTerms {
                    quantity: Decimal::new(quantity, 3),
                    unit_price: Decimal::new(price, 4),
                    discount: Decimal::ZERO,
                    tax_rate: Decimal::new(rate, 2),
                };
                let line = terms.amounts("line", decimals).unwrap();
                let half = Decimal::new(5, decimals + 1);
                prop_assert!((terms.quantity * terms.unit_price - line.net).abs() <= half);
                prop_assert!((line.net * terms.tax_rate / Decimal::ONE_HUNDRED - line.tax).abs() <= half);
                prop_assert_eq!(line.total, line.net + line.tax);
                prop_assert_eq!((line.net.scale(), line.tax.scale()), (decimals, decimals));
                amounts.push(line);
            }
            let sum = Amounts::sum("invoice", decimals, &amounts).unwrap();
            prop_assert_eq!(sum.net, amounts.iter().map(|line| line.net).sum::<Decimal>());
            prop_assert_eq!(sum.tax, amounts.iter().map(|line| line.tax).sum::<Decimal>());
            prop_assert_eq!(sum.total, sum.net + sum.tax);
        }
    }

    #[test]
    fn a_currency_has_the_decimals_of_its_standard() {
        assert_eq!(["JPY", "EUR", "KWD", "CLF", "XPF", "USD"].map(currency_decimals), [0, 2, 3, 4, 0, 2]);
    }
}
