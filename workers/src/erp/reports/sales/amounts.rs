//! What lines come to, exactly.

use rust_decimal::Decimal;

use crate::erp::reports::table::{Cell, Column, Kind, percent};
use crate::erp::store::report_rows::sales::SaleLine;

/// What a line, or several, come to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Amounts {
    pub(super) units: Decimal,
    pub(super) gross: Decimal,
    pub(super) discounts: Decimal,
    pub(super) returns: Decimal,
    pub(super) net: Decimal,
    pub(super) tax: Decimal,
    /// What was delivered of it had cost; none when that is not known of all of it.
    pub(super) cost: Option<Decimal>,
}

impl Amounts {
    pub(super) fn zero() -> Self {
        Self { cost: Some(Decimal::ZERO), ..Self::default() }
    }

    pub(super) fn of(line: &SaleLine, cost: Option<Decimal>) -> Option<Self> {
        let gross = line.quantity.checked_mul(line.unit_price)?;
        let net = gross.checked_sub(line.discount)?;
        let tax = net.checked_mul(line.tax_rate)?.checked_div(Decimal::ONE_HUNDRED)?;
        Some(match line.returned {
            false => Self {
                units: line.quantity,
                gross,
                discounts: -line.discount,
                returns: Decimal::ZERO,
                net,
                tax,
                cost,
            },
            true => Self { returns: -net, net: -net, tax: -tax, cost, ..Self::default() },
        })
    }

    pub(super) fn add(&mut self, other: &Self) -> Option<()> {
        self.units = self.units.checked_add(other.units)?;
        self.gross = self.gross.checked_add(other.gross)?;
        self.discounts = self.discounts.checked_add(other.discounts)?;
        self.returns = self.returns.checked_add(other.returns)?;
        self.net = self.net.checked_add(other.net)?;
        self.tax = self.tax.checked_add(other.tax)?;
        self.cost = match (self.cost, other.cost) {
            (Some(one), Some(other)) => Some(one.checked_add(other)?),
            _ => None,
        };
        Some(())
    }

    pub(super) fn cells(&self) -> [Cell; 10] {
        let margin = self.cost.map(|cost| self.net - cost);
        [
            Cell::Number(self.units),
            Cell::Number(self.gross),
            Cell::Number(self.discounts),
            Cell::Number(self.returns),
            Cell::Number(self.net),
            Cell::Number(self.tax),
            Cell::Number(self.net + self.tax),
            Cell::number(self.cost),
            Cell::number(margin),
            Cell::number(percent(margin, Some(self.net))),
        ]
    }
}

/// Its columns.
pub(super) const AMOUNTS: [Column; 10] = [
    Column::new("units", "Units", Kind::Quantity).sum(),
    Column::new("gross", "Gross", Kind::Money).sum(),
    Column::new("discounts", "Discounts", Kind::Money).sum(),
    Column::new("returns", "Returns", Kind::Money).sum(),
    Column::new("net", "Net", Kind::Money).sum(),
    Column::new("tax", "Tax", Kind::Money).sum(),
    Column::new("total", "Total", Kind::Money).sum(),
    Column::new("cost", "Cost", Kind::Money).sum(),
    Column::new("margin", "Margin", Kind::Money).sum(),
    Column::new("margin_percent", "Margin %", Kind::Percent).ratio("margin", "net"),
];
