//! What orders hold back from their approval until they are delivered or called off.

use fairlane::db::{Conn, Dialect, Sql, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;

use super::{Pool, json_rows, plain};

/// What one line of an order holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// The order's line.
    pub line_no: i64,
    /// Of what, and where.
    pub pool: Pool,
    /// How many.
    pub quantity: Decimal,
}

/// What an order holds back. The levels are another thing: whoever changes them has locked the products' ledgers.
pub async fn of_order(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<Vec<Reservation>> {
    let rows = query(sql!(
        "select line_no, product_id, location_id, batch_id, quantity from stock_reservations
         where tenant_id = $1 and order_id = $2 order by line_no"
    ))
    .bind(tenant)
    .bind(order)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Reservation {
                line_no: row.get("line_no")?,
                pool: Pool::read(row)?,
                quantity: plain(row.get("quantity")?),
            })
        })
        .collect()
}

/// Stores what an order holds back.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, order: i64, reserved: &[Reservation]) -> Result<()> {
    let statement = Sql {
        postgres: "insert into stock_reservations (tenant_id, order_id, line_no, product_id, location_id, batch_id, quantity,
                created_at)
            select $1, $2, r.*, {now}
            from unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::numeric[]) as r",
        sqlite: "insert into stock_reservations (tenant_id, order_id, line_no, product_id, location_id, batch_id, quantity,
                created_at)
            select $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, {now} from jsonb_each($3)",
    };
    let statement = query(statement).bind(tenant).bind(order);
    let statement = match conn.dialect() {
        Dialect::Postgres => statement
            .bind(reserved.iter().map(|one| one.line_no).collect::<Vec<_>>())
            .bind(reserved.iter().map(|one| one.pool.product_id).collect::<Vec<_>>())
            .bind(reserved.iter().map(|one| one.pool.location_id).collect::<Vec<_>>())
            .bind(reserved.iter().map(|one| one.pool.batch_id).collect::<Vec<_>>())
            .bind(reserved.iter().map(|one| one.quantity).collect::<Vec<_>>()),
        Dialect::Sqlite => {
            let row = |one: &Reservation| {
                let Pool { product_id, location_id, batch_id } = one.pool;
                (one.line_no, product_id, location_id, batch_id, plain(one.quantity).to_string())
            };
            statement.bind(json_rows(&reserved.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    statement.execute(conn).await?;
    Ok(())
}

/// Ends what an order holds back.
pub async fn delete(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<()> {
    query(sql!("delete from stock_reservations where tenant_id = $1 and order_id = $2"))
        .bind(tenant)
        .bind(order)
        .execute(conn)
        .await?;
    Ok(())
}

/// What all orders hold back of products, pool by pool; the same pool may come several times.
pub async fn sums(conn: &mut Conn<'_>, tenant: i64, products: &[i64]) -> Result<Vec<(Pool, Decimal)>> {
    let rows = query(sql!(
        "select product_id, location_id, batch_id, quantity from stock_reservations
         where tenant_id = $1 and product_id {in:$2}"
    ))
    .bind(tenant)
    .bind(products.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((Pool::read(row)?, row.get("quantity")?))).collect()
}
