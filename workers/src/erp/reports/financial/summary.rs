//! What was billed, paid and is owed, in all.

use rust_decimal::Decimal;

use super::ages;
use super::sums::{Books, Sums, columns};
use crate::erp::money::round_half_up;
use crate::erp::reports::Source;
use crate::erp::reports::error::{ReportError, Result};
use crate::erp::reports::exact::tax;
use crate::erp::reports::range::Step;
use crate::erp::reports::request::Grouping;
use crate::erp::reports::summary::{Chart, ChartKind, Section, Summary, top};
use crate::erp::reports::table::{Cell, Column, Kind};

/// Says it.
pub(super) fn summary(source: &Source<'_>, step: Step, books: &Books) -> Result<Summary> {
    let periods = books.periods(step)?;
    let mut summary = Summary::default();
    let sum = |of: fn(&Sums) -> Decimal| periods.values().map(of).sum::<Decimal>();
    summary.figure("total", "Invoiced", Kind::Money, Some(sum(|sums| sums.total)));
    summary.figure("paid", "Paid, less refunds", Kind::Money, Some(sum(|sums| sums.paid + sums.refunded)));
    summary.figure("outstanding", "Outstanding", Kind::Money, Some(books.outstanding));
    let not_due = books.ages.get(&0).map(|(_, amount)| *amount).unwrap_or_default();
    summary.figure("overdue", "Overdue", Kind::Money, Some(books.outstanding - not_due));
    summary.sections = sections(books, source.decimals)?;
    if step != Step::Month {
        summary.sections.push(months(books)?);
    }
    let bars = periods.iter().map(|(start, sums)| (step.label(*start), sums.total)).collect();
    let title = format!("Invoiced, {}", source.window.currency);
    summary.charts.push(Chart { title, kind: ChartKind::Time, bars });
    let owed = books.ages.iter().map(|(step, (_, amount))| (ages::name(*step).to_owned(), *amount));
    let title = format!("Owed on {} by age, {}", source.range.to, source.window.currency);
    summary.charts.push(Chart { title, kind: ChartKind::Top, bars: top(owed, 5) });
    summary.note(format!(
        "What is outstanding is what was not paid by the end of {} of invoices issued by then. Amounts are those of the \
         documents, rounded line by line.",
        source.range.to
    ));
    summary.note(
        "Cost of goods is what sales cost, less what came back for what it had cost, and what receipts cost later of goods that \
         were gone. Payables are not in it: bills of vendors are not entered here.",
    );
    if periods.values().any(|sums| sums.cost.is_none()) {
        summary
            .note("Cost of goods and profit are empty where goods that left the stock are not valued yet.");
    }
    Ok(summary)
}

fn sections(books: &Books, decimals: u32) -> Result<Vec<Section>> {
    let money = |name, title| Column::new(name, title, Kind::Money);
    let text = |name, title| Column::new(name, title, Kind::Text);
    let count = |name, title| Column::new(name, title, Kind::Integer);
    let by_age = (0..ages::STEPS).map(|step| {
        let (invoices, amount) = books.ages.get(&step).copied().unwrap_or_default();
        vec![Cell::Text(ages::name(step).into()), Cell::Integer(invoices), Cell::Number(amount)]
    });
    let methods = books.methods.iter().map(|(method, (payments, amount))| {
        vec![Cell::Text(method.clone()), Cell::Integer(*payments), Cell::Number(*amount)]
    });
    Ok(vec![
        Section {
            name: "receivables",
            title: "Receivables by age",
            columns: vec![
                text("age", "Overdue for"),
                count("invoices", "Invoices"),
                money("amount", "Outstanding"),
            ],
            rows: by_age.collect(),
        },
        taxes(books, decimals)?,
        Section {
            name: "payments",
            title: "Payments by method",
            columns: vec![text("method", "Method"), count("payments", "Payments"), money("amount", "Amount")],
            rows: methods.collect(),
        },
    ])
}

/// Tax by rate: as invoices state it, line by line, and as it is on their net, rounded once.
fn taxes(books: &Books, decimals: u32) -> Result<Section> {
    let mut rows = Vec::new();
    for (rate, (net, stated)) in &books.taxes {
        let exact = tax(*net, *rate).ok_or_else(ReportError::too_large)?;
        let computed = round_half_up(exact, decimals);
        let cells = [*rate, *net, *stated, computed, *stated - computed];
        rows.push(cells.map(Cell::Number).to_vec());
    }
    let money = |name, title| Column::new(name, title, Kind::Money);
    Ok(Section {
        name: "taxes",
        title: "Tax invoiced",
        columns: vec![
            Column::new("rate", "Rate %", Kind::Percent),
            money("net", "Net"),
            money("tax", "Tax, as invoiced"),
            money("computed", "Of the net, rounded once"),
            money("rounding", "Difference by rounding"),
        ],
        rows,
    })
}

/// The same as the rows, by month.
fn months(books: &Books) -> Result<Section> {
    let months = books.periods(Step::Month)?;
    Ok(Section {
        name: "months",
        title: "By month",
        columns: columns(Grouping::Month),
        rows: months.iter().map(|(start, sums)| sums.cells(Step::Month.label(*start))).collect(),
    })
}
