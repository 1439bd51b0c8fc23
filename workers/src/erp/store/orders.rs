//! Sales orders and their lines.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::sql;
use fairlane::{Error, Result};
use rust_decimal::Decimal;
use serde::Serialize;

use super::order_lines;
use super::words::words;
use crate::erp::money::{Amounts, LineTerms, exact};

/// Where a sales order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Entered, not yet approved.
    Draft,
    /// Approved: it is billed.
    Approved,
    /// Delivered.
    Fulfilled,
    /// Called off.
    Cancelled,
}

words!(OrderStatus, "status of an order",
    Draft => "draft", Approved => "approved", Fulfilled => "fulfilled", Cancelled => "cancelled");

/// A sales order as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Its number inside the database.
    pub id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// Who buys.
    pub customer_id: i64,
    /// The customer's code.
    pub customer_code: String,
    /// The customer's name.
    pub customer_name: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// The decimals of that currency.
    pub decimals: u32,
    /// The sum of the lines without tax.
    pub net: Decimal,
    /// The sum of the lines' taxes.
    pub tax: Decimal,
    /// Tax included.
    pub total: Decimal,
    /// When it was entered.
    pub ordered_at: DateTime<Utc>,
    /// When it was approved.
    pub approved_at: Option<DateTime<Utc>>,
    /// When it was delivered.
    pub fulfilled_at: Option<DateTime<Utc>>,
    /// Counts its changes.
    pub version: i64,
}

impl Order {
    fn read(row: &Row) -> Result<Self> {
        let status: String = row.get("status")?;
        let decimals = read_decimals(row)?;
        Ok(Self {
            id: row.get("id")?,
            number: row.get("number")?,
            customer_id: row.get("customer_id")?,
            customer_code: row.get("customer_code")?,
            customer_name: row.get("customer_name")?,
            status: status.parse()?,
            currency: row.get("currency")?,
            decimals,
            net: exact(row.get("net")?, decimals),
            tax: exact(row.get("tax")?, decimals),
            total: exact(row.get("total")?, decimals),
            ordered_at: row.get("ordered_at")?,
            approved_at: row.get("approved_at")?,
            fulfilled_at: row.get("fulfilled_at")?,
            version: row.get("version")?,
        })
    }
}

pub(super) fn read_decimals(row: &Row) -> Result<u32> {
    let decimals: i64 = row.get("decimals")?;
    u32::try_from(decimals)
        .ok()
        .filter(|decimals| *decimals <= 4)
        .ok_or_else(|| Error::Damaged(format!("column decimals: {decimals} is not in 0 to 4")))
}

/// A line of a sales order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// Its place, from 1.
    pub line_no: i64,
    /// The product, where it is one of the catalogue.
    pub product_id: Option<i64>,
    /// The product's code.
    pub sku: Option<String>,
    /// What is printed.
    pub description: String,
    /// What it comes to is computed from these.
    pub terms: LineTerms,
    /// Where it is delivered from; none is the tenant's first location.
    pub location_id: Option<i64>,
    /// Of which batch; none is what expires first.
    pub batch_id: Option<i64>,
}

/// What a new order needs beside its lines.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Its number, as people know it.
    pub number: String,
    /// Who buys.
    pub customer_id: i64,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// The decimals of that currency.
    pub decimals: u32,
    /// What it comes to.
    pub amounts: Amounts,
    /// When it was taken; now without it.
    pub ordered_at: Option<DateTime<Utc>>,
    /// The country it goes to, where that is known.
    pub country: Option<String>,
}

/// Adds an order with its lines; returns its number inside the database.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &NewOrder, lines: &[OrderLine]) -> Result<i64> {
    let id = query(sql!(
        "insert into sales_orders (tenant_id, number, customer_id, currency, decimals, net, tax, total, ordered_at,
             country)
         values ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, {now}), $10) returning id"
    ))
    .bind(tenant)
    .bind(new.number.as_str())
    .bind(new.customer_id)
    .bind(new.currency.as_str())
    .bind(new.decimals)
    .bind(new.amounts.net)
    .bind(new.amounts.tax)
    .bind(new.amounts.total)
    .bind(new.ordered_at)
    .bind(new.country.as_deref())
    .fetch_one(conn)
    .await?
    .get("id")?;
    order_lines::insert(conn, tenant, id, lines).await?;
    Ok(id)
}

macro_rules! orders {
    ($rest:literal) => {
        concat!(
            "select o.id, o.number, o.customer_id, c.code as customer_code, c.name as customer_name, o.status, o.currency,
                o.decimals, o.net, o.tax, o.total, o.ordered_at, o.approved_at, o.fulfilled_at, o.version
             from sales_orders o join customers c on c.tenant_id = o.tenant_id and c.id = o.customer_id
             where o.tenant_id = $1 ",
            $rest
        )
    };
}

/// The country an order goes to, where that is known.
pub async fn country(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<String>> {
    query(sql!("select country from sales_orders where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .fetch_one(conn)
        .await?
        .get("country")
}

/// An order, locked until the transaction ends: its status cannot change under the caller.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Order>> {
    // Apart from the read below: a lock would take the joined customer's row too.
    let locked = query(sql!("select id from sales_orders where tenant_id = $1 and id = $2 {lock}"))
        .bind(tenant)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    if locked.is_none() {
        return Ok(None);
    }
    find(conn, tenant, id).await
}

/// The order with this number inside the database.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Order>> {
    let row = query(sql!(orders!("and o.id = $2"))).bind(tenant).bind(id).fetch_optional(conn).await?;
    row.as_ref().map(Order::read).transpose()
}

/// The database's number of the order people know by this number.
pub async fn id_of(conn: &mut Conn<'_>, tenant: i64, number: &str) -> Result<Option<i64>> {
    let row = query(sql!("select id from sales_orders where tenant_id = $1 and number = $2"))
        .bind(tenant)
        .bind(number)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.get("id")).transpose()
}

/// The newest orders.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, behind: Option<i64>, limit: i64) -> Result<Vec<Order>> {
    let statement =
        sql!(orders!("and (cast($3 as bigint) is null or o.id < $3) order by o.id desc limit $2"));
    let rows = query(statement).bind(tenant).bind(limit).bind(behind).fetch_all(conn).await?;
    rows.iter().map(Order::read).collect()
}

/// The lines of an order.
pub async fn lines(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<Vec<OrderLine>> {
    let rows = query(sql!(
        "select line_no, product_id, sku, description, quantity, unit_price, discount, tax_rate, location_id, batch_id
         from sales_order_lines where tenant_id = $1 and order_id = $2 order by line_no"
    ))
    .bind(tenant)
    .bind(order)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(OrderLine {
            line_no: row.get("line_no")?,
            product_id: row.get("product_id")?,
            sku: row.get("sku")?,
            description: row.get("description")?,
            terms: LineTerms {
                quantity: row.get("quantity")?,
                unit_price: row.get("unit_price")?,
                discount: row.get("discount")?,
                tax_rate: row.get("tax_rate")?,
            },
            location_id: row.get("location_id")?,
            batch_id: row.get("batch_id")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Approves a draft; returns whether it was one.
pub async fn approve(conn: &mut Conn<'_>, tenant: i64, id: i64, user: Option<i64>) -> Result<bool> {
    let touched = query(sql!(
        "update sales_orders set status = 'approved', approved_at = {now}, approved_by = $3,
             version = version + 1, updated_at = {now}
         where tenant_id = $1 and id = $2 and status = 'draft'"
    ))
    .bind(tenant)
    .bind(id)
    .bind(user)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Notes that an approved order was delivered; returns whether it was one.
pub async fn fulfil(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<bool> {
    let touched = query(sql!(
        "update sales_orders set status = 'fulfilled', fulfilled_at = {now}, version = version + 1, updated_at = {now}
         where tenant_id = $1 and id = $2 and status = 'approved'"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Says where a line is delivered from, and of which batch.
pub async fn place(
    conn: &mut Conn<'_>,
    tenant: i64,
    order: i64,
    line_no: i64,
    location: i64,
    batch: Option<i64>,
) -> Result<()> {
    query(sql!(
        "update sales_order_lines set location_id = $4, batch_id = $5
         where tenant_id = $1 and order_id = $2 and line_no = $3"
    ))
    .bind(tenant)
    .bind(order)
    .bind(line_no)
    .bind(location)
    .bind(batch)
    .execute(conn)
    .await?;
    Ok(())
}

/// Calls off a draft or an approved order; returns whether it was one.
pub async fn cancel(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<bool> {
    let touched = query(sql!(
        "update sales_orders set status = 'cancelled', cancelled_at = {now}, version = version + 1, updated_at = {now}
         where tenant_id = $1 and id = $2 and status in ('draft', 'approved')"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}
