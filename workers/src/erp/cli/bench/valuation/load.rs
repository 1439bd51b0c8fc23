//! Products and movements by bare statements: what is measured is the valuation, not how they came.

use fairlane::db::{Sql, query};
use fairlane::{Result, Tenant, sql};

/// Movements of each product in one statement.
const CHUNK: i64 = 50;

/// Loads so many products with so many movements each: one receipt for two sales, of changing costs.
pub(super) async fn load(tenant: &Tenant, products: i64, each: i64) -> Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let conn = &mut tx.conn();
    let location: i64 =
        query(sql!("insert into locations (tenant_id, code, name) values ($1, 'MAIN', 'Main') returning id"))
            .bind(id)
            .fetch_one(conn)
            .await?
            .get("id")?;
    query(PRODUCTS).bind(id).bind(products).execute(conn).await?;
    query(sql!(
        "insert into stock_ledgers (tenant_id, product_id, last_seq)
         select tenant_id, id, $2 from products where tenant_id = $1"
    ))
    .bind(id)
    .bind(each)
    .execute(conn)
    .await?;
    tx.commit().await?;
    let mut first = 1;
    while first <= each {
        let last = each.min(first + CHUNK - 1);
        let mut tx = tenant.begin().await?;
        let insert = query(MOVEMENTS).planned_anew().bind(id).bind(location).bind(first).bind(last);
        insert.execute(&mut tx.conn()).await?;
        tx.commit().await?;
        first = last + 1;
    }
    Ok(())
}

const PRODUCTS: Sql = Sql {
    postgres: "insert into products (tenant_id, sku, name, valuation)
        select $1, 'B-' || n, 'Product ' || n, case when n % 2 = 0 then 'fifo' else 'average' end
        from generate_series(1, $2) as n",
    sqlite: "with recursive n(n) as (select 1 union all select n + 1 from n where n < $2)
        insert into products (tenant_id, sku, name, valuation)
        select $1, 'B-' || n, 'Product ' || n, case when n % 2 = 0 then 'fifo' else 'average' end from n",
};

const MOVEMENTS: Sql = Sql {
    postgres: "insert into stock_movements (tenant_id, seq, product_id, location_id, kind, quantity, unit_cost,
            effective_at, source_type, source_id)
        select $1, n, p.id, $2, case when n % 3 = 1 then 'receipt' else 'sale' end,
            case when n % 3 = 1 then 20 + n % 7 else -5 - n % 9 end,
            case when n % 3 = 1 then (100 + (n * 7 + p.id) % 500) / 100.0 end,
            timestamptz '2026-01-01' + n * interval '1 minute', 'bench', p.id || '-' || n
        from generate_series($3, $4) as n cross join products p where p.tenant_id = $1",
    sqlite: "with recursive n(n) as (select $3 union all select n + 1 from n where n < $4)
        insert into stock_movements (tenant_id, seq, product_id, location_id, kind, quantity, unit_cost, effective_at,
            source_type, source_id)
        select $1, n, p.id, $2, case when n % 3 = 1 then 'receipt' else 'sale' end,
            cast(case when n % 3 = 1 then 20 + n % 7 else -5 - n % 9 end as text),
            case when n % 3 = 1 then printf('%d.%02d', (100 + (n * 7 + p.id) % 500) / 100, (n * 7 + p.id) % 100) end,
            1767225600000000 + n * 60000000, 'bench', p.id || '-' || n
        from n cross join products p where p.tenant_id = $1",
};
