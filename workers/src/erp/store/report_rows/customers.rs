//! Customers, what they have ordered and what they have paid.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use futures::TryStreamExt;
use rust_decimal::Decimal;

use super::{Each, Window};

/// A customer.
#[derive(Debug, Clone)]
pub struct Buyer {
    /// Its number inside the database.
    pub id: i64,
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Where it is, where that is known.
    pub country: Option<String>,
}

/// The next customers behind one.
pub async fn customers(conn: &mut Conn<'_>, tenant: i64, after: i64, limit: i64) -> Result<Vec<Buyer>> {
    let rows = query(sql!(
        "select id, code, name, address->>'country' as country from customers
         where tenant_id = $1 and id > $2 order by id limit $3"
    ))
    .bind(tenant)
    .bind(after)
    .bind(limit)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Buyer {
            id: row.get("id")?,
            code: row.get("code")?,
            name: row.get("name")?,
            country: row.get("country")?,
        })
    };
    rows.iter().map(read).collect()
}

/// When a customer ordered, as far as it did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// First.
    pub first: Option<DateTime<Utc>>,
    /// Last before the window.
    pub before: Option<DateTime<Utc>>,
    /// Last.
    pub last: Option<DateTime<Utc>>,
}

/// When these customers ordered before a window's end.
pub async fn order_times(
    conn: &mut Conn<'_>,
    tenant: i64,
    customers: &[i64],
    window: &Window,
) -> Result<HashMap<i64, Times>> {
    let rows = query(sql!(
        "select customer_id, min(ordered_at) as first_at, max(ordered_at) as last_at,
             max(case when ordered_at < $5 then ordered_at end) as before_at from sales_orders
         where tenant_id = $1 and customer_id {in:$2} and ordered_at < $3 and currency = $4
             and status in ('approved', 'fulfilled')
         group by customer_id"
    ))
    .bind(tenant)
    .bind(customers.to_vec())
    .bind(window.end)
    .bind(window.currency.as_str())
    .bind(window.start)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        let times =
            Times { first: row.get("first_at")?, before: row.get("before_at")?, last: row.get("last_at")? };
        Ok((row.get("customer_id")?, times))
    };
    rows.iter().map(read).collect()
}

/// What a line of an order comes to, without tax; of a return, below nothing.
#[derive(Debug, Clone)]
pub struct Bought {
    /// Who.
    pub customer_id: i64,
    /// The order; none for a return.
    pub order_id: Option<i64>,
    /// How much.
    pub amount: Decimal,
}

/// The lines of these customers' orders in a window, one order after the other.
pub async fn ordered<E: From<Error>>(
    conn: &mut Conn<'_>,
    tenant: i64,
    customers: &[i64],
    window: &Window,
    each: Each<'_, Bought, E>,
) -> Result<(), E> {
    let statement = sql!(
        "select o.customer_id, o.id as order_id, l.quantity, l.unit_price, l.discount from sales_orders o
         join sales_order_lines l on l.tenant_id = o.tenant_id and l.order_id = o.id
         where o.tenant_id = $1 and o.customer_id {in:$2} and o.ordered_at >= $3 and o.ordered_at < $4 and o.currency = $5
             and o.status in ('approved', 'fulfilled')
         order by o.id"
    );
    let mut rows = query(statement)
        .bind(tenant)
        .bind(customers.to_vec())
        .bind(window.start)
        .bind(window.end)
        .bind(window.currency.as_str())
        .planned_anew()
        .fetch(conn)?;
    while let Some(row) = rows.try_next().await? {
        let (customer_id, order_id) = (row.get("customer_id")?, Some(row.get("order_id")?));
        each(Bought { customer_id, order_id, amount: amount(&row)? })?;
    }
    Ok(())
}

/// The lines these customers gave back in a window.
pub async fn given_back<E: From<Error>>(
    conn: &mut Conn<'_>,
    tenant: i64,
    customers: &[i64],
    window: &Window,
    each: Each<'_, Bought, E>,
) -> Result<(), E> {
    let statement = sql!(
        "select r.customer_id, l.quantity, l.unit_price, l.discount from sales_returns r
         join sales_return_lines l on l.tenant_id = r.tenant_id and l.return_id = r.id
         where r.tenant_id = $1 and r.customer_id {in:$2} and r.returned_at >= $3 and r.returned_at < $4 and r.currency = $5"
    );
    let mut rows = query(statement)
        .bind(tenant)
        .bind(customers.to_vec())
        .bind(window.start)
        .bind(window.end)
        .bind(window.currency.as_str())
        .planned_anew()
        .fetch(conn)?;
    while let Some(row) = rows.try_next().await? {
        each(Bought { customer_id: row.get("customer_id")?, order_id: None, amount: -amount(&row)? })?;
    }
    Ok(())
}

fn amount(row: &Row) -> Result<Decimal> {
    let (quantity, price): (Decimal, Decimal) = (row.get("quantity")?, row.get("unit_price")?);
    let discount: Decimal = row.get("discount")?;
    quantity
        .checked_mul(price)
        .and_then(|gross| gross.checked_sub(discount))
        .ok_or_else(|| Error::Damaged("a line comes to more than can be computed".into()))
}

/// Money a customer has paid.
#[derive(Debug, Clone, Copy)]
pub struct Paid {
    /// Who.
    pub customer_id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// How much; a refund is negative.
    pub amount: Decimal,
}

/// What these customers have paid before a window's end, since the beginning: handed on one by one.
pub async fn paid<E: From<Error>>(
    conn: &mut Conn<'_>,
    tenant: i64,
    customers: &[i64],
    window: &Window,
    each: Each<'_, Paid, E>,
) -> Result<(), E> {
    let statement = sql!(
        "select p.customer_id, p.received_at, p.amount from payments p
         join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
         where p.tenant_id = $1 and p.customer_id {in:$2} and p.received_at < $3 and i.currency = $4"
    );
    let mut rows = query(statement)
        .bind(tenant)
        .bind(customers.to_vec())
        .bind(window.end)
        .bind(window.currency.as_str())
        .planned_anew()
        .fetch(conn)?;
    while let Some(row) = rows.try_next().await? {
        let customer_id = row.get("customer_id")?;
        each(Paid { customer_id, at: row.get("received_at")?, amount: row.get("amount")? })?;
    }
    Ok(())
}
