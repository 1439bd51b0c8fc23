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
//! | [`payments`] | `payments` |
//! | [`reminders`] | `invoice_reminders`: which overdue invoices were told of |
//! | [`statistics`] | `customer_statistics` |
//! | [`leads`] | `leads` |
//! | [`vendors`] | `vendors` |
//! | [`purchase_orders`] | `purchase_orders`, `purchase_order_lines` |
//! | [`receipts`] | `goods_receipts`, `goods_receipt_lines` |
//! | [`figures`] | the counts of `fairlane stats` |
//! | [`products`] | `products` |
//! | [`locations`] | `locations` |
//! | [`batches`] | `batches` |
//! | [`stock`] | `stock_ledgers`, `stock_movements`, `stock_levels`, `stock_reservations` |
//! | [`alerts`] | `stock_alerts` |
//! | [`valuation`] | what the stock is worth, and the log of valuing it |
//! | [`returns`] | `sales_returns`, `sales_return_lines` |
//! | [`reports`], [`report_rows`] | `reports`; what reports are made of |
//! | [`sequences`] | `number_sequences` |
//! | [`notifications`] | `notification_messages`, `notifications` |
//! | [`deliveries`], [`delivery_lists`] | `notification_deliveries` |
//! | [`bulk_deliveries`] | the same, many at once |
//! | [`campaigns`], [`campaign_chunks`] | `notification_campaigns`, `campaign_keys`, `campaign_chunks` |
//! | [`channel_rates`] | `channel_rates` |
//! | [`digests`] | which delivery a digest brings: `notification_deliveries.digest_id` |
//! | [`timing`] | `notification_quiet_hours`, `notification_digests`, `notification_deferrals` |
//! | [`preferences`] | `notification_preferences`, `mail_suppressions` |
//! | [`mail_templates`] | `mail_templates` |
//! | [`phones`], [`devices`] | `users.phone`, `user_devices` |
//! | [`webhooks`] | `webhook_endpoints`, `webhook_secrets`, `webhook_deliveries` |
//! | [`attempts`] | `delivery_attempts` |
//! | [`sync`] | `sync_connections`, `external_refs`, `sync_logs` and more |

pub mod alerts;
pub mod attempts;
pub mod batches;
pub mod bulk_deliveries;
mod campaign_audience;
pub mod campaign_chunks;
pub mod campaigns;
pub mod channel_rates;
pub mod customers;
pub mod deliveries;
mod delivery;
pub mod delivery_lists;
pub mod devices;
pub mod digests;
pub mod figures;
pub mod invoices;
pub mod leads;
pub mod locations;
pub mod mail_templates;
pub mod notifications;
mod order_lines;
pub mod orders;
pub mod payments;
pub mod people;
pub mod phones;
pub mod preferences;
pub mod products;
pub mod profiles;
pub mod purchase_orders;
pub mod receipts;
pub mod reminders;
pub mod report_rows;
pub mod reports;
pub mod returns;
pub mod sequences;
pub mod statistics;
pub mod stock;
pub mod sync;
pub mod timing;
pub mod valuation;
pub mod vendors;
pub mod webhooks;
mod words;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Dialect, Tx, query};
use fairlane::{Result, Tenant, sql};

/// The database's clock: the same for all workers, and the one that tests move.
pub async fn now(conn: &mut Conn<'_>) -> Result<DateTime<Utc>> {
    query(sql!("select {now} as now")).fetch_one(conn).await?.get("now")
}

/// A connection for reading a tenant's rows: on PostgreSQL confined to it, on SQLite in nobody's way.
pub(crate) async fn reading(tenant: &Tenant) -> Result<Tx> {
    let db = tenant.fairlane().db();
    match db.dialect() {
        Dialect::Postgres => db.begin_for(tenant.id().await?).await,
        Dialect::Sqlite => db.read().await,
    }
}
