//! A slow model of the rules, written for reading: exact decimals, lists that are searched from the front, no snapshot. What
//! left before it came is a mark on the movement that took it.

use std::collections::BTreeMap;

use fairlane_workers::erp::valuation::{Counted, Entry, Method, PoolKey, Step, Terms};
use rust_decimal::{Decimal, RoundingStrategy};

/// Goods that came together.
#[derive(Debug, Clone)]
struct Lot {
    origin: i64,
    pieces: Decimal,
    /// By the average nothing: the pool has the value.
    value: Decimal,
}

#[derive(Debug, Clone, Default)]
struct Pool {
    lots: Vec<Lot>,
    /// By the average, of all that is there.
    value: Decimal,
    last: Option<(Decimal, Decimal)>,
}

/// What a movement did.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) id: i64,
    pub(crate) quantity: Decimal,
    pub(crate) value: Decimal,
    pub(crate) expensed: Decimal,
    /// Pieces that were not there: of which pool, how many, at what provisional value.
    missing: Option<(PoolKey, Decimal, Decimal)>,
    returned: (Decimal, Decimal),
}

/// The model.
pub(crate) struct Model {
    terms: Terms,
    pools: BTreeMap<PoolKey, Pool>,
    pub(crate) done: Vec<Done>,
    last: Option<(Decimal, Decimal)>,
    /// Transfers of more than was there: they are another test's.
    pub(crate) skipped: Vec<i64>,
    moving: BTreeMap<i64, Vec<Lot>>,
}

impl Model {
    pub(crate) fn replay(terms: Terms, entries: &[Entry]) -> Self {
        let mut model = Self {
            terms,
            pools: BTreeMap::new(),
            done: Vec::new(),
            last: None,
            skipped: Vec::new(),
            moving: BTreeMap::new(),
        };
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        sorted.sort_by_key(|entry| (entry.at, entry.id));
        for entry in sorted {
            model.step(entry);
        }
        model
    }

    /// Quantity and value of every pool.
    pub(crate) fn pools(&self) -> BTreeMap<PoolKey, (Decimal, Decimal)> {
        self.pools
            .iter()
            .map(|(key, pool)| (*key, (self.quantity(*key, pool), self.worth(*key, pool))))
            .collect()
    }

    fn quantity(&self, key: PoolKey, pool: &Pool) -> Decimal {
        let there: Decimal = pool.lots.iter().map(|lot| lot.pieces).sum();
        there - self.missing(key).map(|(pieces, _)| pieces).sum::<Decimal>()
    }

    fn worth(&self, key: PoolKey, pool: &Pool) -> Decimal {
        let lots: Decimal = pool.lots.iter().map(|lot| lot.value).sum();
        lots + pool.value - self.missing(key).map(|(_, value)| value).sum::<Decimal>()
    }

    fn missing(&self, key: PoolKey) -> impl Iterator<Item = (Decimal, Decimal)> + '_ {
        let of_pool =
            move |missing: &(PoolKey, Decimal, Decimal)| (missing.0 == key).then_some((missing.1, missing.2));
        self.done.iter().filter_map(|done| done.missing.as_ref()).filter_map(of_pool)
    }

    fn rounded(&self, value: Decimal) -> Decimal {
        value.round_dp_with_strategy(self.terms.currency_decimals, RoundingStrategy::MidpointAwayFromZero)
    }

    fn part(&self, value: Decimal, pieces: Decimal, of: Decimal) -> Decimal {
        if pieces == of { value } else { self.rounded(value * pieces / of) }
    }

    fn step(&mut self, entry: &Entry) {
        let key = self.terms.scope.pool(entry.place);
        let pieces = entry.quantity.abs();
        match entry.step {
            Step::Receipt => self.receive(entry, key, pieces),
            Step::Issue => self.issue(entry, key, pieces, None),
            Step::ReturnOut => self.issue(entry, key, pieces, entry.of),
            Step::ReturnIn => self.come_back(entry, key, pieces),
            Step::Adjust if entry.quantity < Decimal::ZERO => self.issue(entry, key, pieces, None),
            Step::Adjust => match self.find(entry.of) {
                Some(issue) if issue.quantity < Decimal::ZERO => self.come_back(entry, key, pieces),
                Some(receipt) if receipt.quantity > Decimal::ZERO => {
                    let value = self.rounded(receipt.value * pieces / receipt.quantity);
                    self.note(entry.id, pieces, value);
                    self.bring(entry, key, vec![Lot { origin: entry.id, pieces, value }]);
                }
                _ => self.receive(entry, key, pieces),
            },
            Step::Count(counted) => self.count(entry, key, counted),
            Step::LandedCost => self.landed_cost(entry),
            Step::Revalue => self.revalue(entry, key),
            Step::TransferOut => self.leave(entry, key, pieces),
            Step::TransferIn => {
                let Some(lots) = self.moving.remove(&entry.of.unwrap()) else {
                    return self.skipped.push(entry.id);
                };
                self.note(entry.id, pieces, lots.iter().map(|lot| lot.value).sum());
                self.bring(entry, key, lots);
            }
        }
    }

    fn note(&mut self, id: i64, quantity: Decimal, value: Decimal) {
        let (expensed, returned) = (Decimal::ZERO, (Decimal::ZERO, Decimal::ZERO));
        self.done.push(Done { id, quantity, value, expensed, missing: None, returned });
    }

    fn find(&self, id: Option<i64>) -> Option<Done> {
        self.done.iter().find(|done| Some(done.id) == id).cloned()
    }

    fn known(&self, key: PoolKey, pieces: Decimal) -> Decimal {
        let pool = self.pools.get(&key).cloned().unwrap_or_default();
        let there: Decimal = pool.lots.iter().map(|lot| lot.pieces).sum();
        let worth: Decimal = pool.lots.iter().map(|lot| lot.value).sum::<Decimal>() + pool.value;
        let of_stock = (there > Decimal::ZERO).then_some((worth, there));
        let standard = self.terms.standard_cost.map(|cost| (cost, Decimal::ONE));
        let rate = of_stock.or(pool.last).or(self.last).or(standard);
        rate.map_or(Decimal::ZERO, |(value, of)| self.rounded(value * pieces / of))
    }

    fn receive(&mut self, entry: &Entry, key: PoolKey, pieces: Decimal) {
        let value = match entry.unit_cost {
            Some(cost) => self.rounded(cost * pieces),
            None => self.known(key, pieces),
        };
        self.note(entry.id, pieces, value);
        self.bring(entry, key, vec![Lot { origin: entry.id, pieces, value }]);
    }

    fn bring(&mut self, _: &Entry, key: PoolKey, lots: Vec<Lot>) {
        for mut lot in lots.into_iter().filter(|lot| !lot.pieces.is_zero()) {
            self.pools.entry(key).or_default().last = Some((lot.value, lot.pieces));
            for at in 0..self.done.len() {
                let Some((pool, missing, provisional)) = self.done[at].missing else { continue };
                if pool != key || lot.pieces.is_zero() {
                    continue;
                }
                let pieces = missing.min(lot.pieces);
                let real = self.part(lot.value, pieces, lot.pieces);
                let supposed = self.part(provisional, pieces, missing);
                lot = Lot { pieces: lot.pieces - pieces, value: lot.value - real, ..lot };
                self.done[at].value -= real - supposed;
                let left = (key, missing - pieces, provisional - supposed);
                self.done[at].missing = (pieces < missing).then_some(left);
            }
            self.last = self.pools[&key].last;
            if lot.pieces.is_zero() {
                continue;
            }
            let average = self.terms.method == Method::Average;
            let pool = self.pools.get_mut(&key).unwrap();
            if average {
                pool.value += lot.value;
                lot.value = Decimal::ZERO;
            }
            pool.lots.push(lot);
        }
    }

    /// Takes pieces one lot after the other; what they were worth, and how many were not there.
    fn take(&mut self, key: PoolKey, wanted: Decimal, first: Option<i64>) -> (Vec<Lot>, Decimal, Decimal) {
        let average = self.terms.method == Method::Average;
        let mut pool = self.pools.get(&key).cloned().unwrap_or_default();
        let there: Decimal = pool.lots.iter().map(|lot| lot.pieces).sum();
        let pieces = wanted.min(there);
        let mut value = Decimal::ZERO;
        if average && pieces > Decimal::ZERO {
            pool.last = Some((pool.value, there));
            value = self.part(pool.value, pieces, there);
            pool.value -= value;
        }
        let mut order: Vec<usize> = (0..pool.lots.len()).collect();
        order.sort_by_key(|at| Some(pool.lots[*at].origin) != first);
        let (mut left, mut taken) = (pieces, Vec::new());
        for at in order {
            let lot = &mut pool.lots[at];
            let some = left.min(lot.pieces);
            if some.is_zero() {
                continue;
            }
            let part = self.part(lot.value, some, lot.pieces);
            if !average {
                pool.last = Some((lot.value, lot.pieces));
                value += part;
            }
            lot.pieces -= some;
            lot.value -= part;
            left -= some;
            taken.push(Lot { origin: lot.origin, pieces: some, value: part });
        }
        pool.lots.retain(|lot| !lot.pieces.is_zero());
        self.last = pool.last.or(self.last);
        self.pools.insert(key, pool);
        (taken, value, wanted - pieces)
    }

    fn issue(&mut self, entry: &Entry, key: PoolKey, wanted: Decimal, first: Option<i64>) {
        let (_, value, missing) = self.take(key, wanted, first);
        let provisional = if missing.is_zero() { Decimal::ZERO } else { self.known(key, missing) };
        self.note(entry.id, -wanted, -value - provisional);
        if missing > Decimal::ZERO {
            self.done.last_mut().unwrap().missing = Some((key, missing, provisional));
            self.remember_known(key);
        }
    }

    /// A pool that never had a cost has the one its goods left at.
    fn remember_known(&mut self, key: PoolKey) {
        let standard = self.terms.standard_cost.map(|cost| (cost, Decimal::ONE));
        let (product, pool) = (self.last, self.pools.get_mut(&key).unwrap());
        pool.last = pool.last.or(product).or(standard);
    }

    fn come_back(&mut self, entry: &Entry, key: PoolKey, pieces: Decimal) {
        let Some(issue) = self.find(entry.of).filter(|done| done.quantity < Decimal::ZERO) else {
            return self.receive(entry, key, pieces);
        };
        let out = (-issue.quantity - issue.returned.0).max(Decimal::ZERO);
        let back = pieces.min(out);
        let mut value = Decimal::ZERO;
        if back > Decimal::ZERO {
            value = self.part(-issue.value - issue.returned.1, back, out);
        }
        if pieces > back {
            value += self.rounded(issue.value * (pieces - back) / issue.quantity);
        }
        let noted = self.done.iter_mut().find(|done| done.id == issue.id).unwrap();
        noted.returned = (noted.returned.0 + pieces, noted.returned.1 + value);
        self.note(entry.id, pieces, value);
        self.bring(entry, key, vec![Lot { origin: entry.id, pieces, value }]);
    }

    fn count(&mut self, entry: &Entry, key: PoolKey, counted: Counted) {
        let Counted::To(to) = counted else { panic!("the model counts what is there") };
        let pool = self.pools.entry(key).or_default().clone();
        let (before, left) = (self.quantity(key, &pool), self.worth(key, &pool));
        let Some(cost) = entry.unit_cost else {
            let more = to - before;
            return if more < Decimal::ZERO {
                self.issue(entry, key, -more, None);
            } else {
                self.receive(entry, key, more);
            };
        };
        let value = self.rounded(cost * to);
        let there: Decimal = pool.lots.iter().map(|lot| lot.pieces).sum();
        let worth: Decimal = pool.lots.iter().map(|lot| lot.value).sum::<Decimal>() + pool.value;
        let emptied = self.pools.get_mut(&key).unwrap();
        *emptied =
            Pool { last: if there.is_zero() { pool.last } else { Some((worth, there)) }, ..Pool::default() };
        for done in &mut self.done {
            done.missing = done.missing.take_if(|missing| missing.0 != key);
        }
        self.note(entry.id, to - before, value - left);
        if to > Decimal::ZERO {
            self.bring(entry, key, vec![Lot { origin: entry.id, pieces: to, value }]);
        }
    }

    fn landed_cost(&mut self, entry: &Entry) {
        let amount = entry.amount.unwrap();
        let origin = entry.of.unwrap();
        let receipt = self.find(entry.of).filter(|done| done.quantity > Decimal::ZERO);
        let of_it = |pool: &Pool| {
            pool.lots.iter().filter(|lot| lot.origin == origin).map(|lot| lot.pieces).sum::<Decimal>()
        };
        let mut on_hand: Decimal = self.pools.values().map(of_it).sum();
        let stock = match receipt {
            Some(receipt) if on_hand > Decimal::ZERO => self.part(amount, on_hand, receipt.quantity),
            _ => Decimal::ZERO,
        };
        let mut left = stock;
        let keys: Vec<PoolKey> = self.pools.keys().copied().collect();
        for key in keys {
            for at in 0..self.pools[&key].lots.len() {
                let lot = self.pools[&key].lots[at].clone();
                if lot.origin != origin {
                    continue;
                }
                let part = self.part(left, lot.pieces, on_hand);
                (left, on_hand) = (left - part, on_hand - lot.pieces);
                self.raise(key, at, part);
            }
        }
        self.note(entry.id, Decimal::ZERO, stock);
        self.done.last_mut().unwrap().expensed = amount - stock;
    }

    fn raise(&mut self, key: PoolKey, at: usize, part: Decimal) {
        let average = self.terms.method == Method::Average;
        let pool = self.pools.get_mut(&key).unwrap();
        if average { pool.value += part } else { pool.lots[at].value += part }
    }

    fn revalue(&mut self, entry: &Entry, key: PoolKey) {
        let mut left = entry.amount.unwrap();
        let lots = self.pools.entry(key).or_default().lots.clone();
        let mut pieces: Decimal = lots.iter().map(|lot| lot.pieces).sum();
        if pieces.is_zero() {
            self.note(entry.id, Decimal::ZERO, Decimal::ZERO);
            self.done.last_mut().unwrap().expensed = left;
            return;
        }
        self.note(entry.id, Decimal::ZERO, left);
        for (at, lot) in lots.iter().enumerate() {
            let part = self.part(left, lot.pieces, pieces);
            (left, pieces) = (left - part, pieces - lot.pieces);
            self.raise(key, at, part);
        }
    }

    fn leave(&mut self, entry: &Entry, key: PoolKey, pieces: Decimal) {
        let there: Decimal = self.pools.entry(key).or_default().lots.iter().map(|lot| lot.pieces).sum();
        if there < pieces {
            return self.skipped.push(entry.id);
        }
        let (mut lots, value, _) = self.take(key, pieces, None);
        if self.terms.method == Method::Average {
            let (mut left, mut of) = (value, pieces);
            for lot in &mut lots {
                lot.value = self.part(left, lot.pieces, of);
                (left, of) = (left - lot.value, of - lot.pieces);
            }
        }
        self.note(entry.id, -pieces, -value);
        self.moving.insert(entry.id, lots);
    }
}
