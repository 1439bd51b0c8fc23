//! Movements of the stock with their values, and what is known of products and places.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;

use super::Place;

/// A movement.
#[derive(Debug, Clone)]
pub struct Moved {
    /// The product.
    pub product_id: i64,
    /// Counts the product's movements.
    pub seq: i64,
    /// Where.
    pub location_id: i64,
    /// Of which batch.
    pub batch_id: Option<i64>,
    /// `receipt`, `sale` ...
    pub kind: String,
    /// How many came, or, below nothing, went.
    pub quantity: Decimal,
    /// When.
    pub at: DateTime<Utc>,
    /// What they are worth, where that is known.
    pub value: Option<Decimal>,
}

/// Where a movement stands among all: its product, when it happened, and its place as it was recorded.
pub type Standing = (i64, DateTime<Utc>, i64);

/// The next movements before a point in time, by product and in the order in which they happened. As in valuations, what was
/// taken back, and what took it back, is not there.
pub async fn movements(
    conn: &mut Conn<'_>,
    tenant: i64,
    end: DateTime<Utc>,
    scope: Option<&str>,
    after: Standing,
    limit: i64,
) -> Result<Vec<Moved>> {
    let rows = query(sql!(
        "select m.product_id, m.seq, m.location_id, m.batch_id, m.kind, m.quantity, m.effective_at, v.value
         from stock_movements m
         left join movement_valuations v on v.tenant_id = m.tenant_id and v.scope = $3 and v.movement_id = m.id
         where m.tenant_id = $1 and m.effective_at < $2 and (m.product_id, m.effective_at, m.seq) > ($4, $5, $6)
             and m.reverses_id is null and not exists (select 1 from stock_movements r
                 where r.tenant_id = m.tenant_id and r.product_id = m.product_id and r.reverses_id = m.id)
         order by m.product_id, m.effective_at, m.seq limit $7"
    ))
    .bind(tenant)
    .bind(end)
    .bind(scope.unwrap_or_default())
    .bind(after.0)
    .bind(after.1)
    .bind(after.2)
    .bind(limit)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Moved {
            product_id: row.get("product_id")?,
            seq: row.get("seq")?,
            location_id: row.get("location_id")?,
            batch_id: row.get("batch_id")?,
            kind: row.get("kind")?,
            quantity: row.get("quantity")?,
            at: row.get("effective_at")?,
            value: row.get("value")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The next active products behind one that never moved before a point in time, though somebody waits for them: they have a
/// reorder level, or are on order.
pub async fn unmoved(
    conn: &mut Conn<'_>,
    tenant: i64,
    end: DateTime<Utc>,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "select p.id from products p
         where p.tenant_id = $1 and p.id > $3 and p.active
             and not exists (select 1 from stock_movements m
                 where m.tenant_id = p.tenant_id and m.product_id = p.id and m.effective_at < $2)
             and (p.reorder_level is not null or exists (select 1 from purchase_order_lines l
                 join purchase_orders o on o.tenant_id = l.tenant_id and o.id = l.purchase_order_id
                 where l.tenant_id = p.tenant_id and l.product_id = p.id and o.status = 'approved'))
         order by p.id limit $4"
    ))
    .bind(tenant)
    .bind(end)
    .bind(after)
    .bind(limit)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// What a movement adds to the cost of goods sold.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// Where it is among the others.
    pub place: Place,
    /// Of which product.
    pub product_id: i64,
    /// How much, where that is known.
    pub cost: Option<Decimal>,
}

/// The next movements of a window that make goods cost of what was sold: when, and how much, where that is known. What
/// customers bring back is no cost any more; what a receipt cost later, of goods that were gone, is one.
pub async fn costs(
    conn: &mut Conn<'_>,
    tenant: i64,
    end: DateTime<Utc>,
    scope: Option<&str>,
    after: Place,
    limit: i64,
) -> Result<Vec<Spent>> {
    let rows = query(sql!(
        "select m.effective_at, m.id, m.product_id, m.kind, v.value, v.expensed from stock_movements m
         left join movement_valuations v on v.tenant_id = m.tenant_id and v.scope = $3 and v.movement_id = m.id
         where m.tenant_id = $1 and (m.effective_at, m.id) > ($4, $5) and m.effective_at < $2
             and m.kind in ('sale', 'return_in', 'landed_cost', 'revalue', 'transfer_out')
             and m.reverses_id is null and not exists (select 1 from stock_movements r
                 where r.tenant_id = m.tenant_id and r.product_id = m.product_id and r.reverses_id = m.id)
         order by m.effective_at, m.id limit $6"
    ))
    .bind(tenant)
    .bind(end)
    .bind(scope.unwrap_or_default())
    .bind(after.at)
    .bind(after.id)
    .bind(limit)
    .planned_anew()
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        let (kind, value): (String, Option<Decimal>) = (row.get("kind")?, row.get("value")?);
        let expensed = row.get::<Option<Decimal>>("expensed")?;
        let cost = match kind.as_str() {
            "sale" | "return_in" => value.map(|value| expensed.unwrap_or_default() - value),
            // Only what goods cost that have left before they came.
            "transfer_out" => Some(expensed.unwrap_or_default()),
            _ => expensed,
        };
        let place = Place { at: row.get("effective_at")?, id: row.get("id")? };
        Ok(Spent { place, product_id: row.get("product_id")?, cost })
    };
    rows.iter().map(read).collect()
}

/// What a report says of a product.
#[derive(Debug, Clone)]
pub struct ProductFacts {
    /// Its code, or what stands for it.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// What it belongs to.
    pub category: Option<String>,
    /// Below this somebody is told.
    pub reorder_level: Option<Decimal>,
}

/// These products.
pub async fn products(conn: &mut Conn<'_>, tenant: i64, ids: &[i64]) -> Result<HashMap<i64, ProductFacts>> {
    let rows = query(sql!(
        "select id, coalesce(sku, barcode, handle_key) as sku, name, category, reorder_level
         from products where tenant_id = $1 and id {in:$2}"
    ))
    .bind(tenant)
    .bind(ids.to_vec())
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        let facts = ProductFacts {
            sku: row.get("sku")?,
            name: row.get("name")?,
            category: row.get("category")?,
            reorder_level: row.get("reorder_level")?,
        };
        Ok((row.get("id")?, facts))
    };
    rows.iter().map(read).collect()
}

/// The codes of all locations.
pub async fn locations(conn: &mut Conn<'_>, tenant: i64) -> Result<HashMap<i64, String>> {
    let rows = query(sql!("select id, code from locations where tenant_id = $1"))
        .bind(tenant)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("code")?))).collect()
}

/// The lots of these products, with their last days.
pub async fn batches(
    conn: &mut Conn<'_>,
    tenant: i64,
    products: &[i64],
) -> Result<HashMap<i64, (String, Option<NaiveDate>)>> {
    let rows =
        query(sql!("select id, lot, expires_on from batches where tenant_id = $1 and product_id {in:$2}"))
            .bind(tenant)
            .bind(products.to_vec())
            .fetch_all(conn)
            .await?;
    rows.iter().map(|row| Ok((row.get("id")?, (row.get("lot")?, row.get("expires_on")?)))).collect()
}

/// A product, a location and a batch.
pub type PoolKey = (i64, i64, Option<i64>);

/// What is there of these products now, and what of it is held back.
pub async fn levels(
    conn: &mut Conn<'_>,
    tenant: i64,
    products: &[i64],
) -> Result<HashMap<PoolKey, (Decimal, Decimal)>> {
    let rows = query(sql!(
        "select product_id, location_id, batch_id, on_hand, reserved from stock_levels
         where tenant_id = $1 and product_id {in:$2}"
    ))
    .bind(tenant)
    .bind(products.to_vec())
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        let key = (row.get("product_id")?, row.get("location_id")?, row.get("batch_id")?);
        Ok((key, (row.get("on_hand")?, row.get("reserved")?)))
    };
    rows.iter().map(read).collect()
}

/// How many of these products approved purchase orders still bring.
pub async fn on_order(conn: &mut Conn<'_>, tenant: i64, products: &[i64]) -> Result<HashMap<i64, Decimal>> {
    let rows = query(sql!(
        "select l.product_id, l.quantity, l.received from purchase_order_lines l
         join purchase_orders o on o.tenant_id = l.tenant_id and o.id = l.purchase_order_id
         where l.tenant_id = $1 and l.product_id {in:$2} and o.status = 'approved'"
    ))
    .bind(tenant)
    .bind(products.to_vec())
    .fetch_all(conn)
    .await?;
    let mut open: HashMap<i64, Decimal> = HashMap::new();
    for row in rows {
        let left = row.get::<Decimal>("quantity")? - row.get::<Decimal>("received")?;
        *open.entry(row.get("product_id")?).or_default() += left.max(Decimal::ZERO);
    }
    Ok(open)
}
