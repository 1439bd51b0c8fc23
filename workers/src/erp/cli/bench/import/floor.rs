//! The floor: what the database alone takes for the same rows, kept changes, events, log and checkpoints.
//!
//! No file, no validation, no look at what is stored, no fan-out: rows that are known to be new, in the same chunks,
//! transactions and connections, in one statement for each table.

use fairlane::db::{Conn, Dialect, Query, Sql, query};
use fairlane::{Result, Tenant, sql};
use rust_decimal::Decimal;
use serde_json::json;
use uuid::Uuid;

use super::sample::{SampleRow, amount, row};

/// Writes what an import of `rows` rows writes.
pub(super) async fn write(tenant: &Tenant, import_id: i64, job: Uuid, rows: u64, chunk: usize) -> Result<()> {
    let tenant_id = tenant.id().await?;
    let mut done = 0;
    while done < rows {
        let until = rows.min(done + chunk as u64);
        let chunk: Vec<SampleRow> = (done..until).map(row).collect();
        let mut tx = tenant.begin().await?;
        let conn = &mut tx.conn();
        insert_products(conn, tenant_id, &chunk).await?;
        insert_changes(conn, tenant_id, import_id, done, until).await?;
        insert_events(conn, tenant_id, import_id, done, &chunk).await?;
        update_log(conn, tenant_id, import_id, until).await?;
        update_job(conn, tenant_id, job, until).await?;
        tx.commit().await?;
        done = until;
    }
    Ok(())
}

async fn insert_products(conn: &mut Conn<'_>, tenant_id: i64, rows: &[SampleRow]) -> Result<u64> {
    if conn.dialect() == Dialect::Sqlite {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let (price, cost) = (amount(row.price), amount(row.standard_cost));
                (
                    &row.sku,
                    &row.barcode,
                    &row.name,
                    row.category,
                    row.unit,
                    price,
                    cost,
                    row.reorder_level.to_string(),
                )
            })
            .collect();
        let statement = sql!(
            "insert into products (tenant_id, sku, barcode, name, category, unit, price, standard_cost, reorder_level)
             select $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                value ->> 7
             from jsonb_each($2)"
        );
        return query(statement).bind(tenant_id).bind(text(&rows)).execute(conn).await;
    }
    let texts = |field: fn(&SampleRow) -> &str| rows.iter().map(field).collect::<Vec<&str>>();
    let cents = |field: fn(&SampleRow) -> u64| {
        rows.iter().map(|row| Decimal::new(field(row).cast_signed(), 2)).collect::<Vec<_>>()
    };
    let statement = sql!(
        "insert into products (tenant_id, sku, barcode, name, category, unit, price, standard_cost, reorder_level)
         select $1, p.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::numeric[],
            $8::numeric[], $9::bigint[]) as p"
    );
    query(statement)
        .bind(tenant_id)
        .bind(texts(|row| &row.sku))
        .bind(texts(|row| &row.barcode))
        .bind(texts(|row| &row.name))
        .bind(texts(|row| row.category))
        .bind(texts(|row| row.unit))
        .bind(cents(|row| row.price))
        .bind(cents(|row| row.standard_cost))
        .bind(rows.iter().map(|row| row.reorder_level.cast_signed()).collect::<Vec<_>>())
        .execute(conn)
        .await
}

/// What an import keeps so that it can be undone: of new rows, that nothing was there before.
async fn insert_changes(
    conn: &mut Conn<'_>,
    tenant_id: i64,
    import_id: i64,
    first: u64,
    until: u64,
) -> Result<u64> {
    let numbers: Vec<i64> = (first..until).map(u64::cast_signed).collect();
    let statement = Sql {
        postgres: "insert into import_changes (tenant_id, import_id, entity, entity_id, version)
             select $1, $2, 'product', number, 1 from unnest($3::bigint[]) as c(number)",
        sqlite: "insert into import_changes (tenant_id, import_id, entity, entity_id, version)
             select $1, $2, 'product', value, 1 from jsonb_each($3)",
    };
    query(statement).bind(tenant_id).bind(import_id).bind(numbers).execute(conn).await
}

async fn insert_events(
    conn: &mut Conn<'_>,
    tenant_id: i64,
    import_id: i64,
    first: u64,
    rows: &[SampleRow],
) -> Result<u64> {
    let payload = |(number, row): (u64, &SampleRow)| {
        format!(
            "{{\"product_id\":{number},\"sku\":\"{}\",\"name\":{},\"version\":1,\"fields\":{{\"barcode\":\"{}\",\
             \"category\":\"{}\",\"price\":\"{}\",\"reorder_level\":\"{}\",\"standard_cost\":\"{}\",\"unit\":\"{}\"}},\
             \"user_id\":null,\"import_id\":{import_id}}}",
            row.sku,
            text(&row.name),
            row.barcode,
            row.category,
            amount(row.price),
            row.reorder_level,
            amount(row.standard_cost),
            row.unit,
        )
    };
    let payloads: Vec<String> = (first..).zip(rows).map(payload).collect();
    let ids: Vec<Uuid> = rows.iter().map(|_| Uuid::now_v7()).collect();
    let numbers: Vec<String> = (first..).take(rows.len()).map(|number| number.to_string()).collect();
    let head =
        |query: Query| query.bind(tenant_id).bind("catalog.product.created").bind("import").bind("product");
    if conn.dialect() == Dialect::Sqlite {
        let rows: Vec<_> = ids.iter().zip(&payloads).zip(&numbers).collect();
        let statement = sql!(
            "insert into fairlane_events (id, tenant_id, name, source, aggregate_type, aggregate_id,
                aggregate_version, payload, priority)
             select value ->> '$[0][0]', $1, $2, $3, $4, value ->> '$[1]', 1, value ->> '$[0][1]', 5
             from jsonb_each($5)"
        );
        return head(query(statement)).bind(text(&rows)).execute(conn).await;
    }
    let statement = sql!(
        "insert into fairlane_events (id, tenant_id, name, source, aggregate_type, aggregate_id, aggregate_version,
            payload, priority)
         select e.id, $1, $2, $3, $4, e.number, 1, e.payload::jsonb, 5
         from unnest($5::uuid[], $6::text[], $7::text[]) as e(id, number, payload)"
    );
    head(query(statement)).bind(ids).bind(numbers).bind(payloads).execute(conn).await
}

async fn update_log(conn: &mut Conn<'_>, tenant_id: i64, import_id: i64, done: u64) -> Result<u64> {
    query(sql!(
        "update import_logs set total_rows = $3, imported_rows = $3, created_rows = $3, read_bytes = $3,
            updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant_id)
    .bind(import_id)
    .bind(done.cast_signed())
    .execute(conn)
    .await
}

async fn update_job(conn: &mut Conn<'_>, tenant_id: i64, job: Uuid, done: u64) -> Result<u64> {
    let checkpoint = json!({
        "position": { "byte_offset": done, "record": done, "line": done, "blank": 0 },
        "counts": { "total": done, "created": done, "updated": 0, "unchanged": 0, "skipped": 0, "failed": 0, "blank": 0 },
        "memory": { "handle": "", "title": "" },
    });
    query(sql!(
        "update fairlane_jobs set checkpoint = $3, progress_done = $4 where tenant_id = $1 and id = $2"
    ))
    .bind(tenant_id)
    .bind(job)
    .bind(checkpoint)
    .bind(done.cast_signed())
    .execute(conn)
    .await
}

/// Plain values always serialise.
fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
