//! What sales come to.

use rust_decimal::Decimal;

use super::groups::Sums;
use crate::erp::reports::Source;
use crate::erp::reports::error::Result;
use crate::erp::reports::request::Grouping;
use crate::erp::reports::summary::{Chart, ChartKind, Summary, top};
use crate::erp::reports::table::{Kind, quotient};
use crate::erp::store::report_rows::sales;

/// Bars of a chart of the largest.
const TOP: usize = 10;

/// Says it.
pub(super) async fn summary(source: &mut Source<'_>, sums: &Sums) -> Result<Summary> {
    let buyers = sales::buyers(&mut source.conn, source.tenant, &source.window).await?;
    let mut summary = Summary::default();
    let all = &sums.all;
    summary.figure("net", "Net sales", Kind::Money, Some(all.net));
    summary.count("orders", "Orders", sums.orders);
    let before_returns = all.gross + all.discounts;
    let average = quotient(Some(before_returns), Some(Decimal::from(sums.orders)), source.decimals);
    summary.figure("average_order", "Average order", Kind::Money, average);
    summary.figure("gross", "Gross sales", Kind::Money, Some(all.gross));
    summary.figure("returns", "Returns", Kind::Money, Some(all.returns));
    summary.count("customers", "Customers", buyers.customers);
    summary.count("new_customers", "New customers", buyers.new);
    summary.count("returning_customers", "Returning customers", buyers.customers - buyers.new);
    summary.figure("margin", "Margin", Kind::Money, all.cost.map(|cost| all.net - cost));
    summary.charts.push(by_time(sums, &source.window.currency));
    summary.charts.push(largest(sums, &source.window.currency));
    summary.note(
        "Orders count when they are approved, on the day they were ordered; returns on the day they came back. \
         Net = gross + discounts + returns, without tax, to the last digit: no line is rounded.",
    );
    if all.cost.is_none() {
        summary.note(
            "Cost and margin are empty where goods are not delivered, not valued yet, or came back: \
             what they cost is not known then.",
        );
    }
    if buyers.other_currencies > 0 {
        summary.note(format!(
            "{} orders in other currencies than {} are left out.",
            buyers.other_currencies, source.window.currency
        ));
    }
    Ok(summary)
}

fn by_time(sums: &Sums, currency: &str) -> Chart {
    let mut bars = Vec::new();
    let mut period = sums.step.start(sums.range.from);
    while period <= sums.range.to && bars.len() < 1500 {
        let net = sums.times.get(&period).copied().unwrap_or_default();
        bars.push((sums.step.label(period), net));
        period = sums.step.next(period);
    }
    Chart { title: format!("Net sales, {currency}"), kind: ChartKind::Time, bars }
}

fn largest(sums: &Sums, currency: &str) -> Chart {
    let (what, bars): (&str, Vec<(String, Decimal)>) = match sums.by {
        Grouping::Category | Grouping::Customer | Grouping::Country | Grouping::Location => (
            sums.by.as_str(),
            sums.groups.values().map(|group| (group.label(), group.amounts.gross)).collect(),
        ),
        _ => ("product", sums.products.values().cloned().collect()),
    };
    let title = format!("Largest by {what}, gross, {currency}");
    Chart { title, kind: ChartKind::Top, bars: top(bars, TOP) }
}
