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
//! | [`products`] | `products`, as orders need them |
//! | [`locations`] | `locations` |
//! | [`batches`] | `batches` |
//! | [`stock`] | `stock_ledgers`, `stock_movements`, `stock_levels`, `stock_reservations` |
//! | [`sequences`] | `number_sequences` |
//! | [`notifications`] | `notification_messages`, `notifications` |
//! | [`deliveries`], [`delivery_lists`] | `notification_deliveries` |
//! | [`preferences`] | `notification_preferences`, `mail_suppressions` |
//! | [`mail_templates`] | `mail_templates` |

pub mod batches;
pub mod customers;
pub mod deliveries;
mod delivery;
pub mod delivery_lists;
pub mod invoices;
pub mod locations;
pub mod mail_templates;
pub mod notifications;
pub mod orders;
pub mod people;
pub mod preferences;
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
