//! What was sold: by day, week, month, product, category, customer, country, location, or line by line.
//!
//! An order counts when it is approved, on the day it was ordered; a return on the day it came back. A line comes to
//! quantity x price: that is the gross; what is taken off and what came back are below nothing, so that
//! net = gross + discounts + returns. Nothing is rounded on the way, tax neither: an order's own total, and an invoice, are
//! rounded line by line. Tax in the summary is rounded once, and stands beside what the invoices state.
//!
//! A line without a product (a service, a text) has no cost of goods: it is in net, and neither in the net of goods nor in
//! cost and margin. Goods whose cost is not known make cost and margin empty.

mod amounts;
mod groups;
mod labels;
mod summary;

use std::collections::HashMap;

use self::amounts::{AMOUNTS, Cost};
use self::groups::{Group, Sums};
use self::labels::labels;
use super::Source;
use super::error::Result;
use super::exact::add;
use super::request::Grouping;
use super::summary::Summary;
use super::table::{Column, Kind, Spool};
use crate::erp::store::report_rows::Place;
use crate::erp::store::report_rows::sales::{self, SaleLine};

/// Orders of a page.
const PAGE: i64 = 200;

/// The columns of the report.
pub(super) fn columns(by: Grouping) -> Vec<Column> {
    let mut columns = labels(by);
    if by != Grouping::Line {
        // An order of two products is in both their rows: then the rows do not add up to the orders.
        let apart = !matches!(by, Grouping::Product | Grouping::Category | Grouping::Location);
        columns.push(Column::new("orders", "Orders", Kind::Integer).sum_if(apart));
    }
    columns.extend(AMOUNTS);
    columns
}

/// Reads the report.
pub(super) async fn read(source: &mut Source<'_>, spool: &mut Spool) -> Result<Summary> {
    let mut sums = Sums::new(source.by, source.range);
    orders(source, &mut sums, spool).await?;
    returns(source, &mut sums, spool).await?;
    let mut groups: Vec<&Group> = sums.groups.values().collect();
    match source.by.step() {
        // Their labels are in the order of their time.
        Some(_) => groups.sort_by_key(|group| group.label()),
        None => groups.sort_by(|a, b| {
            b.amounts.gross.cmp(&a.amounts.gross).then_with(|| first_label(a).cmp(&first_label(b)))
        }),
    }
    for group in groups {
        spool.push(&group.cells())?;
    }
    summary::summary(source, &sums).await
}

fn first_label(group: &Group) -> String {
    group.labels.first().and_then(|cell| cell.plain(Kind::Text, 0)).unwrap_or_default()
}

async fn orders(source: &mut Source<'_>, sums: &mut Sums, spool: &mut Spool) -> Result<()> {
    let mut after = Place::before(&source.window);
    loop {
        let page = sales::orders(&mut source.conn, source.tenant, &source.window, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = *last;
        let ids: Vec<i64> = page.iter().map(|order| order.id).collect();
        let costs = match &source.scope {
            Some(scope) => sales::costs(&mut source.conn, source.tenant, scope, &ids).await?,
            None => HashMap::new(),
        };
        let stated = sales::stated_taxes(&mut source.conn, source.tenant, &ids).await?;
        for tax in stated.values() {
            add(&mut sums.stated, *tax)?;
        }
        let mut read = 0;
        let each = &mut |line: SaleLine| {
            read += 1;
            let cost = match (line.product_id, costs.get(&(line.document_id, line.line_no))) {
                // What is not of the catalogue is no goods.
                (None, _) => Cost::Nothing,
                (Some(_), Some((delivered, cost))) if *delivered == line.quantity => Cost::Known(*cost),
                _ => Cost::Unknown,
            };
            let amounts = sums.take(&line, cost, spool)?;
            match stated.contains_key(&line.document_id) {
                true => add(&mut sums.billed, amounts.tax),
                false => Ok(()),
            }
        };
        sales::order_lines(&mut source.conn, source.tenant, &ids, each).await?;
        source.watch.step(read).await?;
    }
}

async fn returns(source: &mut Source<'_>, sums: &mut Sums, spool: &mut Spool) -> Result<()> {
    let mut after = Place::before(&source.window);
    loop {
        let page = sales::returns(&mut source.conn, source.tenant, &source.window, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = *last;
        let ids: Vec<i64> = page.iter().map(|document| document.id).collect();
        let mut read = 0;
        let each = &mut |line: SaleLine| {
            read += 1;
            // What came back may be worth something still, or nothing: the paper does not say.
            let cost = if line.product_id.is_none() { Cost::Nothing } else { Cost::Unknown };
            sums.take(&line, cost, spool).map(drop)
        };
        sales::return_lines(&mut source.conn, source.tenant, &ids, each).await?;
        source.watch.step(read).await?;
    }
}
