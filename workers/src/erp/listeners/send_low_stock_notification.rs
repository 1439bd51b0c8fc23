//! Those who watch a location are told that something runs out there.

use fairlane::{Context, JobResult, Listener};

use crate::erp::Erp;
use crate::erp::events::LowStockDetected;
use crate::erp::notifications::{Audience, INVENTORY_ALERTS, LowStockNotification, notify_audience};

/// Tells those who watch the location, once for each time that the stock fell below its minimum.
#[derive(Debug)]
pub struct SendLowStockNotification;

impl Listener<LowStockDetected> for SendLowStockNotification {
    const KIND: &'static str = "erp.send_low_stock_notification";
    type State = Erp;

    async fn handle(event: LowStockDetected, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        let audience =
            Audience::holders(INVENTORY_ALERTS).at(event.location_id).about("product", event.product_id);
        let key = format!("low:{}", event.alert_id);
        let notification = LowStockNotification {
            product_id: event.product_id,
            product_name: event.product_name,
            product_sku: event.sku,
            current_quantity: event.current,
            minimum_quantity: event.minimum,
            location_id: event.location_id,
            location_code: event.location,
        };
        notify_audience(&mut tx, &ctx.tenant(), &audience, &notification, &key).await?;
        ctx.complete_in(tx).await
    }
}
