//! What was billed, paid and is owed, by month, week or day.
//!
//! Amounts are those of the documents, as they were rounded line by line. An invoice counts on its day of issue, money on the
//! day it came in, goods on the day they left the stock.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::Source;
use super::error::{ReportError, Result};
use super::exact::add;
use super::range::Step;
use super::request::Grouping;
use super::summary::{Chart, ChartKind, Section, Summary, top};
use super::table::{Cell, Column, Kind, Spool};
use crate::erp::store::report_rows::{Place, billing, stock};

/// Documents of a page.
const PAGE: i64 = 500;
/// The last days of the steps in which what is owed ages, and what they are called.
pub(super) const AGES: [(i64, &str); 4] =
    [(0, "not due"), (30, "1-30 days"), (60, "31-60 days"), (90, "61-90 days")];
/// What is older.
pub(super) const OLDEST: &str = "more than 90 days";

/// The columns of the report.
pub(super) fn columns(by: Grouping) -> Vec<Column> {
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

#[derive(Debug, Clone, Copy)]
struct Sums {
    invoices: i64,
    net: Decimal,
    tax: Decimal,
    total: Decimal,
    credited: Decimal,
    paid: Decimal,
    refunded: Decimal,
    cost: Option<Decimal>,
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
    fn cells(&self, label: String) -> Vec<Cell> {
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
            Cell::number(super::table::percent(profit, Some(self.net))),
        ]
    }
}

/// What is found while the documents pass by.
#[derive(Default)]
struct Books {
    periods: BTreeMap<NaiveDate, Sums>,
    taxes: BTreeMap<Decimal, (Decimal, Decimal)>,
    methods: BTreeMap<String, (i64, Decimal)>,
    ages: BTreeMap<usize, (i64, Decimal)>,
    outstanding: Decimal,
}

/// Reads the report.
pub(super) async fn read(source: &mut Source<'_>, spool: &mut Spool) -> Result<Summary> {
    let step = source.by.step().unwrap_or(Step::Month);
    let mut books = Books::default();
    invoices(source, step, &mut books).await?;
    payments(source, step, &mut books).await?;
    goods(source, step, &mut books).await?;
    owed(source, &mut books).await?;
    for (start, sums) in &books.periods {
        spool.push(&sums.cells(step.label(*start)))?;
    }
    Ok(summary(source, step, &books))
}

async fn invoices(source: &mut Source<'_>, step: Step, books: &mut Books) -> Result<()> {
    let days = (source.range.from, source.range.to);
    let currency = source.window.currency.clone();
    let mut after = (source.range.from, 0);
    loop {
        let page = billing::invoices(&mut source.conn, source.tenant, days, &currency, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = (last.issued_on, last.id);
        let ids: Vec<i64> = page.iter().map(|invoice| invoice.id).collect();
        let credits: Vec<i64> =
            page.iter().filter(|invoice| invoice.credit).map(|invoice| invoice.id).collect();
        let taxes = billing::taxes(&mut source.conn, source.tenant, &ids).await?;
        for invoice in &page {
            let sums = books.periods.entry(step.start(invoice.issued_on)).or_default();
            let sign = if invoice.credit { -Decimal::ONE } else { Decimal::ONE };
            sums.invoices += i64::from(!invoice.credit);
            add(&mut sums.net, sign * invoice.net)?;
            add(&mut sums.tax, sign * invoice.tax)?;
            add(if invoice.credit { &mut sums.credited } else { &mut sums.total }, sign * invoice.total)?;
        }
        for (invoice, rate, net, tax) in &taxes {
            let sign = if credits.contains(invoice) { -Decimal::ONE } else { Decimal::ONE };
            let sums = books.taxes.entry(rate.normalize()).or_default();
            add(&mut sums.0, sign * net)?;
            add(&mut sums.1, sign * tax)?;
        }
        source.watch.step(page.len() + taxes.len()).await?;
    }
}

async fn payments(source: &mut Source<'_>, step: Step, books: &mut Books) -> Result<()> {
    let mut after = Place::before(&source.window);
    loop {
        let page = billing::payments(&mut source.conn, source.tenant, &source.window, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.place;
        for payment in &page {
            let day = source.range.day(payment.place.at);
            let sums = books.periods.entry(step.start(day)).or_default();
            let refund = payment.amount.is_sign_negative();
            add(if refund { &mut sums.refunded } else { &mut sums.paid }, payment.amount)?;
            let method = books.methods.entry(payment.method.clone()).or_default();
            method.0 += 1;
            add(&mut method.1, payment.amount)?;
        }
        source.watch.step(page.len()).await?;
    }
}

async fn goods(source: &mut Source<'_>, step: Step, books: &mut Books) -> Result<()> {
    let mut after = Place::before(&source.window);
    loop {
        let (scope, end) = (source.scope.as_deref(), source.window.end);
        let page = stock::costs(&mut source.conn, source.tenant, end, scope, after, 4 * PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        for (place, cost) in page.iter().filter(|(_, cost)| cost.is_none_or(|cost| !cost.is_zero())) {
            let sums = books.periods.entry(step.start(source.range.day(place.at))).or_default();
            sums.cost = match (sums.cost, cost) {
                (Some(sum), Some(cost)) => Some(sum.checked_add(*cost).ok_or_else(ReportError::too_large)?),
                _ => None,
            };
        }
        source.watch.step(page.len()).await?;
    }
}

/// Which step of ageing something belongs to that was due so many days ago.
pub(super) fn age(days: i64) -> usize {
    AGES.iter().position(|(last, _)| days <= *last).unwrap_or(AGES.len())
}

async fn owed(source: &mut Source<'_>, books: &mut Books) -> Result<()> {
    let (currency, until) = (source.window.currency.clone(), (source.range.to, source.window.end));
    let mut after = 0;
    loop {
        let page =
            billing::owed(&mut source.conn, source.tenant, until, &currency, None, (after, PAGE)).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for invoice in page.iter().filter(|invoice| !invoice.outstanding.is_zero()) {
            let days = (source.range.to - invoice.due_on).num_days();
            let step = books.ages.entry(age(days)).or_default();
            step.0 += 1;
            add(&mut step.1, invoice.outstanding)?;
            add(&mut books.outstanding, invoice.outstanding)?;
        }
        source.watch.step(page.len()).await?;
    }
}

fn summary(source: &Source<'_>, step: Step, books: &Books) -> Summary {
    let mut summary = Summary::default();
    let sum = |of: fn(&Sums) -> Decimal| books.periods.values().map(of).sum::<Decimal>();
    summary.figure("total", "Invoiced", Kind::Money, Some(sum(|sums| sums.total)));
    summary.figure("paid", "Paid, less refunds", Kind::Money, Some(sum(|sums| sums.paid + sums.refunded)));
    summary.figure("outstanding", "Outstanding", Kind::Money, Some(books.outstanding));
    let not_due = books.ages.get(&0).map(|(_, amount)| *amount).unwrap_or_default();
    summary.figure("overdue", "Overdue", Kind::Money, Some(books.outstanding - not_due));
    summary.sections = sections(books);
    let bars = books.periods.iter().map(|(start, sums)| (step.label(*start), sums.total)).collect();
    let title = format!("Invoiced, {}", source.window.currency);
    summary.charts.push(Chart { title, kind: ChartKind::Time, bars });
    let ages = books.ages.iter().map(|(step, (_, amount))| (age_name(*step).to_owned(), *amount));
    let title = format!("Owed on {} by age, {}", source.range.to, source.window.currency);
    summary.charts.push(Chart { title, kind: ChartKind::Top, bars: top(ages, 5) });
    summary.note(format!(
        "What is outstanding is what was not paid by the end of {} of invoices issued by then. Amounts are those of the \
         documents, rounded line by line.",
        source.range.to
    ));
    summary.note(
        "Cost of goods is what sales cost, less what came back for what it had cost, and what receipts cost later of goods that \
         were gone. Payables are not in it: bills of vendors are not entered here.",
    );
    if books.periods.values().any(|sums| sums.cost.is_none()) {
        summary
            .note("Cost of goods and profit are empty where goods that left the stock are not valued yet.");
    }
    summary
}

fn age_name(step: usize) -> &'static str {
    AGES.get(step).map_or(OLDEST, |(_, name)| *name)
}

fn sections(books: &Books) -> Vec<Section> {
    let money = |name, title| Column::new(name, title, Kind::Money);
    let text = |name, title| Column::new(name, title, Kind::Text);
    let count = |name, title| Column::new(name, title, Kind::Integer);
    let ages = (0..=AGES.len()).map(|step| {
        let (invoices, amount) = books.ages.get(&step).copied().unwrap_or_default();
        vec![Cell::Text(age_name(step).into()), Cell::Integer(invoices), Cell::Number(amount)]
    });
    let taxes = books
        .taxes
        .iter()
        .map(|(rate, (net, tax))| vec![Cell::Number(*rate), Cell::Number(*net), Cell::Number(*tax)]);
    let methods = books.methods.iter().map(|(method, (payments, amount))| {
        vec![Cell::Text(method.clone()), Cell::Integer(*payments), Cell::Number(*amount)]
    });
    vec![
        Section {
            name: "receivables",
            title: "Receivables by age",
            columns: vec![
                text("age", "Overdue for"),
                count("invoices", "Invoices"),
                money("amount", "Outstanding"),
            ],
            rows: ages.collect(),
        },
        Section {
            name: "taxes",
            title: "Tax invoiced",
            columns: vec![
                Column::new("rate", "Rate %", Kind::Percent),
                money("net", "Net"),
                money("tax", "Tax"),
            ],
            rows: taxes.collect(),
        },
        Section {
            name: "payments",
            title: "Payments by method",
            columns: vec![text("method", "Method"), count("payments", "Payments"), money("amount", "Amount")],
            rows: methods.collect(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_ages_by_thirty_days() {
        assert_eq!([-5, 0, 1, 30, 31, 60, 61, 90, 91].map(age), [0, 0, 1, 1, 2, 2, 3, 3, 4]);
        assert_eq!((age_name(0), age_name(4)), ("not due", OLDEST));
    }
}
