//! The SQL of the ERP's tables. Every function runs on both databases; the tenant's number is the first argument
//! after the connection and part of every statement.
//!
//! | file | tables |
//! |---|---|
//! | [`profiles`] | `tenants`: zone and currency |
//! | [`people`] | `users`, `roles`, who may what |
//! | [`customers`] | `customers` |
//! | [`orders`] | `sales_orders`, `sales_order_lines` |
//! | [`invoices`] | `invoices`, `invoice_lines` |
//! | [`products`] | `products` |
//! | [`locations`] | `locations` |
//! | [`batches`] | `batches` |
//! | [`stock`] | `stock_ledgers`, `stock_movements`, `stock_levels`, `stock_reservations` |
//! | [`alerts`] | `stock_alerts` |
//! | [`sequences`] | `number_sequences` |
//! | [`notifications`] | `notifications` |
//! | [`deliveries`] | `notification_deliveries` |

pub mod alerts;
pub mod batches;
pub mod customers;
pub mod deliveries;
pub mod invoices;
pub mod locations;
pub mod notifications;
pub mod orders;
pub mod people;
pub mod products;
pub mod profiles;
pub mod sequences;
pub mod stock;

use chrono::{DateTime, Utc};
use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;

/// The database's clock: the same for all workers, and the one that tests move.
pub async fn now(conn: &mut Conn<'_>) -> Result<DateTime<Utc>> {
    query(sql!("select {now} as now")).fetch_one(conn).await?.get("now")
}
