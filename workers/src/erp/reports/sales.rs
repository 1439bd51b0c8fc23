//! What was sold: by day, week, month, product, category, customer, country, location, or line by line.
//!
//! An order counts when it is approved, on the day it was ordered; a return on the day it came back. A line comes to
//! quantity x price: that is the gross; what is taken off and what came back are below nothing, so that
//! net = gross + discounts + returns. Nothing is rounded on the way: an order's own total is rounded line by line.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::Source;
use super::error::{ReportError, Result};
use super::range::{DayRange, Step};
use super::request::Grouping;
use super::summary::{Chart, ChartKind, Summary, top};
use super::table::{Cell, Column, Kind, Spool, percent, quotient};
use crate::erp::store::report_rows::Place;
use crate::erp::store::report_rows::sales::{self, SaleLine};

/// Orders of a page.
const PAGE: i64 = 200;
/// Bars of a chart of the largest.
const TOP: usize = 10;

/// What a line, or several, come to.
#[derive(Debug, Clone, Copy, Default)]
struct Amounts {
    units: Decimal,
    gross: Decimal,
    discounts: Decimal,
    returns: Decimal,
    net: Decimal,
    tax: Decimal,
    /// What was delivered of it had cost; none when that is not known of all of it.
    cost: Option<Decimal>,
}

impl Amounts {
    fn zero() -> Self {
        Self { cost: Some(Decimal::ZERO), ..Self::default() }
    }

    fn of(line: &SaleLine, cost: Option<Decimal>) -> Option<Self> {
        let gross = line.quantity.checked_mul(line.unit_price)?;
        let net = gross.checked_sub(line.discount)?;
        let tax = net.checked_mul(line.tax_rate)?.checked_div(Decimal::ONE_HUNDRED)?;
        Some(match line.returned {
            false => Self {
                units: line.quantity,
                gross,
                discounts: -line.discount,
                returns: Decimal::ZERO,
                net,
                tax,
                cost,
            },
            true => Self { returns: -net, net: -net, tax: -tax, cost, ..Self::default() },
        })
    }

    fn add(&mut self, other: &Self) -> Option<()> {
        self.units = self.units.checked_add(other.units)?;
        self.gross = self.gross.checked_add(other.gross)?;
        self.discounts = self.discounts.checked_add(other.discounts)?;
        self.returns = self.returns.checked_add(other.returns)?;
        self.net = self.net.checked_add(other.net)?;
        self.tax = self.tax.checked_add(other.tax)?;
        self.cost = match (self.cost, other.cost) {
            (Some(one), Some(other)) => Some(one.checked_add(other)?),
            _ => None,
        };
        Some(())
    }

    fn cells(&self) -> [Cell; 10] {
        let margin = self.cost.map(|cost| self.net - cost);
        [
            Cell::Number(self.units),
            Cell::Number(self.gross),
            Cell::Number(self.discounts),
            Cell::Number(self.returns),
            Cell::Number(self.net),
            Cell::Number(self.tax),
            Cell::Number(self.net + self.tax),
            Cell::number(self.cost),
            Cell::number(margin),
            Cell::number(percent(margin, Some(self.net))),
        ]
    }
}

const AMOUNTS: [Column; 10] = [
    Column::new("units", "Units", Kind::Quantity).sum(),
    Column::new("gross", "Gross", Kind::Money).sum(),
    Column::new("discounts", "Discounts", Kind::Money).sum(),
    Column::new("returns", "Returns", Kind::Money).sum(),
    Column::new("net", "Net", Kind::Money).sum(),
    Column::new("tax", "Tax", Kind::Money).sum(),
    Column::new("total", "Total", Kind::Money).sum(),
    Column::new("cost", "Cost", Kind::Money).sum(),
    Column::new("margin", "Margin", Kind::Money).sum(),
    Column::new("margin_percent", "Margin %", Kind::Percent).ratio("margin", "net"),
];

/// The columns that say what a row stands for.
fn labels(by: Grouping) -> Vec<Column> {
    let text = |name, title| Column::new(name, title, Kind::Text);
    match by {
        Grouping::Day => vec![Column::new("day", "Day", Kind::Date)],
        Grouping::Week => vec![text("week", "Week")],
        Grouping::Month => vec![text("month", "Month")],
        Grouping::Product => vec![text("sku", "Product"), text("product", "Name")],
        Grouping::Category => vec![text("category", "Category")],
        Grouping::Customer => vec![text("customer", "Customer"), text("customer_name", "Name")],
        Grouping::Country => vec![text("country", "Country")],
        Grouping::Location => vec![text("location", "Location")],
        Grouping::Line => vec![
            Column::new("day", "Day", Kind::Date),
            text("document", "Document"),
            Column::new("line", "Line", Kind::Integer),
            text("sku", "Product"),
            text("product", "Name"),
            text("customer", "Customer"),
            text("country", "Country"),
        ],
    }
}

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

/// What a row stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Period(NaiveDate),
    Id(Option<i64>),
    Name(Option<String>),
}

/// A row that grows.
#[derive(Debug)]
struct Group {
    labels: Vec<Cell>,
    orders: i64,
    last_order: i64,
    amounts: Amounts,
}

/// All that grows while lines pass by.
struct Sums {
    by: Grouping,
    range: DayRange,
    /// The day of the line before: lines come in the order of their time.
    today: Option<DayRange>,
    step: Step,
    groups: HashMap<Key, Group>,
    times: BTreeMap<NaiveDate, Decimal>,
    products: HashMap<Option<i64>, (String, Decimal)>,
    orders: i64,
    last_order: i64,
    all: Amounts,
}

impl Sums {
    fn new(by: Grouping, range: DayRange) -> Self {
        Self {
            by,
            range,
            today: None,
            step: by.step().unwrap_or_else(|| Step::fitting(&range)),
            groups: HashMap::new(),
            times: BTreeMap::new(),
            products: HashMap::new(),
            orders: 0,
            last_order: 0,
            all: Amounts::zero(),
        }
    }

    fn day(&mut self, line: &SaleLine) -> Result<NaiveDate> {
        if let Some(today) = self.today.filter(|today| today.start <= line.at && line.at < today.end) {
            return Ok(today.from);
        }
        let day = self.range.day(line.at);
        self.today = Some(DayRange::new(day, day, self.range.zone)?);
        Ok(day)
    }

    fn take(&mut self, line: &SaleLine, cost: Option<Decimal>, spool: &mut Spool) -> Result<()> {
        let amounts = Amounts::of(line, cost).ok_or_else(ReportError::too_large)?;
        let day = self.day(line)?;
        self.all.add(&amounts).ok_or_else(ReportError::too_large)?;
        *self.times.entry(self.step.start(day)).or_default() += amounts.net;
        let product = self.products.entry(line.product_id);
        let product = product.or_insert_with(|| (line.product.clone(), Decimal::ZERO));
        product.1 += amounts.gross;
        if !line.returned && line.document_id != self.last_order {
            self.last_order = line.document_id;
            self.orders += 1;
        }
        if self.by == Grouping::Line {
            return spool.push(&detail(line, day, &amounts));
        }
        self.group(line, day).add(line, &amounts)
    }

    fn group(&mut self, line: &SaleLine, day: NaiveDate) -> &mut Group {
        let key = match self.by {
            Grouping::Product => Key::Id(line.product_id),
            Grouping::Customer => Key::Id(Some(line.customer_id)),
            Grouping::Category => Key::Name(line.category.clone()),
            Grouping::Country => Key::Name(line.country.clone()),
            Grouping::Location => Key::Name(line.location.clone()),
            Grouping::Day | Grouping::Week | Grouping::Month | Grouping::Line => {
                Key::Period(self.step.start(day))
            }
        };
        let (by, step) = (self.by, self.step);
        self.groups.entry(key).or_insert_with(|| Group {
            labels: labels_of(by, step, line, day),
            orders: 0,
            last_order: 0,
            amounts: Amounts::zero(),
        })
    }
}

impl Group {
    fn add(&mut self, line: &SaleLine, amounts: &Amounts) -> Result<()> {
        self.amounts.add(amounts).ok_or_else(ReportError::too_large)?;
        if !line.returned && line.document_id != self.last_order {
            self.last_order = line.document_id;
            self.orders += 1;
        }
        Ok(())
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = self.labels.clone();
        cells.push(Cell::Integer(self.orders));
        cells.extend(self.amounts.cells());
        cells
    }

    fn label(&self) -> String {
        self.labels.last().and_then(|cell| cell.plain(Kind::Text, 0)).unwrap_or_default()
    }
}

fn labels_of(by: Grouping, step: Step, line: &SaleLine, day: NaiveDate) -> Vec<Cell> {
    let or = |name: &Option<String>, otherwise: &str| {
        Cell::Text(name.clone().unwrap_or_else(|| otherwise.to_owned()))
    };
    match by {
        Grouping::Day => vec![Cell::Date(day)],
        Grouping::Week | Grouping::Month | Grouping::Line => {
            vec![Cell::Text(step.label(step.start(day)))]
        }
        Grouping::Product if line.product_id.is_none() => {
            vec![Cell::Empty, Cell::Text("(not of the catalogue)".into())]
        }
        Grouping::Product => vec![Cell::text(line.sku.clone()), Cell::Text(line.product.clone())],
        Grouping::Category => vec![or(&line.category, "(none)")],
        Grouping::Customer => {
            vec![Cell::Text(line.customer.clone()), Cell::Text(line.customer_name.clone())]
        }
        Grouping::Country => vec![or(&line.country, "(not known)")],
        Grouping::Location => vec![or(&line.location, "(not named)")],
    }
}

fn detail(line: &SaleLine, day: NaiveDate, amounts: &Amounts) -> Vec<Cell> {
    let mut cells = vec![
        Cell::Date(day),
        Cell::Text(line.document.clone()),
        Cell::Integer(line.line_no),
        Cell::text(line.sku.clone()),
        Cell::Text(line.product.clone()),
        Cell::Text(line.customer.clone()),
        Cell::text(line.country.clone()),
    ];
    cells.extend(amounts.cells());
    cells
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
    summary(source, &sums).await
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
        let mut read = 0;
        let each = &mut |line: SaleLine| {
            read += 1;
            let cost = match line.product_id {
                // What is not of the catalogue is no goods: it had no cost that the stock knows of.
                None => Some(Decimal::ZERO),
                Some(_) => costs
                    .get(&(line.document_id, line.line_no))
                    .filter(|(delivered, _)| *delivered == line.quantity)
                    .map(|(_, cost)| *cost),
            };
            sums.take(&line, cost, spool)
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
            let cost = line.product_id.is_none().then_some(Decimal::ZERO);
            sums.take(&line, cost, spool)
        };
        sales::return_lines(&mut source.conn, source.tenant, &ids, each).await?;
        source.watch.step(read).await?;
    }
}

async fn summary(source: &mut Source<'_>, sums: &Sums) -> Result<Summary> {
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
