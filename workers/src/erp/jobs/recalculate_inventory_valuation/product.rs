//! One product: computed without a lock, written in one transaction, and once more if something moved meanwhile.

use fairlane::{Context, Error, Result, Transaction};
use rust_decimal::Decimal;

use super::job::Progress;
use super::plan::Plan;
use super::replay::{Fault, Replayed, replay};
use crate::erp::events::ValuationRecalculated;
use crate::erp::store::stock::ledgers;
use crate::erp::store::valuation::entries::Head;
use crate::erp::store::valuation::figures;
use crate::erp::store::valuation::results::{self, Outcome};
use crate::erp::store::valuation::runs;
use crate::erp::store::valuation::states::{self, State};
use crate::erp::valuation::PoolFigures;

/// Rounds for a product that moves faster than it is valued; then its value says which movement it is as of.
const ROUNDS: u32 = 10;
/// Decimals of an average cost.
const COST_DECIMALS: u32 = 4;

/// Values a product, and notes with the same commit that it is done.
pub(super) async fn value<S>(
    plan: &Plan,
    head: &Head,
    ctx: &Context<S>,
    progress: &mut Progress,
) -> Result<()> {
    for round in 1.. {
        let replayed = match replay(&ctx.tenant(), plan, head).await {
            Ok(replayed) => replayed,
            Err(Fault::Error(error)) => return Err(error),
            Err(Fault::Refused(why)) => return refuse(plan, head, ctx, progress, &why).await,
        };
        let mut tx = ctx.begin().await?;
        let Some(outcome) = write(plan, head, ctx, &mut tx, replayed, progress.run_id).await? else {
            // Another run has written meanwhile: what was computed here is too old.
            tx.rollback().await?;
            continue;
        };
        let seen = outcome.as_of_seq;
        let run = progress.run_id;
        let known = results::save(&mut tx.conn(), plan.tenant, run, head.product_id, &outcome).await?;
        if plan.until.is_none() && round < ROUNDS && has_moved(&mut tx, plan, head, seen).await? {
            tx.commit().await?;
            continue;
        }
        let mut next = progress.clone();
        next.valued(head.product_id, known, outcome.value);
        return commit(plan, tx, progress, next).await;
    }
    Ok(())
}

/// Stores what a product is worth; nothing where its state is not the one that was computed from.
async fn write<S>(
    plan: &Plan,
    head: &Head,
    ctx: &Context<S>,
    tx: &mut Transaction,
    replayed: Replayed,
    run_id: i64,
) -> Result<Option<Outcome>> {
    let of = plan.of(head);
    let Replayed { ledger, from, to_seq, last_at, movements, all } = replayed;
    let pools = ledger.pools(COST_DECIMALS);
    let counted: Vec<&PoolFigures> = pools.iter().filter(|pool| plan.counts(pool)).collect();
    let mut outcome = Outcome {
        quantity: counted.iter().map(|pool| pool.quantity).sum(),
        old_value: None,
        value: counted.iter().map(|pool| pool.value).sum(),
        average_cost: ledger.average_cost(COST_DECIMALS),
        movements,
        as_of_seq: to_seq,
    };
    let conn = &mut tx.conn();
    if plan.until.is_some() {
        outcome.old_value = figures::value(conn, of, plan.location()).await?;
        return Ok(Some(outcome));
    }
    if !states::claim(conn, of.tenant, of.scope, of.product, from.version).await? {
        return Ok(None);
    }
    outcome.old_value = figures::value(conn, of, plan.location()).await?;
    if to_seq == from.as_of_seq && !all {
        return Ok(Some(outcome));
    }
    let terms = plan.terms(head);
    let before = figures::value(conn, of, None).await?;
    figures::save_movements(conn, of, ledger.values(), all).await?;
    figures::save_pools(conn, of, terms.method, to_seq, &pools).await?;
    let snapshot = Some(ledger.snapshot());
    let state = State { as_of_seq: to_seq, last_at, version: from.version + 1, snapshot };
    states::save(conn, of.tenant, of.scope, of.product, &state).await?;
    let (quantity, value) = ledger.total();
    if before != Some(value) {
        let event = ValuationRecalculated {
            run_id,
            product_id: head.product_id,
            sku: head.sku.clone(),
            scope: of.scope,
            method: terms.method,
            quantity,
            old_value: before,
            value,
            as_of_seq: to_seq,
        };
        ctx.publish(event).in_tx(&mut *tx).await?;
    }
    Ok(Some(outcome))
}

/// Whether the product has moved since it was read. Its ledger is locked from here to the commit: what moves later is not
/// the business of this run.
async fn has_moved(tx: &mut Transaction, plan: &Plan, head: &Head, seen: i64) -> Result<bool> {
    let last = ledgers::lock(&mut tx.conn(), plan.tenant, &[head.product_id]).await?;
    Ok(last.get(&head.product_id).is_some_and(|last| *last != seen))
}

async fn refuse<S>(
    plan: &Plan,
    head: &Head,
    ctx: &Context<S>,
    progress: &mut Progress,
    why: &str,
) -> Result<()> {
    let mut tx = ctx.begin().await?;
    let conn = &mut tx.conn();
    let value = figures::value(conn, plan.of(head), plan.location()).await?;
    results::refuse(conn, plan.tenant, progress.run_id, head.product_id, value, why).await?;
    let mut next = progress.clone();
    next.refused(head.product_id, value.unwrap_or(Decimal::ZERO));
    commit(plan, tx, progress, next).await
}

async fn commit(
    plan: &Plan,
    mut tx: Transaction,
    progress: &mut Progress,
    next: Progress,
) -> Result<(), Error> {
    runs::progress(&mut tx.conn(), plan.tenant, next.run_id, next.tally()).await?;
    tx.checkpoint(&next)?;
    tx.progress(u64::try_from(next.done).unwrap_or_default(), u64::try_from(next.products).ok());
    tx.commit().await?;
    *progress = next;
    Ok(())
}
