//! Purchase orders, their lines and what has arrived.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;

use super::{Place, Window};

/// A purchase order.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// Where it is among the others: when it was ordered, and its number inside the database.
    pub place: Place,
    /// Its number, as people know it.
    pub number: String,
    /// The vendor's code, where it has one.
    pub vendor: Option<String>,
    /// The vendor's name.
    pub vendor_name: String,
    /// Where it stands.
    pub status: String,
    /// The day it is expected.
    pub expected_on: Option<NaiveDate>,
    /// When the last of it arrived.
    pub received_at: Option<DateTime<Utc>>,
}

/// The next purchase orders of a window behind a place, drafts too.
pub async fn orders(
    conn: &mut Conn<'_>,
    tenant: i64,
    window: &Window,
    after: Place,
    limit: i64,
) -> Result<Vec<Purchase>> {
    let rows = query(sql!(
        "select o.id, o.ordered_at, o.number, v.code, v.name, o.status, o.expected_on, o.received_at from purchase_orders o
         join vendors v on v.tenant_id = o.tenant_id and v.id = o.vendor_id
         where o.tenant_id = $1 and (o.ordered_at, o.id) > ($2, $3) and o.ordered_at < $4 and o.currency = $5
         order by o.ordered_at, o.id limit $6"
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
        Ok(Purchase {
            place: Place { at: row.get("ordered_at")?, id: row.get("id")? },
            number: row.get("number")?,
            vendor: row.get("code")?,
            vendor_name: row.get("name")?,
            status: row.get("status")?,
            expected_on: row.get("expected_on")?,
            received_at: row.get("received_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// A line of a purchase order.
#[derive(Debug, Clone)]
pub struct PurchaseLine {
    /// The order.
    pub order_id: i64,
    /// How many were ordered.
    pub quantity: Decimal,
    /// How many have arrived.
    pub received: Decimal,
    /// What one costs.
    pub unit_cost: Decimal,
    /// What one was thought to cost.
    pub standard_cost: Option<Decimal>,
}

/// The lines of these purchase orders.
pub async fn lines(conn: &mut Conn<'_>, tenant: i64, orders: &[i64]) -> Result<Vec<PurchaseLine>> {
    let rows = query(sql!(
        "select l.purchase_order_id, l.quantity, l.received, l.unit_cost, p.standard_cost from purchase_order_lines l
         join products p on p.tenant_id = l.tenant_id and p.id = l.product_id
         where l.tenant_id = $1 and l.purchase_order_id {in:$2} order by l.purchase_order_id, l.line_no"
    ))
    .bind(tenant)
    .bind(orders.to_vec())
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(PurchaseLine {
            order_id: row.get("purchase_order_id")?,
            quantity: row.get("quantity")?,
            received: row.get("received")?,
            unit_cost: row.get("unit_cost")?,
            standard_cost: row.get("standard_cost")?,
        })
    };
    rows.iter().map(read).collect()
}

/// When the last goods of these purchase orders arrived.
pub async fn last_arrivals(
    conn: &mut Conn<'_>,
    tenant: i64,
    orders: &[i64],
) -> Result<Vec<(i64, DateTime<Utc>)>> {
    let rows = query(sql!(
        "select purchase_order_id, max(received_at) as last_at from goods_receipts
         where tenant_id = $1 and purchase_order_id {in:$2} group by purchase_order_id"
    ))
    .bind(tenant)
    .bind(orders.to_vec())
    .planned_anew()
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("purchase_order_id")?, row.get("last_at")?))).collect()
}
