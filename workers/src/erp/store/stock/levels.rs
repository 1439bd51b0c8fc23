//! What is there: a projection of the movements.

use chrono::NaiveDate;
use fairlane::db::{Conn, Dialect, Row, Sql, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

use super::{Pool, json_rows, plain};

/// What is there of a product at a location, of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Level {
    /// Where it lies.
    #[serde(flatten)]
    pub pool: Pool,
    /// How many are there.
    pub on_hand: Decimal,
    /// How many of them approved orders will take; what no batch was chosen for is reserved apart from the batches.
    pub reserved: Decimal,
}

impl Level {
    /// Nothing.
    pub fn empty(pool: Pool) -> Self {
        Self { pool, on_hand: Decimal::ZERO, reserved: Decimal::ZERO }
    }

    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            pool: Pool::read(row)?,
            on_hand: plain(row.get("on_hand")?),
            reserved: plain(row.get("reserved")?),
        })
    }
}

/// The levels of products, at all their locations. Whoever is going to change them has locked the products' ledgers.
pub async fn of_products(conn: &mut Conn<'_>, tenant: i64, products: &[i64]) -> Result<Vec<Level>> {
    let rows = query(sql!(
        "select product_id, location_id, batch_id, on_hand, reserved
         from stock_levels where tenant_id = $1 and product_id {in:$2}"
    ))
    .bind(tenant)
    .bind(products.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(Level::read).collect()
}

/// The levels of products at some locations, as [`of_products`].
pub async fn at(conn: &mut Conn<'_>, tenant: i64, products: &[i64], locations: &[i64]) -> Result<Vec<Level>> {
    let rows = query(sql!(
        "select product_id, location_id, batch_id, on_hand, reserved
         from stock_levels where tenant_id = $1 and product_id {in:$2} and location_id {in:$3}"
    ))
    .bind(tenant)
    .bind(products.to_vec())
    .bind(locations.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(Level::read).collect()
}

/// Stores levels in one statement, whether they were there or not.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, levels: &[Level]) -> Result<()> {
    if levels.is_empty() {
        return Ok(());
    }
    let statement = Sql {
        postgres: "insert into stock_levels (tenant_id, product_id, location_id, batch_id, on_hand, reserved, updated_at)
            select $1, l.*, {now}
            from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::numeric[], $6::numeric[]) as l
            on conflict (tenant_id, product_id, location_id, coalesce(batch_id, 0)) do update
                set on_hand = excluded.on_hand, reserved = excluded.reserved, updated_at = excluded.updated_at",
        sqlite: "insert into stock_levels (tenant_id, product_id, location_id, batch_id, on_hand, reserved, updated_at)
            select $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, {now}
            from jsonb_each($2) where true
            on conflict (tenant_id, product_id, location_id, coalesce(batch_id, 0)) do update
                set on_hand = excluded.on_hand, reserved = excluded.reserved, updated_at = excluded.updated_at",
    };
    let statement = query(statement).planned_anew().bind(tenant);
    let statement = match conn.dialect() {
        Dialect::Postgres => statement
            .bind(levels.iter().map(|level| level.pool.product_id).collect::<Vec<_>>())
            .bind(levels.iter().map(|level| level.pool.location_id).collect::<Vec<_>>())
            .bind(levels.iter().map(|level| level.pool.batch_id).collect::<Vec<_>>())
            .bind(levels.iter().map(|level| level.on_hand).collect::<Vec<_>>())
            .bind(levels.iter().map(|level| level.reserved).collect::<Vec<_>>()),
        Dialect::Sqlite => statement.bind(json_rows(&levels.iter().map(json_row).collect::<Vec<_>>())?),
    };
    statement.execute(conn).await?;
    Ok(())
}

fn json_row(level: &Level) -> (i64, i64, Option<i64>, String, String) {
    let Pool { product_id, location_id, batch_id } = level.pool;
    (product_id, location_id, batch_id, plain(level.on_hand).to_string(), plain(level.reserved).to_string())
}

/// A level as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownLevel {
    /// The product's code.
    pub sku: String,
    /// The product's name.
    pub product_name: String,
    /// The location's code.
    pub location: String,
    /// The batch's number, as printed on it.
    pub lot: Option<String>,
    /// The batch's last day.
    pub expires_on: Option<NaiveDate>,
    /// The numbers.
    #[serde(flatten)]
    pub level: Level,
    /// The product's minimum at each location.
    pub reorder_level: Option<Decimal>,
}

/// Levels that are not empty, by product, location and expiry; of one product or location where they are named.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant: i64,
    product: Option<i64>,
    location: Option<i64>,
    limit: i64,
) -> Result<Vec<ShownLevel>> {
    let rows = query(sql!(
        "select l.product_id, l.location_id, l.batch_id, l.on_hand, l.reserved, p.name as product_name,
                coalesce(p.sku, p.barcode, p.handle_key) as sku, p.reorder_level, s.code as location, b.lot, b.expires_on
         from stock_levels l
         join products p on p.tenant_id = l.tenant_id and p.id = l.product_id
         join locations s on s.tenant_id = l.tenant_id and s.id = l.location_id
         left join batches b on b.tenant_id = l.tenant_id and b.id = l.batch_id
         where l.tenant_id = $1 and ($2 is null or l.product_id = $2) and ($3 is null or l.location_id = $3)
           and not (l.on_hand = $4 and l.reserved = $4 and l.batch_id is not null)
         order by coalesce(p.sku, p.barcode, p.handle_key), s.code, b.expires_on, b.lot limit $5"
    ))
    .bind(tenant)
    .bind(product)
    .bind(location)
    .bind(Decimal::ZERO)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(ShownLevel {
            sku: row.get("sku")?,
            product_name: row.get("product_name")?,
            location: row.get("location")?,
            lot: row.get("lot")?,
            expires_on: row.get("expires_on")?,
            level: Level::read(row)?,
            reorder_level: row.get::<Option<Decimal>>("reorder_level")?.map(plain),
        })
    };
    rows.iter().map(read).collect()
}
