//! Computes one customer's statistics anew.

use fairlane::{Context, Error, Job, JobResult, Policy};
use serde::{Deserialize, Serialize};

use crate::erp::Erp;
use crate::erp::services::statistics;

/// Computes a customer's statistics from the tables; result and completion are one commit. Of a customer that is gone there
/// is nothing to compute.
#[derive(Debug, Serialize, Deserialize)]
pub struct RecomputeCustomerStatistics {
    /// The customer.
    pub customer_id: i64,
}

impl Job for RecomputeCustomerStatistics {
    const KIND: &'static str = "erp.recompute_customer_statistics";
    const POLICY: Policy = Policy::DEFAULT;
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        match statistics::recompute(&mut tx.conn(), ctx.job().tenant_id, self.customer_id).await {
            Ok(_) => ctx.complete_in(tx).await,
            // It was deleted since, by whoever undid its import: with it went everything that could be computed.
            Err(Error::NotFound { .. }) => ctx.complete_in(tx).await,
            Err(error) => Err(error.into()),
        }
    }
}
