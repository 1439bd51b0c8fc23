//! Invoices and payments.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;

use super::{Place, Window};

/// An invoice, or a credit note.
#[derive(Debug, Clone)]
pub struct Billed {
    /// Its number inside the database.
    pub id: i64,
    /// Whether it takes back.
    pub credit: bool,
    /// The day of issue.
    pub issued_on: NaiveDate,
    /// Without tax.
    pub net: Decimal,
    /// The tax.
    pub tax: Decimal,
    /// Tax included.
    pub total: Decimal,
}

/// The next invoices that were issued on these days, behind one; those that are void were never owed.
pub async fn invoices(
    conn: &mut Conn<'_>,
    tenant: i64,
    (from, to): (NaiveDate, NaiveDate),
    currency: &str,
    after: (NaiveDate, i64),
    limit: i64,
) -> Result<Vec<Billed>> {
    let rows = query(sql!(
        "select id, kind, issued_on, net, tax, total from invoices
         where tenant_id = $1 and issued_on >= $2 and issued_on <= $3 and currency = $4 and status <> 'void'
             and (issued_on, id) > ($5, $6)
         order by issued_on, id limit $7"
    ))
    .bind(tenant)
    .bind(from)
    .bind(to)
    .bind(currency)
    .bind(after.0)
    .bind(after.1)
    .bind(limit)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Billed {
            id: row.get("id")?,
            credit: row.get::<String>("kind")? == "credit_note",
            issued_on: row.get("issued_on")?,
            net: row.get("net")?,
            tax: row.get("tax")?,
            total: row.get("total")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Rate, net and tax of the lines of these invoices.
pub async fn taxes(
    conn: &mut Conn<'_>,
    tenant: i64,
    invoices: &[i64],
) -> Result<Vec<(i64, Decimal, Decimal, Decimal)>> {
    let rows = query(sql!(
        "select invoice_id, tax_rate, net, tax from invoice_lines where tenant_id = $1 and invoice_id {in:$2}"
    ))
    .bind(tenant)
    .bind(invoices.to_vec())
    .planned_anew()
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok((row.get("invoice_id")?, row.get("tax_rate")?, row.get("net")?, row.get("tax")?)))
        .collect()
}

/// Money that came in.
#[derive(Debug, Clone)]
pub struct Paid {
    /// Where it is among the others.
    pub place: Place,
    /// How it was paid.
    pub method: String,
    /// How much; a refund is negative.
    pub amount: Decimal,
}

/// The next payments of a window behind a place.
pub async fn payments(
    conn: &mut Conn<'_>,
    tenant: i64,
    window: &Window,
    after: Place,
    limit: i64,
) -> Result<Vec<Paid>> {
    let rows = query(sql!(
        "select p.id, p.received_at, p.method, p.amount from payments p
         join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
         where p.tenant_id = $1 and (p.received_at, p.id) > ($2, $3) and p.received_at < $4 and i.currency = $5
         order by p.received_at, p.id limit $6"
    ))
    .bind(tenant)
    .bind(after.at)
    .bind(after.id)
    .bind(window.end)
    .bind(window.currency.as_str())
    .bind(limit)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        let place = Place { at: row.get("received_at")?, id: row.get("id")? };
        Ok(Paid { place, method: row.get("method")?, amount: row.get("amount")? })
    };
    rows.iter().map(read).collect()
}

/// What is owed of an invoice at a point in time.
#[derive(Debug, Clone)]
pub struct Owed {
    /// The invoice.
    pub id: i64,
    /// Who owes it.
    pub customer_id: i64,
    /// The last day to pay.
    pub due_on: NaiveDate,
    /// What was left to be paid.
    pub outstanding: Decimal,
}

/// The next invoices that were issued by a day, with what was not paid of them before a point in time. `customers` none: of
/// all.
pub async fn owed(
    conn: &mut Conn<'_>,
    tenant: i64,
    (to, end): (NaiveDate, DateTime<Utc>),
    currency: &str,
    customers: Option<&[i64]>,
    (after, limit): (i64, i64),
) -> Result<Vec<Owed>> {
    let rows = query(sql!(
        "select id, customer_id, due_on, total from invoices
         where tenant_id = $1 and kind = 'invoice' and status <> 'void' and issued_on <= $2 and currency = $3 and id > $4
             and ($5 = 0 or customer_id {in:$6})
         order by id limit $7"
    ))
    .bind(tenant)
    .bind(to)
    .bind(currency)
    .bind(after)
    .bind(i64::from(customers.is_some()))
    .bind(customers.unwrap_or_default().to_vec())
    .bind(limit)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let mut owed = rows.iter().map(read_owed).collect::<Result<Vec<_>>>()?;
    let ids: Vec<i64> = owed.iter().map(|invoice| invoice.id).collect();
    let paid = paid_before(conn, tenant, &ids, end).await?;
    for invoice in &mut owed {
        invoice.outstanding -= paid.get(&invoice.id).copied().unwrap_or_default();
    }
    Ok(owed)
}

fn read_owed(row: &Row) -> Result<Owed> {
    Ok(Owed {
        id: row.get("id")?,
        customer_id: row.get("customer_id")?,
        due_on: row.get("due_on")?,
        outstanding: row.get("total")?,
    })
}

async fn paid_before(
    conn: &mut Conn<'_>,
    tenant: i64,
    invoices: &[i64],
    end: DateTime<Utc>,
) -> Result<HashMap<i64, Decimal>> {
    let rows = query(sql!(
        "select invoice_id, amount from payments where tenant_id = $1 and invoice_id {in:$2} and received_at < $3"
    ))
    .bind(tenant)
    .bind(invoices.to_vec())
    .bind(end)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let mut paid: HashMap<i64, Decimal> = HashMap::new();
    for row in rows {
        *paid.entry(row.get("invoice_id")?).or_default() += row.get::<Decimal>("amount")?;
    }
    Ok(paid)
}
