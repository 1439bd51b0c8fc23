//! What somebody was told about the stock: one open row for each low level and each batch near its end.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

use super::stock::{Pool, plain};

/// An alert to be opened.
#[derive(Debug, Clone, Copy)]
pub struct NewAlert {
    /// About what; `batch_id` is empty where a product's whole stock at the location is meant.
    pub pool: Pool,
    /// `low` or `expiry`.
    pub kind: &'static str,
    /// The days of the stage that was reached; 0 for low stock.
    pub stage: i64,
    /// How many are there.
    pub quantity: Decimal,
    /// What there should be.
    pub minimum: Option<Decimal>,
}

/// Opens an alert; `None` when one of the same kind and stage is open.
pub async fn open(conn: &mut Conn<'_>, tenant: i64, new: &NewAlert) -> Result<Option<i64>> {
    let row = query(sql!(
        "insert into stock_alerts (tenant_id, product_id, location_id, batch_id, kind, stage, quantity, minimum, opened_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, {now}) on conflict do nothing returning id"
    ))
    .bind(tenant)
    .bind(new.pool.product_id)
    .bind(new.pool.location_id)
    .bind(new.pool.batch_id)
    .bind(new.kind)
    .bind(new.stage)
    .bind(new.quantity)
    .bind(new.minimum)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("id")).transpose()
}

/// Closes alerts.
pub async fn close(conn: &mut Conn<'_>, tenant: i64, ids: &[i64]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    query(sql!(
        "update stock_alerts set closed_at = {now} where tenant_id = $1 and id {in:$2} and closed_at is null"
    ))
    .bind(tenant)
    .bind(ids.to_vec())
    .execute(conn)
    .await?;
    Ok(())
}

/// The open alerts about low stock of products: number, product and location.
pub async fn open_low(conn: &mut Conn<'_>, tenant: i64, products: &[i64]) -> Result<Vec<(i64, Pool)>> {
    let rows = query(sql!(
        "select id, product_id, location_id, batch_id from stock_alerts
         where tenant_id = $1 and product_id {in:$2} and kind = 'low' and closed_at is null"
    ))
    .bind(tenant)
    .bind(products.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("id")?, Pool::read(row)?))).collect()
}

/// Closes what is open about a batch at a location: it is gone.
pub async fn close_batch(conn: &mut Conn<'_>, tenant: i64, pool: Pool) -> Result<()> {
    query(sql!(
        "update stock_alerts set closed_at = {now} where tenant_id = $1 and product_id = $2 and location_id = $3
           and batch_id = $4 and kind = 'expiry' and closed_at is null"
    ))
    .bind(tenant)
    .bind(pool.product_id)
    .bind(pool.location_id)
    .bind(pool.batch_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// A batch that is at a location and will not last long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// The number of its level: the place to go on behind.
    pub level_id: i64,
    /// Where it lies.
    pub pool: Pool,
    /// How many are there.
    pub on_hand: Decimal,
    /// Its number, as printed on it.
    pub lot: String,
    /// Its last day.
    pub expires_on: NaiveDate,
    /// The product's code.
    pub sku: String,
    /// The product's name.
    pub product_name: String,
    /// The location's code.
    pub location: String,
}

/// Batches in the house that last no longer than this day, behind a level's number.
pub async fn expiring(
    conn: &mut Conn<'_>,
    tenant: i64,
    until: NaiveDate,
    after: i64,
    limit: i64,
) -> Result<Vec<Expiring>> {
    let rows = query(sql!(
        "select l.id, l.product_id, l.location_id, l.batch_id, l.on_hand, b.lot, b.expires_on,
                coalesce(p.sku, p.barcode, p.handle_key) as sku, p.name, s.code
         from stock_levels l
         join batches b on b.tenant_id = l.tenant_id and b.id = l.batch_id
         join products p on p.tenant_id = l.tenant_id and p.id = l.product_id
         join locations s on s.tenant_id = l.tenant_id and s.id = l.location_id
         where l.tenant_id = $1 and l.id > $3 and b.expires_on <= $2 and cast(l.on_hand as real) > 0
           and s.kind in ('internal', 'transit')
         order by l.id limit $4"
    ))
    .bind(tenant)
    .bind(until)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Expiring {
            level_id: row.get("id")?,
            pool: Pool::read(row)?,
            on_hand: plain(row.get("on_hand")?),
            lot: row.get("lot")?,
            expires_on: row.get("expires_on")?,
            sku: row.get("sku")?,
            product_name: row.get("name")?,
            location: row.get("code")?,
        })
    };
    rows.iter().map(read).collect()
}

/// An open alert about a batch, with what is true of the batch now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenExpiry {
    /// The alert.
    pub id: i64,
    /// Its stage, in days.
    pub stage: i64,
    /// The batch's last day.
    pub expires_on: Option<NaiveDate>,
    /// How many are there.
    pub on_hand: Option<Decimal>,
}

/// The open alerts about batches, behind one.
pub async fn open_expiry(
    conn: &mut Conn<'_>,
    tenant: i64,
    after: i64,
    limit: i64,
) -> Result<Vec<OpenExpiry>> {
    let rows = query(sql!(
        "select a.id, a.stage, b.expires_on, l.on_hand
         from stock_alerts a
         join batches b on b.tenant_id = a.tenant_id and b.id = a.batch_id
         left join stock_levels l on l.tenant_id = a.tenant_id and l.product_id = a.product_id
            and l.location_id = a.location_id and l.batch_id = a.batch_id
         where a.tenant_id = $1 and a.kind = 'expiry' and a.closed_at is null and a.id > $2 order by a.id limit $3"
    ))
    .bind(tenant)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(OpenExpiry {
            id: row.get("id")?,
            stage: row.get("stage")?,
            expires_on: row.get("expires_on")?,
            on_hand: row.get("on_hand")?,
        })
    };
    rows.iter().map(read).collect()
}

/// An alert as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownAlert {
    /// Its number inside the database.
    pub id: i64,
    /// `low` or `expiry`.
    pub kind: String,
    /// The days of the stage, for batches.
    pub stage: i64,
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
    /// How many were there when it was opened.
    pub quantity: Decimal,
    /// What there should have been.
    pub minimum: Option<Decimal>,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When it was over.
    pub closed_at: Option<DateTime<Utc>>,
}

/// The newest alerts: those that are open, or all.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, closed_too: bool, limit: i64) -> Result<Vec<ShownAlert>> {
    let rows = query(sql!(
        "select a.id, a.kind, a.stage, a.quantity, a.minimum, a.opened_at, a.closed_at, p.name as product_name,
                coalesce(p.sku, p.barcode, p.handle_key) as sku, s.code as location, b.lot, b.expires_on
         from stock_alerts a
         join products p on p.tenant_id = a.tenant_id and p.id = a.product_id
         join locations s on s.tenant_id = a.tenant_id and s.id = a.location_id
         left join batches b on b.tenant_id = a.tenant_id and b.id = a.batch_id
         where a.tenant_id = $1 and ($2 or a.closed_at is null) order by a.id desc limit $3"
    ))
    .bind(tenant)
    .bind(closed_too)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(ShownAlert {
            id: row.get("id")?,
            kind: row.get("kind")?,
            stage: row.get("stage")?,
            sku: row.get("sku")?,
            product_name: row.get("product_name")?,
            location: row.get("location")?,
            lot: row.get("lot")?,
            expires_on: row.get("expires_on")?,
            quantity: plain(row.get("quantity")?),
            minimum: row.get::<Option<Decimal>>("minimum")?.map(plain),
            opened_at: row.get("opened_at")?,
            closed_at: row.get("closed_at")?,
        })
    };
    rows.iter().map(read).collect()
}
