//! Batches come into being when somebody names their lots.

use std::collections::HashMap;

use chrono::NaiveDate;
use fairlane::{Error, Result, Tenant, Transaction};

use super::{Batch, NamedLot};
use crate::erp::services::{one_line, scanners};
use crate::erp::store::batches;
use crate::erp::store::stock::{ledgers, referred};

/// Locks the ledgers of products until the transaction ends. For a transaction that calls several of these services: lock
/// everything it will be about first, and it waits for nobody in a circle. What is no product of the tenant is passed over.
pub async fn lock(tx: &mut Transaction, tenant: &Tenant, products: &[i64]) -> Result<()> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let known = referred::products(conn, id, products).await?;
    ledgers::lock(conn, id, &known.into_keys().collect::<Vec<_>>()).await?;
    Ok(())
}

/// The batches of these lots, in their order; those that are not there yet are made.
///
/// A lot whose last day is another than the one it is known with is refused: one of the two is a mistake. The products'
/// ledgers are locked: name all lots of a transaction at once, and [`lock`] before if its movements are about more.
pub async fn batches(tx: &mut Transaction, tenant: &Tenant, lots: &[NamedLot]) -> Result<Vec<Batch>> {
    let found = batches_of_goods_taken_in(tx, tenant, lots).await?;
    let products: Vec<i64> = lots.iter().map(|lot| lot.product_id).collect();
    let known = referred::products(&mut tx.conn(), tenant.id().await?, &products).await?;
    for (lot, batch) in lots.iter().zip(&found) {
        agrees(lot, batch, known.get(&lot.product_id).map_or("?", |product| &product.sku))?;
    }
    Ok(found)
}

/// As [`batches`], whatever their last days are by now: that was looked at when the goods were taken in.
pub(super) async fn batches_of_goods_taken_in(
    tx: &mut Transaction,
    tenant: &Tenant,
    lots: &[NamedLot],
) -> Result<Vec<Batch>> {
    let id = tenant.id().await?;
    if !lots.is_empty() {
        scanners::ensure_first(tx, tenant).await?;
    }
    let conn = &mut tx.conn();
    let mut named = lots.to_vec();
    for lot in &mut named {
        lot.lot = one_line("a lot", &lot.lot, 100)?;
    }
    let products: Vec<i64> = named.iter().map(|lot| lot.product_id).collect();
    let known = referred::products(conn, id, &products).await?;
    if let Some(missing) = products.iter().find(|product| !known.contains_key(product)) {
        return Err(Error::NotFound { what: "product", name: missing.to_string() });
    }
    ledgers::lock(conn, id, &products).await?;
    let stored = batches::ensure(conn, id, &distinct(&named)).await?;
    let by_lot: HashMap<(i64, &str), &Batch> =
        stored.iter().map(|batch| ((batch.product_id, batch.lot.as_str()), batch)).collect();
    let find = |lot: &NamedLot| {
        let batch = by_lot.get(&(lot.product_id, lot.lot.as_str()));
        batch
            .map(|batch| (*batch).clone())
            .ok_or_else(|| Error::Damaged(format!("batch {} was stored and is not there", lot.lot)))
    };
    named.iter().map(find).collect()
}

/// Corrects the last day of a lot, or takes it away; returns the batch as it was and as it is.
///
/// Alerts about another stage than today's are closed by the next scan, which opens those that are due.
pub async fn set_last_day(
    tx: &mut Transaction,
    tenant: &Tenant,
    product: i64,
    lot: &str,
    expires_on: Option<NaiveDate>,
) -> Result<(Batch, Batch)> {
    let id = tenant.id().await?;
    // Behind the lock nobody delivers by the old day any more.
    lock(tx, tenant, &[product]).await?;
    let conn = &mut tx.conn();
    let missing = || Error::NotFound { what: "lot", name: lot.to_owned() };
    let before = batches::by_lot(conn, id, product, lot).await?.ok_or_else(missing)?;
    let after = Batch { expires_on, ..before.clone() };
    if after != before {
        batches::set_last_day(conn, id, before.id, expires_on).await?;
    }
    Ok((before, after))
}

/// Each lot once: the first day that is named for it counts.
fn distinct(named: &[NamedLot]) -> Vec<NamedLot> {
    let mut distinct: HashMap<(i64, &str), NamedLot> = HashMap::new();
    for lot in named {
        let known = distinct.entry((lot.product_id, &lot.lot)).or_insert_with(|| lot.clone());
        known.expires_on = known.expires_on.or(lot.expires_on);
    }
    let mut lots: Vec<NamedLot> = distinct.into_values().collect();
    lots.sort();
    lots
}

/// A batch expires on one day, whoever tells of it.
fn agrees(lot: &NamedLot, batch: &Batch, sku: &str) -> Result<()> {
    match (lot.expires_on, batch.expires_on) {
        (Some(named), Some(known)) if named != known => Err(Error::Refused {
            what: format!("lot {} of {sku}", lot.lot),
            why: format!(
                "its last day is {known}, not {named}; if {named} is right: fairlane erp stock lot set {sku} {} --expires {named}",
                lot.lot
            ),
        }),
        _ => Ok(()),
    }
}
