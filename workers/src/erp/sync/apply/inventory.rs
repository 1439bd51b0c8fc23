//! Levels: what is there is a count, whatever was there before. All of a page at once, so that products are locked in order.
//!
//! Where a system's records each tell of a part of a place, as of a lot, what is there is their sum. All that is known of a place
//! is found by its name, [`level_name`].

use std::collections::{BTreeMap, BTreeSet};

use fairlane::{Error, Result, Transaction};
use rust_decimal::Decimal;

use super::super::connection::Entity;
use super::super::record::{Record, decimal_in};
use super::{Taking, is_known, is_of_the_record, reason, refuse};
use crate::erp::services::stock::{MovementKind, NewMovement, Source, record_each};
use crate::erp::store::locations::by_code;
use crate::erp::store::products::by_sku;
use crate::erp::store::sync::logs::Counts;
use crate::erp::store::sync::refs::{self, Ref};

pub(super) async fn take(
    tx: &mut Transaction,
    taking: Taking<'_>,
    records: &[Record],
    known: &mut BTreeMap<String, Ref>,
    counts: &mut Counts,
    done: &mut Vec<String>,
) -> Result<()> {
    let (mut meant, mut movements) = (Vec::<(&Record, String)>::new(), Vec::<NewMovement>::new());
    for record in records {
        if is_known(known.get(&record.external_id), record) {
            counts.unchanged += 1;
            continue;
        }
        match movement(tx, taking, record).await {
            Ok(Some(movement)) => {
                let name = level_name(movement.product_id, movement.location_id);
                known.insert(record.external_id.clone(), link(record, &name));
                movements.push(movement);
                meant.push((record, name));
            }
            // The other system does not count this one.
            Ok(None) => counts.unchanged += 1,
            Err(error) if is_of_the_record(&error) => {
                counts.refused += 1;
                refuse(tx, taking, &record.external_id, error.code(), reason(&error)).await?;
            }
            Err(error) => return Err(error),
        }
    }
    let sums = if taking.adds_up { sums(tx, taking, &meant).await? } else { BTreeMap::new() };
    for (movement, (_, name)) in movements.iter_mut().zip(&meant) {
        let quantity = sums.get(name).copied().unwrap_or(movement.quantity);
        set_quantity(movement, quantity, &taking.connection.name);
    }
    let recorded = record_each(tx, taking.tenant, &movements).await?;
    for ((record, name), recorded) in meant.into_iter().zip(recorded) {
        match recorded {
            Ok(_) => {
                counts.changed += 1;
                let seen = taking.is_full.then_some(taking.run);
                refs::save(&mut tx.conn(), taking.of, &link(record, &name), seen).await?;
                done.push(record.external_id.clone());
            }
            Err(error) => {
                counts.refused += 1;
                refuse(tx, taking, &record.external_id, error.code(), reason(&error)).await?;
            }
        }
    }
    Ok(())
}

/// By what the levels of a product at one of our places are known.
pub(in super::super) fn level_name(product: i64, location: i64) -> String {
    format!("{product}@{location}")
}

/// What is there by all that is known of these places.
async fn sums(
    tx: &mut Transaction,
    taking: Taking<'_>,
    meant: &[(&Record, String)],
) -> Result<BTreeMap<String, Decimal>> {
    let names: BTreeSet<&String> = meant.iter().map(|(_, name)| name).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let mut parts: BTreeMap<String, BTreeMap<String, Decimal>> = BTreeMap::new();
    for (name, known) in refs::levels(&mut tx.conn(), taking.of, &names).await? {
        let part = decimal_in(&known.base, "quantity").unwrap_or_default();
        parts.entry(name).or_default().insert(known.external_id, part);
    }
    for (record, name) in meant {
        let part = decimal_in(&record.fields, "quantity").unwrap_or_default();
        parts.entry(name.clone()).or_default().insert(record.external_id.clone(), part);
    }
    Ok(parts.into_iter().map(|(name, parts)| (name, parts.into_values().sum())).collect())
}

/// More may have been sold there than was there; here that is nothing.
fn set_quantity(count: &mut NewMovement, quantity: Decimal, connection: &str) {
    count.quantity = quantity.max(Decimal::ZERO);
    if quantity < Decimal::ZERO {
        count.reason = Some(format!("{quantity} at {connection}: more was sold than was there"));
    }
}

/// What is known of a level now.
pub(in super::super) fn link(record: &Record, name: &str) -> Ref {
    Ref {
        external_id: record.external_id.clone(),
        internal_id: None,
        alias: Some(name.to_owned()),
        content_hash: record.content_hash(),
        base: record.fields.clone(),
        local_version: None,
        remote_updated_at: record.updated_at,
        deleted_at: None,
    }
}

async fn movement(tx: &mut Transaction, taking: Taking<'_>, record: &Record) -> Result<Option<NewMovement>> {
    let Some(quantity) = decimal_in(&record.fields, "quantity") else { return Ok(None) };
    let product = product(tx, taking, record).await?;
    let theirs = record.text("location").unwrap_or_default();
    let code = taking.connection.settings.locations.get(theirs).map_or(theirs, String::as_str);
    let location = by_code(&mut tx.conn(), taking.of.tenant, code).await.map_err(|error| match error {
        Error::NotFound { .. } => Error::Refused {
            what: format!("a level at \"{theirs}\""),
            why: format!(
                "there is no location {code}; say which it is: fairlane erp sync connection set {} --location {theirs}=CODE",
                taking.connection.name
            ),
        },
        error => error,
    })?;
    // The time belongs to it: a quantity that goes up and down again is three counts, not two.
    let when = record
        .updated_at
        .map_or_else(|| format!("run {}", taking.run), |at| at.timestamp_micros().to_string());
    let hash: String = record.content_hash().chars().take(8).collect();
    let cause = format!("{}:{}:{when}:{hash}", taking.connection.id, record.external_id);
    let source = Source::new("sync", cause);
    Ok(Some(NewMovement::new(MovementKind::Count, product, location.id, quantity, source)))
}

async fn product(tx: &mut Transaction, taking: Taking<'_>, record: &Record) -> Result<i64> {
    let tenant = taking.of.tenant;
    if let Some(item) = record.text("item") {
        let products = taking.about(Entity::Products);
        if let Some(id) = refs::internal_of(&mut tx.conn(), products, item).await? {
            return Ok(id);
        }
    }
    if let Some(sku) = record.text("sku") {
        return Ok(by_sku(&mut tx.conn(), tenant, sku).await?.id);
    }
    Err(Error::Refused {
        what: format!("the level of \"{}\"", record.text("item").unwrap_or_default()),
        why: "no product is linked to it; take over the products first: --entity products".into(),
    })
}
