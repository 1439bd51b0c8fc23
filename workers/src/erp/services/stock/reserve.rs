//! What approved orders hold back.

use std::collections::{BTreeSet, HashMap};

use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;

use super::low::{Place, check_levels};
use crate::erp::store::stock::levels::Level;
use crate::erp::store::stock::reservations::Reservation;
use crate::erp::store::stock::terms::{self, Negative};
use crate::erp::store::stock::{Pool, ledgers, levels, referred, reservations, sites};

/// Holds back what an order's lines will take. Where the stock must not fall below 0, what is not there cannot be
/// promised: the whole order is refused.
pub(crate) async fn reserve(
    tx: &mut Transaction,
    tenant: &Tenant,
    order: i64,
    wanted: &[Reservation],
) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    ledgers::lock(conn, id, &products(wanted)).await?;
    let mut levels = by_pool(levels::of_products(conn, id, &products(wanted)).await?);
    if terms::find(conn, id).await?.0.negative == Negative::Forbid {
        suffice(conn, id, &levels, wanted).await?;
    }
    reservations::insert(conn, id, order, wanted).await?;
    let changed = change(&mut levels, wanted, |reserved, quantity| reserved + quantity);
    levels::save(conn, id, &changed).await?;
    check_levels(tx, tenant, &places(wanted)).await
}

/// Ends what an order holds back, if it holds anything back; returns what that was.
pub(crate) async fn release(tx: &mut Transaction, tenant: &Tenant, order: i64) -> Result<Vec<Reservation>> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let held = reservations::of_order(conn, id, order).await?;
    if held.is_empty() {
        return Ok(held);
    }
    ledgers::lock(conn, id, &products(&held)).await?;
    // Read again behind the lock: somebody else may have ended it.
    let held = reservations::of_order(conn, id, order).await?;
    let mut levels = by_pool(levels::of_products(conn, id, &products(&held)).await?);
    let changed = change(&mut levels, &held, |reserved, quantity| (reserved - quantity).max(Decimal::ZERO));
    levels::save(conn, id, &changed).await?;
    reservations::delete(conn, id, order).await?;
    Ok(held)
}

/// As [`release`], for an order that will not be delivered: what is free again may end an alert.
pub(crate) async fn give_back(tx: &mut Transaction, tenant: &Tenant, order: i64) -> Result<()> {
    let held = release(tx, tenant, order).await?;
    check_levels(tx, tenant, &places(&held)).await
}

pub(super) fn products(held: &[Reservation]) -> Vec<i64> {
    held.iter().map(|one| one.pool.product_id).collect()
}

fn places(held: &[Reservation]) -> BTreeSet<Place> {
    held.iter().map(|one| (one.pool.product_id, one.pool.location_id)).collect()
}

fn by_pool(levels: Vec<Level>) -> HashMap<Pool, Level> {
    levels.into_iter().map(|level| (level.pool, level)).collect()
}

fn change(
    levels: &mut HashMap<Pool, Level>,
    held: &[Reservation],
    to: impl Fn(Decimal, Decimal) -> Decimal,
) -> Vec<Level> {
    for one in held {
        let level = levels.entry(one.pool).or_insert_with(|| Level::empty(one.pool));
        level.reserved = to(level.reserved, one.quantity);
    }
    let pools: BTreeSet<Pool> = held.iter().map(|one| one.pool).collect();
    pools.iter().filter_map(|pool| levels.get(pool).copied()).collect()
}

/// Refuses what is not available at its place (the bins in it count), at the whole site of it, or not of its batch.
async fn suffice(
    conn: &mut Conn<'_>,
    tenant: i64,
    levels: &HashMap<Pool, Level>,
    wanted: &[Reservation],
) -> Result<()> {
    let places: Vec<i64> = wanted.iter().map(|one| one.pool.location_id).collect();
    let site_of = sites::of(conn, tenant, &places).await?;
    let roots: Vec<i64> = places.iter().chain(site_of.values()).copied().collect();
    let within = sites::within(conn, tenant, &roots).await?;
    let stock = Stock { levels, wanted, within: &within };
    for one in wanted {
        let pool = one.pool;
        let site = site_of.get(&pool.location_id).copied().unwrap_or(pool.location_id);
        let Some(left) = stock.shortage(pool, site) else { continue };
        let sku = referred::products(conn, tenant, &[pool.product_id]).await?.remove(&pool.product_id);
        let place = referred::locations(conn, tenant, &[pool.location_id]).await?.remove(&pool.location_id);
        return Err(Error::Refused {
            what: format!(
                "line {}, {} {} from {}",
                one.line_no,
                one.quantity,
                sku.map_or_else(|| "?".into(), |product| product.sku),
                place.map_or_else(|| "?".into(), |location| location.code)
            ),
            why: format!("{left} are available, and the stock must not fall below 0"),
        });
    }
    Ok(())
}

/// What is there, and all that an order wants of it.
struct Stock<'a> {
    levels: &'a HashMap<Pool, Level>,
    wanted: &'a [Reservation],
    within: &'a HashMap<i64, Vec<i64>>,
}

impl Stock<'_> {
    /// How many are available of a pool, where that is less than what the order wants of it.
    fn shortage(&self, pool: Pool, site: i64) -> Option<Decimal> {
        let lies_in = |other: &Pool, root: i64| {
            let parts = self.within.get(&root).is_some_and(|parts| parts.contains(&other.location_id));
            other.product_id == pool.product_id && parts
        };
        let at_site = |other: &Pool| lies_in(other, site);
        let at_place = |other: &Pool| lies_in(other, pool.location_id);
        let of_batch = |other: &Pool| at_place(other) && other.batch_id == pool.batch_id;
        let mut scopes: Vec<&dyn Fn(&Pool) -> bool> = vec![&at_site, &at_place];
        if pool.batch_id.is_some() {
            scopes.push(&of_batch);
        }
        let short = scopes.iter().any(|scope| self.free(scope) < self.asked(scope));
        short.then(|| scopes.iter().map(|scope| self.free(scope)).min().unwrap_or_default())
    }

    fn free(&self, fits: &dyn Fn(&Pool) -> bool) -> Decimal {
        let here = self.levels.values().filter(|level| fits(&level.pool));
        here.map(|level| level.on_hand - level.reserved).sum()
    }

    fn asked(&self, fits: &dyn Fn(&Pool) -> bool) -> Decimal {
        self.wanted.iter().filter(|one| fits(&one.pool)).map(|one| one.quantity).sum()
    }
}
