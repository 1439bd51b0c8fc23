//! Invoices that should have been paid, and how far that was noticed.

use chrono::NaiveDate;
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;

use super::orders::read_decimals;
use crate::erp::money::exact;

/// An open invoice after its last day to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The invoice.
    pub invoice_id: i64,
    /// Its number.
    pub number: String,
    /// Who has to pay.
    pub customer_id: i64,
    /// The customer's name as printed on it.
    pub customer_name: String,
    /// What is left to be paid.
    pub outstanding: Decimal,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// The last day to pay on.
    pub due_on: NaiveDate,
}

impl Overdue {
    fn read(row: &Row) -> Result<Self> {
        let decimals = read_decimals(row)?;
        Ok(Self {
            invoice_id: row.get("id")?,
            number: row.get("number")?,
            customer_id: row.get("customer_id")?,
            customer_name: row.get("customer_name")?,
            outstanding: exact(row.get::<Decimal>("total")? - row.get::<Decimal>("paid")?, decimals),
            currency: row.get("currency")?,
            due_on: row.get("due_on")?,
        })
    }
}

/// Open invoices that were due on `day` or before and have not been noticed at `stage` or a later one; locked until the
/// transaction ends, so that none is paid meanwhile. One of which no more is open than what came back of its order is left
/// out: nobody owes what was given back, and money that was returned for it opens the invoice again.
pub async fn overdue(
    conn: &mut Conn<'_>,
    tenant: i64,
    day: NaiveDate,
    stage: i64,
    limit: i64,
) -> Result<Vec<Overdue>> {
    let rows = query(sql!(
        "select i.id, i.number, i.customer_id, i.customer_name, i.total, i.paid, i.currency, i.decimals, i.due_on
         from invoices i
         where i.tenant_id = $1 and i.status = 'open' and i.kind = 'invoice' and i.due_on <= $2
           and not exists (select 1 from invoice_reminders r
               where r.tenant_id = i.tenant_id and r.invoice_id = i.id and r.stage >= $3)
           and round(i.total - i.paid - coalesce((select sum(b.total) from sales_returns b
               where b.tenant_id = i.tenant_id and b.order_id = i.order_id), 0), 4) > 0
         order by i.id limit $4 {lock}"
    ))
    .bind(tenant)
    .bind(day)
    .bind(stage)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Overdue::read).collect()
}

/// Notes that an invoice has reached a stage; false when that was noted before.
pub async fn note(conn: &mut Conn<'_>, tenant: i64, invoice: i64, stage: i64) -> Result<bool> {
    let noted = query(sql!(
        "insert into invoice_reminders (tenant_id, invoice_id, stage, noticed_at) values ($1, $2, $3, {now})
         on conflict (tenant_id, invoice_id, stage) do nothing"
    ))
    .bind(tenant)
    .bind(invoice)
    .bind(stage)
    .execute(conn)
    .await?;
    Ok(noted == 1)
}
