//! Payments: money that came in for an invoice; a refund is negative. Only ever added to.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

use super::orders::read_decimals;
use crate::erp::money::exact;

/// A payment as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// Its number inside the database.
    pub id: i64,
    /// The bank's or the provider's reference.
    pub reference: String,
    /// How it was paid.
    pub method: String,
    /// What came in; a refund is negative.
    pub amount: Decimal,
    /// Its currency (ISO 4217): the invoice's.
    pub currency: String,
    /// The invoice it pays.
    pub invoice_id: i64,
    /// The invoice's number.
    pub invoice_number: String,
    /// Who paid.
    pub customer_id: i64,
    /// The customer's name as printed on the invoice.
    pub customer_name: String,
    /// When it came in.
    pub received_at: DateTime<Utc>,
}

impl Payment {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            reference: row.get("reference")?,
            method: row.get("method")?,
            amount: exact(row.get("amount")?, read_decimals(row)?),
            currency: row.get("currency")?,
            invoice_id: row.get("invoice_id")?,
            invoice_number: row.get("invoice_number")?,
            customer_id: row.get("customer_id")?,
            customer_name: row.get("customer_name")?,
            received_at: row.get("received_at")?,
        })
    }
}

/// What a new payment needs beside its invoice.
#[derive(Debug, Clone)]
pub struct NewPayment<'a> {
    /// The invoice it pays.
    pub invoice_id: i64,
    /// Who paid: the invoice's customer.
    pub customer_id: i64,
    /// The bank's or the provider's reference.
    pub reference: &'a str,
    /// How it was paid.
    pub method: &'a str,
    /// What came in.
    pub amount: Decimal,
    /// When it came in.
    pub received_at: DateTime<Utc>,
    /// The user who entered it.
    pub user_id: Option<i64>,
}

/// Adds a payment; none when its reference is taken.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &NewPayment<'_>) -> Result<Option<i64>> {
    let row = query(sql!(
        "insert into payments (tenant_id, invoice_id, customer_id, reference, method, amount, received_at, user_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (tenant_id, reference) do nothing
         returning id"
    ))
    .bind(tenant)
    .bind(new.invoice_id)
    .bind(new.customer_id)
    .bind(new.reference)
    .bind(new.method)
    .bind(new.amount)
    .bind(new.received_at)
    .bind(new.user_id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("id")).transpose()
}

/// The payment with this reference.
pub async fn by_reference(conn: &mut Conn<'_>, tenant: i64, reference: &str) -> Result<Option<Payment>> {
    let row = query(sql!(
        "select p.id, p.reference, p.method, p.amount, i.currency, i.decimals, p.invoice_id,
                i.number as invoice_number, p.customer_id, i.customer_name, p.received_at
         from payments p join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
         where p.tenant_id = $1 and p.reference = $2"
    ))
    .bind(tenant)
    .bind(reference)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Payment::read).transpose()
}

/// The newest payments: of one invoice, or of all.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant: i64,
    invoice: Option<i64>,
    limit: i64,
) -> Result<Vec<Payment>> {
    let rows = query(sql!(
        "select p.id, p.reference, p.method, p.amount, i.currency, i.decimals, p.invoice_id,
                i.number as invoice_number, p.customer_id, i.customer_name, p.received_at
         from payments p join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
         where p.tenant_id = $1 and ($2 is null or p.invoice_id = $2)
         order by p.id desc limit $3"
    ))
    .bind(tenant)
    .bind(invoice)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Payment::read).collect()
}
