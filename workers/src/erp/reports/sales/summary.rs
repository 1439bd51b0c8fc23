//! What sales come to.

use rust_decimal::Decimal;

use super::amounts::Cost;
use super::groups::Sums;
use crate::erp::money::round_half_up;
use crate::erp::reports::Source;
use crate::erp::reports::error::{ReportError, Result};
use crate::erp::reports::exact::exact_sum;
use crate::erp::reports::request::Grouping;
use crate::erp::reports::summary::{Chart, ChartKind, Section, Summary, top};
use crate::erp::reports::table::{Cell, Column, Kind, quotient};
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
    summary.figure("margin", "Margin", Kind::Money, all.margin().as_number());
    let tax = round_half_up(all.tax, source.decimals);
    summary.figure("tax", "Tax, rounded once", Kind::Money, Some(tax));
    summary.sections.push(taxes(sums)?);
    let (what, bars) = largest(sums);
    summary.sections.push(Section::top(&bars));
    summary.charts.push(by_time(sums, &source.window.currency));
    let title = format!("Largest by {what}, gross, {}", source.window.currency);
    summary.charts.push(Chart { title, kind: ChartKind::Top, bars });
    summary.note(
        "Orders count when they are approved, on the day they were ordered; returns on the day they came back. \
         Net = gross + discounts + returns, without tax, to the last digit: no line is rounded, and no line's tax.",
    );
    if all.goods_net != all.net {
        summary.note(
            "Lines without a product have no cost of goods: they are in net, and not in net of goods and margin. \
             Margin = net of goods - cost of goods.",
        );
    }
    if all.cost == Cost::Unknown {
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

/// The largest by what rows stand for, else by product.
fn largest(sums: &Sums) -> (&'static str, Vec<(String, Decimal)>) {
    let (what, bars): (&str, Vec<(String, Decimal)>) = match sums.by {
        Grouping::Category | Grouping::Customer | Grouping::Country | Grouping::Location => (
            sums.by.as_str(),
            sums.groups.values().map(|group| (group.label(), group.amounts.gross)).collect(),
        ),
        _ => ("product", sums.products.values().cloned().collect()),
    };
    (what, top(bars, TOP))
}

/// Tax of these sales to the last digit, beside what invoices say, which are rounded line by line:
/// computed = invoiced - rounding + not invoiced.
fn taxes(sums: &Sums) -> Result<Section> {
    let difference = |of, less: Decimal| exact_sum(of, -less).ok_or_else(ReportError::too_large);
    let rows = [
        ("computed", sums.all.tax),
        ("invoiced", sums.stated),
        ("rounding", difference(sums.stated, sums.billed)?),
        ("not invoiced", difference(sums.all.tax, sums.billed)?),
    ];
    Ok(Section {
        name: "tax",
        title: "Tax to the last digit, and as invoiced",
        columns: vec![Column::new("part", "Part", Kind::Text), Column::new("tax", "Tax", Kind::Money)],
        rows: rows.iter().map(|(part, tax)| vec![Cell::Text((*part).into()), Cell::Number(*tax)]).collect(),
    })
}
