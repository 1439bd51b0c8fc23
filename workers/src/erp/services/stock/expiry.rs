//! Batches near their end: one alert for each batch, location and stage.

use chrono::{Days, NaiveDate};
use fairlane::{Result, Tenant, Transaction};
use rust_decimal::Decimal;

use crate::erp::events::StockExpiring;
use crate::erp::store::alerts::{self, Expiring, NewAlert, OpenExpiry};

/// Days before a batch's last day on which somebody is told; 0 is that day and all behind it.
pub const STAGES: [i64; 4] = [90, 30, 7, 0];

/// Rows of one transaction.
const CHUNK: i64 = 500;

/// The stage that so many days are in: the nearest that is reached.
pub fn stage(days_remaining: i64) -> Option<i64> {
    STAGES.into_iter().rev().find(|stage| days_remaining <= *stage)
}

/// Closes the alerts behind one whose batch is gone, or is in another stage today; returns where to go on.
pub async fn close_over(
    tx: &mut Transaction,
    tenant: i64,
    today: NaiveDate,
    after: i64,
) -> Result<Option<i64>> {
    let conn = &mut tx.conn();
    let open = alerts::open_expiry(conn, tenant, after, CHUNK).await?;
    let over: Vec<i64> = open.iter().filter(|alert| is_over(alert, today)).map(|alert| alert.id).collect();
    alerts::close(conn, tenant, &over).await?;
    Ok(open.last().map(|last| last.id).filter(|_| open.len() as i64 == CHUNK))
}

fn is_over(alert: &OpenExpiry, today: NaiveDate) -> bool {
    let gone = alert.on_hand.is_none_or(|on_hand| on_hand <= Decimal::ZERO);
    let now = alert.expires_on.and_then(|last| stage((last - today).num_days()));
    gone || now != Some(alert.stage)
}

/// Opens alerts for the batches behind a level that have reached a stage today, and tells of those that are new;
/// returns where to go on.
pub async fn open_due(
    tx: &mut Transaction,
    tenant: &Tenant,
    today: NaiveDate,
    after: i64,
) -> Result<Option<i64>> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let first = STAGES.into_iter().max().unwrap_or_default().unsigned_abs();
    let until = today.checked_add_days(Days::new(first)).unwrap_or(today);
    let due = alerts::expiring(conn, id, until, after, CHUNK).await?;
    let mut told = Vec::new();
    for batch in &due {
        let days = (batch.expires_on - today).num_days();
        let Some(stage) = stage(days) else { continue };
        let new =
            NewAlert { pool: batch.pool, kind: "expiry", stage, quantity: batch.on_hand, minimum: None };
        if let Some(alert) = alerts::open(conn, id, &new).await? {
            told.push(event(alert, batch, days, stage));
        }
    }
    if !told.is_empty() {
        tenant.publish_all(told).in_tx(tx).await?;
    }
    Ok(due.last().map(|last| last.level_id).filter(|_| due.len() as i64 == CHUNK))
}

fn event(alert_id: i64, batch: &Expiring, days_remaining: i64, threshold: i64) -> StockExpiring {
    StockExpiring {
        alert_id,
        product_id: batch.pool.product_id,
        sku: batch.sku.clone(),
        product_name: batch.product_name.clone(),
        batch_id: batch.pool.batch_id.unwrap_or_default(),
        lot: batch.lot.clone(),
        expires_on: batch.expires_on,
        days_remaining,
        threshold,
        location_id: batch.pool.location_id,
        location: batch.location.clone(),
        quantity: batch.on_hand,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_stage_that_is_reached_counts() {
        let stages = [91, 90, 31, 30, 8, 7, 1, 0, -400].map(stage);
        let wanted = [None, Some(90), Some(90), Some(30), Some(30), Some(7), Some(7), Some(0), Some(0)];
        assert_eq!(stages, wanted);
    }
}
