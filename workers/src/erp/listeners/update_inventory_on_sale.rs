//! A delivered order leaves the stock.

use fairlane::{Context, JobResult, Listener, Policy};

use super::stock_refused;
use crate::erp::Erp;
use crate::erp::events::OrderFulfilled;
use crate::erp::services::stock;

/// Records a sale movement for each delivered line, of several batches where one does not suffice, and ends the order's
/// reservations; movements, their events and completion are one commit.
///
/// A line that has its movements (another event for the same order) stays as it is.
#[derive(Debug)]
pub struct UpdateInventoryOnSale;

impl Listener<OrderFulfilled> for UpdateInventoryOnSale {
    const KIND: &'static str = "erp.update_inventory_on_sale";
    const POLICY: Policy = Policy::HIGH;
    type State = Erp;

    async fn handle(event: OrderFulfilled, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        if let Err(error) = stock::deliver(&mut tx, &ctx.tenant(), &event).await {
            tx.rollback().await?;
            return Err(stock_refused(error, &format!("order {}", event.number), ctx.job()));
        }
        ctx.complete_in(tx).await
    }
}
