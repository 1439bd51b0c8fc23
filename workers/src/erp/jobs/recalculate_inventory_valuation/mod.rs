//! Values the stock: product by product, each in one transaction, resumed behind the last one.
//!
//! ```text
//! job       products one by one; each commit has the product's figures, its result, the log and the checkpoint
//! product   computes without a lock, writes fenced; what moved meanwhile is valued in another round
//! replay    reads movements in pages: those since the snapshot, or all where something reaches back before it
//! plan      what was asked for, looked up in the tenant
//! telling   how it ended, told to who asked for it
//! ```

mod job;
mod plan;
mod product;
mod replay;
mod telling;

use std::time::Duration;

use chrono::NaiveDate;
use fairlane::{Context, Failure, Job, JobResult, Policy};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::erp::Erp;
use crate::erp::store::valuation::runs::NewRun;
use crate::erp::valuation::{Method, Scope};

/// Values the stock anew from its movements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecalculateInventoryValuation {
    /// The code of the product; all of them without.
    pub product: Option<String>,
    /// The code of a location: the products that moved there, and what they are worth there.
    pub location: Option<String>,
    /// The value at the end of this day in the tenant's time zone: told, and not kept.
    pub as_of: Option<NaiveDate>,
    /// Another method than the products' own.
    pub method: Option<Method>,
    /// What a pool is.
    pub scope: Scope,
    /// The user who may have values of closed books changed, and wants to.
    pub forced_by: Option<i64>,
    /// The user who asks for it, and is told how it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<i64>,
}

impl RecalculateInventoryValuation {
    /// What one product is waited for with: the same asked for twice is one, but for who is told how it ends.
    pub(in crate::erp) fn key(&self) -> Option<String> {
        let product = self.product.as_ref()?;
        let day = self.as_of.map(|day| day.to_string()).unwrap_or_default();
        let method = self.method.map_or("", Method::as_str);
        let place = self.location.as_deref().unwrap_or_default();
        let (forced, asked) = (self.forced_by.unwrap_or_default(), self.asked_by.unwrap_or_default());
        Some(format!("{product}|{}|{method}|{day}|{place}|{forced}|{asked}", self.scope))
    }

    fn as_run(&self) -> NewRun {
        NewRun {
            product: self.product.clone(),
            location: self.location.clone(),
            as_of: self.as_of,
            method: self.method,
            scope: self.scope,
            forced_by: self.forced_by,
            asked_by: self.asked_by,
        }
    }
}

impl From<&NewRun> for RecalculateInventoryValuation {
    fn from(run: &NewRun) -> Self {
        Self {
            product: run.product.clone(),
            location: run.location.clone(),
            as_of: run.as_of,
            method: run.method,
            scope: run.scope,
            forced_by: run.forced_by,
            asked_by: run.asked_by,
        }
    }
}

impl Job for RecalculateInventoryValuation {
    const KIND: &'static str = "erp.recalculate_inventory_valuation";
    const POLICY: Policy = Policy::LOW.attempts(3).timeout(Duration::from_secs(600)).long();
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        job::run(&self, &ctx).await
    }

    fn unique_key(&self) -> Option<String> {
        self.key()
    }

    /// One after the other in each tenant: they would write the same rows.
    fn concurrency_key(&self) -> Option<String> {
        Some("valuation".into())
    }

    async fn failed(self, failure: Failure, ctx: Context<Erp>) {
        if let Err(why) = job::mark_failed(&self, &ctx, &failure.message).await {
            warn!(error = %why, "the log of this valuation could not be brought up to date");
        }
    }
}
