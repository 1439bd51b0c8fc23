//! Movements as a replay takes them, and the products that have some.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;

use crate::erp::store::stock::MovementKind;
use crate::erp::valuation::{Counted, Entry, Method, Place, Step};

/// A product that is to be valued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The product.
    pub product_id: i64,
    /// Its code.
    pub sku: String,
    /// How it is valued.
    pub method: Method,
    /// What one costs where nothing better is known.
    pub standard_cost: Option<Decimal>,
}

/// Which products: one, or those that ever moved at a location, or all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Which {
    /// This one.
    pub product: Option<i64>,
    /// Those that moved here.
    pub location: Option<i64>,
}

macro_rules! which {
    ($select:literal, $rest:literal) => {
        concat!(
            $select,
            " from stock_ledgers l join products p on p.tenant_id = l.tenant_id and p.id = l.product_id
             where l.tenant_id = $1 and l.last_seq > 0 and ($2 is null or l.product_id = $2)
               and ($3 is null or exists (select 1 from stock_movements m
                   where m.tenant_id = $1 and m.location_id = $3 and m.product_id = l.product_id))",
            $rest
        )
    };
}

/// The next products behind a number.
pub async fn heads(
    conn: &mut Conn<'_>,
    tenant: i64,
    which: Which,
    after: i64,
    limit: i64,
) -> Result<Vec<Head>> {
    let rows = query(sql!(which!(
        "select l.product_id, coalesce(p.sku, p.barcode, p.handle_key) as sku, p.valuation, p.standard_cost",
        " and l.product_id > $4 order by l.product_id limit $5"
    )))
    .bind(tenant)
    .bind(which.product)
    .bind(which.location)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Head {
            product_id: row.get("product_id")?,
            sku: row.get("sku")?,
            method: row.get::<String>("valuation")?.parse()?,
            standard_cost: row.get("standard_cost")?,
        })
    };
    rows.iter().map(read).collect()
}

/// How many products there are.
pub async fn count(conn: &mut Conn<'_>, tenant: i64, which: Which) -> Result<i64> {
    query(sql!(which!("select count(*) as n", "")))
        .bind(tenant)
        .bind(which.product)
        .bind(which.location)
        .fetch_one(conn)
        .await?
        .get("n")
}

/// The seq of a product's latest movement. Every movement up to it is committed: they are numbered under the ledger's lock.
pub async fn last_seq(conn: &mut Conn<'_>, tenant: i64, product: i64) -> Result<i64> {
    let row = query(sql!("select last_seq from stock_ledgers where tenant_id = $1 and product_id = $2"))
        .bind(tenant)
        .bind(product)
        .fetch_optional(conn)
        .await?;
    row.map_or(Ok(0), |row| row.get("last_seq"))
}

/// Which movements of a product.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The product.
    pub product: i64,
    /// Those recorded behind this seq.
    pub from_seq: i64,
    /// Those recorded up to this one.
    pub to_seq: i64,
    /// Those that happened before this time.
    pub until: Option<DateTime<Utc>>,
}

/// A movement with its place in the order of replays.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// The movement.
    pub entry: Entry,
    /// Its place among the movements of its product, as they were recorded.
    pub seq: i64,
    /// Whether it takes another one back.
    pub reverses: bool,
}

/// The next movements behind another one, by effective time and, at the same time, as they were recorded.
pub async fn page(
    conn: &mut Conn<'_>,
    tenant: i64,
    span: Span,
    after: Option<(i64, i64)>,
    limit: i64,
) -> Result<Vec<Placed>> {
    let (at, seq) = after.unwrap_or((FIRST, 0));
    let rows = query(sql!(
        "select id, seq, location_id, batch_id, kind, quantity, unit_cost, amount, effective_at, related_movement_id,
                reverses_id
         from stock_movements
         where tenant_id = $1 and product_id = $2 and (effective_at, seq) > ($3, $4) and seq > $5 and seq <= $6
           and effective_at < $7
         order by effective_at, seq limit $8"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(span.product)
    .bind(DateTime::from_timestamp_micros(at))
    .bind(seq)
    .bind(span.from_seq)
    .bind(span.to_seq)
    .bind(span.until.or(DateTime::from_timestamp_micros(LAST)))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// The beginning of the year 1 and of the year 9999, in microseconds since 1970.
const FIRST: i64 = -62_135_596_800_000_000;
const LAST: i64 = 253_370_764_800_000_000;

fn read(row: &Row) -> Result<Placed> {
    let (kind, quantity): (String, Decimal) = (row.get("kind")?, row.get("quantity")?);
    let step = match kind.parse()? {
        MovementKind::Receipt => Step::Receipt,
        MovementKind::Sale => Step::Issue,
        MovementKind::ReturnIn => Step::ReturnIn,
        MovementKind::ReturnOut => Step::ReturnOut,
        MovementKind::TransferOut => Step::TransferOut,
        MovementKind::TransferIn => Step::TransferIn,
        MovementKind::Count => Step::Count(Counted::By(quantity)),
        MovementKind::Adjust => Step::Adjust,
        MovementKind::LandedCost => Step::LandedCost,
        MovementKind::Revalue => Step::Revalue,
    };
    let entry = Entry {
        id: row.get("id")?,
        at: row.get::<DateTime<Utc>>("effective_at")?.timestamp_micros(),
        place: Place { location: row.get("location_id")?, batch: row.get("batch_id")? },
        step,
        quantity,
        unit_cost: row.get("unit_cost")?,
        amount: row.get("amount")?,
        of: row.get("related_movement_id")?,
    };
    let reverses = row.get::<Option<i64>>("reverses_id")?.is_some();
    Ok(Placed { entry, seq: row.get("seq")?, reverses })
}

/// The movements of a product that were taken back.
pub async fn reversed(conn: &mut Conn<'_>, tenant: i64, product: i64, to_seq: i64) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "select reverses_id from stock_movements
         where tenant_id = $1 and product_id = $2 and reverses_id is not null and seq <= $3"
    ))
    .bind(tenant)
    .bind(product)
    .bind(to_seq)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("reverses_id")).collect()
}

/// Whether one of the movements behind a seq happened before `last_at`, or takes another one back: then everything is
/// replayed.
pub async fn reaches_back(
    conn: &mut Conn<'_>,
    tenant: i64,
    span: Span,
    last_at: Option<DateTime<Utc>>,
) -> Result<bool> {
    query(sql!(
        "select exists (select 1 from stock_movements
             where tenant_id = $1 and product_id = $2 and seq > $3 and seq <= $4
               and (effective_at < $5 or reverses_id is not null)) as found"
    ))
    .bind(tenant)
    .bind(span.product)
    .bind(span.from_seq)
    .bind(span.to_seq)
    .bind(last_at.or(DateTime::from_timestamp_micros(LAST)))
    .fetch_one(conn)
    .await?
    .get("found")
}
