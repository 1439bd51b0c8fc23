//! What lines come to, exactly.

use rust_decimal::Decimal;

use crate::erp::reports::exact::{exact_product, exact_sum, tax};
use crate::erp::reports::table::{Cell, Column, Kind, percent};
use crate::erp::store::report_rows::sales::SaleLine;

/// What goods had cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Cost {
    /// There are no goods: a line without a product has none, which is not to say that it cost nothing.
    #[default]
    Nothing,
    /// All of them are delivered and valued.
    Known(Decimal),
    /// Some are not.
    Unknown,
}

impl Cost {
    fn and(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Nothing, cost) | (cost, Self::Nothing) => cost,
            (Self::Known(one), Self::Known(other)) => Self::Known(exact_sum(one, other)?),
            _ => Self::Unknown,
        })
    }

    fn cell(self, of: impl FnOnce(Decimal) -> Decimal) -> Cell {
        match self {
            Self::Nothing => Cell::Nothing,
            Self::Known(cost) => Cell::Number(of(cost)),
            Self::Unknown => Cell::Empty,
        }
    }
}

/// What a line, or several, come to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Amounts {
    pub(super) units: Decimal,
    pub(super) gross: Decimal,
    pub(super) discounts: Decimal,
    pub(super) returns: Decimal,
    pub(super) net: Decimal,
    pub(super) tax: Decimal,
    pub(super) total: Decimal,
    /// The net of lines with a product: what a margin can be of.
    pub(super) goods_net: Decimal,
    pub(super) cost: Cost,
}

impl Amounts {
    pub(super) fn of(line: &SaleLine, cost: Cost) -> Option<Self> {
        let gross = exact_product(line.quantity, line.unit_price)?;
        let net = exact_sum(gross, -line.discount)?;
        let tax = tax(net, line.tax_rate)?;
        let total = exact_sum(net, tax)?;
        let goods_net = if line.product_id.is_some() { net } else { Decimal::ZERO };
        Some(match line.returned {
            false => Self {
                units: line.quantity,
                gross,
                discounts: -line.discount,
                returns: Decimal::ZERO,
                net,
                tax,
                total,
                goods_net,
                cost,
            },
            true => Self {
                returns: -net,
                net: -net,
                tax: -tax,
                total: -total,
                goods_net: -goods_net,
                cost,
                ..Self::default()
            },
        })
    }

    pub(super) fn add(&mut self, other: &Self) -> Option<()> {
        self.units = exact_sum(self.units, other.units)?;
        self.gross = exact_sum(self.gross, other.gross)?;
        self.discounts = exact_sum(self.discounts, other.discounts)?;
        self.returns = exact_sum(self.returns, other.returns)?;
        self.net = exact_sum(self.net, other.net)?;
        self.tax = exact_sum(self.tax, other.tax)?;
        self.total = exact_sum(self.total, other.total)?;
        self.goods_net = exact_sum(self.goods_net, other.goods_net)?;
        self.cost = self.cost.and(other.cost)?;
        Some(())
    }

    /// What goods brought above what they had cost, where that is known.
    pub(super) fn margin(&self) -> Cell {
        self.cost.cell(|cost| self.goods_net - cost)
    }

    pub(super) fn cells(&self) -> [Cell; 11] {
        let margin = self.margin();
        let share = percent(margin.as_number(), Some(self.goods_net));
        [
            Cell::Number(self.units),
            Cell::Number(self.gross),
            Cell::Number(self.discounts),
            Cell::Number(self.returns),
            Cell::Number(self.net),
            Cell::Number(self.tax),
            Cell::Number(self.total),
            Cell::Number(self.goods_net),
            self.cost.cell(|cost| cost),
            margin,
            Cell::number(share),
        ]
    }
}

/// Its columns.
pub(super) const AMOUNTS: [Column; 11] = [
    Column::new("units", "Units", Kind::Quantity).sum(),
    Column::new("gross", "Gross", Kind::Money).sum(),
    Column::new("discounts", "Discounts", Kind::Money).sum(),
    Column::new("returns", "Returns", Kind::Money).sum(),
    Column::new("net", "Net", Kind::Money).sum(),
    Column::new("tax", "Tax", Kind::Money).sum(),
    Column::new("total", "Total", Kind::Money).sum(),
    Column::new("goods_net", "Net of goods", Kind::Money).sum(),
    Column::new("cost", "Cost of goods", Kind::Money).sum(),
    Column::new("margin", "Margin", Kind::Money).sum(),
    Column::new("margin_percent", "Margin %", Kind::Percent).ratio("margin", "goods_net"),
];
