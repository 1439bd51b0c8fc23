//! Rows that grow while lines pass by.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::amounts::{Amounts, Cost};
use super::labels::{detail, labels_of};
use crate::erp::reports::error::{ReportError, Result};
use crate::erp::reports::range::{DayRange, Step};
use crate::erp::reports::request::Grouping;
use crate::erp::reports::table::{Cell, Kind, Spool};
use crate::erp::store::report_rows::sales::SaleLine;

/// What a row stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Period(NaiveDate),
    Id(Option<i64>),
    Name(Option<String>),
}

/// A row that grows.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) labels: Vec<Cell>,
    orders: i64,
    last_order: i64,
    pub(super) amounts: Amounts,
}

/// All that grows while lines pass by.
pub(super) struct Sums {
    pub(super) by: Grouping,
    pub(super) range: DayRange,
    /// The day of the line before: the next one is mostly of the same, as pages come in the order of their time.
    today: Option<DayRange>,
    pub(super) step: Step,
    pub(super) groups: HashMap<Key, Group>,
    pub(super) times: BTreeMap<NaiveDate, Decimal>,
    pub(super) products: HashMap<Option<i64>, (String, Decimal)>,
    pub(super) orders: i64,
    last_order: i64,
    pub(super) all: Amounts,
    /// The tax that invoices of these orders state, and what it is of the same orders to the last digit.
    pub(super) stated: Decimal,
    pub(super) billed: Decimal,
}

impl Sums {
    pub(super) fn new(by: Grouping, range: DayRange) -> Self {
        Self {
            by,
            range,
            today: None,
            step: by.step().unwrap_or_else(|| Step::fitting(&range)),
            groups: HashMap::new(),
            times: BTreeMap::new(),
            products: HashMap::new(),
            orders: 0,
            last_order: 0,
            all: Amounts::default(),
            stated: Decimal::ZERO,
            billed: Decimal::ZERO,
        }
    }

    fn day(&mut self, line: &SaleLine) -> Result<NaiveDate> {
        if let Some(today) = self.today.filter(|today| today.start <= line.at && line.at < today.end) {
            return Ok(today.from);
        }
        let day = self.range.day(line.at);
        self.today = Some(DayRange::new(day, day, self.range.zone)?);
        Ok(day)
    }

    pub(super) fn take(&mut self, line: &SaleLine, cost: Cost, spool: &mut Spool) -> Result<Amounts> {
        let amounts = Amounts::of(line, cost).ok_or_else(ReportError::too_large)?;
        let day = self.day(line)?;
        self.all.add(&amounts).ok_or_else(ReportError::too_large)?;
        *self.times.entry(self.step.start(day)).or_default() += amounts.net;
        let product = self.products.entry(line.product_id);
        let product = product.or_insert_with(|| (line.product.clone(), Decimal::ZERO));
        product.1 += amounts.gross;
        if !line.returned && line.document_id != self.last_order {
            self.last_order = line.document_id;
            self.orders += 1;
        }
        if self.by == Grouping::Line {
            spool.push(&detail(line, day, &amounts))?;
        } else {
            self.group(line, day).add(line, &amounts)?;
        }
        Ok(amounts)
    }

    fn group(&mut self, line: &SaleLine, day: NaiveDate) -> &mut Group {
        let key = match self.by {
            Grouping::Product => Key::Id(line.product_id),
            Grouping::Customer => Key::Id(Some(line.customer_id)),
            Grouping::Category => Key::Name(line.category.clone()),
            Grouping::Country => Key::Name(line.country.clone()),
            Grouping::Location => Key::Name(line.location.clone()),
            Grouping::Day | Grouping::Week | Grouping::Month | Grouping::Line => {
                Key::Period(self.step.start(day))
            }
        };
        let (by, step) = (self.by, self.step);
        self.groups.entry(key).or_insert_with(|| Group {
            labels: labels_of(by, step, line, day),
            orders: 0,
            last_order: 0,
            amounts: Amounts::default(),
        })
    }
}

impl Group {
    fn add(&mut self, line: &SaleLine, amounts: &Amounts) -> Result<()> {
        self.amounts.add(amounts).ok_or_else(ReportError::too_large)?;
        if !line.returned && line.document_id != self.last_order {
            self.last_order = line.document_id;
            self.orders += 1;
        }
        Ok(())
    }

    pub(super) fn cells(&self) -> Vec<Cell> {
        let mut cells = self.labels.clone();
        cells.push(Cell::Integer(self.orders));
        cells.extend(self.amounts.cells());
        cells
    }

    pub(super) fn label(&self) -> String {
        self.labels.last().and_then(|cell| cell.plain(Kind::Text, 0)).unwrap_or_default()
    }
}
