//! What a product is worth, written: set by set, whatever their number.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Dialect, Query, Sql, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;

use crate::erp::store::stock::{json_rows, plain};
use crate::erp::valuation::{LayerFigures, Method, MovementValue, PoolFigures, PoolKey, Scope};

/// Rows of one statement.
const PAGE: usize = 5_000;

/// Of which product, by which scope.
#[derive(Debug, Clone, Copy)]
pub struct Of {
    /// The tenant.
    pub tenant: i64,
    /// What a pool is.
    pub scope: Scope,
    /// The product.
    pub product: i64,
}

impl Of {
    fn query(self, statement: Sql) -> Query {
        query(statement).planned_anew().bind(self.tenant).bind(self.scope.as_str()).bind(self.product)
    }
}

/// What a stored movement was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The movement.
    pub movement: i64,
    /// How many came or left.
    pub quantity: Decimal,
    /// By how much the stock was worth more.
    pub value: Decimal,
    /// What of it was cost of goods sold.
    pub expensed: Decimal,
}

/// What these movements were worth, as far as they are valued.
pub async fn known(conn: &mut Conn<'_>, of: Of, movements: &[i64]) -> Result<Vec<Known>> {
    let rows = of
        .query(sql!(
            "select movement_id, quantity, value, expensed from movement_valuations
             where tenant_id = $1 and scope = $2 and product_id = $3 and movement_id {in:$4}"
        ))
        .bind(movements.to_vec())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Known {
                movement: row.get("movement_id")?,
                quantity: row.get("quantity")?,
                value: row.get("value")?,
                expensed: row.get("expensed")?,
            })
        })
        .collect()
}

/// What the movements before a time are worth, and whether that is provisional.
pub async fn before(
    conn: &mut Conn<'_>,
    of: Of,
    until: DateTime<Utc>,
) -> Result<HashMap<i64, (Decimal, bool)>> {
    let rows = of
        .query(sql!(
            "select v.movement_id, v.value, v.provisional from movement_valuations v
             join stock_movements m on m.tenant_id = v.tenant_id and m.id = v.movement_id
             where v.tenant_id = $1 and v.scope = $2 and v.product_id = $3 and m.effective_at < $4"
        ))
        .bind(until)
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| Ok((row.get("movement_id")?, (row.get("value")?, row.get("provisional")?))))
        .collect()
}

/// What the pools of a product are worth now, those at a location where one is named; none where it was never valued.
pub async fn value(conn: &mut Conn<'_>, of: Of, location: Option<i64>) -> Result<Option<Decimal>> {
    let rows = of
        .query(sql!(
            "select value from stock_valuations
             where tenant_id = $1 and scope = $2 and product_id = $3 and ($4 is null or location_id = $4)"
        ))
        .bind(location)
        .fetch_all(conn)
        .await?;
    let mut sum = None;
    for row in &rows {
        sum = Some(sum.unwrap_or(Decimal::ZERO) + row.get::<Decimal>("value")?);
    }
    Ok(sum)
}

/// Stores what movements are worth; with `all`, those that are not among them have no value any more.
pub async fn save_movements(
    conn: &mut Conn<'_>,
    of: Of,
    values: impl Iterator<Item = MovementValue>,
    all: bool,
) -> Result<u64> {
    if all {
        let gone =
            sql!("delete from movement_valuations where tenant_id = $1 and scope = $2 and product_id = $3");
        of.query(gone).execute(conn).await?;
    }
    let (mut page, mut saved) = (Vec::with_capacity(PAGE), 0);
    for value in values {
        page.push(value);
        if page.len() == PAGE {
            saved += upsert(conn, of, &page).await?;
            page.clear();
        }
    }
    if page.is_empty() { Ok(saved) } else { Ok(saved + upsert(conn, of, &page).await?) }
}

async fn upsert(conn: &mut Conn<'_>, of: Of, values: &[MovementValue]) -> Result<u64> {
    let statement = of.query(Sql {
        postgres: "insert into movement_valuations (tenant_id, scope, product_id, movement_id, quantity, value, expensed,
                provisional, computed_at)
            select $1, $2, $3, m.*, {now}
            from unnest($4::bigint[], $5::numeric[], $6::numeric[], $7::numeric[], $8::boolean[]) as m
            on conflict (tenant_id, scope, movement_id) do update set quantity = excluded.quantity,
                value = excluded.value, expensed = excluded.expensed, provisional = excluded.provisional,
                computed_at = excluded.computed_at",
        sqlite: "insert into movement_valuations (tenant_id, scope, product_id, movement_id, quantity, value, expensed,
                provisional, computed_at)
            select $1, $2, $3, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, {now}
            from jsonb_each($4) where true
            on conflict (tenant_id, scope, movement_id) do update set quantity = excluded.quantity,
                value = excluded.value, expensed = excluded.expensed, provisional = excluded.provisional,
                computed_at = excluded.computed_at",
    });
    let statement = match conn.dialect() {
        Dialect::Postgres => statement
            .bind(values.iter().map(|one| one.movement).collect::<Vec<_>>())
            .bind(values.iter().map(|one| one.quantity).collect::<Vec<_>>())
            .bind(values.iter().map(|one| one.value).collect::<Vec<_>>())
            .bind(values.iter().map(|one| one.expensed).collect::<Vec<_>>())
            .bind(values.iter().map(|one| one.provisional).collect::<Vec<_>>()),
        Dialect::Sqlite => {
            let row = |one: &MovementValue| {
                (
                    one.movement,
                    text(one.quantity),
                    text(one.value),
                    text(one.expensed),
                    i32::from(one.provisional),
                )
            };
            statement.bind(json_rows(&values.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    statement.execute(conn).await
}

fn text(number: Decimal) -> String {
    plain(number).to_string()
}

/// Stores the pools of a product and their layers, in the place of those that were there.
pub async fn save_pools(
    conn: &mut Conn<'_>,
    of: Of,
    method: Method,
    as_of_seq: i64,
    pools: &[PoolFigures],
) -> Result<()> {
    for gone in [
        sql!("delete from valuation_layers where tenant_id = $1 and scope = $2 and product_id = $3"),
        sql!("delete from stock_valuations where tenant_id = $1 and scope = $2 and product_id = $3"),
    ] {
        of.query(gone).execute(conn).await?;
    }
    for page in pools.chunks(PAGE) {
        insert_pools(conn, of, method, as_of_seq, page).await?;
    }
    let layers: Vec<(PoolKey, i64, LayerFigures)> = pools
        .iter()
        .flat_map(|pool| (1..).zip(&pool.layers).map(|(position, layer)| (pool.key, position, *layer)))
        .collect();
    for page in layers.chunks(PAGE) {
        insert_layers(conn, of, page).await?;
    }
    Ok(())
}

async fn insert_pools(
    conn: &mut Conn<'_>,
    of: Of,
    method: Method,
    as_of_seq: i64,
    pools: &[PoolFigures],
) -> Result<()> {
    let statement = of.query(Sql {
        postgres: "insert into stock_valuations (tenant_id, scope, product_id, method, as_of_seq, computed_at, location_id,
                batch_id, quantity, value, average_cost)
            select $1, $2, $3, $4, $5, {now}, p.*
            from unnest($6::bigint[], $7::bigint[], $8::numeric[], $9::numeric[], $10::numeric[]) as p",
        sqlite: "insert into stock_valuations (tenant_id, scope, product_id, method, as_of_seq, computed_at, location_id,
                batch_id, quantity, value, average_cost)
            select $1, $2, $3, $4, $5, {now}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
            from jsonb_each($6)",
    });
    let statement = statement.bind(method.as_str()).bind(as_of_seq);
    let statement = match conn.dialect() {
        Dialect::Postgres => statement
            .bind(pools.iter().map(|pool| pool.key.location).collect::<Vec<_>>())
            .bind(pools.iter().map(|pool| pool.key.batch).collect::<Vec<_>>())
            .bind(pools.iter().map(|pool| pool.quantity).collect::<Vec<_>>())
            .bind(pools.iter().map(|pool| pool.value).collect::<Vec<_>>())
            .bind(pools.iter().map(|pool| pool.average_cost).collect::<Vec<_>>()),
        Dialect::Sqlite => {
            let row = |pool: &PoolFigures| {
                let cost = pool.average_cost.map(text);
                (pool.key.location, pool.key.batch, text(pool.quantity), text(pool.value), cost)
            };
            statement.bind(json_rows(&pools.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    statement.execute(conn).await.map(drop)
}

async fn insert_layers(conn: &mut Conn<'_>, of: Of, layers: &[(PoolKey, i64, LayerFigures)]) -> Result<()> {
    let statement = of.query(Sql {
        postgres: "insert into valuation_layers (tenant_id, scope, product_id, location_id, batch_id, position, movement_id,
                received_at, quantity, value, remaining_quantity, remaining_value)
            select $1, $2, $3, l.*
            from unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[], $9::numeric[],
                $10::numeric[], $11::numeric[], $12::numeric[]) as l",
        sqlite: "insert into valuation_layers (tenant_id, scope, product_id, location_id, batch_id, position, movement_id,
                received_at, quantity, value, remaining_quantity, remaining_value)
            select $1, $2, $3, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                value ->> 7, value ->> 8
            from jsonb_each($4)",
    });
    let statement = match conn.dialect() {
        Dialect::Postgres => {
            let decimals = |field: fn(&LayerFigures) -> Decimal| {
                layers.iter().map(|(_, _, layer)| field(layer)).collect::<Vec<_>>()
            };
            let since = |layer: &LayerFigures| DateTime::from_timestamp_micros(layer.since);
            statement
                .bind(layers.iter().map(|(key, ..)| key.location).collect::<Vec<_>>())
                .bind(layers.iter().map(|(key, ..)| key.batch).collect::<Vec<_>>())
                .bind(layers.iter().map(|(_, position, _)| *position).collect::<Vec<_>>())
                .bind(layers.iter().map(|(_, _, layer)| layer.movement).collect::<Vec<_>>())
                .bind(layers.iter().map(|(_, _, layer)| since(layer)).collect::<Vec<_>>())
                .bind(decimals(|layer| layer.came.0))
                .bind(decimals(|layer| layer.came.1))
                .bind(decimals(|layer| layer.quantity))
                .bind(decimals(|layer| layer.value))
        }
        Dialect::Sqlite => {
            let row = |(key, position, layer): &(PoolKey, i64, LayerFigures)| {
                let came = (text(layer.came.0), text(layer.came.1));
                let there = (text(layer.quantity), text(layer.value));
                let (movement, since) = (layer.movement, layer.since);
                (key.location, key.batch, *position, movement, since, came.0, came.1, there.0, there.1)
            };
            statement.bind(json_rows(&layers.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    statement.execute(conn).await.map(drop)
}
