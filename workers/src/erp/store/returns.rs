//! Goods that customers gave back.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, query};
use fairlane::{Result, sql};
use serde::Serialize;

use super::order_lines;
use super::orders::OrderLine;
use crate::erp::money::Amounts;

/// A return to be added.
#[derive(Debug, Clone)]
pub struct NewReturn {
    /// Its number, as people know it.
    pub number: String,
    /// The order it was delivered with.
    pub order_id: Option<i64>,
    /// Who gives it back.
    pub customer_id: i64,
    /// The country it comes from.
    pub country: Option<String>,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// The decimals of that currency.
    pub decimals: u32,
    /// What it comes to.
    pub amounts: Amounts,
    /// When it came back.
    pub returned_at: DateTime<Utc>,
}

/// A return as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Return {
    /// Its number inside the database.
    pub id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// Who gives it back.
    pub customer_id: i64,
    /// Tax included.
    pub total: rust_decimal::Decimal,
    /// When it came back.
    pub returned_at: DateTime<Utc>,
}

/// Adds a return with its lines.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: NewReturn, lines: &[OrderLine]) -> Result<Return> {
    let id = query(sql!(
        "insert into sales_returns (tenant_id, number, order_id, customer_id, country, currency, decimals, net, tax, total,
             returned_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, {now}) returning id"
    ))
    .bind(tenant)
    .bind(new.number.as_str())
    .bind(new.order_id)
    .bind(new.customer_id)
    .bind(new.country.as_deref())
    .bind(new.currency.as_str())
    .bind(new.decimals)
    .bind(new.amounts.net)
    .bind(new.amounts.tax)
    .bind(new.amounts.total)
    .bind(new.returned_at)
    .fetch_one(conn)
    .await?
    .get("id")?;
    order_lines::insert_returned(conn, tenant, id, lines).await?;
    Ok(Return {
        id,
        number: new.number,
        customer_id: new.customer_id,
        total: new.amounts.total,
        returned_at: new.returned_at,
    })
}
