//! The statements of the products table that imports use: each for a whole chunk.

use std::collections::HashMap;

use fairlane::db::{Conn, Dialect, Row, Sql, query};
use fairlane::{Error, Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

use super::{BARCODE, Found, HANDLE, Key, Product, SKU, Scope, keys};
use crate::erp::jobs::process_bulk_import::changes::{ChangeSql, change_sql};
use crate::erp::jobs::process_bulk_import::import_type::DamagedRecord;

/// The products that rows of a table name.
macro_rules! by_product {
    ($table:literal) => {
        sql!(concat!(
            "select distinct product_id as id from ",
            $table,
            " where tenant_id = $1 and product_id {in:$2}"
        ))
    };
}
/// What imports keep of products, and how it comes back.
pub(super) const CHANGES: ChangeSql = change_sql!(
    "product",
    "products",
    [
        "sku",
        "barcode",
        "external_handle",
        "handle_key",
        "name",
        "category",
        "unit",
        "price",
        "standard_cost",
        "reorder_level",
        "reorder_quantity",
        "active",
        "valuation",
        "track_batches",
        "created_at",
    ],
    &[
        ("stock movements", by_product!("stock_ledgers")),
        ("order lines", by_product!("sales_order_lines")),
        ("invoice lines", by_product!("invoice_lines")),
        ("lines of returns", by_product!("sales_return_lines")),
        ("purchase order lines", by_product!("purchase_order_lines")),
        ("goods receipt lines", by_product!("goods_receipt_lines")),
        ("batches", by_product!("batches")),
    ],
    &[]
);

/// The products of a tenant that have one of the values in a key column. On PostgreSQL one probe a value: as
/// `= any(array)` a table without statistics, which a first import fills, was read by tenant.
macro_rules! by_key {
    ($column:literal) => {
        Sql {
            postgres: concat!(
                "select p.* from unnest($2::text[]) k(value) cross join lateral (
                    select id, sku, barcode, external_handle, handle_key, name, category, unit, price, standard_cost,
                        reorder_level, reorder_quantity, active, version
                    from products where tenant_id = $1 and ",
                $column,
                " = k.value limit 1 for no key update) p"
            ),
            sqlite: concat!(
                "select id, sku, barcode, external_handle, handle_key, name, category, unit, price, standard_cost,
                    reorder_level, reorder_quantity, active, version
                 from products where tenant_id = $1 and ",
                $column,
                " in (select value from json_each($2))"
            ),
        }
    };
}

/// The stored products that have one of the keys, locked until the chunk is committed. One that can't be read costs the
/// rows that mean it, and no others.
pub(super) async fn load(conn: &mut Conn<'_>, scope: Scope, keys: &[Key]) -> Result<Found<Product>> {
    // One statement for each kind of key, so that each is one index scan.
    let by_key = [(SKU, by_key!("sku")), (BARCODE, by_key!("barcode")), (HANDLE, by_key!("handle_key"))];
    let (mut found, mut damaged) = (HashMap::new(), Vec::new());
    for (field, statement) in by_key {
        let values: Vec<&str> =
            keys.iter().filter(|key| key.field == field).map(|key| key.value.as_str()).collect();
        if values.is_empty() {
            continue;
        }
        for row in query(statement).planned_anew().bind(scope.tenant_id).bind(values).fetch_all(conn).await? {
            match read(&row) {
                Ok(product) => drop(found.insert(product.id, product)),
                Err(why) => damaged.push(DamagedRecord { keys: readable_keys(&row), why: why.to_string() }),
            }
        }
    }
    Ok(Found { records: found.into_values().collect(), damaged, ambiguous: Vec::new() })
}

/// The products with these numbers, locked; those that can't be read are left out.
pub(super) async fn load_ids(conn: &mut Conn<'_>, scope: Scope, ids: &[i64]) -> Result<Vec<Product>> {
    let rows = query(sql!(
        "select id, sku, barcode, external_handle, handle_key, name, category, unit, price, standard_cost,
            reorder_level, reorder_quantity, active, version
         from products where tenant_id = $1 and id {in:$2} order by id {lock}"
    ))
    .planned_anew()
    .bind(scope.tenant_id)
    .bind(ids.to_vec())
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().filter_map(|row| read(row).ok()).collect())
}

/// The keys of a damaged row, as far as they can be read; the one it was found by is among them.
fn readable_keys(row: &Row) -> Vec<Key> {
    let text = |column| row.get::<Option<String>>(column).ok().flatten();
    keys(text("sku").as_ref(), text("barcode").as_ref(), text("handle_key").as_ref())
}

fn read(row: &Row) -> Result<Product> {
    // The same number has the same text, whatever scale the column gives it.
    let decimal = |column| Ok::<_, Error>(row.get::<Option<Decimal>>(column)?.map(|value| value.normalize()));
    Ok(Product {
        id: row.get("id")?,
        sku: row.get("sku")?,
        barcode: row.get("barcode")?,
        external_handle: row.get("external_handle")?,
        handle_key: row.get("handle_key")?,
        name: row.get("name")?,
        category: row.get("category")?,
        unit: row.get("unit")?,
        price: decimal("price")?,
        standard_cost: decimal("standard_cost")?,
        reorder_level: decimal("reorder_level")?,
        reorder_quantity: decimal("reorder_quantity")?,
        active: row.get("active")?,
        version: row.get("version")?,
    })
}

/// Stores new products in one statement; returns their ids in order.
pub(super) async fn insert(conn: &mut Conn<'_>, scope: Scope, products: &[&Product]) -> Result<Vec<i64>> {
    if conn.dialect() == Dialect::Sqlite {
        return insert_json(conn, scope, products).await;
    }
    let rows = insert_arrays(conn, scope, products).await?;
    // The order of returned rows is nobody's promise: they are matched by the code each product has alone.
    let mut ids = HashMap::with_capacity(rows.len());
    for row in &rows {
        ids.insert((row.get::<i32>("kind")?, row.get::<String>("code")?), row.get::<i64>("id")?);
    }
    products
        .iter()
        .map(|product| {
            let kind = if product.sku.is_some() { 0 } else { i32::from(product.barcode.is_none()) + 1 };
            ids.remove(&(kind, product.code().to_owned()))
                .ok_or_else(|| Error::Damaged(format!("product {}: stored without an id", product.code())))
        })
        .collect()
}

async fn insert_arrays(conn: &mut Conn<'_>, scope: Scope, products: &[&Product]) -> Result<Vec<Row>> {
    // Not shared: SQLite has no arrays.
    let statement = sql!(
        "insert into products (tenant_id, sku, barcode, external_handle, handle_key, name, category, unit, price,
            standard_cost, reorder_level, reorder_quantity, active, version, created_at, updated_at)
         select $1, p.*, {now}, {now}
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::numeric[], $10::numeric[], $11::numeric[], $12::numeric[], $13::boolean[], $14::bigint[]) as p
         returning id, coalesce(sku, barcode, handle_key) as code,
            case when sku is not null then 0 when barcode is not null then 1 else 2 end as kind"
    );
    bind_columns(query(statement).bind(scope.tenant_id), products).fetch_all(conn).await
}

fn bind_columns(query: fairlane::db::Query, products: &[&Product]) -> fairlane::db::Query {
    let texts = |field: fn(&Product) -> &Option<String>| {
        products.iter().map(|product| field(product).clone()).collect::<Vec<Option<String>>>()
    };
    let decimals = |field: fn(&Product) -> Option<Decimal>| {
        products.iter().map(|product| field(product)).collect::<Vec<Option<Decimal>>>()
    };
    query
        .bind(texts(|product| &product.sku))
        .bind(texts(|product| &product.barcode))
        .bind(texts(|product| &product.external_handle))
        .bind(texts(|product| &product.handle_key))
        .bind(products.iter().map(|product| product.name.clone()).collect::<Vec<_>>())
        .bind(texts(|product| &product.category))
        .bind(texts(|product| &product.unit))
        .bind(decimals(|product| product.price))
        .bind(decimals(|product| product.standard_cost))
        .bind(decimals(|product| product.reorder_level))
        .bind(decimals(|product| product.reorder_quantity))
        .bind(products.iter().map(|product| product.active).collect::<Vec<_>>())
        .bind(products.iter().map(|product| product.version).collect::<Vec<_>>())
}

/// Ids are taken from where the table's counter stands: this transaction has the file's only writer, and rows that are
/// returned one by one cost as much as they take to store.
async fn insert_json(conn: &mut Conn<'_>, scope: Scope, products: &[&Product]) -> Result<Vec<i64>> {
    let last: i64 =
        query(sql!("select coalesce(max(seq), 0) as last from sqlite_sequence where name = 'products'"))
            .fetch_one(conn)
            .await?
            .get("last")?;
    let statement = sql!(
        "insert into products (id, tenant_id, sku, barcode, external_handle, handle_key, name, category, unit, price,
            standard_cost, reorder_level, reorder_quantity, active, version, created_at, updated_at)
         select $3 + key, $1, value ->> '$[0][1]', value ->> '$[0][2]', value ->> '$[0][3]', value ->> '$[0][4]',
            value ->> '$[0][5]', value ->> '$[0][6]', value ->> '$[0][7]', value ->> '$[1][0]', value ->> '$[1][1]',
            value ->> '$[1][2]', value ->> '$[1][3]', value ->> '$[1][4]', value ->> '$[1][5]', {now}, {now}
         from jsonb_each($2)"
    );
    let rows = json_rows(products)?;
    query(statement).bind(scope.tenant_id).bind(rows).bind(last + 1).execute(conn).await?;
    Ok((last + 1..).take(products.len()).collect())
}

/// Stores changed products in one statement.
pub(super) async fn update(conn: &mut Conn<'_>, scope: Scope, products: &[&Product]) -> Result<()> {
    let statement = Sql {
        postgres: "update products p set sku = u.sku, barcode = u.barcode, external_handle = u.external_handle,
                handle_key = u.handle_key, name = u.name, category = u.category, unit = u.unit, price = u.price,
                standard_cost = u.standard_cost, reorder_level = u.reorder_level,
                reorder_quantity = u.reorder_quantity, active = u.active, version = u.version, updated_at = {now}
             from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                $10::numeric[], $11::numeric[], $12::numeric[], $13::numeric[], $14::boolean[], $15::bigint[],
                $2::bigint[]) as u(sku, barcode, external_handle, handle_key, name, category, unit, price,
                standard_cost, reorder_level, reorder_quantity, active, version, id)
             where p.tenant_id = $1 and p.id = u.id",
        sqlite: "update products set sku = value ->> '$[0][1]', barcode = value ->> '$[0][2]', external_handle = value ->> '$[0][3]',
                handle_key = value ->> '$[0][4]', name = value ->> '$[0][5]', category = value ->> '$[0][6]', unit = value ->> '$[0][7]',
                price = value ->> '$[1][0]', standard_cost = value ->> '$[1][1]', reorder_level = value ->> '$[1][2]',
                reorder_quantity = value ->> '$[1][3]', active = value ->> '$[1][4]', version = value ->> '$[1][5]', updated_at = {now}
             from jsonb_each($2) where +tenant_id = $1 and products.id = value ->> '$[0][0]'",
    };
    let query = query(statement).planned_anew().bind(scope.tenant_id);
    let query = match conn.dialect() {
        Dialect::Postgres => {
            bind_columns(query.bind(products.iter().map(|product| product.id).collect::<Vec<_>>()), products)
        }
        Dialect::Sqlite => query.bind(json_rows(products)?),
    };
    let updated = query.execute(conn).await?;
    if updated == products.len() as u64 {
        Ok(())
    } else {
        Err(Error::Damaged(format!("{updated} of {} products could be updated", products.len())))
    }
}

/// The products as one JSON array of arrays; decimals are texts, as the table keeps them.
fn json_rows(products: &[&Product]) -> Result<String> {
    let rows: Vec<JsonRow<'_>> = products.iter().map(|product| JsonRow::of(product)).collect();
    serde_json::to_string(&rows)
        .map_err(|why| Error::Invalid { what: "a chunk of products".into(), why: why.to_string() })
}

type Text<'a> = Option<&'a str>;

#[derive(Serialize)]
struct JsonRow<'a>(
    (i64, Text<'a>, Text<'a>, Text<'a>, Text<'a>, &'a str, Text<'a>, Text<'a>),
    (Option<Decimal>, Option<Decimal>, Option<Decimal>, Option<Decimal>, bool, i64),
);

impl<'a> JsonRow<'a> {
    fn of(product: &'a Product) -> Self {
        let texts = (
            product.id,
            product.sku.as_deref(),
            product.barcode.as_deref(),
            product.external_handle.as_deref(),
            product.handle_key.as_deref(),
            product.name.as_str(),
            product.category.as_deref(),
            product.unit.as_deref(),
        );
        let numbers = (
            product.price,
            product.standard_cost,
            product.reorder_level,
            product.reorder_quantity,
            product.active,
            product.version,
        );
        Self(texts, numbers)
    }
}
