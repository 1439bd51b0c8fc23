//! What each kind of movement does.

use super::entry::{Counted, Entry, Method, Scope, Step};
use super::fixed::{Overflow, QUANTITY_DECIMALS, Rate, ratio, share, whole};
use super::ledger::Ledger;
use super::pool::{Debt, Layer, Settled, Taken, spread};
use super::records::Record;

type Done = Result<(), Overflow>;

impl Ledger {
    pub(super) fn step(&mut self, entry: &Entry) -> Done {
        let quantity = whole(entry.quantity, QUANTITY_DECIMALS)?;
        match entry.step {
            Step::Receipt | Step::Issue => self.come_or_go(entry, quantity)?,
            Step::ReturnIn if quantity > 0 => self.come_back(entry, quantity)?,
            Step::ReturnOut if quantity < 0 => self.issue(entry, -quantity, entry.of)?,
            Step::ReturnIn | Step::ReturnOut => self.come_or_go(entry, quantity)?,
            Step::TransferOut | Step::TransferIn if !self.divides_by_location() => {
                self.records.add(Record::new(entry.id, quantity, 0));
            }
            Step::TransferOut => self.leave(entry, -quantity)?,
            Step::TransferIn => self.arrive(entry, quantity)?,
            Step::Count(counted) => return self.count(entry, counted),
            Step::Adjust => self.adjust(entry, quantity)?,
            Step::LandedCost => self.landed_cost(entry)?,
            Step::Revalue => self.revalue(entry)?,
        }
        *self.state.places.entry(entry.place).or_default() += quantity;
        self.sweep(entry)
    }

    fn divides_by_location(&self) -> bool {
        matches!(self.terms.scope, Scope::Location | Scope::LocationBatch)
    }

    fn come_or_go(&mut self, entry: &Entry, quantity: i128) -> Done {
        match quantity {
            0.. => self.receive(entry, quantity),
            _ => self.issue(entry, -quantity, None),
        }
    }

    /// At the cost it is told with, else at the one that is known.
    fn cost(&mut self, entry: &Entry, quantity: i128) -> Result<i128, Overflow> {
        let rate = match entry.unit_cost {
            Some(cost) => Some(Rate::per_piece(cost, self.terms.currency_decimals).ok_or(Overflow)?),
            None => self.known_rate(entry.place),
        };
        rate.map_or(Ok(0), |rate| rate.times(quantity))
    }

    fn receive(&mut self, entry: &Entry, quantity: i128) -> Done {
        let value = self.cost(entry, quantity)?;
        self.records.add(Record::new(entry.id, quantity, value));
        self.bring(entry, new_layer(entry, quantity, value))
    }

    fn bring(&mut self, entry: &Entry, layer: Layer) -> Done {
        let method = self.terms.method;
        let pool = self.pool(entry.place);
        let (settled, last) = (pool.bring(method, layer)?, pool.last);
        self.state.last = last.or(self.state.last);
        self.settle(settled);
        Ok(())
    }

    fn issue(&mut self, entry: &Entry, quantity: i128, first: Option<i64>) -> Done {
        let taken = self.take(entry, quantity, first, false)?;
        self.records.add(Record::new(entry.id, -quantity, -taken.value));
        Ok(())
    }

    /// Takes goods out of the entry's pool; what is not there leaves at the cost that is known.
    fn take(
        &mut self,
        entry: &Entry,
        quantity: i128,
        first: Option<i64>,
        transfer: bool,
    ) -> Result<Taken, Overflow> {
        let method = self.terms.method;
        let pool = self.pool(entry.place);
        let (mut taken, last) = (pool.take(method, quantity, first)?, pool.last);
        self.state.last = last.or(self.state.last);
        if taken.missing > 0 {
            let rate = self.known_rate(entry.place);
            let hint = self.hints.get(&entry.id).copied().unwrap_or_default();
            let value = rate.map_or(Ok(0), |rate| rate.times(taken.missing))? + hint;
            let debt = Debt { movement: entry.id, since: entry.at, transfer, quantity: taken.missing, value };
            let pool = self.pool(entry.place);
            pool.debts.push_back(debt);
            pool.last = pool.last.or(rate);
            taken.value += value;
            taken.layers.push(new_layer(entry, taken.missing, value));
        }
        Ok(taken)
    }

    /// What has left comes back at the cost it left with; the last of it takes the rest.
    fn come_back(&mut self, entry: &Entry, quantity: i128) -> Done {
        let Some(issue) = self.named(entry.of).filter(|record| record.quantity < 0) else {
            return self.receive(entry, quantity);
        };
        let out = (-issue.quantity - issue.returned.0).max(0);
        let back = quantity.min(out);
        let mut value = if back == 0 { 0 } else { share(-issue.value - issue.returned.1, back, out)? };
        if quantity > back {
            value += ratio(issue.value, quantity - back, issue.quantity)?;
        }
        if let Some(record) = self.records.get_mut(issue.id) {
            record.returned = (issue.returned.0 + quantity, issue.returned.1 + value);
        }
        self.records.add(Record::new(entry.id, quantity, value));
        self.bring(entry, new_layer(entry, quantity, value))
    }

    fn adjust(&mut self, entry: &Entry, quantity: i128) -> Done {
        let corrected = self.named(entry.of);
        match corrected {
            _ if quantity <= 0 => self.issue(entry, -quantity, None),
            Some(issue) if issue.quantity < 0 => self.come_back(entry, quantity),
            // More of a receipt came than was written down: at that receipt's cost.
            Some(receipt) if receipt.quantity > 0 && entry.unit_cost.is_none() => {
                let value = ratio(receipt.value, quantity, receipt.quantity)?;
                self.records.add(Record::new(entry.id, quantity, value));
                self.bring(entry, new_layer(entry, quantity, value))
            }
            _ => self.receive(entry, quantity),
        }
    }

    fn leave(&mut self, entry: &Entry, quantity: i128) -> Done {
        let taken = self.take(entry, quantity, None, true)?;
        self.records.add(Record::new(entry.id, -quantity, -taken.value));
        self.transit.insert(entry.id, taken.layers);
        Ok(())
    }

    /// The same layers, to the cent; how long they have been in the stock goes with them.
    fn arrive(&mut self, entry: &Entry, quantity: i128) -> Done {
        let Some(layers) = entry.of.and_then(|out| self.transit.remove(&out)) else {
            self.named(entry.of);
            return self.come_or_go(entry, quantity);
        };
        let value = layers.iter().map(|layer| layer.value).sum();
        self.records.add(Record::new(entry.id, quantity, value));
        for layer in layers {
            let came = (layer.quantity, layer.value);
            self.bring(entry, Layer { movement: entry.id, came, ..layer })?;
        }
        Ok(())
    }

    /// With a cost, what was counted takes the place of what was there; without, the difference comes or goes.
    fn count(&mut self, entry: &Entry, counted: Counted) -> Done {
        let before = self.state.places.get(&entry.place).copied().unwrap_or_default();
        let difference = match counted {
            Counted::To(quantity) => whole(quantity, QUANTITY_DECIMALS)? - before,
            Counted::By(difference) => whole(difference, QUANTITY_DECIMALS)?,
        };
        *self.state.places.entry(entry.place).or_default() += difference;
        if entry.unit_cost.is_none() {
            self.come_or_go(entry, difference)?;
            return self.sweep(entry);
        }
        let pool = self.pool(entry.place);
        let (left, comes) = if pool.quantity() == before {
            (self.empty(entry), before + difference)
        } else {
            // The pool has more than was counted: what lay there leaves it, what was counted comes.
            let lay = before.max(0);
            (self.take(entry, lay, None, false)?.value, difference + lay)
        };
        let value = self.cost(entry, comes)?;
        let record = Record { left, ..Record::new(entry.id, difference, value - left) };
        self.records.add(record);
        match comes {
            0 => Ok(()),
            1.. => self.bring(entry, new_layer(entry, comes, value)),
            _ => {
                let debt = Debt {
                    movement: entry.id,
                    since: entry.at,
                    transfer: false,
                    quantity: -comes,
                    value: -value,
                };
                self.pool(entry.place).debts.push_back(debt);
                Ok(())
            }
        }
    }

    /// Raises what is still on hand of the receipt, wherever it lies; the rest is cost of goods that are gone.
    fn landed_cost(&mut self, entry: &Entry) -> Done {
        let amount = self.amount(entry)?;
        if entry.of.is_none() {
            return self.revalue(entry);
        }
        let receipt = self.named(entry.of).filter(|record| record.quantity > 0);
        let origin = entry.of.unwrap_or_default();
        let of_it = |layer: &&Layer| layer.origin == origin;
        let on_hand: i128 = self
            .state
            .pools
            .values()
            .flat_map(|pool| pool.layers.iter().filter(of_it))
            .map(|layer| layer.quantity)
            .sum();
        let stock = match receipt {
            Some(receipt) if on_hand > 0 => share(amount, on_hand.min(receipt.quantity), receipt.quantity)?,
            _ => 0,
        };
        let (mut value, mut quantity) = (stock, on_hand);
        for pool in self.state.pools.values_mut() {
            for layer in pool.layers.iter_mut().filter(|layer| layer.origin == origin) {
                let part = share(value, layer.quantity, quantity)?;
                (value, quantity) = (value - part, quantity - layer.quantity);
                pool.worth += part;
                if self.terms.method == Method::Fifo {
                    layer.value += part;
                }
            }
        }
        let record = Record { expensed: amount - stock, ..Record::new(entry.id, 0, stock) };
        self.records.add(record);
        Ok(())
    }

    /// Spread by quantity; where nothing is there, nothing can be worth more.
    fn revalue(&mut self, entry: &Entry) -> Done {
        let amount = self.amount(entry)?;
        let method = self.terms.method;
        let pool = self.pool(entry.place);
        if pool.there == 0 {
            self.records.add(Record { expensed: amount, ..Record::new(entry.id, 0, 0) });
            return Ok(());
        }
        pool.worth += amount;
        if method == Method::Fifo {
            let mut parts: Vec<Layer> = pool.layers.iter().copied().collect();
            spread(amount, parts.iter_mut(), pool.there)?;
            for (layer, part) in pool.layers.iter_mut().zip(parts) {
                layer.value += part.value;
            }
        }
        self.records.add(Record::new(entry.id, 0, amount));
        Ok(())
    }

    fn amount(&self, entry: &Entry) -> Result<i128, Overflow> {
        whole(entry.amount.unwrap_or_default(), self.terms.currency_decimals)
    }

    /// What is less than half of a quantity's last decimal is nothing, and is worth nothing.
    fn sweep(&mut self, entry: &Entry) -> Done {
        if self.terms.quantity_decimals >= QUANTITY_DECIMALS {
            return Ok(());
        }
        let unit = 10_i128.pow(QUANTITY_DECIMALS - self.terms.quantity_decimals);
        let pool = self.pool(entry.place);
        let quantity = pool.quantity();
        if quantity == 0 || quantity.abs() * 2 >= unit {
            return Ok(());
        }
        let left = self.empty(entry);
        if let Some(record) = self.records.get_mut(entry.id) {
            record.value -= left;
        }
        Ok(())
    }

    /// Empties the entry's pool; what had left it before it came keeps the value it left at. Returns what it was worth.
    fn empty(&mut self, entry: &Entry) -> i128 {
        let pool = self.pool(entry.place);
        let left = pool.value();
        let settled = pool.debts.iter().map(|debt| Settled {
            movement: debt.movement,
            transfer: debt.transfer,
            quantity: debt.quantity,
            difference: 0,
        });
        let settled = settled.collect();
        pool.clear();
        self.settle(settled);
        left
    }
}

fn new_layer(entry: &Entry, quantity: i128, value: i128) -> Layer {
    Layer { movement: entry.id, origin: entry.id, since: entry.at, came: (quantity, value), quantity, value }
}
