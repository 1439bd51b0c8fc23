//! Products: what orders need of them, and the catalogue.

use std::collections::HashMap;

use fairlane::db::{Conn, Query, Row, Sql, query};
use fairlane::sql;
use fairlane::{Error, Result};
use rust_decimal::Decimal;
use serde::Serialize;

use super::stock::plain;

/// What an order takes from a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its number inside the database.
    pub id: i64,
    /// What people call it by: its code, else its barcode, else the key made of its handle.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// What one costs, without tax.
    pub price: Option<Decimal>,
    /// Whether it may be ordered.
    pub active: bool,
}

impl Product {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            sku: row.get("code")?,
            name: row.get("name")?,
            price: row.get("price")?,
            active: row.get("active")?,
        })
    }
}

impl From<CatalogueProduct> for Product {
    fn from(product: CatalogueProduct) -> Self {
        let Details { name, price, active, .. } = product.details;
        Self { id: product.id, sku: product.code, name, price, active }
    }
}

/// The product with this SKU, as other systems name it.
pub async fn by_sku(conn: &mut Conn<'_>, tenant: i64, sku: &str) -> Result<Product> {
    let row = query(sql!(
        "select id, sku as code, name, price, active from products where tenant_id = $1 and sku = $2"
    ))
    .bind(tenant)
    .bind(sku)
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| Error::NotFound { what: "product", name: sku.to_owned() })?;
    Product::read(&row)
}

/// The products people call by these codes, by code: those there are. A SKU goes before a barcode that reads alike.
pub async fn by_codes(
    conn: &mut Conn<'_>,
    tenant: i64,
    codes: &[String],
) -> Result<HashMap<String, Product>> {
    let by_sku = sql!(
        "select id, sku as code, name, price, active from products where tenant_id = $1 and sku {in:$2}"
    );
    let mut found = keyed(conn, tenant, codes, by_sku).await?;
    let left: Vec<String> = codes.iter().filter(|code| !found.contains_key(*code)).cloned().collect();
    if !left.is_empty() {
        let by_code = sql!(
            "select id, coalesce(sku, barcode, handle_key) as code, name, price, active from products
             where tenant_id = $1 and coalesce(sku, barcode, handle_key) {in:$2}"
        );
        found.extend(keyed(conn, tenant, &left, by_code).await?);
    }
    Ok(found)
}

async fn keyed(
    conn: &mut Conn<'_>,
    tenant: i64,
    codes: &[String],
    statement: Sql,
) -> Result<HashMap<String, Product>> {
    let rows = query(statement).bind(tenant).bind(codes).fetch_all(conn).await?;
    let read = |row: &Row| Product::read(row).map(|product| (product.sku.clone(), product));
    rows.iter().map(read).collect()
}

/// A product of the catalogue with everything people enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogueProduct {
    /// Its number inside the database.
    pub id: i64,
    /// Its code; one that was imported without a code has none.
    pub sku: Option<String>,
    /// What people call it by: its code, else its barcode, else the key made of its handle.
    pub code: String,
    /// What people enter.
    #[serde(flatten)]
    pub details: Details,
    /// Counts its changes.
    pub version: i64,
}

/// What people enter of a product beside its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Details {
    /// Its name.
    pub name: String,
    /// What it belongs to.
    pub category: Option<String>,
    /// What it is counted in.
    pub unit: Option<String>,
    /// Its barcode.
    pub barcode: Option<String>,
    /// What one costs, without tax.
    pub price: Option<Decimal>,
    /// What one costs to buy, where nothing better is known.
    pub standard_cost: Option<Decimal>,
    /// Below this somebody is told, at each location; none and 0 are off.
    pub reorder_level: Option<Decimal>,
    /// How many are bought then.
    pub reorder_quantity: Option<Decimal>,
    /// How its stock is valued: `fifo` or `average`.
    pub valuation: String,
    /// Whether every piece of it belongs to a batch.
    pub track_batches: bool,
    /// Whether it may be ordered and taken in.
    pub active: bool,
}

macro_rules! catalogue {
    ($rest:literal) => {
        concat!(
            "select id, sku, coalesce(sku, barcode, handle_key) as code, name, category, unit, barcode, price,
                standard_cost, reorder_level, reorder_quantity, valuation, track_batches, active, version
             from products where tenant_id = $1 and ",
            $rest
        )
    };
}

impl CatalogueProduct {
    fn read(row: &Row) -> Result<Self> {
        let number = |column| Ok::<_, Error>(row.get::<Option<Decimal>>(column)?.map(plain));
        Ok(Self {
            id: row.get("id")?,
            sku: row.get("sku")?,
            code: row.get("code")?,
            details: Details {
                name: row.get("name")?,
                category: row.get("category")?,
                unit: row.get("unit")?,
                barcode: row.get("barcode")?,
                price: number("price")?,
                standard_cost: number("standard_cost")?,
                reorder_level: number("reorder_level")?,
                reorder_quantity: number("reorder_quantity")?,
                valuation: row.get("valuation")?,
                track_batches: row.get("track_batches")?,
                active: row.get("active")?,
            },
            version: row.get("version")?,
        })
    }
}

/// The product people call by this code, locked until the transaction ends.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, code: &str) -> Result<CatalogueProduct> {
    one(conn, tenant, code, sql!(catalogue!("coalesce(sku, barcode, handle_key) = $2 limit 1 {lock}"))).await
}

/// The product people call by this code.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, code: &str) -> Result<CatalogueProduct> {
    one(conn, tenant, code, sql!(catalogue!("coalesce(sku, barcode, handle_key) = $2 limit 1"))).await
}

async fn one(conn: &mut Conn<'_>, tenant: i64, code: &str, fallback: Sql) -> Result<CatalogueProduct> {
    let locks = fallback.postgres.ends_with("{lock}");
    let by_sku = if locks { sql!(catalogue!("sku = $2 {lock}")) } else { sql!(catalogue!("sku = $2")) };
    // Nearly all have a code, and that is an index.
    for statement in [by_sku, fallback] {
        let row = query(statement).bind(tenant).bind(code).fetch_optional(conn).await?;
        if let Some(row) = row {
            return CatalogueProduct::read(&row);
        }
    }
    Err(Error::NotFound { what: "product", name: code.to_owned() })
}

/// Products by code, behind one.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant: i64,
    after: &str,
    limit: i64,
) -> Result<Vec<CatalogueProduct>> {
    let statement = sql!(catalogue!(
        "coalesce(sku, barcode, handle_key) > $2 order by coalesce(sku, barcode, handle_key) limit $3"
    ));
    let rows = query(statement).bind(tenant).bind(after).bind(limit).fetch_all(conn).await?;
    rows.iter().map(CatalogueProduct::read).collect()
}

/// Adds a product; `None` when its code or its barcode is taken.
pub async fn insert(
    conn: &mut Conn<'_>,
    tenant: i64,
    sku: &str,
    details: &Details,
) -> Result<Option<CatalogueProduct>> {
    let statement = query(sql!(
        "insert into products (tenant_id, sku, name, category, unit, barcode, price, standard_cost, reorder_level,
            reorder_quantity, valuation, track_batches, active, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, {now}, {now}) on conflict do nothing returning id"
    ));
    let row = bind(statement.bind(tenant).bind(sku), details).fetch_optional(conn).await?;
    match row {
        Some(_) => find(conn, tenant, sku).await.map(Some),
        None => Ok(None),
    }
}

/// Stores a changed product.
pub async fn update(conn: &mut Conn<'_>, tenant: i64, id: i64, details: &Details) -> Result<()> {
    let statement = query(sql!(
        "update products set name = $3, category = $4, unit = $5, barcode = $6, price = $7, standard_cost = $8,
            reorder_level = $9, reorder_quantity = $10, valuation = $11, track_batches = $12, active = $13,
            version = version + 1, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ));
    bind(statement.bind(tenant).bind(id), details).execute(conn).await?;
    Ok(())
}

fn bind(query: Query, details: &Details) -> Query {
    query
        .bind(details.name.as_str())
        .bind(details.category.as_deref())
        .bind(details.unit.as_deref())
        .bind(details.barcode.as_deref())
        .bind(details.price)
        .bind(details.standard_cost)
        .bind(details.reorder_level)
        .bind(details.reorder_quantity)
        .bind(details.valuation.as_str())
        .bind(details.track_batches)
        .bind(details.active)
}

/// Whether a product other than this one has the barcode.
pub async fn barcode_taken(conn: &mut Conn<'_>, tenant: i64, id: i64, barcode: &str) -> Result<bool> {
    let row = query(sql!("select id from products where tenant_id = $1 and barcode = $2 and id <> $3"))
        .bind(tenant)
        .bind(barcode)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

/// What refers to a product and keeps it from being deleted: a word for each kind.
pub async fn referring(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Vec<String>> {
    let rows = query(sql!(
        "select w.what from (
            select 'orders' as what, exists (
                select 1 from sales_order_lines where tenant_id = $1 and product_id = $2) as there
            union all select 'invoices', exists (
                select 1 from invoice_lines where tenant_id = $1 and product_id = $2)
            union all select 'purchase orders', exists (
                select 1 from purchase_order_lines where tenant_id = $1 and product_id = $2)
            union all select 'goods receipts', exists (
                select 1 from goods_receipt_lines where tenant_id = $1 and product_id = $2)
            union all select 'returns', exists (
                select 1 from sales_return_lines where tenant_id = $1 and product_id = $2)
            union all select 'stock movements', exists (
                select 1 from stock_movements where tenant_id = $1 and product_id = $2)
         ) w where w.there"
    ))
    .bind(tenant)
    .bind(id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("what")).collect()
}

/// Deletes a product nothing refers to, with its batches, which nothing refers to then, and what it was valued at: nothing.
pub async fn delete(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<()> {
    for statement in [
        sql!("delete from stock_valuations where tenant_id = $1 and product_id = $2"),
        sql!("delete from stock_levels where tenant_id = $1 and product_id = $2"),
        sql!("delete from batches where tenant_id = $1 and product_id = $2"),
        sql!("delete from stock_ledgers where tenant_id = $1 and product_id = $2"),
        sql!("delete from products where tenant_id = $1 and id = $2"),
    ] {
        query(statement).bind(tenant).bind(id).execute(conn).await?;
    }
    Ok(())
}
