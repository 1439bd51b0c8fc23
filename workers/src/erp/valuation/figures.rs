//! What is told of a valued product.

use std::collections::HashSet;

use rust_decimal::Decimal;

use super::entry::PoolKey;
use super::fixed::{QUANTITY_DECIMALS, Rate, decimal};
use super::ledger::Ledger;
use super::pool::Pool;

/// Goods that came together, or (with a negative quantity) left before they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerFigures {
    /// The movement that brought or took them.
    pub movement: i64,
    /// Since when they are in the stock, in microseconds since 1970.
    pub since: i64,
    /// How many came, at what value.
    pub came: (Decimal, Decimal),
    /// How many are there.
    pub quantity: Decimal,
    /// What they are worth.
    pub value: Decimal,
}

/// A pool of stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFigures {
    /// Which one.
    pub key: PoolKey,
    /// How many are there.
    pub quantity: Decimal,
    /// What they are worth.
    pub value: Decimal,
    /// What one costs; of an empty pool, what it cost last.
    pub average_cost: Option<Decimal>,
    /// Its layers, oldest first.
    pub layers: Vec<LayerFigures>,
}

/// What a movement is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovementValue {
    /// The movement.
    pub movement: i64,
    /// How many came or, negative, left.
    pub quantity: Decimal,
    /// By how much the stock is worth more.
    pub value: Decimal,
    /// What of a cost belongs to goods that are gone: cost of goods sold.
    pub expensed: Decimal,
    /// Of a count, the value of what it took out.
    pub left: Decimal,
    /// Whether the value may still change: goods left that have not come yet.
    pub provisional: bool,
}

impl Ledger {
    /// All pools, by location and batch; an average cost has so many decimals.
    pub fn pools(&self, cost_decimals: u32) -> Vec<PoolFigures> {
        self.state.pools.iter().map(|(key, pool)| self.figures(*key, pool, cost_decimals)).collect()
    }

    fn figures(&self, key: PoolKey, pool: &Pool, cost_decimals: u32) -> PoolFigures {
        let currency = self.terms.currency_decimals;
        let (quantity, value) = (pool.quantity(), pool.value());
        let rate = Rate::of(value, quantity).or(pool.last);
        let there = pool.priced(self.terms.method).into_iter().map(|layer| LayerFigures {
            movement: layer.movement,
            since: layer.since,
            came: (self.pieces(layer.came.0), self.money(layer.came.1)),
            quantity: self.pieces(layer.quantity),
            value: self.money(layer.value),
        });
        let missing = pool.debts.iter().map(|debt| LayerFigures {
            movement: debt.movement,
            since: debt.since,
            came: (self.pieces(-debt.quantity), self.money(-debt.value)),
            quantity: self.pieces(-debt.quantity),
            value: self.money(-debt.value),
        });
        PoolFigures {
            key,
            quantity: self.pieces(quantity),
            value: self.money(value),
            average_cost: rate.map(|rate| rate.cost(currency, cost_decimals)),
            layers: there.chain(missing).collect(),
        }
    }

    /// How many there are of the product, and what they are worth.
    pub fn total(&self) -> (Decimal, Decimal) {
        let (quantity, value) = self.sums();
        (self.pieces(quantity), self.money(value))
    }

    /// What one costs, over all pools.
    pub fn average_cost(&self, decimals: u32) -> Option<Decimal> {
        let (quantity, value) = self.sums();
        let rate = Rate::of(value, quantity).or(self.state.last);
        rate.map(|rate| rate.cost(self.terms.currency_decimals, decimals))
    }

    fn sums(&self) -> (i128, i128) {
        let pools = self.state.pools.values();
        pools.fold((0, 0), |(quantity, value), pool| (quantity + pool.quantity(), value + pool.value()))
    }

    /// What each movement is worth, in their order; of a replay that went on from a snapshot those that are new or have
    /// another value now.
    pub fn values(&self) -> impl Iterator<Item = MovementValue> + '_ {
        let open: HashSet<i64> =
            self.state.pools.values().flat_map(|pool| pool.debts.iter().map(|debt| debt.movement)).collect();
        self.records.iter().filter(|record| record.changed).map(move |record| MovementValue {
            movement: record.id,
            quantity: self.pieces(record.quantity),
            value: self.money(record.value),
            expensed: self.money(record.expensed),
            left: self.money(record.left),
            provisional: open.contains(&record.id),
        })
    }

    fn pieces(&self, units: i128) -> Decimal {
        decimal(units, QUANTITY_DECIMALS).normalize()
    }

    fn money(&self, units: i128) -> Decimal {
        decimal(units, self.terms.currency_decimals)
    }
}
