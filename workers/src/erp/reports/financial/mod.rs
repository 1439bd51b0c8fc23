//! What was billed, paid and is owed, by month, week or day.
//!
//! Amounts are those of the documents, as they were rounded line by line. An invoice counts on its day of issue, money on the
//! day it came in, goods on the day they left the stock.
//!
//! Tax is what invoices state. Beside it, by rate, stands what it comes to on their net, rounded once.

mod ages;
mod summary;
mod sums;

use self::summary::summary;
use self::sums::Books;
pub(super) use self::sums::columns;
use super::Source;
use super::error::Result;
use super::exact::add;
use super::range::Step;
use super::summary::Summary;
use super::table::Spool;
use crate::erp::store::report_rows::{Place, billing, stock};
use rust_decimal::Decimal;

/// Documents of a page.
const PAGE: i64 = 500;

/// Reads the report.
pub(super) async fn read(source: &mut Source<'_>, spool: &mut Spool) -> Result<Summary> {
    let step = source.by.step().unwrap_or(Step::Month);
    let mut books = Books::default();
    invoices(source, &mut books).await?;
    payments(source, &mut books).await?;
    goods(source, &mut books).await?;
    owed(source, &mut books).await?;
    for (start, sums) in books.periods(step)? {
        spool.push(&sums.cells(step.label(start)))?;
    }
    summary(source, step, &books)
}

async fn invoices(source: &mut Source<'_>, books: &mut Books) -> Result<()> {
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
            let sums = books.days.entry(invoice.issued_on).or_default();
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

async fn payments(source: &mut Source<'_>, books: &mut Books) -> Result<()> {
    let mut after = Place::before(&source.window);
    loop {
        let page = billing::payments(&mut source.conn, source.tenant, &source.window, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.place;
        for payment in &page {
            let day = source.range.day(payment.place.at);
            let sums = books.days.entry(day).or_default();
            let refund = payment.amount.is_sign_negative();
            add(if refund { &mut sums.refunded } else { &mut sums.paid }, payment.amount)?;
            let method = books.methods.entry(payment.method.clone()).or_default();
            method.0 += 1;
            add(&mut method.1, payment.amount)?;
        }
        source.watch.step(page.len()).await?;
    }
}

async fn goods(source: &mut Source<'_>, books: &mut Books) -> Result<()> {
    let mut after = Place::before(&source.window);
    loop {
        let (scope, end) = (source.scope.as_deref(), source.window.end);
        let page = stock::costs(&mut source.conn, source.tenant, end, scope, after, 4 * PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.place;
        for spent in page.iter().filter(|spent| spent.cost.is_none_or(|cost| !cost.is_zero())) {
            let sums = books.days.entry(source.range.day(spent.place.at)).or_default();
            sums.spend(spent.cost)?;
        }
        source.watch.step(page.len()).await?;
    }
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
            let step = books.ages.entry(ages::step(days)).or_default();
            step.0 += 1;
            add(&mut step.1, invoice.outstanding)?;
            add(&mut books.outstanding, invoice.outstanding)?;
        }
        source.watch.step(page.len()).await?;
    }
}
