//! Those who see orders are told when one gets on.

use fairlane::{Context, JobResult, Listener};

use crate::erp::Erp;
use crate::erp::events::{OrderApproved, OrderFulfilled};
use crate::erp::notifications::{Audience, OrderStatusNotification, SALES_VIEW, notify_audience};
use crate::erp::store::orders::{self, OrderStatus};

/// Tells those who see orders that one was approved or delivered. Of an order that was called off meanwhile nothing is
/// told: whoever called it off has told that.
#[derive(Debug)]
pub struct NotifyOrderStatus;

impl Listener<OrderApproved> for NotifyOrderStatus {
    const KIND: &'static str = "erp.notify_order_status";
    type State = Erp;

    async fn handle(event: OrderApproved, ctx: Context<Erp>) -> JobResult {
        let notification = OrderStatusNotification {
            order_id: event.order_id,
            order_number: event.number,
            status: OrderStatus::Approved,
            customer_name: event.customer_name,
        };
        tell(&ctx, &notification).await
    }
}

impl Listener<OrderFulfilled> for NotifyOrderStatus {
    const KIND: &'static str = "erp.notify_order_status";
    type State = Erp;

    async fn handle(event: OrderFulfilled, ctx: Context<Erp>) -> JobResult {
        let notification = OrderStatusNotification {
            order_id: event.order_id,
            order_number: event.number,
            status: OrderStatus::Fulfilled,
            customer_name: event.customer_name,
        };
        tell(&ctx, &notification).await
    }
}

async fn tell(ctx: &Context<Erp>, notification: &OrderStatusNotification) -> JobResult {
    let mut tx = ctx.begin().await?;
    // Locked: whoever calls it off now does so behind this, and tells it behind this.
    let order = orders::lock(&mut tx.conn(), ctx.job().tenant_id, notification.order_id).await?;
    if order.is_some_and(|order| order.status == OrderStatus::Cancelled) {
        return ctx.complete_in(tx).await;
    }
    let key = format!("order:{}:{}", notification.order_id, notification.status);
    let audience = Audience::holders(SALES_VIEW).about("order", notification.order_id);
    notify_audience(&mut tx, &ctx.tenant(), &audience, notification, &key).await?;
    ctx.complete_in(tx).await
}
