//! Purchase orders and their lines.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

use super::orders::read_decimals;
use super::words::words;
use crate::erp::money::exact;

/// Where a purchase order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PurchaseStatus {
    /// Entered, not yet submitted.
    Draft,
    /// Submitted: somebody has to approve it.
    Pending,
    /// Approved: goods may arrive.
    Approved,
    /// Everything has arrived.
    Received,
    /// Called off.
    Cancelled,
}

words!(PurchaseStatus, "status of a purchase order",
    Draft => "draft", Pending => "pending", Approved => "approved", Received => "received", Cancelled => "cancelled");

/// A purchase order as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PurchaseOrder {
    /// Its number inside the database.
    pub id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// Who delivers.
    pub vendor_id: i64,
    /// The vendor's name.
    pub vendor_name: String,
    /// Where the vendor's mails go.
    pub vendor_email: Option<String>,
    /// Where it stands.
    pub status: PurchaseStatus,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// The decimals of that currency.
    pub decimals: u32,
    /// What it comes to.
    pub total: Decimal,
    /// The user who asked for it.
    pub requested_by: Option<i64>,
    /// The user who approved it.
    pub approved_by: Option<i64>,
    /// When it was entered.
    pub ordered_at: DateTime<Utc>,
    /// When it was approved.
    pub approved_at: Option<DateTime<Utc>>,
    /// When the last of it arrived.
    pub received_at: Option<DateTime<Utc>>,
    /// When it is expected.
    pub expected_on: Option<NaiveDate>,
    /// Counts its changes.
    pub version: i64,
}

impl PurchaseOrder {
    fn read(row: &Row) -> Result<Self> {
        let status: String = row.get("status")?;
        let decimals = read_decimals(row)?;
        Ok(Self {
            id: row.get("id")?,
            number: row.get("number")?,
            vendor_id: row.get("vendor_id")?,
            vendor_name: row.get("vendor_name")?,
            vendor_email: row.get("vendor_email")?,
            status: status.parse()?,
            currency: row.get("currency")?,
            decimals,
            total: exact(row.get("total")?, decimals),
            requested_by: row.get("requested_by")?,
            approved_by: row.get("approved_by")?,
            ordered_at: row.get("ordered_at")?,
            approved_at: row.get("approved_at")?,
            received_at: row.get("received_at")?,
            expected_on: row.get("expected_on")?,
            version: row.get("version")?,
        })
    }
}

/// A line of a purchase order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PurchaseLine {
    /// Its place, from 1.
    pub line_no: i64,
    /// The product.
    pub product_id: i64,
    /// The product's code.
    pub sku: String,
    /// What is printed.
    pub description: String,
    /// How many.
    pub quantity: Decimal,
    /// What one costs, without tax.
    pub unit_cost: Decimal,
    /// How many have arrived.
    pub received: Decimal,
}

impl PurchaseLine {
    /// How many are still to come.
    pub fn open(&self) -> Decimal {
        (self.quantity - self.received).max(Decimal::ZERO)
    }
}

/// What a new purchase order needs beside its lines.
#[derive(Debug, Clone)]
pub struct NewPurchaseOrder {
    /// Its number, as people know it.
    pub number: String,
    /// Who delivers.
    pub vendor_id: i64,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// The decimals of that currency.
    pub decimals: u32,
    /// What it comes to.
    pub total: Decimal,
    /// The user who asks for it.
    pub requested_by: Option<i64>,
    /// When it is expected.
    pub expected_on: Option<NaiveDate>,
}

/// Adds a purchase order with its lines; returns its number inside the database.
pub async fn insert(
    conn: &mut Conn<'_>,
    tenant: i64,
    new: &NewPurchaseOrder,
    lines: &[PurchaseLine],
) -> Result<i64> {
    let id = query(sql!(
        "insert into purchase_orders (tenant_id, number, vendor_id, currency, decimals, total, requested_by, expected_on,
             ordered_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, {now}) returning id"
    ))
    .bind(tenant)
    .bind(new.number.as_str())
    .bind(new.vendor_id)
    .bind(new.currency.as_str())
    .bind(new.decimals)
    .bind(new.total)
    .bind(new.requested_by)
    .bind(new.expected_on)
    .fetch_one(conn)
    .await?
    .get("id")?;
    for line in lines {
        query(sql!(
            "insert into purchase_order_lines
                 (tenant_id, purchase_order_id, line_no, product_id, sku, description, quantity, unit_cost)
             values ($1, $2, $3, $4, $5, $6, $7, $8)"
        ))
        .bind(tenant)
        .bind(id)
        .bind(line.line_no)
        .bind(line.product_id)
        .bind(line.sku.as_str())
        .bind(line.description.as_str())
        .bind(line.quantity)
        .bind(line.unit_cost)
        .execute(conn)
        .await?;
    }
    Ok(id)
}

macro_rules! purchase_orders {
    ($rest:literal) => {
        concat!(
            "select o.id, o.number, o.vendor_id, v.name as vendor_name, v.email as vendor_email, o.status, o.currency,
                o.decimals, o.total, o.requested_by, o.approved_by, o.ordered_at, o.approved_at, o.received_at,
                o.expected_on, o.version
             from purchase_orders o join vendors v on v.tenant_id = o.tenant_id and v.id = o.vendor_id
             where o.tenant_id = $1 ",
            $rest
        )
    };
}

/// A purchase order, locked until the transaction ends.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<PurchaseOrder>> {
    // Apart from the read below: a lock would take the joined vendor's row too.
    let locked = query(sql!("select id from purchase_orders where tenant_id = $1 and id = $2 {lock}"))
        .bind(tenant)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    if locked.is_none() {
        return Ok(None);
    }
    find(conn, tenant, id).await
}

/// The purchase order with this number inside the database.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<PurchaseOrder>> {
    let row =
        query(sql!(purchase_orders!("and o.id = $2"))).bind(tenant).bind(id).fetch_optional(conn).await?;
    row.as_ref().map(PurchaseOrder::read).transpose()
}

/// The database's number of the purchase order people know by this number.
pub async fn id_of(conn: &mut Conn<'_>, tenant: i64, number: &str) -> Result<Option<i64>> {
    let row = query(sql!("select id from purchase_orders where tenant_id = $1 and number = $2"))
        .bind(tenant)
        .bind(number)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.get("id")).transpose()
}

/// The newest purchase orders: of one status, or all.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant: i64,
    status: Option<&str>,
    limit: i64,
) -> Result<Vec<PurchaseOrder>> {
    let rows = query(sql!(purchase_orders!("and ($2 is null or o.status = $2) order by o.id desc limit $3")))
        .bind(tenant)
        .bind(status)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(PurchaseOrder::read).collect()
}

/// The lines of a purchase order.
pub async fn lines(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<Vec<PurchaseLine>> {
    let rows = query(sql!(
        "select line_no, product_id, coalesce(sku, '') as sku, description, quantity, unit_cost, received
         from purchase_order_lines where tenant_id = $1 and purchase_order_id = $2 order by line_no"
    ))
    .bind(tenant)
    .bind(order)
    .fetch_all(conn)
    .await?;
    let plain = |row: &Row, column: &str| row.get::<Decimal>(column).map(|number| number.normalize());
    let read = |row: &Row| {
        Ok(PurchaseLine {
            line_no: row.get("line_no")?,
            product_id: row.get("product_id")?,
            sku: row.get("sku")?,
            description: row.get("description")?,
            quantity: plain(row, "quantity")?,
            unit_cost: plain(row, "unit_cost")?,
            received: plain(row, "received")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Moves a locked purchase order on; `user` is who approves it.
pub async fn set_status(
    conn: &mut Conn<'_>,
    tenant: i64,
    id: i64,
    status: PurchaseStatus,
    user: Option<i64>,
) -> Result<()> {
    query(sql!(
        "update purchase_orders set status = $3,
             approved_at = case when $3 = 'approved' then {now} else approved_at end,
             approved_by = case when $3 = 'approved' then $4 else approved_by end,
             cancelled_at = case when $3 = 'cancelled' then {now} else cancelled_at end,
             version = version + 1, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(status.as_str())
    .bind(user)
    .execute(conn)
    .await?;
    Ok(())
}
