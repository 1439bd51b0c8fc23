//! Invoices and their lines.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::Result;
use fairlane::db::{Conn, Row, query};
use fairlane::sql;
use rust_decimal::Decimal;
use serde::Serialize;

use super::orders::{OrderLine, read_decimals};
use crate::erp::money::{Amounts, exact};

/// An invoice as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invoice {
    /// Its number inside the database.
    pub id: i64,
    /// Its number, as printed on it.
    pub number: String,
    /// The order it bills.
    pub order_id: i64,
    /// The order's number.
    pub order_number: String,
    /// Who pays.
    pub customer_id: i64,
    /// The customer's name as printed on it.
    pub customer_name: String,
    /// `open`, `paid` or `void`.
    pub status: String,
    /// The currency (ISO 4217).
    pub currency: String,
    /// The decimals of that currency.
    pub decimals: u32,
    /// The sum of the lines without tax.
    pub net: Decimal,
    /// The sum of the lines' taxes.
    pub tax: Decimal,
    /// What is to be paid.
    pub total: Decimal,
    /// What has been paid of it, refunds taken off.
    pub paid: Decimal,
    /// The day of issue, in the tenant's zone.
    pub issued_on: NaiveDate,
    /// The last day to pay on, in the tenant's zone.
    pub due_on: NaiveDate,
    /// When it was sent to the customer.
    pub sent_at: Option<DateTime<Utc>>,
}

impl Invoice {
    /// What is left to be paid.
    pub fn outstanding(&self) -> Decimal {
        self.total - self.paid
    }

    fn read(row: &Row) -> Result<Self> {
        let decimals = read_decimals(row)?;
        Ok(Self {
            id: row.get("id")?,
            number: row.get("number")?,
            order_id: row.get("order_id")?,
            order_number: row.get("order_number")?,
            customer_id: row.get("customer_id")?,
            customer_name: row.get("customer_name")?,
            status: row.get("status")?,
            currency: row.get("currency")?,
            decimals,
            net: exact(row.get("net")?, decimals),
            tax: exact(row.get("tax")?, decimals),
            total: exact(row.get("total")?, decimals),
            paid: exact(row.get("paid")?, decimals),
            issued_on: row.get("issued_on")?,
            due_on: row.get("due_on")?,
            sent_at: row.get("sent_at")?,
        })
    }
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvoiceLine {
    /// Its place, from 1.
    pub line_no: i64,
    /// The product's code.
    pub sku: Option<String>,
    /// What is printed.
    pub description: String,
    /// How many.
    pub quantity: Decimal,
    /// The price of one, without tax.
    pub unit_price: Decimal,
    /// What was taken off the line.
    pub discount: Decimal,
    /// Tax in percent.
    pub tax_rate: Decimal,
    /// Without tax.
    pub net: Decimal,
    /// The tax.
    pub tax: Decimal,
    /// Tax included.
    pub total: Decimal,
}

/// What a new invoice needs beside its lines.
#[derive(Debug, Clone)]
pub struct NewInvoice {
    /// Its number, as printed on it.
    pub number: String,
    /// The order it bills.
    pub order_id: i64,
    /// Who pays.
    pub customer_id: i64,
    /// The customer's name as printed on it.
    pub customer_name: String,
    /// The currency (ISO 4217).
    pub currency: String,
    /// The decimals of that currency.
    pub decimals: u32,
    /// What it comes to.
    pub amounts: Amounts,
    /// The day of issue.
    pub issued_on: NaiveDate,
    /// The last day to pay on.
    pub due_on: NaiveDate,
}

/// Adds an invoice with its lines; returns its number inside the database. Where nothing is to be paid it is paid.
pub async fn insert(
    conn: &mut Conn<'_>,
    tenant: i64,
    new: &NewInvoice,
    lines: &[(OrderLine, Amounts)],
) -> Result<i64> {
    let id = query(sql!(
        "insert into invoices (tenant_id, number, kind, order_id, customer_id, customer_name, issued_on, due_on,
             currency, decimals, net, tax, total, status)
         values ($1, $2, 'invoice', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) returning id"
    ))
    .bind(tenant)
    .bind(new.number.as_str())
    .bind(new.order_id)
    .bind(new.customer_id)
    .bind(new.customer_name.as_str())
    .bind(new.issued_on)
    .bind(new.due_on)
    .bind(new.currency.as_str())
    .bind(new.decimals)
    .bind(new.amounts.net)
    .bind(new.amounts.tax)
    .bind(new.amounts.total)
    .bind(if new.amounts.total.is_zero() { "paid" } else { "open" })
    .fetch_one(conn)
    .await?
    .get("id")?;
    for (line, amounts) in lines {
        insert_line(conn, tenant, id, line, amounts).await?;
    }
    Ok(id)
}

async fn insert_line(
    conn: &mut Conn<'_>,
    tenant: i64,
    invoice: i64,
    line: &OrderLine,
    amounts: &Amounts,
) -> Result<()> {
    query(sql!(
        "insert into invoice_lines (tenant_id, invoice_id, line_no, product_id, sku, description, quantity, unit_price,
             discount, tax_rate, net, tax, total)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    ))
    .bind(tenant)
    .bind(invoice)
    .bind(line.line_no)
    .bind(line.product_id)
    .bind(line.sku.as_deref())
    .bind(line.description.as_str())
    .bind(line.terms.quantity)
    .bind(line.terms.unit_price)
    .bind(line.terms.discount)
    .bind(line.terms.tax_rate)
    .bind(amounts.net)
    .bind(amounts.tax)
    .bind(amounts.total)
    .execute(conn)
    .await?;
    Ok(())
}

/// The invoice with this number inside the database.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Invoice>> {
    let row = query(sql!(
        "select i.id, i.number, i.order_id, o.number as order_number, i.customer_id, i.customer_name, i.status,
                i.currency, i.decimals, i.net, i.tax, i.total, i.paid, i.issued_on, i.due_on, i.sent_at
         from invoices i join sales_orders o on o.tenant_id = i.tenant_id and o.id = i.order_id
         where i.tenant_id = $1 and i.id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Invoice::read).transpose()
}

/// An invoice, locked until the transaction ends: nothing is paid on it under the caller.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Invoice>> {
    // Apart from the read below: a lock would take the joined order's row too.
    let locked = query(sql!("select id from invoices where tenant_id = $1 and id = $2 {lock}"))
        .bind(tenant)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    if locked.is_none() {
        return Ok(None);
    }
    find(conn, tenant, id).await
}

/// Sets what has been paid of a locked invoice, and where that leaves it.
pub async fn set_paid(
    conn: &mut Conn<'_>,
    tenant: i64,
    id: i64,
    paid: Decimal,
    status: &'static str,
) -> Result<()> {
    query(sql!(
        "update invoices set paid = $3, status = $4, updated_at = {now} where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(paid)
    .bind(status)
    .execute(conn)
    .await?;
    Ok(())
}

/// The database's number of the invoice people know by this number.
pub async fn id_of(conn: &mut Conn<'_>, tenant: i64, number: &str) -> Result<Option<i64>> {
    let row = query(sql!("select id from invoices where tenant_id = $1 and number = $2"))
        .bind(tenant)
        .bind(number)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.get("id")).transpose()
}

/// The invoice of an order, if it has been billed: its number inside the database.
pub async fn of_order(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<Option<i64>> {
    let row =
        query(sql!("select id from invoices where tenant_id = $1 and order_id = $2 and kind = 'invoice'"))
            .bind(tenant)
            .bind(order)
            .fetch_optional(conn)
            .await?;
    row.map(|row| row.get("id")).transpose()
}

/// The newest invoices.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<Invoice>> {
    let rows = query(sql!(
        "select i.id, i.number, i.order_id, o.number as order_number, i.customer_id, i.customer_name, i.status,
                i.currency, i.decimals, i.net, i.tax, i.total, i.paid, i.issued_on, i.due_on, i.sent_at
         from invoices i join sales_orders o on o.tenant_id = i.tenant_id and o.id = i.order_id
         where i.tenant_id = $1 order by i.id desc limit $2"
    ))
    .bind(tenant)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Invoice::read).collect()
}

/// The lines of an invoice.
pub async fn lines(conn: &mut Conn<'_>, tenant: i64, invoice: &Invoice) -> Result<Vec<InvoiceLine>> {
    let rows = query(sql!(
        "select line_no, sku, description, quantity, unit_price, discount, tax_rate, net, tax, total
         from invoice_lines where tenant_id = $1 and invoice_id = $2 order by line_no"
    ))
    .bind(tenant)
    .bind(invoice.id)
    .fetch_all(conn)
    .await?;
    let amount =
        |row: &Row, column: &str| -> Result<Decimal> { Ok(exact(row.get(column)?, invoice.decimals)) };
    let plain = |row: &Row, column: &str| row.get::<Decimal>(column).map(|number| number.normalize());
    let read = |row: &Row| {
        Ok(InvoiceLine {
            line_no: row.get("line_no")?,
            sku: row.get("sku")?,
            description: row.get("description")?,
            quantity: plain(row, "quantity")?,
            unit_price: plain(row, "unit_price")?,
            discount: plain(row, "discount")?,
            tax_rate: plain(row, "tax_rate")?,
            net: amount(row, "net")?,
            tax: amount(row, "tax")?,
            total: amount(row, "total")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Notes that an invoice went out, the first time only.
pub async fn mark_sent(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<()> {
    query(sql!(
        "update invoices set sent_at = {now}, updated_at = {now}
         where tenant_id = $1 and id = $2 and sent_at is null"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}
