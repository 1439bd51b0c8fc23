//! Those who watch a location are told that something expires there.

use fairlane::{Context, JobResult, Listener};

use crate::erp::Erp;
use crate::erp::events::StockExpiring;
use crate::erp::notifications::{Audience, INVENTORY_ALERTS, StockExpiryNotification, notify_audience};

/// Tells those who watch the location, once for each stage that a batch there has come to.
#[derive(Debug)]
pub struct SendStockExpiryAlert;

impl Listener<StockExpiring> for SendStockExpiryAlert {
    const KIND: &'static str = "erp.send_stock_expiry_alert";
    type State = Erp;

    async fn handle(event: StockExpiring, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        let audience =
            Audience::holders(INVENTORY_ALERTS).at(event.location_id).about("batch", event.batch_id);
        // The alert tells a batch that has come back from the same batch before it went.
        let StockExpiring { batch_id, location_id, threshold, alert_id, .. } = event;
        let key = format!("exp:{batch_id}:{location_id}:{threshold}:{alert_id}");
        let notification = StockExpiryNotification {
            batch_id: event.batch_id,
            lot: event.lot,
            product_id: event.product_id,
            product_name: event.product_name,
            product_sku: event.sku,
            location_id: event.location_id,
            location_code: event.location,
            expires_on: event.expires_on,
            days_remaining: event.days_remaining,
            quantity: event.quantity,
        };
        notify_audience(&mut tx, &ctx.tenant(), &audience, &notification, &key).await?;
        ctx.complete_in(tx).await
    }
}
