//! A movement was a mistake: another one takes it back.

use fairlane::{Error, Result, Tenant, Transaction};

use super::record::{Draft, Refusals, record_drafts};
use super::{MovementKind, NewMovement, Recorded, Source};
use crate::erp::store::stock::{Movement, movements};

/// Takes one movement back; of a transfer both halves. See [`reverse_all`].
pub async fn reverse(
    tx: &mut Transaction,
    tenant: &Tenant,
    movement: i64,
    reason: Option<&str>,
    user: Option<i64>,
) -> Result<Vec<Recorded>> {
    reverse_all(tx, tenant, &[movement], reason, user).await
}

/// Takes movements back by movements of the same kinds and the opposite signs, now; of a transfer both halves.
///
/// What was taken back before is left as it is and answered as [`Recorded::Before`]. A movement that takes one back is
/// not taken back itself: record what is right.
pub async fn reverse_all(
    tx: &mut Transaction,
    tenant: &Tenant,
    ids: &[i64],
    reason: Option<&str>,
    user: Option<i64>,
) -> Result<Vec<Recorded>> {
    let wrong = with_halves(tx, tenant.id().await?, ids).await?;
    if let Some(twice) = wrong.iter().find(|movement| movement.reverses_id.is_some()) {
        return Err(Error::Refused {
            what: format!("reversing movement {}", twice.id),
            why: "it takes another one back; record what is right instead".into(),
        });
    }
    let drafts = wrong.iter().map(|wrong| draft(wrong, reason, user)).collect();
    record_drafts(tx, tenant, drafts, Refusals::EndIt).await?.into_iter().collect()
}

fn draft<'a>(wrong: &'a Movement, reason: Option<&str>, user: Option<i64>) -> Draft<'a> {
    let source = Source::new("reversal", wrong.id.to_string());
    let new = NewMovement {
        batch_id: wrong.pool.batch_id,
        unit_cost: wrong.unit_cost,
        amount: wrong.amount.map(|amount| -amount),
        reason: reason.map(str::to_owned),
        user_id: user,
        ..NewMovement::new(wrong.kind, wrong.pool.product_id, wrong.pool.location_id, -wrong.quantity, source)
    };
    Draft { new, reverses: Some(wrong) }
}

/// The movements with these numbers and the other halves of transfers among them, each once.
async fn with_halves(tx: &mut Transaction, tenant: i64, ids: &[i64]) -> Result<Vec<Movement>> {
    let conn = &mut tx.conn();
    let mut found = movements::find(conn, tenant, ids).await?;
    if let Some(missing) = ids.iter().find(|id| !found.iter().any(|movement| movement.id == **id)) {
        return Err(Error::NotFound { what: "stock movement", name: missing.to_string() });
    }
    let halves = |kind| found.iter().filter(move |movement: &&Movement| movement.kind == kind);
    let outs: Vec<i64> =
        halves(MovementKind::TransferIn).filter_map(|half| half.related_movement_id).collect();
    let left: Vec<i64> = halves(MovementKind::TransferOut).map(|half| half.id).collect();
    let products: Vec<i64> = found.iter().map(|movement| movement.pool.product_id).collect();
    if !outs.is_empty() {
        found.extend(movements::find(conn, tenant, &outs).await?);
    }
    if !left.is_empty() {
        found.extend(movements::related_to(conn, tenant, &products, &left).await?);
    }
    found.sort_by_key(|movement| movement.id);
    found.dedup_by_key(|movement| movement.id);
    Ok(found)
}
