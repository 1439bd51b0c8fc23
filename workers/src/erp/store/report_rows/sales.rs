//! Lines of orders and of returns.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use futures::TryStreamExt;
use rust_decimal::Decimal;

use super::{Each, Place, Window, number, numbered};

/// A line of an order that was approved, or of a return.
#[derive(Debug, Clone)]
pub struct SaleLine {
    /// Whether it came back.
    pub returned: bool,
    /// The order's or the return's number inside the database.
    pub document_id: i64,
    /// Its number, as people know it.
    pub document: String,
    /// When it was ordered, or came back.
    pub at: DateTime<Utc>,
    /// Who buys.
    pub customer_id: i64,
    /// The customer's code.
    pub customer: String,
    /// The customer's name.
    pub customer_name: String,
    /// Where it goes to: the order's country, else the customer's.
    pub country: Option<String>,
    /// Its place, from 1.
    pub line_no: i64,
    /// The product, where it is one of the catalogue.
    pub product_id: Option<i64>,
    /// The product's code.
    pub sku: Option<String>,
    /// The product's name; else what is printed.
    pub product: String,
    /// What the product belongs to.
    pub category: Option<String>,
    /// The code of the location that the line names.
    pub location: Option<String>,
    /// How many.
    pub quantity: Decimal,
    /// The price of one, without tax.
    pub unit_price: Decimal,
    /// What is taken off the line.
    pub discount: Decimal,
    /// Tax in percent.
    pub tax_rate: Decimal,
}

impl SaleLine {
    fn read(row: &Row, returned: bool) -> Result<Self> {
        Ok(Self {
            returned,
            document_id: row.get("document_id")?,
            document: row.get("document")?,
            at: row.get("at")?,
            customer_id: row.get("customer_id")?,
            customer: row.get("customer")?,
            customer_name: row.get("customer_name")?,
            country: row.get("country")?,
            line_no: row.get("line_no")?,
            product_id: row.get("product_id")?,
            sku: row.get("sku")?,
            product: row.get("product")?,
            category: row.get("category")?,
            location: row.get("location")?,
            quantity: row.get("quantity")?,
            unit_price: row.get("unit_price")?,
            discount: row.get("discount")?,
            tax_rate: row.get("tax_rate")?,
        })
    }
}

/// The next orders of a window behind a place.
pub async fn orders(
    conn: &mut Conn<'_>,
    tenant: i64,
    window: &Window,
    after: Place,
    limit: i64,
) -> Result<Vec<Place>> {
    let rows = query(sql!(
        "select ordered_at as at, id from sales_orders
         where tenant_id = $1 and (ordered_at, id) > ($2, $3) and ordered_at < $4 and currency = $5
             and status in ('approved', 'fulfilled')
         order by ordered_at, id limit $6"
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
    rows.iter().map(|row| Ok(Place { at: row.get("at")?, id: row.get("id")? })).collect()
}

/// The next returns of a window behind a place.
pub async fn returns(
    conn: &mut Conn<'_>,
    tenant: i64,
    window: &Window,
    after: Place,
    limit: i64,
) -> Result<Vec<Place>> {
    let rows = query(sql!(
        "select returned_at as at, id from sales_returns
         where tenant_id = $1 and (returned_at, id) > ($2, $3) and returned_at < $4 and currency = $5
         order by returned_at, id limit $6"
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
    rows.iter().map(|row| Ok(Place { at: row.get("at")?, id: row.get("id")? })).collect()
}

/// The lines of these orders, one order after the other.
pub async fn order_lines<E: From<Error>>(
    conn: &mut Conn<'_>,
    tenant: i64,
    orders: &[i64],
    each: Each<'_, SaleLine, E>,
) -> Result<(), E> {
    let mut rows = query(sql!(
        "select o.id as document_id, o.number as document, o.ordered_at as at, o.customer_id, c.code as customer,
             c.name as customer_name, coalesce(o.country, c.address->>'country') as country, l.line_no, l.product_id, l.sku,
             coalesce(p.name, l.description) as product, p.category, w.code as location, l.quantity, l.unit_price,
             l.discount, l.tax_rate
         from sales_order_lines l
         join sales_orders o on o.tenant_id = l.tenant_id and o.id = l.order_id
         join customers c on c.tenant_id = o.tenant_id and c.id = o.customer_id
         left join products p on p.tenant_id = l.tenant_id and p.id = l.product_id
         left join locations w on w.tenant_id = l.tenant_id and w.id = l.location_id
         where l.tenant_id = $1 and l.order_id {in:$2} order by l.order_id, l.line_no"
    ))
    .bind(tenant)
    .bind(orders.to_vec())
    .planned_anew()
    .fetch(conn)?;
    while let Some(row) = rows.try_next().await? {
        each(SaleLine::read(&row, false)?)?;
    }
    Ok(())
}

/// The lines of these returns, one return after the other.
pub async fn return_lines<E: From<Error>>(
    conn: &mut Conn<'_>,
    tenant: i64,
    returns: &[i64],
    each: Each<'_, SaleLine, E>,
) -> Result<(), E> {
    let mut rows = query(sql!(
        "select r.id as document_id, r.number as document, r.returned_at as at, r.customer_id, c.code as customer,
             c.name as customer_name, coalesce(r.country, c.address->>'country') as country, l.line_no, l.product_id, l.sku,
             coalesce(p.name, l.description) as product, p.category, l.sold_from as location, l.quantity,
             l.unit_price, l.discount, l.tax_rate
         from sales_return_lines l
         join sales_returns r on r.tenant_id = l.tenant_id and r.id = l.return_id
         join customers c on c.tenant_id = r.tenant_id and c.id = r.customer_id
         left join products p on p.tenant_id = l.tenant_id and p.id = l.product_id
         where l.tenant_id = $1 and l.return_id {in:$2} order by l.return_id, l.line_no"
    ))
    .bind(tenant)
    .bind(returns.to_vec())
    .planned_anew()
    .fetch(conn)?;
    while let Some(row) = rows.try_next().await? {
        each(SaleLine::read(&row, true)?)?;
    }
    Ok(())
}

/// How many were delivered of the lines of these orders, and what they had cost, by order and line: as far as their
/// movements are valued. One that was taken back has its value until the next valuation, and is no delivery.
pub async fn costs(
    conn: &mut Conn<'_>,
    tenant: i64,
    scope: &str,
    orders: &[i64],
) -> Result<HashMap<(i64, i64), (Decimal, Decimal)>> {
    let named: Vec<String> = orders.iter().map(i64::to_string).collect();
    let rows = query(sql!(
        "select m.source_id, m.source_line, m.quantity, v.value from stock_movements m
         join movement_valuations v on v.tenant_id = m.tenant_id and v.scope = $2 and v.movement_id = m.id
         where m.tenant_id = $1 and m.source_type = 'order' and m.source_id {in:$3} and m.kind = 'sale'
             and not exists (select 1 from stock_movements r
                 where r.tenant_id = m.tenant_id and r.product_id = m.product_id and r.reverses_id = m.id)"
    ))
    .bind(tenant)
    .bind(scope)
    .bind(named)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let mut costs: HashMap<(i64, i64), (Decimal, Decimal)> = HashMap::new();
    for row in rows {
        let order = numbered(&row.get::<String>("source_id")?, "stock_movements.source_id")?;
        let cost = costs.entry((order, number(&row, "source_line")?)).or_default();
        cost.0 -= row.get::<Decimal>("quantity")?;
        cost.1 -= row.get::<Decimal>("value")?;
    }
    Ok(costs)
}

/// The tax that the invoices of these orders state, by order; an order without one, or whose invoice is void, is not in it.
pub async fn stated_taxes(conn: &mut Conn<'_>, tenant: i64, orders: &[i64]) -> Result<HashMap<i64, Decimal>> {
    let rows = query(sql!(
        "select order_id, tax from invoices
         where tenant_id = $1 and order_id {in:$2} and kind = 'invoice' and status <> 'void'"
    ))
    .bind(tenant)
    .bind(orders.to_vec())
    .planned_anew()
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("order_id")?, row.get("tax")?))).collect()
}

/// Who bought in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buyers {
    /// Customers with an order in it.
    pub customers: i64,
    /// Those of them whose first order is in it.
    pub new: i64,
    /// Orders in it in other currencies: left out.
    pub other_currencies: i64,
}

/// Counts who bought in a window.
pub async fn buyers(conn: &mut Conn<'_>, tenant: i64, window: &Window) -> Result<Buyers> {
    let row = query(sql!(
        "select count(distinct case when currency = $4 then customer_id end) as customers,
             sum(case when currency = $4 then 0 else 1 end) as others
         from sales_orders
         where tenant_id = $1 and ordered_at >= $2 and ordered_at < $3 and status in ('approved', 'fulfilled')"
    ))
    .bind(tenant)
    .bind(window.start)
    .bind(window.end)
    .bind(window.currency.as_str())
    .fetch_one(conn)
    .await?;
    let new = query(sql!(
        "select count(*) as new from (
             select customer_id, min(ordered_at) as first_at from sales_orders
             where tenant_id = $1 and currency = $4 and status in ('approved', 'fulfilled') group by customer_id) f
         where f.first_at >= $2 and f.first_at < $3"
    ))
    .bind(tenant)
    .bind(window.start)
    .bind(window.end)
    .bind(window.currency.as_str())
    .fetch_one(conn)
    .await?;
    Ok(Buyers {
        customers: row.get("customers")?,
        new: new.get("new")?,
        other_currencies: number(&row, "others")?,
    })
}
