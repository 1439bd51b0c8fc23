//! Purchase orders: entered, submitted, approved, called off. Their goods: [`super::receipts`].

use chrono::{Datelike, NaiveDate};
use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;

use super::{active_user, by, one_line};
use crate::erp::events::PurchaseOrderApproved;
use crate::erp::money::{Amounts, LineTerms};
use crate::erp::store::purchase_orders::{self, NewPurchaseOrder};
pub use crate::erp::store::purchase_orders::{PurchaseLine, PurchaseOrder, PurchaseStatus};
use crate::erp::store::{now, products, profiles, sequences, vendors};

/// Most lines of one purchase order.
const MOST_LINES: usize = 1000;

/// A line of a purchase order to be entered.
#[derive(Debug, Clone)]
pub struct NewPurchaseLine {
    /// The product's code.
    pub sku: String,
    /// How many.
    pub quantity: Decimal,
    /// What one costs, without tax.
    pub unit_cost: Decimal,
}

/// A purchase order to be entered.
#[derive(Debug, Clone, Default)]
pub struct NewOrder {
    /// The vendor's code, or the name of one alone.
    pub vendor: String,
    /// What is bought.
    pub lines: Vec<NewPurchaseLine>,
    /// When it is expected; by the vendor's lead time without it, where the vendor has one.
    pub expected_on: Option<NaiveDate>,
    /// The user who asks for it.
    pub requested_by: Option<i64>,
}

/// Enters a purchase order as a draft, in the tenant's currency.
pub async fn create(tx: &mut Transaction, tenant: &Tenant, new: NewOrder) -> Result<PurchaseOrder> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    active_user(conn, id, new.requested_by).await?;
    let vendor = vendors::called(conn, id, &new.vendor).await?;
    if !vendor.active {
        return Err(Error::Refused {
            what: format!("a purchase order to vendor {}", new.vendor),
            why: "the vendor is not active".into(),
        });
    }
    let profile = profiles::find(conn, id).await?;
    let (lines, total) = checked(conn, id, &new.lines, profile.decimals).await?;
    let today = profile.day(now(conn).await?);
    let by_lead_time =
        vendor.lead_time_days.and_then(|days| today.checked_add_signed(chrono::Duration::days(days)));
    let year = today.year().to_string();
    // Last, because from here on every other purchase order of the tenant waits for this transaction.
    let number = sequences::format("PO", &year, sequences::next(conn, id, "purchase_order", &year).await?);
    let row = NewPurchaseOrder {
        number,
        vendor_id: vendor.id,
        currency: profile.currency,
        decimals: profile.decimals,
        total,
        requested_by: new.requested_by,
        expected_on: new.expected_on.or(by_lead_time),
    };
    let order = purchase_orders::insert(conn, id, &row, &lines).await?;
    existing(conn, id, order).await
}

/// Submits a draft: somebody has to approve it.
pub async fn submit(tx: &mut Transaction, tenant: &Tenant, order: i64) -> Result<PurchaseOrder> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let before = locked(conn, id, order).await?;
    if before.status != PurchaseStatus::Draft {
        return Err(not_possible("submitting", &before));
    }
    purchase_orders::set_status(conn, id, order, PurchaseStatus::Pending, None).await?;
    existing(conn, id, order).await
}

/// Approves a submitted purchase order and tells everybody. Approving twice is refused.
pub async fn approve(
    tx: &mut Transaction,
    tenant: &Tenant,
    order: i64,
    user: Option<i64>,
) -> Result<PurchaseOrder> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    active_user(conn, id, user).await?;
    let before = locked(conn, id, order).await?;
    if before.status != PurchaseStatus::Pending {
        return Err(not_possible("approving", &before));
    }
    purchase_orders::set_status(conn, id, order, PurchaseStatus::Approved, user).await?;
    let order = existing(conn, id, order).await?;
    let event = PurchaseOrderApproved {
        purchase_order_id: order.id,
        number: order.number.clone(),
        version: order.version,
        vendor_id: order.vendor_id,
        vendor_name: order.vendor_name.clone(),
        vendor_email: order.vendor_email.clone(),
        currency: order.currency.clone(),
        total: order.total,
        expected_on: order.expected_on,
        requested_by: order.requested_by,
        approved_by: user,
        approved_at: order.approved_at.unwrap_or(order.ordered_at),
    };
    by(tenant.publish(event), user).in_tx(tx).await?;
    Ok(order)
}

/// Calls a purchase order off, as long as nothing of it has arrived.
pub async fn cancel(tx: &mut Transaction, tenant: &Tenant, order: i64) -> Result<PurchaseOrder> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let before = locked(conn, id, order).await?;
    if matches!(before.status, PurchaseStatus::Received | PurchaseStatus::Cancelled) {
        return Err(not_possible("cancelling", &before));
    }
    let lines = purchase_orders::lines(conn, id, order).await?;
    if lines.iter().any(|line| !line.received.is_zero()) {
        return Err(Error::Refused {
            what: format!("cancelling purchase order {}", before.number),
            why: "goods of it have arrived".into(),
        });
    }
    purchase_orders::set_status(conn, id, order, PurchaseStatus::Cancelled, None).await?;
    existing(conn, id, order).await
}

/// The purchase order people name by its number (`PO-2026-00001`).
pub async fn named(conn: &mut Conn<'_>, tenant: i64, number: &str) -> Result<PurchaseOrder> {
    match purchase_orders::id_of(conn, tenant, number).await? {
        Some(id) => existing(conn, tenant, id).await,
        None => Err(Error::NotFound { what: "purchase order", name: number.to_owned() }),
    }
}

pub(crate) async fn existing(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<PurchaseOrder> {
    purchase_orders::find(conn, tenant, order).await?.ok_or_else(|| missing(order))
}

pub(crate) async fn locked(conn: &mut Conn<'_>, tenant: i64, order: i64) -> Result<PurchaseOrder> {
    purchase_orders::lock(conn, tenant, order).await?.ok_or_else(|| missing(order))
}

fn missing(order: i64) -> Error {
    Error::NotFound { what: "purchase order", name: order.to_string() }
}

pub(crate) fn not_possible(what: &str, order: &PurchaseOrder) -> Error {
    let number = &order.number;
    let why = match order.status {
        PurchaseStatus::Draft => {
            format!("it is still a draft; submit it: fairlane erp po submit {number}")
        }
        PurchaseStatus::Pending => {
            format!("it waits for its approval; approve it: fairlane erp po approve {number}")
        }
        PurchaseStatus::Approved => "it is approved already".into(),
        PurchaseStatus::Received => "all of it has arrived".into(),
        PurchaseStatus::Cancelled => "it was cancelled".into(),
    };
    Error::Refused { what: format!("{what} purchase order {number}"), why }
}

async fn checked(
    conn: &mut Conn<'_>,
    tenant: i64,
    lines: &[NewPurchaseLine],
    decimals: u32,
) -> Result<(Vec<PurchaseLine>, Decimal)> {
    if lines.is_empty() || lines.len() > MOST_LINES {
        return Err(Error::Invalid {
            what: "the purchase order".into(),
            why: format!("it has {} lines, it needs 1 to {MOST_LINES}", lines.len()),
        });
    }
    let mut checked = Vec::with_capacity(lines.len());
    let mut amounts = Vec::with_capacity(lines.len());
    for (line_no, line) in (1..).zip(lines) {
        let product = products::Product::from(products::find(conn, tenant, &line.sku).await?);
        if !product.active {
            return Err(Error::Refused {
                what: format!("a purchase order of product {}", product.sku),
                why: "the product is not active".into(),
            });
        }
        let terms = LineTerms {
            quantity: line.quantity,
            unit_price: line.unit_cost,
            discount: Decimal::ZERO,
            tax_rate: Decimal::ZERO,
        };
        amounts.push(terms.amounts(&format!("line {line_no}"), decimals)?);
        checked.push(PurchaseLine {
            line_no,
            product_id: product.id,
            sku: product.sku,
            description: one_line(&format!("the description of line {line_no}"), &product.name, 500)?,
            quantity: line.quantity,
            unit_cost: line.unit_cost,
            received: Decimal::ZERO,
        });
    }
    let total = Amounts::sum("the purchase order", decimals, &amounts)?.net;
    Ok((checked, total))
}
