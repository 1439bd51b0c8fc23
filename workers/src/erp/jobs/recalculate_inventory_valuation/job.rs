//! The job: product by product, ended in the log.

use std::time::Duration;

use fairlane::{Context, Error, JobError, JobResult};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::RecalculateInventoryValuation;
use super::plan::Plan;
use super::{product, telling};
use crate::erp::store::reading;
use crate::erp::store::valuation::entries;
use crate::erp::store::valuation::runs::{self, Tally};

/// Products looked up at once.
const HEADS: i64 = 200;

/// How far a run is: the checkpoint, committed with each product.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) run_id: i64,
    /// The product it is behind.
    after: i64,
    pub(super) products: i64,
    pub(super) done: i64,
    pub(super) refused: i64,
    movements: i64,
    pub(super) old_value: Decimal,
    pub(super) new_value: Decimal,
}

impl Progress {
    /// A product is valued: what it was worth before and the movements that were replayed, and what it is worth.
    pub(super) fn valued(&mut self, product: i64, known: (Option<Decimal>, i64), value: Decimal) {
        self.after = product;
        self.done += 1;
        self.movements += known.1;
        self.old_value += known.0.unwrap_or(Decimal::ZERO);
        self.new_value += value;
    }

    /// A product stays as it is.
    pub(super) fn refused(&mut self, product: i64, value: Decimal) {
        self.valued(product, (Some(value), 0), value);
        self.refused += 1;
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            done: self.done,
            refused: self.refused,
            movements: self.movements,
            old_value: self.old_value,
            new_value: self.new_value,
        }
    }
}

/// Runs a valuation.
pub(super) async fn run<S>(job: &RecalculateInventoryValuation, ctx: &Context<S>) -> JobResult {
    let tenant = ctx.job().tenant_id;
    let plan = {
        let mut tx = reading(&ctx.tenant()).await?;
        Plan::read(&mut tx.conn(), tenant, job).await
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(error @ (Error::NotFound { .. } | Error::Damaged(_))) => {
            return Err(JobError::discard(&error).code(error.code()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut progress = begin(job, ctx, &plan).await?;
    loop {
        let heads = {
            let mut tx = reading(&ctx.tenant()).await?;
            entries::heads(&mut tx.conn(), tenant, plan.which, progress.after, HEADS).await?
        };
        if heads.is_empty() {
            return complete(job, ctx, &progress).await;
        }
        for head in &heads {
            product::value(&plan, head, ctx, &mut progress).await?;
            if ctx.should_yield() {
                return Err(stop(ctx, &progress).await?);
            }
        }
    }
}

/// Goes on behind the checkpoint, or enters the run into the log, unless whoever asked for it has.
async fn begin<S>(
    job: &RecalculateInventoryValuation,
    ctx: &Context<S>,
    plan: &Plan,
) -> Result<Progress, Error> {
    let known: Option<Progress> = ctx.checkpoint()?;
    let mut tx = ctx.begin().await?;
    let conn = &mut tx.conn();
    if let Some(progress) = known {
        runs::start(conn, plan.tenant, progress.run_id, progress.products).await?;
        tx.commit().await?;
        return Ok(progress);
    }
    let run_id = match runs::of_job(conn, plan.tenant, ctx.job().id).await? {
        Some(run) => run.id,
        None => runs::insert(conn, plan.tenant, &job.as_run(), ctx.job().id).await?,
    };
    let products = entries::count(conn, plan.tenant, plan.which).await?;
    runs::start(conn, plan.tenant, run_id, products).await?;
    let progress = Progress { run_id, products, ..Progress::default() };
    tx.checkpoint(&progress)?;
    tx.commit().await?;
    Ok(progress)
}

/// The run, who is told of it, and the job are done in one commit: nobody is told twice, whoever is killed.
async fn complete<S>(
    job: &RecalculateInventoryValuation,
    ctx: &Context<S>,
    progress: &Progress,
) -> JobResult {
    let mut tx = ctx.begin().await?;
    let tenant = ctx.job().tenant_id;
    runs::finish(&mut tx.conn(), tenant, progress.run_id, "completed", None).await?;
    telling::completed(job, ctx, &mut tx, progress).await?;
    let (run_id, products, refused) = (progress.run_id, progress.done, progress.refused);
    info!(run_id, products, refused, "stock valued");
    ctx.complete_in(tx).await
}

/// Between two products: the worker stops and another goes on, or somebody has cancelled the job.
async fn stop<S>(ctx: &Context<S>, progress: &Progress) -> Result<JobError, Error> {
    let tenant = ctx.job().tenant_id;
    let cancelled = {
        let mut tx = ctx.fairlane().db().read().await?;
        runs::is_cancelled(&mut tx.conn(), tenant, ctx.job().id).await?
    };
    if !cancelled {
        return Ok(JobError::snooze(Duration::ZERO));
    }
    let mut tx = ctx.begin().await?;
    runs::finish(&mut tx.conn(), tenant, progress.run_id, "cancelled", None).await?;
    tx.commit().await?;
    Ok(JobError::cancel("the valuation was cancelled; what was valued before is kept"))
}

/// Notes that the job of a run has failed for good, and tells who asked for it.
pub(super) async fn mark_failed<S>(
    job: &RecalculateInventoryValuation,
    ctx: &Context<S>,
    error: &str,
) -> Result<(), Error> {
    let tenant = ctx.job().tenant_id;
    let of = ctx.tenant();
    let mut tx = of.begin().await?;
    let conn = &mut tx.conn();
    if let Some(run) = runs::of_job(conn, tenant, ctx.job().id).await?.filter(|run| !run.is_over()) {
        runs::finish(conn, tenant, run.id, "failed", Some(error)).await?;
        telling::failed(job, ctx, &mut tx, (run.id, error)).await?;
    }
    tx.commit().await
}
