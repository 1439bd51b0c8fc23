//! Levels are computed anew from what they are made of.

use std::collections::BTreeMap;

use fairlane::{Result, Tenant, Transaction};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::erp::store::stock::levels::Level;
use crate::erp::store::stock::{Pool, ledgers, levels, movements, plain, reservations};

/// Products of one transaction.
const CHUNK: i64 = 200;

/// A level that is not what its movements and reservations come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is stored.
    pub stored: Level,
    /// What it should be.
    pub right: Level,
}

/// One chunk of a rebuild.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// What was wrong.
    pub differences: Vec<Difference>,
    /// How many products were looked at.
    pub products: usize,
    /// The product to go on behind; `None` at the end.
    pub next: Option<i64>,
}

/// Compares the levels of the next products with the sums of their movements and reservations, and corrects them.
///
/// The products' ledgers are locked: movements wait for this transaction. Roll it back, and it was only a look.
pub async fn rebuild(tx: &mut Transaction, tenant: &Tenant, after: i64) -> Result<Rebuilt> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let products = ledgers::products(conn, id, after, CHUNK).await?;
    ledgers::lock(conn, id, &products).await?;
    let mut right = BTreeMap::<Pool, Level>::new();
    for (pool, quantity) in movements::sums(conn, id, &products).await? {
        right.entry(pool).or_insert_with(|| Level::empty(pool)).on_hand += quantity;
    }
    for (pool, quantity) in reservations::sums(conn, id, &products).await? {
        right.entry(pool).or_insert_with(|| Level::empty(pool)).reserved += quantity;
    }
    let mut stored: BTreeMap<Pool, Level> = levels::of_products(conn, id, &products)
        .await?
        .into_iter()
        .map(|level| (level.pool, level))
        .collect();
    for pool in right.keys() {
        stored.entry(*pool).or_insert_with(|| Level::empty(*pool));
    }
    let differences: Vec<Difference> = stored
        .into_values()
        .map(|stored| Difference { stored, right: tidy(right.get(&stored.pool), stored.pool) })
        .filter(|difference| difference.stored != difference.right)
        .collect();
    let corrected: Vec<Level> = differences.iter().map(|difference| difference.right).collect();
    levels::save(conn, id, &corrected).await?;
    let full = products.len() as i64 == CHUNK;
    let next = products.last().copied().filter(|_| full);
    Ok(Rebuilt { differences, products: products.len(), next })
}

fn tidy(level: Option<&Level>, pool: Pool) -> Level {
    let (on_hand, reserved) =
        level.map_or((Decimal::ZERO, Decimal::ZERO), |level| (level.on_hand, level.reserved));
    Level { pool, on_hand: plain(on_hand), reserved: plain(reserved) }
}
