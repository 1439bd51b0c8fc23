//! From where an order is delivered, what is held back for it, and that it was delivered.

use std::collections::HashMap;

use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};

use super::{existing, locked, not_possible, refuse_inactive};
use crate::erp::events::{DeliveredLine, OrderFulfilled};
use crate::erp::services::stock;
use crate::erp::store::orders::{self, Order, OrderLine, OrderStatus};
use crate::erp::store::stock::reservations::{self, Reservation};
use crate::erp::store::stock::{Pool, plain};
use crate::erp::store::{batches, locations};

/// Says where a line of a draft is delivered from, and of which batch.
pub async fn place(
    tx: &mut Transaction,
    tenant: &Tenant,
    order: i64,
    line_no: i64,
    location: &str,
    lot: Option<&str>,
) -> Result<()> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let before = locked(conn, id, order).await?;
    if before.status != OrderStatus::Draft {
        return Err(not_possible("changing", &before));
    }
    let what = || format!("line {line_no} of order {}", before.number);
    let lines = orders::lines(conn, id, order).await?;
    let line = lines
        .iter()
        .find(|line| line.line_no == line_no)
        .ok_or_else(|| Error::NotFound { what: "order line", name: line_no.to_string() })?;
    let product = line.product_id.ok_or_else(|| Error::Refused {
        what: what(),
        why: "it is no product of the catalogue and comes from nowhere".into(),
    })?;
    let location = locations::by_code(conn, id, location).await?;
    if !location.active {
        return Err(Error::Refused {
            what: what(),
            why: format!("location {} is not active", location.code),
        });
    }
    let batch = match lot {
        None => None,
        Some(lot) => Some(
            batches::by_lot(conn, id, product, lot)
                .await?
                .ok_or_else(|| Error::NotFound { what: "lot", name: lot.to_owned() })?
                .id,
        ),
    };
    orders::place(conn, id, order, line_no, location.id, batch).await
}

/// Notes that an approved order was delivered and tells everybody: its goods leave the stock. Once, and all of it.
pub async fn fulfil(tx: &mut Transaction, tenant: &Tenant, order: i64, user: Option<i64>) -> Result<Order> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    refuse_inactive(conn, id, user).await?;
    let before = locked(conn, id, order).await?;
    if !orders::fulfil(conn, id, order).await? {
        return Err(not_possible("delivering", &before));
    }
    let lines = delivered(conn, id, &before).await?;
    let order = existing(conn, id, order).await?;
    let event = OrderFulfilled {
        order_id: order.id,
        number: order.number.clone(),
        version: order.version,
        customer_id: order.customer_id,
        customer_name: order.customer_name.clone(),
        lines,
        fulfilled_at: order.fulfilled_at.unwrap_or(order.ordered_at),
        user_id: user,
    };
    let publish = tenant.publish(event);
    match user {
        Some(user) => publish.actor(format!("user:{user}")).in_tx(tx).await?,
        None => publish.in_tx(tx).await?,
    };
    Ok(order)
}

/// Holds back what an approved order will take. A tenant without a location has no stock to hold anything back from.
pub(super) async fn reserve(tx: &mut Transaction, tenant: &Tenant, order: i64) -> Result<()> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let lines = orders::lines(conn, id, order).await?;
    let first = locations::first(conn, id).await?.map(|location| location.id);
    let wanted: Vec<Reservation> = lines
        .iter()
        .filter_map(|line| {
            let pool = Pool {
                product_id: line.product_id?,
                location_id: line.location_id.or(first)?,
                batch_id: line.batch_id,
            };
            Some(Reservation { line_no: line.line_no, pool, quantity: plain(line.terms.quantity) })
        })
        .collect();
    stock::reserve(tx, tenant, order, &wanted).await
}

/// What leaves the house: from where it was held back, else from where the line or the house says.
async fn delivered(conn: &mut Conn<'_>, tenant: i64, order: &Order) -> Result<Vec<DeliveredLine>> {
    let held: HashMap<i64, Pool> = reservations::of_order(conn, tenant, order.id)
        .await?
        .into_iter()
        .map(|held| (held.line_no, held.pool))
        .collect();
    let first = locations::first(conn, tenant).await?.map(|location| location.id);
    let mut delivered = Vec::new();
    for line in orders::lines(conn, tenant, order.id).await? {
        let OrderLine { line_no, product_id: Some(product_id), sku, .. } = line else { continue };
        let location_id = held.get(&line_no).map(|pool| pool.location_id).or(line.location_id).or(first);
        let location_id = location_id.ok_or_else(|| Error::Refused {
            what: format!("delivering order {}", order.number),
            why: "there is no location to deliver from; add one: fairlane erp location add CODE --name NAME"
                .into(),
        })?;
        delivered.push(DeliveredLine {
            line_no,
            product_id,
            sku: sku.unwrap_or_default(),
            quantity: plain(line.terms.quantity),
            location_id,
            batch_id: line.batch_id,
        });
    }
    Ok(delivered)
}
