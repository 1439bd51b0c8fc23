//! One pool of stock: layers of quantity and value, and what has left before it came.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::entry::Method;
use super::fixed::{Overflow, Rate, share};

/// Goods that came together. By the average a layer has a quantity alone, and the pool has the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    /// The movement that brought it into this pool.
    pub(super) movement: i64,
    /// The movement that brought it into the stock.
    pub(super) origin: i64,
    /// When that was.
    pub(super) since: i64,
    /// How many came, and at what value.
    pub(super) came: (i128, i128),
    /// How many are there.
    pub(super) quantity: i128,
    /// What they are worth.
    pub(super) value: i128,
}

/// Goods that have left without being there, at a provisional value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Debt {
    /// The movement that took them.
    pub(super) movement: i64,
    /// When that was.
    pub(super) since: i64,
    /// Whether they went to another pool.
    pub(super) transfer: bool,
    /// How many are still missing.
    pub(super) quantity: i128,
    /// What they left at.
    pub(super) value: i128,
}

/// A part of a debt that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) movement: i64,
    pub(super) transfer: bool,
    pub(super) quantity: i128,
    /// How much more it is worth than it left at.
    pub(super) difference: i128,
}

/// What was taken out of a pool.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) layers: Vec<Layer>,
    pub(super) value: i128,
    /// How many were not there.
    pub(super) missing: i128,
}

/// A pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pool {
    pub(super) layers: VecDeque<Layer>,
    pub(super) debts: VecDeque<Debt>,
    /// The sums of the layers.
    pub(super) there: i128,
    pub(super) worth: i128,
    /// The cost that was known last.
    pub(super) last: Option<Rate>,
}

impl Pool {
    /// How many are there; negative where more have left than came.
    pub(super) fn quantity(&self) -> i128 {
        self.there - self.debts.iter().map(|debt| debt.quantity).sum::<i128>()
    }

    /// What they are worth.
    pub(super) fn value(&self) -> i128 {
        self.worth - self.debts.iter().map(|debt| debt.value).sum::<i128>()
    }

    /// The cost of what is there, or else the one known last.
    pub(super) fn rate(&self) -> Option<Rate> {
        Rate::of(self.worth, self.there).or(self.last)
    }

    /// Lets goods in: first they stand in for what has left before they came, oldest first, at their own cost.
    pub(super) fn bring(&mut self, method: Method, mut layer: Layer) -> Result<Vec<Settled>, Overflow> {
        let mut settled = Vec::new();
        self.last = Rate::of(layer.value, layer.quantity).or(self.last);
        while layer.quantity > 0
            && let Some(debt) = self.debts.front_mut()
        {
            let quantity = layer.quantity.min(debt.quantity);
            let value = share(layer.value, quantity, layer.quantity)?;
            let provisional = share(debt.value, quantity, debt.quantity)?;
            (layer.quantity, layer.value) = (layer.quantity - quantity, layer.value - value);
            (debt.quantity, debt.value) = (debt.quantity - quantity, debt.value - provisional);
            let (movement, transfer) = (debt.movement, debt.transfer);
            settled.push(Settled { movement, transfer, quantity, difference: value - provisional });
            if debt.quantity == 0 {
                self.debts.pop_front();
            }
        }
        if layer.quantity > 0 {
            self.there += layer.quantity;
            self.worth += layer.value;
            if method == Method::Average {
                layer.value = 0;
            }
            self.layers.push_back(layer);
        }
        Ok(settled)
    }

    /// Takes so many out: of the goods of `first` where they are there, then the oldest.
    pub(super) fn take(
        &mut self,
        method: Method,
        wanted: i128,
        first: Option<i64>,
    ) -> Result<Taken, Overflow> {
        let mut taken = Taken { missing: wanted, ..Taken::default() };
        let in_stock = wanted.min(self.there);
        let all = match method {
            Method::Average if in_stock > 0 => {
                self.last = Rate::of(self.worth, self.there).or(self.last);
                share(self.worth, in_stock, self.there)?
            }
            _ => 0,
        };
        if let Some(origin) = first {
            let mut at = 0;
            while at < self.layers.len() && taken.missing > 0 {
                match self.layers.get(at).is_some_and(|layer| layer.origin == origin) {
                    true => at += usize::from(!self.take_of(method, at, &mut taken)?),
                    false => at += 1,
                }
            }
        }
        while taken.missing > 0 && !self.layers.is_empty() {
            self.take_of(method, 0, &mut taken)?;
        }
        self.there -= in_stock;
        if method == Method::Average {
            taken.value = all;
            spread(all, taken.layers.iter_mut(), in_stock)?;
        }
        self.worth -= taken.value;
        Ok(taken)
    }

    /// Takes what is wanted of one layer; whether nothing is left of it.
    fn take_of(&mut self, method: Method, at: usize, taken: &mut Taken) -> Result<bool, Overflow> {
        let Some(layer) = self.layers.get_mut(at) else { return Ok(true) };
        let quantity = taken.missing.min(layer.quantity);
        let value = share(layer.value, quantity, layer.quantity)?;
        if method == Method::Fifo {
            self.last = Rate::of(layer.value, layer.quantity).or(self.last);
        }
        taken.layers.push(Layer { quantity, value, ..*layer });
        taken.value += value;
        taken.missing -= quantity;
        (layer.quantity, layer.value) = (layer.quantity - quantity, layer.value - value);
        let is_empty = layer.quantity == 0;
        if is_empty {
            self.layers.remove(at);
        }
        Ok(is_empty)
    }

    /// Empties the pool, debts and all.
    pub(super) fn clear(&mut self) {
        self.last = self.rate();
        self.layers.clear();
        self.debts.clear();
        (self.there, self.worth) = (0, 0);
    }

    /// What each layer is worth: by the average its share of the pool's value.
    pub(super) fn priced(&self, method: Method) -> Vec<Layer> {
        let mut layers: Vec<Layer> = self.layers.iter().copied().collect();
        // The sum of what is there always fits, and so does each part of it.
        if method == Method::Average && spread(self.worth, layers.iter_mut(), self.there).is_err() {
            layers.iter_mut().for_each(|layer| layer.value = 0);
        }
        layers
    }
}

/// Spreads a value over layers by their quantities: each is rounded once and the sum is the value.
pub(super) fn spread<'a>(
    value: i128,
    layers: impl Iterator<Item = &'a mut Layer>,
    quantity: i128,
) -> Result<(), Overflow> {
    let (mut value, mut quantity) = (value, quantity);
    for layer in layers {
        layer.value = share(value, layer.quantity, quantity)?;
        (value, quantity) = (value - layer.value, quantity - layer.quantity);
    }
    Ok(())
}
