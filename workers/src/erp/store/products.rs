//! Products, as orders need them.

use fairlane::db::{Conn, query};
use fairlane::sql;
use fairlane::{Error, Result};
use rust_decimal::Decimal;

/// What an order takes from a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its number inside the database.
    pub id: i64,
    /// Its code.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// What one costs, without tax.
    pub price: Option<Decimal>,
    /// Whether it may be ordered.
    pub active: bool,
}

/// The product with this code.
pub async fn by_sku(conn: &mut Conn<'_>, tenant: i64, sku: &str) -> Result<Product> {
    let row =
        query(sql!("select id, sku, name, price, active from products where tenant_id = $1 and sku = $2"))
            .bind(tenant)
            .bind(sku)
            .fetch_optional(conn)
            .await?
            .ok_or_else(|| Error::NotFound { what: "product", name: sku.to_owned() })?;
    Ok(Product {
        id: row.get("id")?,
        sku: row.get("sku")?,
        name: row.get("name")?,
        price: row.get("price")?,
        active: row.get("active")?,
    })
}
