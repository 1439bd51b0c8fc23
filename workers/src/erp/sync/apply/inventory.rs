//! Levels: what is there is a count, whatever was there before. All of a page at once, so that products are locked in order.

use std::collections::BTreeMap;

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
    let (mut meant, mut movements) = (Vec::new(), Vec::new());
    for record in records {
        if is_known(known.get(&record.external_id), record) {
            counts.unchanged += 1;
            continue;
        }
        match movement(tx, taking, record).await {
            Ok(Some(movement)) => {
                movements.push(movement);
                meant.push(record);
                known.insert(record.external_id.clone(), link(record));
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
    let recorded = record_each(tx, taking.tenant, &movements).await?;
    for (record, recorded) in meant.into_iter().zip(recorded) {
        match recorded {
            Ok(_) => {
                counts.changed += 1;
                refs::save(&mut tx.conn(), taking.of, &link(record), taking.is_full.then_some(taking.run))
                    .await?;
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

fn link(record: &Record) -> Ref {
    Ref {
        external_id: record.external_id.clone(),
        internal_id: None,
        alias: None,
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
    let mut count =
        NewMovement::new(MovementKind::Count, product, location.id, quantity.max(Decimal::ZERO), source);
    if quantity < Decimal::ZERO {
        count.reason =
            Some(format!("{quantity} at {}: more was sold than was there", taking.connection.name));
    }
    Ok(Some(count))
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
