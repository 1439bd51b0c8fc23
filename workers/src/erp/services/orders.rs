//! Sales orders.

mod delivery;
mod lines;

use chrono::{DateTime, Datelike, Utc};
use fairlane::db::Conn;
use fairlane::store::audit::{self, AuditEntry};
use fairlane::{Error, Result, Tenant, Transaction};

use super::{by, one_line, scanners, statistics, stock};
use crate::erp::events::{OrderApproved, OrderCreated};
use crate::erp::money::Amounts;
use crate::erp::notifications::{Audience, OrderStatusNotification, SALES_VIEW, notify_audience};
use crate::erp::store::orders::{self, NewOrder, Order, OrderStatus};
use crate::erp::store::{customers, invoices, now, people, profiles, sequences};

pub use delivery::{fulfil, place};
pub(super) use lines::checked;
pub use lines::{NewLine, catalogue_line};
pub(crate) use lines::{amounts, catalogue_product, no_price};

/// What is known of an order that was taken somewhere else, or goes somewhere else.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// When it was taken; now without it.
    pub at: Option<DateTime<Utc>>,
    /// The country it goes to, as people write it; else its customer's address says it.
    pub country: Option<String>,
    /// The user who enters it, where one is known.
    pub user: Option<i64>,
}

/// Enters an order as a draft, in the tenant's currency, and tells of it.
pub async fn create(
    tx: &mut Transaction,
    tenant: &Tenant,
    customer: &str,
    lines: &[NewLine],
) -> Result<Order> {
    create_taken(tx, tenant, customer, lines, &Taken::default()).await
}

/// As [`create`], for an order that was taken before: on paper, in a shop, in another system.
pub async fn create_taken(
    tx: &mut Transaction,
    tenant: &Tenant,
    customer: &str,
    lines: &[NewLine],
    taken: &Taken,
) -> Result<Order> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    refuse_inactive(conn, id, taken.user).await?;
    let customer = customers::by_code(conn, id, customer).await?;
    if !customer.active {
        return Err(Error::Refused {
            what: format!("an order for customer {}", customer.code),
            why: "the customer is not active".into(),
        });
    }
    let profile = profiles::find(conn, id).await?;
    let lines = checked(conn, id, lines).await?;
    let amounts = amounts(&lines, profile.decimals)?;
    let sum = Amounts::sum("the order", profile.decimals, &amounts)?;
    let now = now(conn).await?;
    let at = past("an order", taken.at, now)?;
    let country = country("the order", taken.country.as_deref())?;
    let year = profile.day(at.unwrap_or(now)).year().to_string();
    let number = sequences::format("SO", &year, sequences::next(conn, id, "sales_order", &year).await?);
    let new = NewOrder {
        number,
        customer_id: customer.id,
        currency: profile.currency,
        decimals: profile.decimals,
        amounts: sum,
        ordered_at: at,
        country,
    };
    let order = orders::insert(conn, id, &new, &lines).await?;
    let order = existing(conn, id, order).await?;
    let event = OrderCreated {
        order_id: order.id,
        number: order.number.clone(),
        version: order.version,
        customer_id: order.customer_id,
        customer_name: order.customer_name.clone(),
        currency: order.currency.clone(),
        total: order.total,
        ordered_at: order.ordered_at,
        user_id: taken.user,
    };
    by(tenant.publish(event), taken.user).in_tx(&mut *tx).await?;
    scanners::ensure_first(tx, tenant).await?;
    Ok(order)
}

/// A time that is not in the future: a day is for clocks that disagree, more is a year mistyped.
pub(super) fn past(
    what: &str,
    at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    match at {
        Some(at) if at > now + chrono::Duration::days(1) => Err(Error::Invalid {
            what: format!("{what} of {}", at.to_rfc3339()),
            why: "that is in the future".into(),
        }),
        at => Ok(at),
    }
}

/// A country as people write it.
pub(super) fn country(what: &str, given: Option<&str>) -> Result<Option<String>> {
    given.map(|name| one_line(&format!("the country of {what}"), name, 100)).transpose()
}

/// Approves a draft and tells everybody: the order's invoice follows. What it will take is held back in the stock, in this
/// transaction. Approving twice is refused.
pub async fn approve(tx: &mut Transaction, tenant: &Tenant, order: i64, user: Option<i64>) -> Result<Order> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    refuse_inactive(conn, id, user).await?;
    let before = locked(conn, id, order).await?;
    let approved = orders::approve(conn, id, order, user).await?;
    if !approved {
        return Err(not_possible("approving", &before));
    }
    delivery::reserve(tx, tenant, order).await?;
    let order = existing(&mut tx.conn(), id, order).await?;
    let event = OrderApproved {
        order_id: order.id,
        number: order.number.clone(),
        version: order.version,
        customer_id: order.customer_id,
        customer_name: order.customer_name.clone(),
        currency: order.currency.clone(),
        total: order.total,
        approved_by: user,
        approved_at: order.approved_at.unwrap_or(order.ordered_at),
    };
    let publish = tenant.publish(event);
    match user {
        Some(user) => publish.actor(format!("user:{user}")).in_tx(tx).await?,
        None => publish.in_tx(tx).await?,
    };
    Ok(order)
}

/// Calls an order off, as long as it is neither delivered nor billed, gives back what was held back for it, and tells those
/// who see orders.
pub async fn cancel(tx: &mut Transaction, tenant: &Tenant, order: i64) -> Result<Order> {
    cancel_by(tx, tenant, order, None).await
}

/// As [`cancel`], and keeps in the audit which user did it, where one is known.
pub async fn cancel_by(
    tx: &mut Transaction,
    tenant: &Tenant,
    order: i64,
    user: Option<i64>,
) -> Result<Order> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    refuse_inactive(conn, id, user).await?;
    let before = locked(conn, id, order).await?;
    if invoices::of_order(conn, id, order).await?.is_some() {
        return Err(Error::Refused {
            what: format!("cancelling order {}", before.number),
            why: "it is billed already".into(),
        });
    }
    if !orders::cancel(conn, id, order).await? {
        return Err(not_possible("cancelling", &before));
    }
    stock::give_back(tx, tenant, order).await?;
    statistics::refresh(tx, tenant, before.customer_id).await?;
    if let Some(user) = user {
        note_cancelled(&mut tx.conn(), id, &before.number, user).await?;
    }
    tell_cancelled(tx, tenant, &before).await?;
    existing(&mut tx.conn(), id, order).await
}

async fn note_cancelled(conn: &mut Conn<'_>, tenant: i64, number: &str, user: i64) -> Result<()> {
    let entry = AuditEntry {
        tenant_id: Some(tenant),
        actor: &format!("user:{user}"),
        action: "order.cancel",
        target: number,
        affected: 1,
        reason: None,
        detail: None,
    };
    audit::record(conn, &entry).await
}

async fn tell_cancelled(tx: &mut Transaction, tenant: &Tenant, order: &Order) -> Result<()> {
    let notification = OrderStatusNotification {
        order_id: order.id,
        order_number: order.number.clone(),
        status: OrderStatus::Cancelled,
        customer_name: order.customer_name.clone(),
    };
    let audience = Audience::holders(SALES_VIEW).about("order", order.id);
    let key = format!("order:{}:{}", order.id, OrderStatus::Cancelled);
    notify_audience(tx, tenant, &audience, &notification, &key).await?;
    Ok(())
}

/// The order people name by its number (`SO-2026-00001`).
pub async fn named(conn: &mut Conn<'_>, tenant: i64, number: &str) -> Result<Order> {
    match orders::id_of(conn, tenant, number).await? {
        Some(id) => existing(conn, tenant, id).await,
        None => Err(Error::NotFound { what: "order", name: number.to_owned() }),
    }
}

async fn existing(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<Order> {
    orders::find(conn, tenant, order).await?.ok_or_else(|| missing(order))
}

async fn locked(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<Order> {
    orders::lock(conn, tenant, order).await?.ok_or_else(|| missing(order))
}

async fn refuse_inactive(conn: &mut Conn<'_>, tenant: i64, user: Option<i64>) -> Result<()> {
    match user {
        Some(user) if !people::is_active(conn, tenant, user).await? => {
            Err(Error::NotFound { what: "active user", name: user.to_string() })
        }
        _ => Ok(()),
    }
}

fn missing(order: i64) -> Error {
    Error::NotFound { what: "order", name: order.to_string() }
}

fn not_possible(what: &str, order: &Order) -> Error {
    let why = match order.status {
        OrderStatus::Draft => "it is still a draft",
        OrderStatus::Approved => "it is approved already",
        OrderStatus::Fulfilled => "it is delivered already",
        OrderStatus::Cancelled => "it was cancelled",
    };
    Error::Refused { what: format!("{what} order {}", order.number), why: why.into() }
}
