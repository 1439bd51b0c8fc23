//! Movements: only ever added, the databases refuse everything else.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Dialect, Row, Sql, query};
use fairlane::{Error, Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

use super::{Movement, MovementKind, Pool, Source, json_rows, plain};

macro_rules! columns {
    () => {
        "m.id, m.seq, m.product_id, m.location_id, m.batch_id, m.kind, m.quantity, m.unit_cost, m.amount, m.effective_at,
         m.recorded_at, m.source_type, m.source_id, m.source_line, m.source_part, m.related_movement_id, m.reverses_id,
         m.reason, m.user_id"
    };
}

/// A movement that has its number and is about to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its place among the movements of its product.
    pub seq: i64,
    /// Where it happens.
    pub pool: Pool,
    /// What happens.
    pub kind: MovementKind,
    /// How many come or, negative, leave.
    pub quantity: Decimal,
    /// What one cost.
    pub unit_cost: Option<Decimal>,
    /// What it is worth in all.
    pub amount: Option<Decimal>,
    /// When it happened.
    pub effective_at: DateTime<Utc>,
    /// What caused it.
    pub source: Source,
    /// The other half of a transfer.
    pub related_movement_id: Option<i64>,
    /// The movement it takes back.
    pub reverses_id: Option<i64>,
    /// Why, as somebody wrote.
    pub reason: Option<String>,
    /// Who did it.
    pub user_id: Option<i64>,
}

/// Stores movements in one statement; returns their ids in order.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, movements: &[Numbered]) -> Result<Vec<i64>> {
    let statement = Sql {
        postgres: "insert into stock_movements (tenant_id, seq, product_id, location_id, batch_id, kind, quantity, unit_cost,
                amount, effective_at, source_type, source_id, source_line, source_part, related_movement_id, reverses_id,
                reason, user_id, recorded_at)
            select $1, m.*, {now}
            from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::numeric[], $8::numeric[],
                $9::numeric[], $10::timestamptz[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[],
                $16::bigint[], $17::text[], $18::bigint[]) as m
            returning id, product_id, seq",
        sqlite: "insert into stock_movements (tenant_id, seq, product_id, location_id, batch_id, kind, quantity, unit_cost,
                amount, effective_at, source_type, source_id, source_line, source_part, related_movement_id, reverses_id,
                reason, user_id, recorded_at)
            select $1, value ->> '$[0][0]', value ->> '$[0][1]', value ->> '$[0][2]', value ->> '$[0][3]',
                value ->> '$[0][4]', value ->> '$[0][5]', value ->> '$[0][6]', value ->> '$[0][7]', value ->> '$[0][8]',
                value ->> '$[1][0]', value ->> '$[1][1]', value ->> '$[1][2]', value ->> '$[1][3]', value ->> '$[1][4]',
                value ->> '$[1][5]', value ->> '$[1][6]', value ->> '$[1][7]', {now}
            from jsonb_each($2) where true
            returning id, product_id, seq",
    };
    let statement = query(statement).planned_anew().bind(tenant);
    let statement = match conn.dialect() {
        Dialect::Postgres => bind_columns(statement, movements),
        Dialect::Sqlite => statement.bind(json_rows(&movements.iter().map(JsonRow::of).collect::<Vec<_>>())?),
    };
    // The order of returned rows is nobody's promise.
    let mut ids = HashMap::with_capacity(movements.len());
    for row in statement.fetch_all(conn).await? {
        ids.insert((row.get::<i64>("product_id")?, row.get::<i64>("seq")?), row.get::<i64>("id")?);
    }
    let id = |movement: &Numbered| {
        ids.remove(&(movement.pool.product_id, movement.seq))
            .ok_or_else(|| Error::Damaged(format!("movement {}: stored without an id", movement.source)))
    };
    movements.iter().map(id).collect()
}

fn bind_columns(query: fairlane::db::Query, movements: &[Numbered]) -> fairlane::db::Query {
    let ints = |field: fn(&Numbered) -> Option<i64>| movements.iter().map(field).collect::<Vec<_>>();
    let decimals = |field: fn(&Numbered) -> Option<Decimal>| movements.iter().map(field).collect::<Vec<_>>();
    let texts = |field: fn(&Numbered) -> Option<String>| movements.iter().map(field).collect::<Vec<_>>();
    query
        .bind(ints(|m| Some(m.seq)))
        .bind(ints(|m| Some(m.pool.product_id)))
        .bind(ints(|m| Some(m.pool.location_id)))
        .bind(ints(|m| m.pool.batch_id))
        .bind(texts(|m| Some(m.kind.as_str().to_owned())))
        .bind(decimals(|m| Some(m.quantity)))
        .bind(decimals(|m| m.unit_cost))
        .bind(decimals(|m| m.amount))
        .bind(movements.iter().map(|m| m.effective_at).collect::<Vec<_>>())
        .bind(texts(|m| Some(m.source.kind.clone())))
        .bind(texts(|m| Some(m.source.id.clone())))
        .bind(ints(|m| Some(m.source.line)))
        .bind(ints(|m| Some(m.source.part)))
        .bind(ints(|m| m.related_movement_id))
        .bind(ints(|m| m.reverses_id))
        .bind(texts(|m| m.reason.clone()))
        .bind(ints(|m| m.user_id))
}

type Text = Option<String>;

/// What moved, where, how many, at what cost, when.
type What<'a> = (i64, i64, i64, Option<i64>, &'a str, Text, Text, Text, i64);
/// What caused it, what it belongs to, why, and who did it.
type Why<'a> = (&'a str, &'a str, i64, i64, Option<i64>, Option<i64>, Option<&'a str>, Option<i64>);

#[derive(Serialize)]
struct JsonRow<'a>(What<'a>, Why<'a>);

impl<'a> JsonRow<'a> {
    fn of(movement: &'a Numbered) -> Self {
        let Pool { product_id, location_id, batch_id } = movement.pool;
        let text = |number: Decimal| plain(number).to_string();
        let what = (
            movement.seq,
            product_id,
            location_id,
            batch_id,
            movement.kind.as_str(),
            Some(text(movement.quantity)),
            movement.unit_cost.map(text),
            movement.amount.map(text),
            movement.effective_at.timestamp_micros(),
        );
        let why = (
            movement.source.kind.as_str(),
            movement.source.id.as_str(),
            movement.source.line,
            movement.source.part,
            movement.related_movement_id,
            movement.reverses_id,
            movement.reason.as_deref(),
            movement.user_id,
        );
        Self(what, why)
    }
}

/// What a cause has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The movement.
    pub id: i64,
    /// Where it happened.
    pub pool: Pool,
    /// How many came or, negative, left.
    pub quantity: Decimal,
    /// What one cost.
    pub unit_cost: Option<Decimal>,
    /// What it is worth in all.
    pub amount: Option<Decimal>,
}

impl Done {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            pool: Pool::read(row)?,
            quantity: plain(row.get("quantity")?),
            unit_cost: row.get::<Option<Decimal>>("unit_cost")?.map(plain),
            amount: row.get::<Option<Decimal>>("amount")?.map(plain),
        })
    }
}

/// Which of these causes have their movement already: for each, in order, that movement.
pub async fn recorded(
    conn: &mut Conn<'_>,
    tenant: i64,
    causes: &[(&Source, MovementKind)],
) -> Result<Vec<Option<Done>>> {
    let statement = Sql {
        postgres: "select k.place - 1 as place, m.id, m.product_id, m.location_id, m.batch_id, m.quantity, m.unit_cost, m.amount
            from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
                with ordinality as k(source_type, source_id, source_line, source_part, kind, place)
            cross join lateral (
                select id, product_id, location_id, batch_id, quantity, unit_cost, amount from stock_movements
                where tenant_id = $1 and source_type = k.source_type and source_id = k.source_id
                  and source_line = k.source_line and source_part = k.source_part and kind = k.kind limit 1) m",
        sqlite: "select k.key as place, m.id, m.product_id, m.location_id, m.batch_id, m.quantity, m.unit_cost, m.amount
            from jsonb_each($2) k cross join stock_movements m on m.tenant_id = $1 and m.source_type = k.value ->> 0
                and m.source_id = k.value ->> 1 and m.source_line = k.value ->> 2
                and m.source_part = k.value ->> 3 and m.kind = k.value ->> 4",
    };
    let statement = query(statement).planned_anew().bind(tenant);
    let statement = match conn.dialect() {
        Dialect::Postgres => statement
            .bind(causes.iter().map(|(source, _)| source.kind.clone()).collect::<Vec<_>>())
            .bind(causes.iter().map(|(source, _)| source.id.clone()).collect::<Vec<_>>())
            .bind(causes.iter().map(|(source, _)| source.line).collect::<Vec<_>>())
            .bind(causes.iter().map(|(source, _)| source.part).collect::<Vec<_>>())
            .bind(causes.iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>()),
        Dialect::Sqlite => {
            let row = |(source, kind): &(&Source, MovementKind)| {
                (source.kind.clone(), source.id.clone(), source.line, source.part, kind.as_str())
            };
            statement.bind(json_rows(&causes.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    let mut found = vec![None; causes.len()];
    for row in statement.fetch_all(conn).await? {
        let place = usize::try_from(row.get::<i64>("place")?).unwrap_or(usize::MAX);
        if let Some(slot) = found.get_mut(place) {
            *slot = Some(Done::read(&row)?);
        }
    }
    Ok(found)
}

/// The movements with these numbers.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, ids: &[i64]) -> Result<Vec<Movement>> {
    let statement = sql!(concat!(
        "select ",
        columns!(),
        " from stock_movements m where m.tenant_id = $1 and m.id {in:$2}"
    ));
    let rows = query(statement).bind(tenant).bind(ids.to_vec()).fetch_all(conn).await?;
    rows.iter().map(Movement::read).collect()
}

/// The movements that something caused, in the order of its lines and parts.
pub async fn of_source(
    conn: &mut Conn<'_>,
    tenant: i64,
    source_type: &str,
    source_id: &str,
) -> Result<Vec<Movement>> {
    let statement = sql!(concat!(
        "select ",
        columns!(),
        " from stock_movements m where m.tenant_id = $1 and m.source_type = $2 and m.source_id = $3
          order by m.source_line, m.source_part, m.id"
    ));
    let rows = query(statement).bind(tenant).bind(source_type).bind(source_id).fetch_all(conn).await?;
    rows.iter().map(Movement::read).collect()
}

/// The other halves of transfers: the movements that name one of these as related.
pub async fn related_to(
    conn: &mut Conn<'_>,
    tenant: i64,
    products: &[i64],
    ids: &[i64],
) -> Result<Vec<Movement>> {
    let statement = sql!(concat!(
        "select ",
        columns!(),
        " from stock_movements m where m.tenant_id = $1 and m.product_id {in:$2} and m.related_movement_id {in:$3}
           and m.kind = 'transfer_in'"
    ));
    let query = query(statement).bind(tenant).bind(products.to_vec()).bind(ids.to_vec());
    query.fetch_all(conn).await?.iter().map(Movement::read).collect()
}

/// What takes these movements back, and what came or went back of them.
pub async fn answers_to(
    conn: &mut Conn<'_>,
    tenant: i64,
    products: &[i64],
    ids: &[i64],
) -> Result<Vec<Movement>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let statement = sql!(concat!(
        "select ",
        columns!(),
        " from stock_movements m where m.tenant_id = $1 and m.product_id {in:$2}
           and (m.reverses_id {in:$3} or m.related_movement_id {in:$3} and m.kind in ('return_in', 'return_out')
                and m.reverses_id is null)
          order by m.id"
    ));
    let query = query(statement).bind(tenant).bind(products.to_vec()).bind(ids.to_vec());
    query.fetch_all(conn).await?.iter().map(Movement::read).collect()
}

/// A movement as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownMovement {
    /// The movement.
    #[serde(flatten)]
    pub movement: Movement,
    /// The product's code.
    pub sku: String,
    /// The location's code.
    pub location: String,
    /// The batch's number, as printed on it.
    pub lot: Option<String>,
}

/// The newest movements; of one product or location where they are named.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant: i64,
    product: Option<i64>,
    location: Option<i64>,
    limit: i64,
) -> Result<Vec<ShownMovement>> {
    let statement = sql!(concat!(
        "select ",
        columns!(),
        ", coalesce(p.sku, p.barcode, p.handle_key) as sku, s.code as location, b.lot
         from stock_movements m
         join products p on p.tenant_id = m.tenant_id and p.id = m.product_id
         join locations s on s.tenant_id = m.tenant_id and s.id = m.location_id
         left join batches b on b.tenant_id = m.tenant_id and b.id = m.batch_id
         where m.tenant_id = $1 and ($2 is null or m.product_id = $2) and ($3 is null or m.location_id = $3)
         order by m.id desc limit $4"
    ));
    let rows = query(statement).bind(tenant).bind(product).bind(location).bind(limit).fetch_all(conn).await?;
    let read = |row: &Row| {
        Ok(ShownMovement {
            movement: Movement::read(row)?,
            sku: row.get("sku")?,
            location: row.get("location")?,
            lot: row.get("lot")?,
        })
    };
    rows.iter().map(read).collect()
}

/// What the movements of products come to, pool by pool; the same pool may come several times.
pub async fn sums(conn: &mut Conn<'_>, tenant: i64, products: &[i64]) -> Result<Vec<(Pool, Decimal)>> {
    // SQLite has no exact sum: it gives the movements and the caller adds them up.
    let statement = Sql {
        postgres: "select product_id, location_id, batch_id, sum(quantity) as quantity from stock_movements
            where tenant_id = $1 and product_id = any($2) group by product_id, location_id, batch_id",
        sqlite: "select product_id, location_id, batch_id, quantity from stock_movements
            where tenant_id = $1 and product_id in (select value from json_each($2))",
    };
    let rows = query(statement).bind(tenant).bind(products.to_vec()).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((Pool::read(row)?, row.get("quantity")?))).collect()
}
