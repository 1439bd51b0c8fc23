//! What the inventory comes to.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::pool::Pool;
use crate::erp::reports::Source;
use crate::erp::reports::summary::{Chart, ChartKind, Summary, top};
use crate::erp::reports::table::Kind;

/// A batch expires soon that ends within so many days.
const SOON: i64 = 30;

/// What is known when all have passed by.
#[derive(Default)]
pub(super) struct All {
    pub(super) rows: i64,
    pub(super) value: Option<Decimal>,
    pub(super) below: i64,
    pub(super) negative: i64,
    pub(super) expiring: i64,
    pub(super) dead: i64,
    /// The largest products by how many are there, and by what they are worth as far as that is known.
    pub(super) most: Vec<(String, Decimal)>,
    pub(super) dearest: Vec<(String, Decimal)>,
    pub(super) ages: [Decimal; 4],
}

impl All {
    pub(super) fn nothing() -> Self {
        Self { value: Some(Decimal::ZERO), ..Self::default() }
    }
}

pub(super) fn count(source: &Source<'_>, all: &mut All, pool: &Pool, expires: Option<NaiveDate>) {
    let (closing, to) = (pool.closing(), source.range.to);
    let value = pool.closing_value.filter(|_| source.scope.is_some());
    let there = closing > Decimal::ZERO;
    all.rows += 1;
    all.value = match (all.value, value) {
        (Some(all), Some(value)) => all.checked_add(value),
        _ => None,
    };
    all.negative += i64::from(closing < Decimal::ZERO);
    all.expiring += i64::from(there && expires.is_some_and(|end| (end - to).num_days() <= SOON));
    all.dead += i64::from(there && pool.last_out.is_none_or(|day| day < source.range.from));
    for (sum, age) in all.ages.iter_mut().zip(pool.ages(to)) {
        *sum = sum.saturating_add(age);
    }
}

pub(super) fn summary(source: &Source<'_>, all: All) -> Summary {
    let mut summary = Summary::default();
    let value = all.value.filter(|_| source.scope.is_some());
    summary.figure("value", "Stock value", Kind::Money, value);
    summary.count("rows", "Products at places", all.rows);
    summary.count("below_reorder_level", "Below reorder level", all.below);
    summary.count("negative", "Below nothing", all.negative);
    summary.count("expiring", "Expire in 30 days, or have", all.expiring);
    summary.count("dead", "There, and nothing sold", all.dead);
    let (what, bars) = match value {
        Some(_) => (source.window.currency.as_str(), all.dearest),
        None => ("quantity", all.most),
    };
    let title = format!("Largest by product, {what}");
    summary.charts.push(Chart { title, kind: ChartKind::Top, bars: top(bars, 10) });
    let names = ["0-30 days", "31-60 days", "61-90 days", "older"];
    let bars = names.iter().zip(all.ages).map(|(name, quantity)| ((*name).to_owned(), quantity));
    summary.charts.push(Chart {
        title: "Stock by age, quantity".into(),
        kind: ChartKind::Top,
        bars: bars.collect(),
    });
    summary.note(format!(
        "Opening, in, out, adjusted and closing are of the period, by the time of the movements; reserved, available and on \
         order are as they were when the report was made. What is there ages from the day it came to the place, the oldest \
         goes first. On order stands in the first row of a product; one that never was here and is waited for has a row without a \
         place. Where places are valued together, each is worth its share by quantity. Days and the reorder level count on {}.",
        source.range.to
    ));
    if value.is_none() {
        summary.note("Values are empty where movements are not valued yet.");
    }
    summary
}
