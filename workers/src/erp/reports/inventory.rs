//! What was there, came and went: by product, location and batch.
//!
//! Movements are read from the first one on, product after product and as they happened, so that the opening is the sum of what
//! came before and the closing what it should be: opening + in + out + adjusted.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use super::Source;
use super::error::{ReportError, Result};
use super::summary::{Chart, ChartKind, Summary, top};
use super::table::{Cell, Column, Kind, Spool, quotient};
use crate::erp::money::round_half_up;
use crate::erp::store::report_rows::stock::{self, Moved, PoolKey, ProductFacts};
use crate::erp::valuation::{Place, PoolKey as ValuedKey, Scope};

/// Movements of a page.
const PAGE: i64 = 2000;
/// Products whose names are looked up together.
const TOGETHER: usize = 100;
/// The last days of the first three steps of ageing.
const AGES: [i64; 3] = [30, 60, 90];
/// A batch expires soon that ends within so many days.
const SOON: i64 = 30;

/// The columns of the report.
pub(super) fn columns() -> Vec<Column> {
    let text = |name, title| Column::new(name, title, Kind::Text);
    let date = |name, title| Column::new(name, title, Kind::Date);
    let quantity = |name, title| Column::new(name, title, Kind::Quantity).sum();
    let money = |name, title| Column::new(name, title, Kind::Money).sum();
    vec![
        text("sku", "Product"),
        text("product", "Name"),
        text("category", "Category"),
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
        quantity("age_30", "0-30 days old"),
        quantity("age_60", "31-60"),
        quantity("age_90", "61-90"),
        quantity("age_older", "Older"),
        date("last_out", "Last out"),
        Column::new("turnover", "Turnover", Kind::Quantity),
    ]
}

/// A product at a location, of a batch.
#[derive(Debug, Clone, Default)]
struct Pool {
    opening: Decimal,
    incoming: Decimal,
    outgoing: Decimal,
    adjusted: Decimal,
    opening_value: Option<Decimal>,
    closing_value: Option<Decimal>,
    /// What is left of what came, the oldest first.
    layers: VecDeque<(NaiveDate, Decimal)>,
    /// What went beyond what had come.
    owed: Decimal,
    last_out: Option<NaiveDate>,
}

fn add(sum: &mut Decimal, amount: Decimal) -> Result<()> {
    *sum = sum.checked_add(amount).ok_or_else(ReportError::too_large)?;
    Ok(())
}

impl Pool {
    fn unmoved() -> Self {
        Self { opening_value: Some(Decimal::ZERO), closing_value: Some(Decimal::ZERO), ..Self::default() }
    }

    fn closing(&self) -> Decimal {
        self.opening + self.incoming + self.outgoing + self.adjusted
    }

    fn take(&mut self, moved: &Moved, day: NaiveDate, start: DateTime<Utc>) -> Result<()> {
        let before = moved.at < start;
        let column = match moved.kind.as_str() {
            _ if before => &mut self.opening,
            "adjust" | "count" => &mut self.adjusted,
            "sale" | "return_out" | "transfer_out" => &mut self.outgoing,
            _ => &mut self.incoming,
        };
        add(column, moved.quantity)?;
        let valued = |sum: Option<Decimal>| match (sum, moved.value) {
            (Some(sum), Some(value)) => sum.checked_add(value),
            _ => None,
        };
        self.closing_value = valued(self.closing_value);
        if before {
            self.opening_value = valued(self.opening_value);
        }
        if matches!(moved.kind.as_str(), "sale" | "return_out") && moved.quantity.is_sign_negative() {
            self.last_out = self.last_out.max(Some(day));
        }
        self.age(moved.quantity, day)
    }

    /// What goes is taken from the oldest.
    fn age(&mut self, quantity: Decimal, day: NaiveDate) -> Result<()> {
        if quantity.is_sign_positive() {
            let settled = quantity.min(self.owed);
            self.owed -= settled;
            let left = quantity - settled;
            match self.layers.back_mut() {
                _ if left.is_zero() => {}
                Some((last, there)) if *last == day => add(there, left)?,
                _ => self.layers.push_back((day, left)),
            }
            return Ok(());
        }
        let mut going = -quantity;
        while let Some((_, there)) = self.layers.front_mut() {
            let taken = going.min(*there);
            (*there, going) = (*there - taken, going - taken);
            if !there.is_zero() {
                break;
            }
            self.layers.pop_front();
            if going.is_zero() {
                break;
            }
        }
        add(&mut self.owed, going)
    }

    /// What is there by age, the youngest first.
    fn ages(&self, to: NaiveDate) -> [Decimal; 4] {
        let mut ages = [Decimal::ZERO; 4];
        for (day, quantity) in &self.layers {
            let days = (to - *day).num_days();
            let step = AGES.iter().position(|last| days <= *last).unwrap_or(AGES.len());
            if let Some(age) = ages.get_mut(step) {
                *age += *quantity;
            }
        }
        // What is owed was taken before it came: it is not there.
        if let Some(youngest) = ages.first_mut() {
            *youngest -= self.owed;
        }
        ages
    }
}

/// The pools of a product, by location and batch.
type Pools = BTreeMap<(i64, Option<i64>), Pool>;

/// What is known when all have passed by.
#[derive(Default)]
struct All {
    rows: i64,
    value: Option<Decimal>,
    below: i64,
    negative: i64,
    expiring: i64,
    dead: i64,
    /// The largest products by how many are there, and by what they are worth as far as that is known.
    most: Vec<(String, Decimal)>,
    dearest: Vec<(String, Decimal)>,
    ages: [Decimal; 4],
}

/// Reads the report.
pub(super) async fn read(source: &mut Source<'_>, spool: &mut Spool) -> Result<Summary> {
    let locations = stock::locations(&mut source.conn, source.tenant).await?;
    let mut all = All { value: Some(Decimal::ZERO), ..All::default() };
    let (mut after, mut current) = ((0, DateTime::UNIX_EPOCH, 0), None);
    let mut pools = Pools::new();
    let mut ready: Vec<(i64, Pools)> = Vec::new();
    loop {
        let (scope, end) = (source.scope.as_deref(), source.window.end);
        let page = stock::movements(&mut source.conn, source.tenant, end, scope, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.product_id, last.at, last.seq);
        for moved in &page {
            if current.is_some_and(|current| current != moved.product_id) {
                ready.push((current.unwrap_or_default(), std::mem::take(&mut pools)));
            }
            current = Some(moved.product_id);
            let pool = pools.entry((moved.location_id, moved.batch_id)).or_insert_with(Pool::unmoved);
            pool.take(moved, source.range.day(moved.at), source.window.start)?;
        }
        if ready.len() >= TOGETHER {
            emit(source, spool, &mut all, &locations, std::mem::take(&mut ready)).await?;
        }
        source.watch.step(page.len()).await?;
    }
    if let Some(product) = current {
        ready.push((product, pools));
    }
    emit(source, spool, &mut all, &locations, ready).await?;
    unmoved(source, spool, &mut all, &locations).await?;
    Ok(summary(source, all))
}

/// What never was here and is waited for: nothing is there of it, and that may be too little.
async fn unmoved(
    source: &mut Source<'_>,
    spool: &mut Spool,
    all: &mut All,
    locations: &HashMap<i64, String>,
) -> Result<()> {
    let mut after = 0;
    loop {
        let end = source.window.end;
        let page = stock::unmoved(&mut source.conn, source.tenant, end, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = *last;
        source.watch.step(page.len()).await?;
        for some in page.chunks(TOGETHER) {
            let ready = some.iter().map(|product| (*product, Pools::new())).collect();
            emit(source, spool, all, locations, ready).await?;
        }
    }
}

/// What is known of the products of some pools.
struct Known {
    products: HashMap<i64, ProductFacts>,
    batches: HashMap<i64, (String, Option<NaiveDate>)>,
    levels: HashMap<PoolKey, (Decimal, Decimal)>,
    on_order: HashMap<i64, Decimal>,
}

async fn emit(
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
        let (mut there, mut worth) = (Decimal::ZERO, Some(Decimal::ZERO));
        if let Some(scope) = scope {
            share_out(scope, &mut pools, source.decimals);
        }
        for (at, ((location, batch), pool)) in pools.iter().enumerate() {
            let key = (product, *location, *batch);
            let location = locations.get(location).cloned();
            // What is ordered goes to no location yet: it stands in the product's first row, so that it is counted once.
            let on_order = if at == 0 { on_order } else { Decimal::ZERO };
            count(source, all, pool, expires(&known, *batch));
            spool.push(&row(source, facts, (key, location), pool, &known, on_order))?;
            add(&mut there, pool.closing())?;
            worth = worth.zip(pool.closing_value).and_then(|(worth, value)| worth.checked_add(value));
        }
        all.most.push((facts.name.clone(), there));
        all.dearest.extend(worth.map(|worth| (facts.name.clone(), worth)));
        let below = facts.reorder_level.is_some_and(|level| !level.is_zero() && there < level);
        if pools.is_empty() && (below || !on_order.is_zero()) {
            let nowhere = ((product, 0, None), None);
            spool.push(&row(source, facts, nowhere, &Pool::unmoved(), &known, on_order))?;
        }
        all.below += i64::from(below);
    }
    all.most = top(std::mem::take(&mut all.most), 10);
    all.dearest = top(std::mem::take(&mut all.dearest), 10);
    Ok(())
}

/// Movements between places that are valued together are worth nothing, so their sums say nothing of a place: what lies there
/// is worth its share by quantity of what they are worth together.
fn share_out(scope: Scope, pools: &mut Pools, decimals: u32) {
    let key = |(location, batch): (i64, Option<i64>)| scope.pool(Place { location, batch });
    let mut together: BTreeMap<ValuedKey, Vec<(i64, Option<i64>)>> = BTreeMap::new();
    for place in pools.keys() {
        together.entry(key(*place)).or_default().push(*place);
    }
    for places in together.into_values().filter(|places| places.len() > 1) {
        let of = |field: fn(&Pool) -> (Decimal, Option<Decimal>)| -> Vec<(Decimal, Option<Decimal>)> {
            places.iter().filter_map(|place| pools.get(place)).map(field).collect()
        };
        let opening = shares(&of(|pool| (pool.opening, pool.opening_value)), decimals);
        let closing = shares(&of(|pool| (pool.closing(), pool.closing_value)), decimals);
        for (place, (opening, closing)) in places.iter().zip(opening.into_iter().zip(closing)) {
            if let Some(pool) = pools.get_mut(place) {
                (pool.opening_value, pool.closing_value) = (opening, closing);
            }
        }
    }
}

/// Each place's share of what all are worth: its quantity's, rounded so that the shares add up to the whole.
fn shares(places: &[(Decimal, Option<Decimal>)], decimals: u32) -> Vec<Option<Decimal>> {
    let all: Option<Decimal> = places.iter().map(|(_, value)| *value).sum();
    let quantity: Decimal = places.iter().map(|(quantity, _)| *quantity).sum();
    let (mut so_far, mut given) = (Decimal::ZERO, Decimal::ZERO);
    let mut share = |(at, (there, _)): (usize, &(Decimal, Option<Decimal>))| {
        so_far += there;
        let until = match (at + 1 == places.len(), all?.checked_mul(so_far)?.checked_div(quantity)) {
            (true, _) => all?,
            (false, Some(until)) => round_half_up(until, decimals),
            (false, None) => Decimal::ZERO,
        };
        let own = until - given;
        given = until;
        Some(own)
    };
    places.iter().enumerate().map(&mut share).collect()
}

fn expires(known: &Known, batch: Option<i64>) -> Option<NaiveDate> {
    batch.and_then(|batch| known.batches.get(&batch)).and_then(|(_, expires)| *expires)
}

fn row(
    source: &Source<'_>,
    facts: &ProductFacts,
    (key, location): (PoolKey, Option<String>),
    pool: &Pool,
    known: &Known,
    on_order: Decimal,
) -> Vec<Cell> {
    let closing = pool.closing();
    let (on_hand, reserved) = known.levels.get(&key).copied().unwrap_or_default();
    let lot = key.2.and_then(|batch| known.batches.get(&batch)).map(|(lot, _)| lot.clone());
    let (opening_value, closing_value) = match source.scope {
        Some(_) => (pool.opening_value, pool.closing_value),
        None => (None, None),
    };
    let ages = pool.ages(source.range.to);
    let average = Decimal::from(2);
    let mean = (pool.opening + closing).checked_div(average);
    let turnover =
        quotient(Some(-pool.outgoing), mean, 2).filter(|_| mean.is_some_and(|mean| mean > Decimal::ZERO));
    let mut cells = vec![
        Cell::Text(facts.sku.clone()),
        Cell::Text(facts.name.clone()),
        Cell::text(facts.category.clone()),
        Cell::text(location),
        Cell::text(lot),
        Cell::date(expires(known, key.2)),
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
        Cell::Number(on_order),
        Cell::number(facts.reorder_level),
    ];
    cells.extend(ages.map(Cell::Number));
    cells.extend([Cell::date(pool.last_out), Cell::number(turnover)]);
    cells
}

fn count(source: &Source<'_>, all: &mut All, pool: &Pool, expires: Option<NaiveDate>) {
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

fn summary(source: &Source<'_>, all: All) -> Summary {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_oldest_goes_first_and_what_went_too_early_is_taken_from_what_comes_next() {
        let mut pool = Pool::unmoved();
        for (quantity, date) in
            [(5, "2026-01-01"), (5, "2026-02-01"), (-7, "2026-02-02"), (-4, "2026-02-03"), (3, "2026-03-30")]
        {
            pool.age(Decimal::from(quantity), day(date)).unwrap();
        }
        assert_eq!(pool.ages(day("2026-03-31")).map(|age| age.normalize().to_string()), ["2", "0", "0", "0"]);
        pool.age(Decimal::from(4), day("2026-01-15")).unwrap();
        assert_eq!(pool.ages(day("2026-03-31")).map(|age| age.normalize().to_string()), ["2", "0", "4", "0"]);
    }
}
