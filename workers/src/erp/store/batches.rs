//! Batches: a lot of a product, with the last day it may be used on.

use std::collections::HashMap;

use chrono::NaiveDate;
use fairlane::db::{Conn, Dialect, Row, Sql, query};
use fairlane::{Result, sql};
use serde::Serialize;

use super::stock::json_rows;

/// A batch as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// Its number inside the database.
    pub id: i64,
    /// Of which product.
    pub product_id: i64,
    /// The number printed on it.
    pub lot: String,
    /// Its last day.
    pub expires_on: Option<NaiveDate>,
}

impl Batch {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            product_id: row.get("product_id")?,
            lot: row.get("lot")?,
            expires_on: row.get("expires_on")?,
        })
    }
}

/// A lot of a product, as somebody names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedLot {
    /// Of which product.
    pub product_id: i64,
    /// The number printed on it.
    pub lot: String,
    /// Its last day, where it is known.
    pub expires_on: Option<NaiveDate>,
}

/// Adds the lots that are not there yet and returns the batches of all. One that is there keeps its last day; one
/// without a last day takes it. The products' ledgers are locked.
pub async fn ensure(conn: &mut Conn<'_>, tenant: i64, lots: &[NamedLot]) -> Result<Vec<Batch>> {
    if lots.is_empty() {
        return Ok(Vec::new());
    }
    let statement = Sql {
        postgres: "insert into batches (tenant_id, product_id, lot, expires_on, created_at)
            select $1, l.product_id, l.lot, l.expires_on::date, {now}
            from unnest($2::bigint[], $3::text[], $4::text[]) as l(product_id, lot, expires_on)
            on conflict (tenant_id, product_id, lot) do update set expires_on = excluded.expires_on
                where batches.expires_on is null and excluded.expires_on is not null",
        sqlite: "insert into batches (tenant_id, product_id, lot, expires_on, created_at)
            select $1, value ->> 0, value ->> 1, value ->> 2, {now} from jsonb_each($2) where true
            on conflict (tenant_id, product_id, lot) do update set expires_on = excluded.expires_on
                where batches.expires_on is null and excluded.expires_on is not null",
    };
    let (products, names, days) = columns(lots);
    let statement = query(statement).planned_anew().bind(tenant);
    let statement = match conn.dialect() {
        Dialect::Postgres => statement.bind(products.clone()).bind(names.clone()).bind(days),
        Dialect::Sqlite => {
            let row = |lot: &NamedLot| (lot.product_id, lot.lot.clone(), day(lot));
            statement.bind(json_rows(&lots.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    statement.execute(conn).await?;
    // One probe a lot: a product may have had thousands of them.
    let statement = Sql {
        postgres: "select b.id, b.product_id, b.lot, b.expires_on from unnest($2::bigint[], $3::text[]) as l(product_id, lot)
            cross join lateral (select id, product_id, lot, expires_on from batches
                where tenant_id = $1 and product_id = l.product_id and lot = l.lot limit 1) b",
        sqlite: "select b.id, b.product_id, b.lot, b.expires_on from jsonb_each($2) l
            join batches b on b.tenant_id = $1 and b.product_id = l.value ->> 0 and b.lot = l.value ->> 1",
    };
    let statement = query(statement).planned_anew().bind(tenant);
    let statement = match conn.dialect() {
        Dialect::Postgres => statement.bind(products).bind(names),
        Dialect::Sqlite => {
            let row = |lot: &NamedLot| (lot.product_id, lot.lot.clone());
            statement.bind(json_rows(&lots.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    statement.fetch_all(conn).await?.iter().map(Batch::read).collect()
}

fn columns(lots: &[NamedLot]) -> (Vec<i64>, Vec<String>, Vec<Option<String>>) {
    let products = lots.iter().map(|lot| lot.product_id).collect();
    (products, lots.iter().map(|lot| lot.lot.clone()).collect(), lots.iter().map(day).collect())
}

fn day(lot: &NamedLot) -> Option<String> {
    lot.expires_on.map(|day| day.to_string())
}

/// The batch of a product with this lot.
pub async fn by_lot(conn: &mut Conn<'_>, tenant: i64, product: i64, lot: &str) -> Result<Option<Batch>> {
    let row = query(sql!(
        "select id, product_id, lot, expires_on from batches where tenant_id = $1 and product_id = $2 and lot = $3"
    ))
    .bind(tenant)
    .bind(product)
    .bind(lot)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Batch::read).transpose()
}

/// Gives a batch another last day, or none. The product's ledger is locked.
pub async fn set_last_day(
    conn: &mut Conn<'_>,
    tenant: i64,
    batch: i64,
    expires_on: Option<NaiveDate>,
) -> Result<()> {
    query(sql!("update batches set expires_on = $3 where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(batch)
        .bind(expires_on)
        .execute(conn)
        .await?;
    Ok(())
}

/// The batches with these numbers.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, ids: &[i64]) -> Result<Vec<Batch>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query(sql!(
        "select id, product_id, lot, expires_on from batches where tenant_id = $1 and id {in:$2} order by id"
    ))
    .bind(tenant)
    .bind(ids.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(Batch::read).collect()
}

/// Of those of these products that track batches, the batch that was made last.
pub async fn newest_of_tracked(
    conn: &mut Conn<'_>,
    tenant: i64,
    products: &[i64],
) -> Result<HashMap<i64, i64>> {
    let rows = query(sql!(
        "select b.product_id, max(b.id) as id from products p
         join batches b on b.tenant_id = p.tenant_id and b.product_id = p.id
         where p.tenant_id = $1 and p.id {in:$2} and p.track_batches group by b.product_id"
    ))
    .bind(tenant)
    .bind(products.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("product_id")?, row.get("id")?))).collect()
}
