//! Goods receipts and their lines, and what they change of their purchase order.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

/// A goods receipt as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Its number inside the database.
    pub id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// The purchase order the goods belong to.
    pub purchase_order_id: i64,
    /// Where they were put.
    pub location_id: i64,
    /// When they arrived.
    pub received_at: DateTime<Utc>,
    /// When the stock was changed by them.
    pub posted_at: Option<DateTime<Utc>>,
    /// The user who took them in.
    pub user_id: Option<i64>,
    /// The delivery note's number.
    pub reference: Option<String>,
}

impl Receipt {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            number: row.get("number")?,
            purchase_order_id: row.get("purchase_order_id")?,
            location_id: row.get("location_id")?,
            received_at: row.get("received_at")?,
            posted_at: row.get("posted_at")?,
            user_id: row.get("user_id")?,
            reference: row.get("reference")?,
        })
    }
}

/// A line of a goods receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptLine {
    /// Its place, from 1.
    pub line_no: i64,
    /// The purchase order's line.
    pub order_line_no: i64,
    /// The product.
    pub product_id: i64,
    /// How many.
    pub quantity: Decimal,
    /// What one cost.
    pub unit_cost: Decimal,
    /// The batch's number.
    pub lot: Option<String>,
    /// The batch's last day.
    pub expires_on: Option<NaiveDate>,
}

/// What a new receipt needs beside its lines.
#[derive(Debug, Clone)]
pub struct NewReceipt {
    /// Its number, as people know it.
    pub number: String,
    /// The purchase order the goods belong to.
    pub purchase_order_id: i64,
    /// Where they were put.
    pub location_id: i64,
    /// When they arrived.
    pub received_at: DateTime<Utc>,
    /// The user who took them in.
    pub user_id: Option<i64>,
    /// The delivery note's number.
    pub reference: Option<String>,
}

/// Adds a receipt with its lines; returns its number inside the database.
pub async fn insert(
    conn: &mut Conn<'_>,
    tenant: i64,
    new: &NewReceipt,
    lines: &[ReceiptLine],
) -> Result<i64> {
    let id = query(sql!(
        "insert into goods_receipts (tenant_id, number, purchase_order_id, location_id, received_at, user_id, reference)
         values ($1, $2, $3, $4, $5, $6, $7) returning id"
    ))
    .bind(tenant)
    .bind(new.number.as_str())
    .bind(new.purchase_order_id)
    .bind(new.location_id)
    .bind(new.received_at)
    .bind(new.user_id)
    .bind(new.reference.as_deref())
    .fetch_one(conn)
    .await?
    .get("id")?;
    for line in lines {
        query(sql!(
            "insert into goods_receipt_lines
                 (tenant_id, receipt_id, line_no, order_line_no, product_id, quantity, unit_cost, lot, expires_on)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ))
        .bind(tenant)
        .bind(id)
        .bind(line.line_no)
        .bind(line.order_line_no)
        .bind(line.product_id)
        .bind(line.quantity)
        .bind(line.unit_cost)
        .bind(line.lot.as_deref())
        .bind(line.expires_on)
        .execute(conn)
        .await?;
    }
    Ok(id)
}

/// The receipts of a purchase order, in their order.
pub async fn of_order(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<Vec<Receipt>> {
    let rows = query(sql!(
        "select id, number, purchase_order_id, location_id, received_at, posted_at, user_id, reference
         from goods_receipts where tenant_id = $1 and purchase_order_id = $2 order by id"
    ))
    .bind(tenant)
    .bind(order)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Receipt::read).collect()
}

/// The receipt of a purchase order with this reference.
pub async fn by_reference(
    conn: &mut Conn<'_>,
    tenant: i64,
    order: i64,
    reference: &str,
) -> Result<Option<Receipt>> {
    let row = query(sql!(
        "select id, number, purchase_order_id, location_id, received_at, posted_at, user_id, reference
         from goods_receipts where tenant_id = $1 and purchase_order_id = $2 and reference = $3"
    ))
    .bind(tenant)
    .bind(order)
    .bind(reference)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Receipt::read).transpose()
}

/// The lines of a receipt, in their order.
pub async fn lines(conn: &mut Conn<'_>, tenant: i64, receipt: i64) -> Result<Vec<ReceiptLine>> {
    let rows = query(sql!(
        "select line_no, order_line_no, product_id, quantity, unit_cost, lot, expires_on from goods_receipt_lines
         where tenant_id = $1 and receipt_id = $2 order by line_no"
    ))
    .bind(tenant)
    .bind(receipt)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(ReceiptLine {
            line_no: row.get("line_no")?,
            order_line_no: row.get("order_line_no")?,
            product_id: row.get("product_id")?,
            quantity: row.get("quantity")?,
            unit_cost: row.get("unit_cost")?,
            lot: row.get("lot")?,
            expires_on: row.get("expires_on")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The receipt people know by this number: its number inside the database.
pub async fn named(conn: &mut Conn<'_>, tenant: i64, number: &str) -> Result<Option<i64>> {
    let row = query(sql!("select id from goods_receipts where tenant_id = $1 and number = $2"))
        .bind(tenant)
        .bind(number)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.get("id")).transpose()
}

/// A place of one's own that goods can be put in: the one with this code, or without one the first there is.
pub async fn place(conn: &mut Conn<'_>, tenant: i64, code: Option<&str>) -> Result<Option<i64>> {
    let row = query(sql!(
        "select id from locations
         where tenant_id = $1 and ($2 is null or code = $2) and kind = 'internal' and active
         order by id limit 1"
    ))
    .bind(tenant)
    .bind(code)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("id")).transpose()
}

/// Whether a product has batches.
pub async fn tracks_batches(conn: &mut Conn<'_>, tenant: i64, product: i64) -> Result<bool> {
    query(sql!("select track_batches from products where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(product)
        .fetch_one(conn)
        .await?
        .get("track_batches")
}

/// Sets how many of a line have arrived.
pub async fn set_received(
    conn: &mut Conn<'_>,
    tenant: i64,
    order: i64,
    line_no: i64,
    received: Decimal,
) -> Result<()> {
    query(sql!(
        "update purchase_order_lines set received = $4
         where tenant_id = $1 and purchase_order_id = $2 and line_no = $3"
    ))
    .bind(tenant)
    .bind(order)
    .bind(line_no)
    .bind(received)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that goods of a locked purchase order arrived, as its next version; with the last of them it is `received`.
pub async fn note_receipt(
    conn: &mut Conn<'_>,
    tenant: i64,
    id: i64,
    complete: bool,
    at: DateTime<Utc>,
) -> Result<()> {
    query(sql!(
        "update purchase_orders set status = case when $3 then 'received' else status end,
             received_at = case when $3 then $4 else received_at end, version = version + 1, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(complete)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}
