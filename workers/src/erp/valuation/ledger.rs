//! The replay: what came before is known, each entry adds to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Place, PoolKey, Terms};
use super::fixed::{Overflow, QUANTITY_DECIMALS, Rate, ValuationError, whole};
use super::pool::{Layer, Pool, Settled};
use super::records::{Record, Records};

/// Transfers of goods that had not come yet are worth what they cost when they came: each pass knows more of them.
const PASSES: u32 = 8;

/// What a replay has come to.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) pools: BTreeMap<PoolKey, Pool>,
    /// How many are at each place, whatever a pool is: what counts are compared with.
    pub(super) places: BTreeMap<Place, i128>,
    /// The cost that was known last of the product, in any pool.
    pub(super) last: Option<Rate>,
}

/// What a replay has come to, to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// How it was valued.
    pub terms: Terms,
    pools: Vec<(PoolKey, Pool)>,
    places: Vec<(Place, i128)>,
    last: Option<Rate>,
    /// What came back of movements: how many, at what value.
    returned: BTreeMap<i64, (i128, i128)>,
}

impl Snapshot {
    /// The movements whose values a replay that goes on from here may have to change.
    pub fn unsettled(&self) -> BTreeSet<i64> {
        self.pools.iter().flat_map(|(_, pool)| pool.debts.iter().map(|debt| debt.movement)).collect()
    }
}

/// A replay under way. Give it the entries ordered by their effective time and, at the same time, as they were recorded;
/// what was taken back, and what took it back, is left out.
#[derive(Debug)]
pub struct Ledger {
    pub(super) terms: Terms,
    pub(super) state: State,
    pub(super) records: Records,
    /// Goods between two places.
    pub(super) transit: HashMap<i64, Vec<Layer>>,
    returned_before: BTreeMap<i64, (i128, i128)>,
    /// How much more transfers of missing goods are worth than was known when they left.
    pub(super) hints: HashMap<i64, i128>,
    late: HashMap<i64, i128>,
    passes: u32,
    resumed: bool,
    /// Whether something was needed of what the snapshot does not know.
    incomplete: bool,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            state: State::default(),
            records: Records::default(),
            transit: HashMap::new(),
            returned_before: BTreeMap::new(),
            hints: HashMap::new(),
            late: HashMap::new(),
            passes: 1,
            resumed: false,
            incomplete: false,
        }
    }

    /// Goes on from a snapshot.
    pub fn resume(snapshot: Snapshot) -> Self {
        let state = State {
            pools: snapshot.pools.into_iter().collect(),
            places: snapshot.places.into_iter().collect(),
            last: snapshot.last,
        };
        Self { state, returned_before: snapshot.returned, resumed: true, ..Self::new(snapshot.terms) }
    }

    /// Tells a resumed replay what a movement of before was worth: each that [`Snapshot::unsettled`] names, and each that
    /// an entry belongs to.
    ///
    /// # Errors
    /// When a number does not fit.
    pub fn know(
        &mut self,
        id: i64,
        quantity: Decimal,
        value: Decimal,
        expensed: Decimal,
    ) -> Result<(), ValuationError> {
        if self.records.get(id).is_some() {
            return Ok(());
        }
        let money = |number| whole(number, self.terms.currency_decimals);
        let read = || {
            let record = Record::new(id, whole(quantity, QUANTITY_DECIMALS)?, money(value)?);
            let returned = self.returned_before.get(&id).copied().unwrap_or_default();
            Ok::<_, Overflow>(Record { expensed: money(expensed)?, returned, changed: false, ..record })
        };
        let record = read().map_err(|Overflow| too_large(id, "value"))?;
        self.records.add(record);
        Ok(())
    }

    /// Whether it has been told what this movement is worth.
    pub fn knows(&self, id: i64) -> bool {
        self.records.get(id).is_some()
    }

    /// The next entry.
    ///
    /// # Errors
    /// When a number does not fit.
    pub fn push(&mut self, entry: &Entry) -> Result<(), ValuationError> {
        self.step(entry).map_err(|Overflow| too_large(entry.id, "value"))
    }

    /// Whether a replay that went on from a snapshot has met what it cannot know: then it has to begin anew.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// A ledger to replay everything into once more, where goods have left for another place before they came and it is
    /// known only now what they cost. `None` when all is said.
    pub fn again(&self) -> Option<Self> {
        if self.resumed || self.passes >= PASSES || self.late.values().all(|difference| *difference == 0) {
            return None;
        }
        let mut hints = self.hints.clone();
        for (transfer, difference) in &self.late {
            *hints.entry(*transfer).or_default() += difference;
        }
        Some(Self { hints, passes: self.passes + 1, ..Self::new(self.terms) })
    }

    /// What it has come to.
    pub fn snapshot(&self) -> Snapshot {
        let mut returned = self.returned_before.clone();
        let now = self.records.iter().filter(|record| record.returned.0 != 0);
        returned.extend(now.map(|record| (record.id, record.returned)));
        Snapshot {
            terms: self.terms,
            pools: self.state.pools.iter().map(|(key, pool)| (*key, pool.clone())).collect(),
            places: self.state.places.iter().map(|(place, quantity)| (*place, *quantity)).collect(),
            last: self.state.last,
            returned,
        }
    }

    pub(super) fn pool(&mut self, place: Place) -> &mut Pool {
        self.state.pools.entry(self.terms.scope.pool(place)).or_default()
    }

    /// What one costs at a place as far as anybody knows: what is there, else what it cost last, else the standard cost.
    pub(super) fn known_rate(&mut self, place: Place) -> Option<Rate> {
        let (last, decimals) = (self.state.last, self.terms.currency_decimals);
        let standard = self.terms.standard_cost.and_then(|cost| Rate::per_piece(cost, decimals));
        self.pool(place).rate().or(last).or(standard)
    }

    /// What a movement named by an entry was worth; one the snapshot does not know makes the replay begin anew.
    pub(super) fn named(&mut self, of: Option<i64>) -> Option<Record> {
        let found = of.and_then(|id| self.records.get(id).copied());
        self.incomplete |= self.resumed && of.is_some() && found.is_none();
        found
    }

    /// Goods have come that left before: their issue costs what they cost.
    pub(super) fn settle(&mut self, settled: Vec<Settled>) {
        let resumed = self.resumed;
        // A snapshot's movement may be provisional no more, though its value stays.
        for part in settled.into_iter().filter(|part| part.difference != 0 || resumed) {
            // What goods cost that left for another place before they came is found in passes, and how much each pass
            // adds depends on all that comes later: one that settles now may have made an earlier pass end elsewhere.
            self.incomplete |= resumed && part.transfer;
            let Some(record) = self.records.get_mut(part.movement) else {
                self.incomplete = true;
                continue;
            };
            record.value -= part.difference;
            record.changed = true;
            if part.transfer {
                // What arrived there was valued before: the next pass does it right.
                record.expensed += part.difference;
                *self.late.entry(part.movement).or_default() += part.difference;
            }
        }
    }
}

fn too_large(movement: i64, what: &'static str) -> ValuationError {
    ValuationError::TooLarge { movement, what }
}
