//! Received goods enter the stock.

use fairlane::{Context, JobResult, Listener, Policy};

use super::stock_refused;
use crate::erp::Erp;
use crate::erp::events::GoodsReceived;
use crate::erp::services::stock;

/// Records a receipt movement for each received line, with its lot, last day and cost; movements, their events, the
/// receipt's mark and completion are one commit.
#[derive(Debug)]
pub struct PostGoodsReceipt;

impl Listener<GoodsReceived> for PostGoodsReceipt {
    const KIND: &'static str = "erp.post_goods_receipt";
    const POLICY: Policy = Policy::HIGH;
    type State = Erp;

    async fn handle(event: GoodsReceived, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        if let Err(error) = stock::post_receipt(&mut tx, &ctx.tenant(), &event).await {
            tx.rollback().await?;
            return Err(stock_refused(error, &format!("goods receipt {}", event.number), ctx.job()));
        }
        ctx.complete_in(tx).await
    }
}
