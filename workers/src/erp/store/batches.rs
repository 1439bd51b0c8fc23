//! Batches: a lot of a product, with the last day it may be used on.

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
            select $1, value ->> 0, value ->> 1, value ->> 2, {now} from json_each($2) where true
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
        sqlite: "select b.id, b.product_id, b.lot, b.expires_on from json_each($2) l
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

/// The batches of products.
pub async fn of_products(conn: &mut Conn<'_>, tenant: i64, products: &[i64]) -> Result<Vec<Batch>> {
    let rows = query(sql!(
        "select id, product_id, lot, expires_on from batches where tenant_id = $1 and product_id {in:$2} order by id"
    ))
    .bind(tenant)
    .bind(products.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(Batch::read).collect()
}
