//! Whatever a customer orders or pays, its statistics follow.

use fairlane::{Context, JobResult, Listener, Policy};

use crate::erp::Erp;
use crate::erp::events::{
    CustomerCreated, InvoiceGenerated, InvoicePaymentReceived, OrderCreated, OrderFulfilled,
};
use crate::erp::services::statistics;

/// Lets the statistics of the event's customer be computed anew: by one job, however many events wait for it.
///
/// The job reads the tables, so events that come late, twice or in another order change nothing.
#[derive(Debug)]
pub struct UpdateCustomerStatistics;

async fn refresh(customer: i64, ctx: Context<Erp>) -> JobResult {
    let mut tx = ctx.begin().await?;
    statistics::refresh_committed(&mut tx, &ctx.tenant(), customer).await?;
    ctx.complete_in(tx).await
}

macro_rules! follows {
    ($($event:ty),* $(,)?) => { $(
        impl Listener<$event> for UpdateCustomerStatistics {
            const KIND: &'static str = "erp.update_customer_statistics";
            const POLICY: Policy = Policy::DEFAULT;
            type State = Erp;

            async fn handle(event: $event, ctx: Context<Erp>) -> JobResult {
                refresh(event.customer_id, ctx).await
            }
        }
    )* };
}

follows!(CustomerCreated, OrderCreated, OrderFulfilled, InvoiceGenerated, InvoicePaymentReceived);
