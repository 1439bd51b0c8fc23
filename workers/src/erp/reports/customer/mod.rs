//! Who bought, what they paid and what they owe.

mod classes;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use self::classes::Classes;
use super::Source;
use super::error::Result;
use super::exact::add;
use super::summary::{Chart, ChartKind, Section, Summary, top};
use super::table::{Cell, Column, Kind, Spool, percent, quotient};
use crate::erp::store::report_rows::billing;
use crate::erp::store::report_rows::customers::{self, Bought, Buyer, Paid, Times};

/// Customers of a page.
const PAGE: i64 = 200;
/// For so many days after the last order a customer is active, and then lapsing, before it is lost.
const ACTIVE_DAYS: i64 = 90;
const LAPSING_DAYS: i64 = 180;

/// The columns of the report.
pub(super) fn columns() -> Vec<Column> {
    let date = |name, title| Column::new(name, title, Kind::Date);
    vec![
        Column::new("customer", "Customer", Kind::Text),
        Column::new("customer_name", "Name", Kind::Text),
        Column::new("country", "Country", Kind::Text),
        Column::new("state", "State", Kind::Text),
        Column::new("class", "Class", Kind::Text),
        Column::new("orders", "Orders", Kind::Integer).sum(),
        Column::new("ordered", "Ordered", Kind::Money).sum(),
        Column::new("returned", "Returned", Kind::Money).sum(),
        Column::new("average_order", "Average order", Kind::Money).ratio("ordered", "orders"),
        Column::new("spent", "Spent", Kind::Money).sum(),
        Column::new("outstanding", "Outstanding", Kind::Money).sum(),
        Column::new("overdue", "Overdue", Kind::Money).sum(),
        date("first_order", "First order"),
        date("last_order", "Last order"),
        Column::new("days_since", "Days since", Kind::Integer),
        date("last_payment", "Last payment"),
    ]
}

#[derive(Debug, Clone, Default)]
struct Figures {
    orders: i64,
    last_counted: i64,
    ordered: Decimal,
    returned: Decimal,
    spent: Decimal,
    last_payment: Option<DateTime<Utc>>,
    outstanding: Decimal,
    overdue: Decimal,
}

impl Figures {
    fn buy(&mut self, bought: &Bought) -> Result<()> {
        match bought.order_id {
            Some(order) => {
                if order != self.last_counted {
                    (self.last_counted, self.orders) = (order, self.orders + 1);
                }
                add(&mut self.ordered, bought.amount)
            }
            None => add(&mut self.returned, bought.amount),
        }
    }

    /// What was paid since the period began is spent in it.
    fn pay(&mut self, paid: &Paid, start: DateTime<Utc>) -> Result<()> {
        if paid.amount.is_sign_positive() {
            self.last_payment = self.last_payment.max(Some(paid.at));
        }
        if paid.at < start {
            return Ok(());
        }
        add(&mut self.spent, paid.amount)
    }

    /// What was ordered, less what came back.
    fn kept(&self) -> Result<Decimal> {
        let mut kept = self.ordered;
        add(&mut kept, self.returned)?;
        Ok(kept)
    }
}

/// The days of a customer's orders.
#[derive(Debug, Clone, Copy)]
struct Days {
    first: Option<NaiveDate>,
    before: Option<NaiveDate>,
    last: Option<NaiveDate>,
}

impl Days {
    fn of(source: &Source<'_>, times: &Times) -> Self {
        let day = |at: Option<DateTime<Utc>>| at.map(|at| source.range.day(at));
        Self { first: day(times.first), before: day(times.before), last: day(times.last) }
    }

    /// Whether a customer was not lost when the period began, and whether it is when it ends.
    fn churn(&self, from: NaiveDate, to: NaiveDate) -> (bool, bool) {
        let is_lost = |last: NaiveDate, on: NaiveDate| (on - last).num_days() > LAPSING_DAYS;
        let had = self.before.is_some_and(|last| !is_lost(last, from));
        (had, had && self.last.is_some_and(|last| is_lost(last, to)))
    }
}

/// What a customer is, by its orders: none without one.
fn state(
    first: Option<NaiveDate>,
    last: Option<NaiveDate>,
    from: NaiveDate,
    to: NaiveDate,
) -> Option<&'static str> {
    let (first, since) = (first?, (to - last?).num_days());
    Some(match since {
        days if days > LAPSING_DAYS => "lost",
        days if days > ACTIVE_DAYS => "lapsing",
        _ if first >= from => "new",
        _ => "active",
    })
}

/// What is known when all have passed by.
#[derive(Default)]
struct All {
    states: BTreeMap<&'static str, i64>,
    best: Vec<(String, Decimal)>,
    outstanding: Decimal,
    overdue: Decimal,
    bought: i64,
    /// Customers who were not lost when the period began, and those of them who are when it ends.
    had: i64,
    churned: i64,
}

/// Reads the report.
pub(super) async fn read(source: &mut Source<'_>, spool: &mut Spool) -> Result<Summary> {
    let classes = classes(source).await?;
    let (mut after, mut all) = (0, All::default());
    loop {
        let page = customers::customers(&mut source.conn, source.tenant, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let ids: Vec<i64> = page.iter().map(|buyer| buyer.id).collect();
        let times = customers::order_times(&mut source.conn, source.tenant, &ids, &source.window).await?;
        let (figures, read) = figures(source, &ids).await?;
        for buyer in &page {
            let figures = figures.get(&buyer.id).cloned().unwrap_or_default();
            let days = Days::of(source, &times.get(&buyer.id).copied().unwrap_or_default());
            row(source, spool, (&mut all, &classes), buyer, &figures, days)?;
        }
        all.best = top(std::mem::take(&mut all.best), 10);
        source.watch.step(page.len() + read).await?;
    }
    Ok(summary(source, all))
}

/// Reads what classes are made of.
async fn classes(source: &mut Source<'_>) -> Result<Classes> {
    let (mut after, mut classes) = (0, Classes::default());
    loop {
        let page = customers::customers(&mut source.conn, source.tenant, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let ids: Vec<i64> = page.iter().map(|buyer| buyer.id).collect();
        let times = customers::order_times(&mut source.conn, source.tenant, &ids, &source.window).await?;
        let (figures, read) = bought(source, &ids).await?;
        for (customer, figures) in figures.iter().filter(|(_, figures)| figures.orders > 0) {
            let last = times.get(customer).and_then(|times| times.last).map(|at| source.range.day(at));
            if let Some(last) = last {
                classes.take(last, figures.orders, figures.kept()?);
            }
        }
        source.watch.step(page.len() + read).await?;
    }
    classes.sort();
    Ok(classes)
}

/// What these customers bought and gave back.
async fn bought(source: &mut Source<'_>, ids: &[i64]) -> Result<(HashMap<i64, Figures>, usize)> {
    let mut figures: HashMap<i64, Figures> = HashMap::new();
    let mut read = 0;
    let each = &mut |bought: Bought| {
        read += 1;
        figures.entry(bought.customer_id).or_default().buy(&bought)
    };
    customers::ordered(&mut source.conn, source.tenant, ids, &source.window, each).await?;
    customers::given_back(&mut source.conn, source.tenant, ids, &source.window, each).await?;
    Ok((figures, read))
}

async fn figures(source: &mut Source<'_>, ids: &[i64]) -> Result<(HashMap<i64, Figures>, usize)> {
    let (mut figures, mut read) = bought(source, ids).await?;
    let start = source.window.start;
    let each = &mut |paid: Paid| {
        read += 1;
        figures.entry(paid.customer_id).or_default().pay(&paid, start)
    };
    customers::paid(&mut source.conn, source.tenant, ids, &source.window, each).await?;
    read += owed(source, ids, &mut figures).await?;
    Ok((figures, read))
}

async fn owed(source: &mut Source<'_>, ids: &[i64], figures: &mut HashMap<i64, Figures>) -> Result<usize> {
    let (currency, until) = (source.window.currency.clone(), (source.range.to, source.window.end));
    let (mut after, mut read) = (0, 0);
    loop {
        let page =
            billing::owed(&mut source.conn, source.tenant, until, &currency, Some(ids), (after, 500)).await?;
        let Some(last) = page.last() else { return Ok(read) };
        (after, read) = (last.id, read + page.len());
        for invoice in &page {
            let figures = figures.entry(invoice.customer_id).or_default();
            add(&mut figures.outstanding, invoice.outstanding)?;
            if invoice.due_on < source.range.to {
                add(&mut figures.overdue, invoice.outstanding)?;
            }
        }
    }
}

fn row(
    source: &Source<'_>,
    spool: &mut Spool,
    (all, classes): (&mut All, &Classes),
    buyer: &Buyer,
    figures: &Figures,
    days: Days,
) -> Result<()> {
    let (first, last) = (days.first, days.last);
    let nothing = first.is_none() && figures.outstanding.is_zero() && figures.spent.is_zero();
    if nothing && figures.returned.is_zero() {
        return Ok(());
    }
    let state = state(first, last, source.range.from, source.range.to);
    let (had, churned) = days.churn(source.range.from, source.range.to);
    (all.had, all.churned) = (all.had + i64::from(had), all.churned + i64::from(churned));
    let class = match last.filter(|_| figures.orders > 0) {
        Some(last) => Some(classes.name(last, figures.orders, figures.kept()?)),
        None => None,
    };
    *all.states.entry(state.unwrap_or("without orders")).or_default() += 1;
    all.best.push((buyer.name.clone(), figures.ordered));
    all.bought += i64::from(figures.orders > 0);
    add(&mut all.outstanding, figures.outstanding)?;
    add(&mut all.overdue, figures.overdue)?;
    let average = quotient(Some(figures.ordered), Some(Decimal::from(figures.orders)), source.decimals);
    let since = last.map_or(Cell::Empty, |last| Cell::Integer((source.range.to - last).num_days()));
    spool.push(&[
        Cell::Text(buyer.code.clone()),
        Cell::Text(buyer.name.clone()),
        Cell::text(buyer.country.clone()),
        Cell::text(state),
        Cell::text(class),
        Cell::Integer(figures.orders),
        Cell::Number(figures.ordered),
        Cell::Number(figures.returned),
        Cell::number(average),
        Cell::Number(figures.spent),
        Cell::Number(figures.outstanding),
        Cell::Number(figures.overdue),
        Cell::date(first),
        Cell::date(last),
        since,
        Cell::date(figures.last_payment.map(|at| source.range.day(at))),
    ])
}

fn summary(source: &Source<'_>, all: All) -> Summary {
    let mut summary = Summary::default();
    summary.count("customers", "Customers with orders", all.bought);
    let lost = all.states.get("lost").copied().unwrap_or_default();
    summary.count("new", "New", all.states.get("new").copied().unwrap_or_default());
    summary.count("lost", "Lost", lost);
    summary.count("churned", "Lost in the period", all.churned);
    let churn = percent(Some(Decimal::from(all.churned)), Some(Decimal::from(all.had)));
    summary.figure("churn_percent", "Churn %", Kind::Percent, churn);
    summary.figure("outstanding", "Outstanding", Kind::Money, Some(all.outstanding));
    summary.figure("overdue", "Overdue", Kind::Money, Some(all.overdue));
    let states = ["new", "active", "lapsing", "lost", "without orders"];
    let rows = states.iter().map(|state| {
        vec![Cell::Text((*state).into()), Cell::Integer(all.states.get(state).copied().unwrap_or_default())]
    });
    summary.sections.push(Section {
        name: "states",
        title: "Customers by state",
        columns: vec![
            Column::new("state", "State", Kind::Text),
            Column::new("customers", "Customers", Kind::Integer),
        ],
        rows: rows.collect(),
    });
    let title = format!("Largest by customer, {}", source.window.currency);
    let best = top(all.best, 10);
    summary.sections.push(Section::top(&best));
    summary.charts.push(Chart { title, kind: ChartKind::Top, bars: best });
    summary.note(format!(
        "Orders, what was ordered (without tax, returns apart) and what was spent (payments less refunds) are those of the \
         period; everything else is as of the end of {}. New: the first order is in the period; active: the last order is \
         {ACTIVE_DAYS} days old at most; lapsing: {LAPSING_DAYS}; else lost.",
        source.range.to
    ));
    summary.note(
        "Class: R recency of the last order, F number of orders, M what was ordered less what came back, each from 1 to 5 (5: \
         four fifths of those who bought in the period have less). Churn: those who were not lost when the period began, and \
         are when it ends, of those who were not.",
    );
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_are_new_active_lapsing_and_lost_by_the_days_since_their_last_order() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let (from, to) = (day("2026-06-01"), day("2026-06-30"));
        let of = |first: &str, last: &str| state(Some(day(first)), Some(day(last)), from, to);
        assert_eq!(of("2026-06-03", "2026-06-03"), Some("new"));
        assert_eq!(of("2025-06-03", "2026-04-01"), Some("active"));
        assert_eq!(of("2025-06-03", "2026-03-31"), Some("lapsing"));
        assert_eq!(of("2025-06-03", "2025-12-31"), Some("lost"));
        assert_eq!(state(None, None, from, to), None);
    }

    #[test]
    fn churn_is_of_those_who_were_not_lost_when_the_period_began() {
        let day = |text: &str| Some(text.parse::<NaiveDate>().unwrap());
        let of = |before: Option<NaiveDate>, last: Option<NaiveDate>| {
            let (from, to) = (day("2026-06-01").unwrap(), day("2026-06-30").unwrap());
            Days { first: before, before, last }.churn(from, to)
        };
        assert_eq!(of(day("2025-12-15"), day("2025-12-15")), (true, true));
        assert_eq!(of(day("2025-12-15"), day("2026-06-05")), (true, false), "it came again");
        assert_eq!(of(day("2026-03-01"), day("2026-03-01")), (true, false), "lapsing is not lost");
        assert_eq!(of(day("2025-01-01"), day("2026-06-05")), (false, false), "it was lost, and is won back");
        assert_eq!(of(None, day("2026-06-05")), (false, false), "it is new");
    }
}
