//! What movements refer to: read in one statement each, whatever their number.

use std::collections::{HashMap, HashSet};

use fairlane::db::{Conn, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;

use super::plain;

/// What the stock needs to know of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockedProduct {
    /// Its code, or what stands for it.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Whether new goods of it are taken in.
    pub active: bool,
    /// Whether every piece of it belongs to a batch.
    pub track_batches: bool,
    /// Below this somebody is told, at each location.
    pub reorder_level: Option<Decimal>,
}

/// What the stock needs to know of a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockedLocation {
    /// Its code.
    pub code: String,
    /// `internal`, `transit`, `vendor`, `customer` or `loss`.
    pub kind: String,
    /// Whether goods are put there.
    pub active: bool,
}

/// The products with these numbers, as far as they exist.
pub async fn products(conn: &mut Conn<'_>, tenant: i64, ids: &[i64]) -> Result<HashMap<i64, StockedProduct>> {
    let rows = query(sql!(
        "select id, coalesce(sku, barcode, handle_key) as sku, name, active, track_batches, reorder_level
         from products where tenant_id = $1 and id {in:$2}"
    ))
    .bind(tenant)
    .bind(ids.to_vec())
    .fetch_all(conn)
    .await?;
    let mut products = HashMap::with_capacity(rows.len());
    for row in rows {
        let product = StockedProduct {
            sku: row.get("sku")?,
            name: row.get("name")?,
            active: row.get("active")?,
            track_batches: row.get("track_batches")?,
            reorder_level: row.get::<Option<Decimal>>("reorder_level")?.map(plain),
        };
        products.insert(row.get("id")?, product);
    }
    Ok(products)
}

/// The locations with these numbers, as far as they exist.
pub async fn locations(
    conn: &mut Conn<'_>,
    tenant: i64,
    ids: &[i64],
) -> Result<HashMap<i64, StockedLocation>> {
    let rows =
        query(sql!("select id, code, kind, active from locations where tenant_id = $1 and id {in:$2}"))
            .bind(tenant)
            .bind(ids.to_vec())
            .fetch_all(conn)
            .await?;
    let mut locations = HashMap::with_capacity(rows.len());
    for row in rows {
        let location =
            StockedLocation { code: row.get("code")?, kind: row.get("kind")?, active: row.get("active")? };
        locations.insert(row.get("id")?, location);
    }
    Ok(locations)
}

/// The product and the lot of the batches with these numbers, as far as they exist.
pub async fn batches(conn: &mut Conn<'_>, tenant: i64, ids: &[i64]) -> Result<HashMap<i64, (i64, String)>> {
    let rows = query(sql!("select id, product_id, lot from batches where tenant_id = $1 and id {in:$2}"))
        .bind(tenant)
        .bind(ids.to_vec())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.get("id")?, (row.get("product_id")?, row.get("lot")?)))).collect()
}

/// Which of these users exist, active or not: who has left has done what he has done.
pub async fn users(conn: &mut Conn<'_>, tenant: i64, ids: &[i64]) -> Result<HashSet<i64>> {
    let rows = query(sql!("select id from users where tenant_id = $1 and id {in:$2}"))
        .bind(tenant)
        .bind(ids.to_vec())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}
