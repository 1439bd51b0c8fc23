//! A movement may have left too little, and another minimum may ask for more.

use std::collections::BTreeSet;

use fairlane::{Context, JobResult, Listener, Policy};
use rust_decimal::Decimal;

use crate::erp::Erp;
use crate::erp::events::{ProductUpdated, StockMovementRecorded};
use crate::erp::services::stock;
use crate::erp::store::alerts;
use crate::erp::store::stock::{Pool, levels};

/// Opens an alert and tells of it when what is available has fallen below the product's minimum at that location, and
/// closes the alert when it is enough again; both as it is now, whatever it was when the movement was recorded.
#[derive(Debug)]
pub struct CheckStockLevel;

impl Listener<StockMovementRecorded> for CheckStockLevel {
    const KIND: &'static str = "erp.check_stock_level";
    const POLICY: Policy = Policy::DEFAULT;
    type State = Erp;

    async fn handle(event: StockMovementRecorded, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        let place = (event.product_id, event.location_id);
        // The product's ledger is locked from here on.
        stock::check_levels(&mut tx, &ctx.tenant(), &BTreeSet::from([place])).await?;
        if event.batch_id.is_some() {
            let pool = Pool {
                product_id: event.product_id,
                location_id: event.location_id,
                batch_id: event.batch_id,
            };
            let (conn, tenant) = (&mut tx.conn(), ctx.job().tenant_id);
            let levels = levels::at(conn, tenant, &[pool.product_id], &[pool.location_id]).await?;
            let left = levels.iter().find(|level| level.pool == pool).map(|level| level.on_hand);
            if left.is_none_or(|left| left <= Decimal::ZERO) {
                alerts::close_batch(conn, tenant, pool).await?;
            }
        }
        ctx.complete_in(tx).await
    }
}

/// The fields of a product that say how much there should be.
const MINIMUM: [&str; 2] = ["reorder_level", "active"];

impl Listener<ProductUpdated> for CheckStockLevel {
    const KIND: &'static str = "erp.check_stock_level";
    const POLICY: Policy = Policy::DEFAULT;
    type State = Erp;

    async fn handle(event: ProductUpdated, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        if MINIMUM.iter().any(|field| event.changes.contains_key(*field)) {
            stock::check_product(&mut tx, &ctx.tenant(), event.product_id).await?;
        }
        ctx.complete_in(tx).await
    }
}
