//! What was bought from vendors: purchase orders, what has arrived of them, and how late.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use super::Source;
use super::error::{ReportError, Result};
use super::exact::add;
use super::summary::{Chart, ChartKind, Section, Summary, top};
use super::table::{Cell, Column, Kind, Spool, percent};
use crate::erp::store::report_rows::Place;
use crate::erp::store::report_rows::purchases::{self, Purchase, PurchaseLine};

/// Purchase orders of a page.
const PAGE: i64 = 200;

/// The columns of the report.
pub(super) fn columns() -> Vec<Column> {
    let date = |name, title| Column::new(name, title, Kind::Date);
    let money = |name, title| Column::new(name, title, Kind::Money).sum();
    let quantity = |name, title| Column::new(name, title, Kind::Quantity).sum();
    vec![
        Column::new("order", "Order", Kind::Text),
        Column::new("vendor", "Vendor", Kind::Text),
        Column::new("vendor_name", "Name", Kind::Text),
        Column::new("status", "Status", Kind::Text),
        date("ordered_on", "Ordered on"),
        date("expected_on", "Expected on"),
        date("arrived_on", "Last arrival"),
        Column::new("days_promised", "Days promised", Kind::Integer),
        Column::new("days_taken", "Days taken", Kind::Integer),
        Column::new("days_late", "Days late", Kind::Integer),
        quantity("ordered", "Ordered"),
        quantity("received", "Received"),
        quantity("open", "Open"),
        money("ordered_value", "Ordered value"),
        money("received_value", "Received value"),
        money("open_value", "Open value"),
        money("price_variance", "Price variance"),
    ]
}

/// What an order's lines come to.
#[derive(Debug, Clone)]
struct Sums {
    ordered: Decimal,
    received: Decimal,
    open: Decimal,
    ordered_value: Decimal,
    received_value: Decimal,
    open_value: Decimal,
    /// Above (or below nothing: under) what the products were thought to cost; none where that is not known.
    variance: Option<Decimal>,
}

impl Sums {
    fn of<'l>(lines: impl Iterator<Item = &'l PurchaseLine>) -> Option<Self> {
        let zero = Decimal::ZERO;
        let mut sums = Self {
            ordered: zero,
            received: zero,
            open: zero,
            ordered_value: zero,
            received_value: zero,
            open_value: zero,
            variance: Some(zero),
        };
        for line in lines {
            let open = (line.quantity - line.received).max(zero);
            sums.ordered = sums.ordered.checked_add(line.quantity)?;
            sums.received = sums.received.checked_add(line.received)?;
            sums.open = sums.open.checked_add(open)?;
            sums.ordered_value =
                sums.ordered_value.checked_add(line.quantity.checked_mul(line.unit_cost)?)?;
            sums.received_value =
                sums.received_value.checked_add(line.received.checked_mul(line.unit_cost)?)?;
            sums.open_value = sums.open_value.checked_add(open.checked_mul(line.unit_cost)?)?;
            sums.variance = match (sums.variance, line.standard_cost) {
                (Some(sum), Some(standard)) => {
                    Some(sum.checked_add(line.quantity.checked_mul(line.unit_cost - standard)?)?)
                }
                _ => None,
            };
        }
        Some(sums)
    }
}

/// What is known when all have passed by.
#[derive(Default)]
struct All {
    orders: i64,
    open: i64,
    arrived: i64,
    on_time: i64,
    value: Decimal,
    open_value: Decimal,
    /// By name and, because two may have the same one, code.
    vendors: BTreeMap<(String, Option<String>), Vendor>,
    /// Orders and their value by where they stand, the cancelled too.
    statuses: BTreeMap<String, (i64, Decimal)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Vendor {
    orders: i64,
    value: Decimal,
    arrived: i64,
    on_time: i64,
    days: i64,
}

/// Reads the report.
pub(super) async fn read(source: &mut Source<'_>, spool: &mut Spool) -> Result<Summary> {
    let (mut after, mut all) = (Place::before(&source.window), All::default());
    loop {
        let page = purchases::orders(&mut source.conn, source.tenant, &source.window, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.place;
        let ids: Vec<i64> = page.iter().map(|order| order.place.id).collect();
        let lines = purchases::lines(&mut source.conn, source.tenant, &ids).await?;
        let arrivals: HashMap<i64, DateTime<Utc>> =
            purchases::last_arrivals(&mut source.conn, source.tenant, &ids).await?.into_iter().collect();
        for order in &page {
            let own = lines.iter().filter(|line| line.order_id == order.place.id);
            let sums = Sums::of(own).ok_or_else(ReportError::too_large)?;
            row(source, spool, &mut all, order, &sums, arrivals.get(&order.place.id).copied())?;
        }
        source.watch.step(page.len() + lines.len()).await?;
    }
    Ok(summary(source, &all))
}

fn row(
    source: &Source<'_>,
    spool: &mut Spool,
    all: &mut All,
    order: &Purchase,
    sums: &Sums,
    arrival: Option<DateTime<Utc>>,
) -> Result<()> {
    let ordered_on = source.range.day(order.place.at);
    let arrived_on = arrival.map(|at| source.range.day(at));
    let complete = order.received_at.map(|at| source.range.day(at));
    let days = |from: Option<NaiveDate>, to: Option<NaiveDate>| match (from, to) {
        (Some(from), Some(to)) => Some((to - from).num_days()),
        _ => None,
    };
    let late = days(order.expected_on, complete).map(|days| days.max(0));
    let status = all.statuses.entry(order.status.clone()).or_default();
    status.0 += 1;
    add(&mut status.1, sums.ordered_value)?;
    if order.status != "cancelled" {
        count(all, order, sums, late, days(Some(ordered_on), complete))?;
    }
    let integer = |days: Option<i64>| days.map_or(Cell::Empty, Cell::Integer);
    // What was called off, or is a draft, will never come.
    let open = matches!(order.status.as_str(), "pending" | "approved");
    let or_nothing = |number: Decimal| Cell::Number(if open { number } else { Decimal::ZERO });
    spool.push(&[
        Cell::Text(order.number.clone()),
        Cell::text(order.vendor.clone()),
        Cell::Text(order.vendor_name.clone()),
        Cell::Text(order.status.clone()),
        Cell::Date(ordered_on),
        Cell::date(order.expected_on),
        Cell::date(arrived_on),
        integer(days(Some(ordered_on), order.expected_on)),
        integer(days(Some(ordered_on), complete)),
        integer(late),
        Cell::Number(sums.ordered),
        Cell::Number(sums.received),
        or_nothing(sums.open),
        Cell::Number(sums.ordered_value),
        Cell::Number(sums.received_value),
        or_nothing(sums.open_value),
        Cell::number(sums.variance),
    ])
}

fn count(all: &mut All, order: &Purchase, sums: &Sums, late: Option<i64>, taken: Option<i64>) -> Result<()> {
    let vendor = all.vendors.entry((order.vendor_name.clone(), order.vendor.clone())).or_default();
    all.orders += 1;
    vendor.orders += 1;
    let value = |sum: Decimal| sum.checked_add(sums.ordered_value).ok_or_else(ReportError::too_large);
    (all.value, vendor.value) = (value(all.value)?, value(vendor.value)?);
    if matches!(order.status.as_str(), "pending" | "approved") {
        all.open += 1;
        all.open_value = all.open_value.checked_add(sums.open_value).ok_or_else(ReportError::too_large)?;
    }
    if let (Some(late), Some(taken)) = (late, taken) {
        let on_time = i64::from(late == 0);
        (all.arrived, all.on_time) = (all.arrived + 1, all.on_time + on_time);
        (vendor.arrived, vendor.on_time) = (vendor.arrived + 1, vendor.on_time + on_time);
        vendor.days += taken;
    }
    Ok(())
}

fn rate(on_time: i64, arrived: i64) -> Option<Decimal> {
    percent(Some(Decimal::from(on_time)), Some(Decimal::from(arrived)))
}

fn summary(source: &Source<'_>, all: &All) -> Summary {
    let mut summary = Summary::default();
    summary.count("orders", "Orders", all.orders);
    summary.figure("ordered_value", "Ordered value", Kind::Money, Some(all.value));
    summary.count("open_orders", "Open orders", all.open);
    summary.figure("open_value", "Open value", Kind::Money, Some(all.open_value));
    summary.figure("on_time_percent", "On time %", Kind::Percent, rate(all.on_time, all.arrived));
    let mut vendors: Vec<_> = all.vendors.iter().collect();
    vendors.sort_by(|a, b| b.1.value.cmp(&a.1.value).then_with(|| a.0.cmp(b.0)));
    let rows = vendors.iter().take(100).map(|((name, code), vendor)| {
        let days = Decimal::from(vendor.days).checked_div(Decimal::from(vendor.arrived));
        vec![
            Cell::Text(name.clone()),
            Cell::text(code.clone()),
            Cell::Integer(vendor.orders),
            Cell::Number(vendor.value),
            Cell::number(days.map(|days| crate::erp::money::round_half_up(days, 1))),
            Cell::number(rate(vendor.on_time, vendor.arrived)),
        ]
    });
    summary.sections.push(Section {
        name: "vendors",
        title: "Vendors, by value; the first hundred",
        columns: vec![
            Column::new("vendor", "Vendor", Kind::Text),
            Column::new("code", "Code", Kind::Text),
            Column::new("orders", "Orders", Kind::Integer),
            Column::new("value", "Ordered value", Kind::Money),
            Column::new("days_taken", "Days, on average", Kind::Quantity),
            Column::new("on_time_percent", "On time %", Kind::Percent),
        ],
        rows: rows.collect(),
    });
    let rows = all.statuses.iter().map(|(status, (orders, value))| {
        vec![Cell::Text(status.clone()), Cell::Integer(*orders), Cell::Number(*value)]
    });
    summary.sections.push(Section {
        name: "statuses",
        title: "Orders by status",
        columns: vec![
            Column::new("status", "Status", Kind::Text),
            Column::new("orders", "Orders", Kind::Integer),
            Column::new("value", "Ordered value", Kind::Money),
        ],
        rows: rows.collect(),
    });
    let bars = all.vendors.iter().map(|((name, _), vendor)| (name.clone(), vendor.value));
    let title = format!("Largest by vendor, {}", source.window.currency);
    summary.charts.push(Chart { title, kind: ChartKind::Top, bars: top(bars, 10) });
    summary.note(
        "Purchase orders of the period, drafts and cancelled ones too; figures and vendors leave the cancelled out. Days count \
         from the order to the arrival of the last of its goods. The price variance is what the order costs above the \
         products' standard cost; it is empty where a product has none. What vendors have billed is not entered here.",
    );
    summary
}
