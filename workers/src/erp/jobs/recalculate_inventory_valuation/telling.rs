//! How a run ended, told to who asked for it.
//!
//! Where nobody is known, and where products were left as they were, those are told who may have values of closed books
//! changed.

use chrono::Utc;
use fairlane::{Context, Error, Transaction};
use rust_decimal::Decimal;
use serde_json::json;

use super::RecalculateInventoryValuation;
use super::job::Progress;
use crate::erp::money::exact;
use crate::erp::notifications::{AlertNotification, Audience, notify_audience};
use crate::erp::services::valuation::RESTATE;
use crate::erp::store::profiles;

/// Tells that a run is completed: what the stock is worth, and what it was. Part of the transaction that ends the run.
pub(super) async fn completed<S>(
    job: &RecalculateInventoryValuation,
    ctx: &Context<S>,
    tx: &mut Transaction,
    progress: &Progress,
) -> Result<(), Error> {
    let profile = profiles::find(&mut tx.conn(), ctx.job().tenant_id).await?;
    let &Progress { run_id, done, refused, .. } = progress;
    let money = |amount: Decimal| format!("{} {}", exact(amount, profile.decimals), profile.currency);
    let (was, is) = (money(progress.old_value), money(progress.new_value));
    let title = match refused {
        0 => format!("Valuation {run_id} is done: {is}"),
        _ => format!("Valuation {run_id} is done, but {refused} products were not valued"),
    };
    let mut message = match job.as_of {
        Some(day) => format!("At the end of {day} {done} products were worth {is}; kept of them is {was}."),
        None => format!("{done} products are worth {is}; before it was {was}."),
    };
    if refused > 0 {
        message.push_str(&format!(
            " {refused} of them were left as they were. Why: fairlane erp valuation show {run_id} --refused"
        ));
    }
    let context = json!({
        "run_id": run_id, "products": done, "refused": refused,
        "old_value": exact(progress.old_value, profile.decimals).to_string(),
        "new_value": exact(progress.new_value, profile.decimals).to_string(), "currency": profile.currency, "as_of": job.as_of,
    });
    let note = AlertNotification::done(refused == 0, title, message, context);
    let audience = match refused {
        0 => audience(job),
        _ => Audience::holders(RESTATE).and(asker(job)),
    };
    notify_audience(
        tx,
        &ctx.tenant(),
        &audience.about("valuation", run_id),
        &note,
        &format!("valuation:{run_id}"),
    )
    .await?;
    Ok(())
}

/// Tells that a run has failed for good.
pub(super) async fn failed<S>(
    job: &RecalculateInventoryValuation,
    ctx: &Context<S>,
    tx: &mut Transaction,
    (run_id, error): (i64, &str),
) -> Result<(), Error> {
    let alert = AlertNotification::warning(
        format!("Valuation {run_id} has failed"),
        format!("{error}. Once that is repaired: fairlane retry {}", ctx.job().id),
        json!({ "run_id": run_id, "job_id": ctx.job().id }),
    );
    // A retry that fails again is told again.
    let key = format!("valuation:{run_id}:failed:{}", Utc::now().timestamp());
    notify_audience(tx, &ctx.tenant(), &audience(job).about("valuation", run_id), &alert, &key).await?;
    Ok(())
}

fn asker(job: &RecalculateInventoryValuation) -> Option<i64> {
    job.asked_by.or(job.forced_by)
}

fn audience(job: &RecalculateInventoryValuation) -> Audience<'static> {
    match asker(job) {
        Some(user) => Audience::user(user),
        None => Audience::holders(RESTATE),
    }
}
