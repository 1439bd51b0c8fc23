//! Goods go from one location to another.

use chrono::{DateTime, Utc};
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;

use super::{MovementKind, NewMovement, Recorded, Source, record};

/// A transfer: what leaves one location arrives at the other.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Of which product.
    pub product_id: i64,
    /// From where.
    pub from: i64,
    /// To where.
    pub to: i64,
    /// Of which batch.
    pub batch_id: Option<i64>,
    /// How many.
    pub quantity: Decimal,
    /// When, if not now.
    pub effective_at: Option<DateTime<Utc>>,
    /// What causes it.
    pub source: Source,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// Who does it.
    pub user_id: Option<i64>,
}

/// Records both halves of a transfer; the one that arrives names the one that leaves.
pub async fn transfer(
    tx: &mut Transaction,
    tenant: &Tenant,
    transfer: &Transfer,
) -> Result<(Recorded, Recorded)> {
    if transfer.from == transfer.to {
        return Err(Error::Invalid {
            what: format!("the transfer {}", transfer.source),
            why: "it goes to where it comes from".into(),
        });
    }
    let half = |kind, location| NewMovement {
        batch_id: transfer.batch_id,
        effective_at: transfer.effective_at,
        reason: transfer.reason.clone(),
        user_id: transfer.user_id,
        ..NewMovement::new(kind, transfer.product_id, location, transfer.quantity, transfer.source.clone())
    };
    let out = record(tx, tenant, half(MovementKind::TransferOut, transfer.from)).await?;
    let arrives = NewMovement {
        related_movement_id: Some(out.movement_id()),
        ..half(MovementKind::TransferIn, transfer.to)
    };
    Ok((out, record(tx, tenant, arrives).await?))
}
