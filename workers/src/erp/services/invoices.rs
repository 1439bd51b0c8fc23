//! Invoices.

use chrono::{Datelike, Days};
use fairlane::db::Conn;
use fairlane::{Error, Result};

use super::orders::amounts;
use crate::erp::money::Amounts;
use crate::erp::store::invoices::{self, Invoice, NewInvoice};
use crate::erp::store::orders::{self, Order, OrderStatus};
use crate::erp::store::{customers, now, profiles, sequences};

/// What became of billing an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Billing {
    /// The order has its invoice now.
    Billed(Box<Invoice>),
    /// It had one before.
    BilledBefore(Box<Invoice>),
    /// The order was cancelled: there is nothing to bill.
    Cancelled {
        /// The order's number.
        number: String,
    },
}

/// Bills an approved order: a gap-free number, the order's lines and their tax, due by the customer's terms.
///
/// The order stays locked until the transaction ends, so it is billed once and cannot be cancelled meanwhile. The
/// number comes from a locked row of the same transaction: rolled back, it was never taken.
pub async fn bill_order(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<Billing> {
    let order = orders::lock(conn, tenant, order)
        .await?
        .ok_or_else(|| Error::NotFound { what: "order", name: order.to_string() })?;
    if let Some(before) = invoices::of_order(conn, tenant, order.id).await? {
        return Ok(Billing::BilledBefore(Box::new(existing(conn, tenant, before).await?)));
    }
    match order.status {
        OrderStatus::Cancelled => return Ok(Billing::Cancelled { number: order.number }),
        OrderStatus::Draft => {
            return Err(Error::Refused {
                what: format!("billing order {}", order.number),
                why: format!("it is not approved; approve it: fairlane erp order approve {}", order.number),
            });
        }
        OrderStatus::Approved | OrderStatus::Fulfilled => {}
    }
    let invoice = create(conn, tenant, &order).await?;
    Ok(Billing::Billed(Box::new(existing(conn, tenant, invoice).await?)))
}

async fn create(conn: &mut Conn<'_>, tenant: i64, order: &Order) -> Result<i64> {
    let customer = customers::by_id(conn, tenant, order.customer_id).await?;
    let lines = orders::lines(conn, tenant, order.id).await?;
    let line_amounts = amounts(&lines, order.decimals)?;
    let sum = Amounts::sum("the invoice", order.decimals, &line_amounts)?;
    let issued_on = profiles::find(conn, tenant).await?.day(now(conn).await?);
    let terms = u64::try_from(customer.terms_days).unwrap_or_default();
    let due_on = issued_on.checked_add_days(Days::new(terms)).unwrap_or(issued_on);
    let year = issued_on.year().to_string();
    // Last, because from here on every other invoice of the tenant waits for this transaction.
    let number = sequences::format("INV", &year, sequences::next(conn, tenant, "invoice", &year).await?);
    let new = NewInvoice {
        number,
        order_id: order.id,
        customer_id: customer.id,
        customer_name: customer.name,
        currency: order.currency.clone(),
        decimals: order.decimals,
        amounts: sum,
        issued_on,
        due_on,
    };
    let lines: Vec<_> = lines.into_iter().zip(line_amounts).collect();
    invoices::insert(conn, tenant, &new, &lines).await
}

/// The invoice people name by its number (`INV-2026-00001`).
pub async fn named(conn: &mut Conn<'_>, tenant: i64, number: &str) -> Result<Invoice> {
    match invoices::id_of(conn, tenant, number).await? {
        Some(id) => existing(conn, tenant, id).await,
        None => Err(Error::NotFound { what: "invoice", name: number.to_owned() }),
    }
}

async fn existing(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Invoice> {
    let invoice = invoices::find(conn, tenant, id).await?;
    invoice.ok_or_else(|| Error::NotFound { what: "invoice", name: id.to_string() })
}
