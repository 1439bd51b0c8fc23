//! Who may record movements of a product now, and the numbers they get.

use std::collections::BTreeMap;

use fairlane::db::{Conn, Dialect, Sql, query};
use fairlane::{Result, sql};

use super::json_rows;

/// Locks the ledgers of products until the transaction ends, in the order of their numbers; returns the last seq of each.
///
/// Everything that changes what is there of a product holds this lock: movements, reservations, alerts. Two
/// transactions that lock several products once each cannot wait for one another in a circle.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, products: &[i64]) -> Result<BTreeMap<i64, i64>> {
    let mut products = products.to_vec();
    products.sort_unstable();
    products.dedup();
    if products.is_empty() {
        return Ok(BTreeMap::new());
    }
    let create = Sql {
        postgres: "insert into stock_ledgers (tenant_id, product_id, last_seq)
            select $1, p, 0 from unnest($2::bigint[]) p order by p
            on conflict (tenant_id, product_id) do nothing",
        sqlite: "insert into stock_ledgers (tenant_id, product_id, last_seq)
            select $1, value, 0 from jsonb_each($2) where true
            on conflict (tenant_id, product_id) do nothing",
    };
    query(create).bind(tenant).bind(products.clone()).execute(conn).await?;
    let rows = query(sql!(
        "select product_id, last_seq from stock_ledgers where tenant_id = $1 and product_id {in:$2}
         order by product_id {lock}"
    ))
    .bind(tenant)
    .bind(products)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("product_id")?, row.get("last_seq")?))).collect()
}

/// Notes the last seq of locked ledgers.
pub async fn advance(conn: &mut Conn<'_>, tenant: i64, last: &BTreeMap<i64, i64>) -> Result<()> {
    let statement = Sql {
        postgres: "update stock_ledgers s set last_seq = u.last_seq
            from unnest($2::bigint[], $3::bigint[]) as u(product_id, last_seq)
            where s.tenant_id = $1 and s.product_id = u.product_id",
        // An update would read all ledgers of the tenant, and the list once for each.
        sqlite: "insert into stock_ledgers (tenant_id, product_id, last_seq)
            select $1, value ->> 0, value ->> 1 from jsonb_each($2) where true
            on conflict (tenant_id, product_id) do update set last_seq = excluded.last_seq",
    };
    let statement = query(statement).bind(tenant);
    let statement = match conn.dialect() {
        Dialect::Postgres => {
            let (products, last): (Vec<i64>, Vec<i64>) = last.iter().unzip();
            statement.bind(products).bind(last)
        }
        Dialect::Sqlite => statement.bind(json_rows(&last.iter().collect::<Vec<_>>())?),
    };
    statement.execute(conn).await?;
    Ok(())
}

/// The next products that have a ledger or a level, by number.
pub async fn products(conn: &mut Conn<'_>, tenant: i64, after: i64, limit: i64) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "select product_id from stock_ledgers where tenant_id = $1 and product_id > $2
         union select product_id from stock_levels where tenant_id = $1 and product_id > $2
         order by product_id limit $3"
    ))
    .bind(tenant)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("product_id")).collect()
}
