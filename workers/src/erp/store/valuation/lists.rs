//! What the stock is worth, as people look at it.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::erp::store::stock::plain;
use crate::erp::valuation::Scope;

/// What a pool is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownPool {
    /// The product's code.
    pub sku: String,
    /// The location's code, where pools are divided by it.
    pub location: Option<String>,
    /// The batch's number, where pools are divided by it.
    pub lot: Option<String>,
    /// How it was valued.
    pub method: String,
    /// How many are there.
    pub quantity: Decimal,
    /// What they are worth.
    pub value: Decimal,
    /// What one costs; of an empty pool, what it cost last.
    pub average_cost: Option<Decimal>,
    /// The seq of the last movement that is in it.
    pub as_of_seq: i64,
    /// The seq of the product's last movement: more than that has moved since.
    pub last_seq: i64,
    /// When it was computed.
    pub computed_at: DateTime<Utc>,
}

/// What the pools of a product are worth.
pub async fn pools(conn: &mut Conn<'_>, tenant: i64, scope: Scope, product: i64) -> Result<Vec<ShownPool>> {
    let rows = query(sql!(
        "select coalesce(p.sku, p.barcode, p.handle_key) as sku, l.code as location, b.lot, v.method, v.quantity, v.value,
                v.average_cost, v.as_of_seq, s.last_seq, v.computed_at
         from stock_valuations v
         join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
         join stock_ledgers s on s.tenant_id = v.tenant_id and s.product_id = v.product_id
         left join locations l on l.tenant_id = v.tenant_id and l.id = v.location_id
         left join batches b on b.tenant_id = v.tenant_id and b.id = v.batch_id
         where v.tenant_id = $1 and v.scope = $2 and v.product_id = $3 order by l.code, b.lot"
    ))
    .bind(tenant)
    .bind(scope.as_str())
    .bind(product)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(ShownPool {
            sku: row.get("sku")?,
            location: row.get("location")?,
            lot: row.get("lot")?,
            method: row.get("method")?,
            quantity: plain(row.get("quantity")?),
            value: plain(row.get("value")?),
            average_cost: row.get::<Option<Decimal>>("average_cost")?.map(plain),
            as_of_seq: row.get("as_of_seq")?,
            last_seq: row.get("last_seq")?,
            computed_at: row.get("computed_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Goods that came together and are still there, or (negative) that left before they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownLayer {
    /// The product's code.
    pub sku: String,
    /// The location's code, where pools are divided by it.
    pub location: Option<String>,
    /// The batch's number, where pools are divided by it.
    pub lot: Option<String>,
    /// The movement that brought them into the pool.
    pub movement_id: i64,
    /// Since when they are in the stock.
    pub received_at: DateTime<Utc>,
    /// How many came.
    pub came: Decimal,
    /// How many are there.
    pub quantity: Decimal,
    /// What they are worth.
    pub value: Decimal,
}

/// The layers behind a product (of one product where it is named), oldest first in each pool.
pub async fn layers(
    conn: &mut Conn<'_>,
    tenant: i64,
    scope: Scope,
    product: Option<i64>,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, ShownLayer)>> {
    let rows = query(sql!(
        "select v.product_id, coalesce(p.sku, p.barcode, p.handle_key) as sku, l.code as location, b.lot, v.movement_id,
                v.received_at, v.quantity, v.remaining_quantity, v.remaining_value
         from valuation_layers v
         join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
         left join locations l on l.tenant_id = v.tenant_id and l.id = v.location_id
         left join batches b on b.tenant_id = v.tenant_id and b.id = v.batch_id
         where v.tenant_id = $1 and v.scope = $2 and ($3 is null or v.product_id = $3) and v.product_id > $4
         order by v.product_id, l.code, b.lot, v.position limit $5"
    ))
    .bind(tenant)
    .bind(scope.as_str())
    .bind(product)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        let layer = ShownLayer {
            sku: row.get("sku")?,
            location: row.get("location")?,
            lot: row.get("lot")?,
            movement_id: row.get("movement_id")?,
            received_at: row.get("received_at")?,
            came: plain(row.get("quantity")?),
            quantity: plain(row.get("remaining_quantity")?),
            value: plain(row.get("remaining_value")?),
        };
        Ok((row.get("product_id")?, layer))
    };
    rows.iter().map(read).collect()
}

/// The next products behind a number that were valued.
pub async fn valued(
    conn: &mut Conn<'_>,
    tenant: i64,
    scope: Scope,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, String)>> {
    let rows = query(sql!(
        "select distinct v.product_id, coalesce(p.sku, p.barcode, p.handle_key) as sku from stock_valuations v
         join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
         where v.tenant_id = $1 and v.scope = $2 and v.product_id > $3 order by v.product_id limit $4"
    ))
    .bind(tenant)
    .bind(scope.as_str())
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("product_id")?, row.get("sku")?))).collect()
}
