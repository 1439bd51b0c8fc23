//! What a period comes to.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::erp::reports::error::Result;
use crate::erp::reports::exact::add;
use crate::erp::reports::range::Step;
use crate::erp::reports::request::Grouping;
use crate::erp::reports::table::{Cell, Column, Kind, percent};

/// The columns of the report.
pub(crate) fn columns(by: Grouping) -> Vec<Column> {
    let (name, title) = match by {
        Grouping::Day => ("day", "Day"),
        Grouping::Week => ("week", "Week"),
        _ => ("month", "Month"),
    };
    vec![
        Column::new(name, title, Kind::Text),
        Column::new("invoices", "Invoices", Kind::Integer).sum(),
        Column::new("net", "Invoiced net", Kind::Money).sum(),
        Column::new("tax", "Tax", Kind::Money).sum(),
        Column::new("total", "Invoiced", Kind::Money).sum(),
        Column::new("credited", "Credited", Kind::Money).sum(),
        Column::new("paid", "Paid", Kind::Money).sum(),
        Column::new("refunded", "Refunded", Kind::Money).sum(),
        Column::new("cost_of_goods", "Cost of goods sold", Kind::Money).sum(),
        Column::new("gross_profit", "Gross profit", Kind::Money).sum(),
        Column::new("gross_profit_percent", "Profit %", Kind::Percent).ratio("gross_profit", "net"),
    ]
}

/// What a day, or several, come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums {
    pub(super) invoices: i64,
    pub(super) net: Decimal,
    pub(super) tax: Decimal,
    pub(super) total: Decimal,
    pub(super) credited: Decimal,
    pub(super) paid: Decimal,
    pub(super) refunded: Decimal,
    pub(super) cost: Option<Decimal>,
}

impl Default for Sums {
    fn default() -> Self {
        let zero = Decimal::ZERO;
        let cost = Some(zero);
        Self {
            invoices: 0,
            net: zero,
            tax: zero,
            total: zero,
            credited: zero,
            paid: zero,
            refunded: zero,
            cost,
        }
    }
}

impl Sums {
    fn add(&mut self, other: &Self) -> Result<()> {
        self.invoices += other.invoices;
        add(&mut self.net, other.net)?;
        add(&mut self.tax, other.tax)?;
        add(&mut self.total, other.total)?;
        add(&mut self.credited, other.credited)?;
        add(&mut self.paid, other.paid)?;
        add(&mut self.refunded, other.refunded)?;
        self.spend(other.cost)
    }

    /// Adds the cost of goods that left, where it is known.
    pub(super) fn spend(&mut self, cost: Option<Decimal>) -> Result<()> {
        match (&mut self.cost, cost) {
            (Some(sum), Some(cost)) => add(sum, cost)?,
            (sum, _) => *sum = None,
        }
        Ok(())
    }

    pub(super) fn cells(&self, label: String) -> Vec<Cell> {
        let profit = self.cost.map(|cost| self.net - cost);
        vec![
            Cell::Text(label),
            Cell::Integer(self.invoices),
            Cell::Number(self.net),
            Cell::Number(self.tax),
            Cell::Number(self.total),
            Cell::Number(self.credited),
            Cell::Number(self.paid),
            Cell::Number(self.refunded),
            Cell::number(self.cost),
            Cell::number(profit),
            Cell::number(percent(profit, Some(self.net))),
        ]
    }
}

/// What is found while the documents pass by.
#[derive(Default)]
pub(super) struct Books {
    pub(super) days: BTreeMap<NaiveDate, Sums>,
    pub(super) taxes: BTreeMap<Decimal, (Decimal, Decimal)>,
    pub(super) methods: BTreeMap<String, (i64, Decimal)>,
    pub(super) ages: BTreeMap<usize, (i64, Decimal)>,
    pub(super) outstanding: Decimal,
}

impl Books {
    /// The periods in which something happened.
    pub(super) fn periods(&self, step: Step) -> Result<BTreeMap<NaiveDate, Sums>> {
        let mut periods: BTreeMap<NaiveDate, Sums> = BTreeMap::new();
        for (day, sums) in &self.days {
            periods.entry(step.start(*day)).or_default().add(sums)?;
        }
        Ok(periods)
    }
}
