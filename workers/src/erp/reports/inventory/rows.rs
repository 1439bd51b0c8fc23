//! The rows: a product, a location and a batch each.

use std::collections::HashMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::pool::{Pool, Pools};
use super::shares::share_out;
use super::summary::{All, count};
use crate::erp::reports::Source;
use crate::erp::reports::error::Result;
use crate::erp::reports::exact::add;
use crate::erp::reports::summary::top;
use crate::erp::reports::table::{Cell, Column, Kind, Spool, quotient};
use crate::erp::store::report_rows::stock::{self, PoolKey, ProductFacts};
use crate::erp::valuation::Scope;

/// The columns of the report.
pub(crate) fn columns() -> Vec<Column> {
    let text = |name, title| Column::new(name, title, Kind::Text);
    let date = |name, title| Column::new(name, title, Kind::Date);
    let quantity = |name, title| Column::new(name, title, Kind::Quantity).sum();
    let money = |name, title| Column::new(name, title, Kind::Money).sum();
    vec![
        text("sku", "Product"),
        text("product", "Name"),
        text("category", "Category"),
        text("abc", "ABC"),
        text("location", "Location"),
        text("lot", "Batch"),
        date("expires_on", "Expires"),
        quantity("opening", "Opening"),
        quantity("in", "In"),
        quantity("out", "Out"),
        quantity("adjusted", "Adjusted"),
        quantity("closing", "Closing"),
        money("opening_value", "Opening value"),
        money("closing_value", "Closing value"),
        Column::new("average_cost", "Average cost", Kind::Money),
        quantity("reserved", "Reserved now"),
        quantity("available", "Available now"),
        quantity("on_order", "On order now"),
        Column::new("reorder_level", "Reorder level", Kind::Quantity),
        quantity("below_level", "Below it by"),
        quantity("negative", "Below nothing by"),
        quantity("expiring", "Expired, or within 30 days"),
        quantity("dead", "There, and nothing sold"),
        quantity("age_30", "0-30 days old"),
        quantity("age_60", "31-60"),
        quantity("age_90", "61-90"),
        quantity("age_older", "Older"),
        date("last_out", "Last out"),
        Column::new("turnover", "Turnover", Kind::Quantity),
    ]
}

/// What is known of the products of some pools.
struct Known {
    products: HashMap<i64, ProductFacts>,
    batches: HashMap<i64, (String, Option<NaiveDate>)>,
    levels: HashMap<PoolKey, (Decimal, Decimal)>,
    on_order: HashMap<i64, Decimal>,
}

pub(super) async fn emit(
    source: &mut Source<'_>,
    spool: &mut Spool,
    all: &mut All,
    locations: &HashMap<i64, String>,
    ready: Vec<(i64, Pools)>,
) -> Result<()> {
    let ids: Vec<i64> = ready.iter().map(|(product, _)| *product).collect();
    let (conn, tenant) = (&mut source.conn, source.tenant);
    let known = Known {
        products: stock::products(conn, tenant, &ids).await?,
        batches: stock::batches(conn, tenant, &ids).await?,
        levels: stock::levels(conn, tenant, &ids).await?,
        on_order: stock::on_order(conn, tenant, &ids).await?,
    };
    let scope = source.scope.as_deref().and_then(|word| word.parse::<Scope>().ok());
    for (product, mut pools) in ready {
        let Some(facts) = known.products.get(&product) else { continue };
        let on_order = known.on_order.get(&product).copied().unwrap_or_default();
        if let Some(scope) = scope {
            share_out(scope, &mut pools, source.decimals);
        }
        let (mut there, mut worth) = (Decimal::ZERO, Some(Decimal::ZERO));
        for pool in pools.values() {
            add(&mut there, pool.closing())?;
            worth = worth.zip(pool.closing_value).and_then(|(worth, value)| worth.checked_add(value));
        }
        all.most.push((facts.name.clone(), there));
        all.dearest.extend(worth.map(|worth| (facts.name.clone(), worth)));
        let level = facts.reorder_level.unwrap_or_default();
        let below_level = if level.is_zero() { level } else { (level - there).max(Decimal::ZERO) };
        all.below += i64::from(!below_level.is_zero());
        if pools.is_empty() && below_level.is_zero() && on_order.is_zero() {
            continue;
        }
        let mut first = Product { facts, class: all.class(product), on_order, below_level };
        if pools.is_empty() {
            let nowhere = ((product, 0, None), None);
            spool.push(&row(source, &first, nowhere, &Pool::unmoved(), &known))?;
        }
        for ((location, batch), pool) in &pools {
            let key = (product, *location, *batch);
            count(source, all, pool, expires(&known, *batch));
            spool.push(&row(source, &first, (key, locations.get(location).cloned()), pool, &known))?;
            first = first.behind();
        }
    }
    all.most = top(std::mem::take(&mut all.most), 10);
    all.dearest = top(std::mem::take(&mut all.dearest), 10);
    Ok(())
}

/// What is said of a product in its rows.
struct Product<'k> {
    facts: &'k ProductFacts,
    class: Option<&'static str>,
    on_order: Decimal,
    below_level: Decimal,
}

impl Product<'_> {
    /// In the rows behind its first one. What is ordered goes to no location yet, and what is below the reorder level is not of
    /// one: it stands in the first row, so that it is counted once.
    fn behind(self) -> Self {
        Self { on_order: Decimal::ZERO, below_level: Decimal::ZERO, ..self }
    }
}

fn expires(known: &Known, batch: Option<i64>) -> Option<NaiveDate> {
    batch.and_then(|batch| known.batches.get(&batch)).and_then(|(_, expires)| *expires)
}

fn row(
    source: &Source<'_>,
    product: &Product<'_>,
    (key, location): (PoolKey, Option<String>),
    pool: &Pool,
    known: &Known,
) -> Vec<Cell> {
    let (facts, expires, range) = (product.facts, expires(known, key.2), &source.range);
    let closing = pool.closing();
    let (on_hand, reserved) = known.levels.get(&key).copied().unwrap_or_default();
    let lot = key.2.and_then(|batch| known.batches.get(&batch)).map(|(lot, _)| lot.clone());
    let (opening_value, closing_value) = match source.scope {
        Some(_) => (pool.opening_value, pool.closing_value),
        None => (None, None),
    };
    let ages = pool.ages(range.to);
    let average = Decimal::from(2);
    let mean = (pool.opening + closing).checked_div(average);
    let turnover =
        quotient(Some(-pool.outgoing), mean, 2).filter(|_| mean.is_some_and(|mean| mean > Decimal::ZERO));
    let mut cells = vec![
        Cell::Text(facts.sku.clone()),
        Cell::Text(facts.name.clone()),
        Cell::text(facts.category.clone()),
        Cell::text(product.class),
        Cell::text(location),
        Cell::text(lot),
        Cell::date(expires),
        Cell::Number(pool.opening),
        Cell::Number(pool.incoming),
        Cell::Number(pool.outgoing),
        Cell::Number(pool.adjusted),
        Cell::Number(closing),
        Cell::number(opening_value),
        Cell::number(closing_value),
        Cell::number(quotient(closing_value, Some(closing), 4)),
        Cell::Number(reserved),
        Cell::Number(on_hand - reserved),
        Cell::Number(product.on_order),
        Cell::number(facts.reorder_level),
        Cell::Number(product.below_level),
        Cell::Number(pool.missing()),
        Cell::Number(pool.expiring(expires, range.to)),
        Cell::Number(pool.dead(range.from)),
    ];
    cells.extend(ages.map(Cell::Number));
    cells.extend([Cell::date(pool.last_out), Cell::number(turnover)]);
    cells
}
