//! What the inventory comes to.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::abc::{CLASSES, Classes};
use super::pool::Pool;
use crate::erp::reports::Source;
use crate::erp::reports::summary::{Chart, ChartKind, Section, Summary, top};
use crate::erp::reports::table::{Cell, Column, Kind, percent};

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
    /// The classes of products, where they are known, and how many products of each there are.
    pub(super) classes: Option<Classes>,
    pub(super) classed: [i64; CLASSES.len()],
}

impl All {
    pub(super) fn nothing(classes: Option<Classes>) -> Self {
        Self { value: Some(Decimal::ZERO), classes, ..Self::default() }
    }

    /// Counts a product in its class; what that is called.
    pub(super) fn class(&mut self, product: i64) -> Option<&'static str> {
        let class = self.classes.as_ref()?.class(product);
        if let Some(products) = self.classed.get_mut(class) {
            *products += 1;
        }
        CLASSES.get(class).map(|(name, _)| *name)
    }
}

pub(super) fn count(source: &Source<'_>, all: &mut All, pool: &Pool, expires: Option<NaiveDate>) {
    let (closing, to) = (pool.closing(), source.range.to);
    let value = pool.closing_value.filter(|_| source.scope.is_some());
    all.rows += 1;
    all.value = match (all.value, value) {
        (Some(all), Some(value)) => all.checked_add(value),
        _ => None,
    };
    all.negative += i64::from(closing < Decimal::ZERO);
    all.expiring += i64::from(!pool.expiring(expires, to).is_zero());
    all.dead += i64::from(!pool.dead(source.range.from).is_zero());
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
    summary.count("expiring", "Expired, or within 30 days", all.expiring);
    summary.count("dead", "There, and nothing sold", all.dead);
    summary.sections.extend(all.classes.as_ref().map(|classes| abc(classes, all.classed)));
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
         goes first. On order and below the reorder level stand in the first row of a product; one that never was here and is waited for has a row without a \
         place. Where places are valued together, each is worth its share by quantity. Days and the reorder level count on {}.",
        source.range.to
    ));
    summary.note(match all.classes {
        Some(_) => {
            "ABC: products by what the goods had cost that were sold in the period, the largest first. A until they make 80 % of \
             the whole, B until 95 %, C the others and what was not sold."
        }
        None => "ABC classes are empty: goods were sold in the period that are not valued yet.",
    });
    if value.is_none() {
        summary.note("Values are empty where movements are not valued yet.");
    }
    summary
}

fn abc(classes: &Classes, products: [i64; CLASSES.len()]) -> Section {
    let whole = classes.spent.iter().sum();
    let rows = CLASSES.iter().zip(products).zip(classes.spent).map(|(((class, _), products), spent)| {
        vec![
            Cell::Text((*class).into()),
            Cell::Integer(products),
            Cell::Number(spent),
            Cell::number(percent(Some(spent), Some(whole))),
        ]
    });
    Section {
        name: "abc",
        title: "Products by class",
        columns: vec![
            Column::new("class", "Class", Kind::Text),
            Column::new("products", "Products", Kind::Integer),
            Column::new("cost_of_goods", "Cost of goods sold", Kind::Money),
            Column::new("share", "Share %", Kind::Percent),
        ],
        rows: rows.collect(),
    }
}
