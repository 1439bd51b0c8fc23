//! Movements recorded by hand, and the rules.

use chrono::NaiveDate;
use fairlane::cli::{CommandEnv, printable};
use fairlane::{Error, Tenant, Transaction};
use rust_decimal::Decimal;
use serde_json::json;
use uuid::Uuid;

use super::super::user_of;
use super::{What, Why};
use crate::erp::services::stock::{self, MovementKind, NamedLot, NewMovement, Recorded, Source, Transfer};
use crate::erp::store::stock::terms::{self, Negative, Terms};
use crate::erp::store::{batches, locations, products};

impl Why {
    /// What causes the movement: what the caller calls it, else this call.
    fn source(&self) -> Source {
        let id = self.reference.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        Source::new("manual", id)
    }
}

pub(super) async fn record(
    kind: MovementKind,
    what: &What,
    cost: Option<Decimal>,
    why: &Why,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let product = products::find(&mut tx.conn(), id, &what.sku).await?.id;
    let location = locations::by_code(&mut tx.conn(), id, &what.at).await?.id;
    let batch = match &what.lot {
        None => None,
        Some(lot) => {
            let lot = NamedLot { product_id: product, lot: lot.clone(), expires_on: what.expires };
            stock::batches(&mut tx, tenant, &[lot]).await?.first().map(|batch| batch.id)
        }
    };
    let mut movement = NewMovement::new(kind, product, location, what.quantity, why.source())
        .batch(batch)
        .unit_cost(cost)
        .user(user_of(&mut tx, id, why.user.as_deref()).await?);
    movement.reason.clone_from(&why.reason);
    let recorded = stock::record(&mut tx, tenant, movement).await?;
    tx.commit().await?;
    show(&[recorded], &format!("{kind} of {} {} at {}", what.quantity, what.sku, what.at), env)
}

/// From where to where.
pub(super) struct Way<'a> {
    pub(super) sku: &'a str,
    pub(super) quantity: Decimal,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) lot: Option<&'a str>,
}

pub(super) async fn transfer(
    way: Way<'_>,
    why: &Why,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let product_id = products::find(&mut tx.conn(), id, way.sku).await?.id;
    let transfer = Transfer {
        product_id,
        from: locations::by_code(&mut tx.conn(), id, way.from).await?.id,
        to: locations::by_code(&mut tx.conn(), id, way.to).await?.id,
        batch_id: lot_of(&mut tx, id, product_id, way.lot).await?,
        quantity: way.quantity,
        effective_at: None,
        source: why.source(),
        reason: why.reason.clone(),
        user_id: user_of(&mut tx, id, why.user.as_deref()).await?,
    };
    let (out, arrived) = stock::transfer(&mut tx, tenant, &transfer).await?;
    tx.commit().await?;
    let what = format!("transfer of {} {} from {} to {}", way.quantity, way.sku, way.from, way.to);
    show(&[out, arrived], &what, env)
}

async fn lot_of(
    tx: &mut Transaction,
    tenant: i64,
    product: i64,
    lot: Option<&str>,
) -> fairlane::Result<Option<i64>> {
    let Some(lot) = lot else { return Ok(None) };
    let batch = batches::by_lot(&mut tx.conn(), tenant, product, lot).await?;
    let batch = batch.ok_or_else(|| Error::NotFound { what: "lot", name: lot.to_owned() })?;
    Ok(Some(batch.id))
}

pub(super) async fn reverse(
    movement: i64,
    why: &Why,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let user = user_of(&mut tx, id, why.user.as_deref()).await?;
    let reversed = stock::reverse(&mut tx, tenant, movement, why.reason.as_deref(), user).await?;
    tx.commit().await?;
    show(&reversed, &format!("reversal of movement {movement}"), env)
}

pub(super) async fn set_last_day(
    sku: &str,
    lot: &str,
    expires_on: Option<NaiveDate>,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let product = products::find(&mut tx.conn(), id, sku).await?.id;
    let (before, after) = stock::set_last_day(&mut tx, tenant, product, lot, expires_on).await?;
    tx.commit().await?;
    let day = |day: Option<NaiveDate>| day.map_or_else(|| "none".to_owned(), |day| day.to_string());
    let line = format!(
        "The last day of lot {lot} of {sku} is {}; it was {}.",
        day(expires_on),
        day(before.expires_on)
    );
    Ok(env.output.result(&after, Some(&after.id.to_string()), &[printable(&line)])?)
}

pub(super) async fn terms(
    negative: Option<Negative>,
    low_at_minimum: Option<bool>,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let before = terms::find(&mut tx.conn(), id).await?.0;
    let terms = Terms {
        negative: negative.unwrap_or(before.negative),
        low_at_minimum: low_at_minimum.unwrap_or(before.low_at_minimum),
    };
    if terms != before {
        terms::save(&mut tx.conn(), id, terms).await?;
    }
    tx.commit().await?;
    let low = if terms.low_at_minimum { "at its minimum or below" } else { "below its minimum" };
    let line = format!("When more leaves than is there: {}. Stock is low {low}.", terms.negative);
    Ok(env.output.result(&terms, None, &[line])?)
}

/// What became of movements; `what` names them all.
fn show(recorded: &[Recorded], what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    let line = |one: &Recorded| match one {
        Recorded::Now { movement_id, on_hand, .. } => {
            format!("Movement {movement_id}, {what}, is recorded; {on_hand} are there now.")
        }
        Recorded::Before { movement_id } => {
            format!("Movement {movement_id}, {what}, was recorded before; nothing has changed.")
        }
    };
    let json = |one: &Recorded| match *one {
        Recorded::Now { movement_id, seq, quantity, on_hand } => json!({
            "movement_id": movement_id, "seq": seq, "quantity": quantity, "on_hand": on_hand, "new": true,
        }),
        Recorded::Before { movement_id } => json!({ "movement_id": movement_id, "new": false }),
    };
    let lines: Vec<String> = recorded.iter().map(|one| printable(&line(one))).collect();
    let ids: Vec<String> = recorded.iter().map(|one| one.movement_id().to_string()).collect();
    let result = json!({ "movements": recorded.iter().map(json).collect::<Vec<_>>() });
    Ok(env.output.result(&result, Some(&ids.join("\n")), &lines)?)
}
