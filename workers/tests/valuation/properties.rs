//! What holds whatever happens: the fast replay says what the slow model says, going on from a snapshot says what replaying
//! everything says, and nothing gets lost.

use std::collections::{BTreeMap, BTreeSet};

use fairlane_workers::erp::valuation::{
    Counted, Entry, Ledger, Method, MovementValue, Place, PoolKey, Scope, Snapshot, Step, Terms,
};
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::model::Model;

/// One thing that may happen.
#[derive(Debug, Clone)]
struct Happening {
    kind: u8,
    back: i64,
    shop: bool,
    pieces: i64,
    cents: i64,
    pick: prop::sample::Index,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = (0_u8..16, 0_i64..6, any::<bool>(), 1_i64..12, 1_i64..4000, any::<prop::sample::Index>());
    let make = |(kind, back, shop, pieces, cents, pick)| Happening { kind, back, shop, pieces, cents, pick };
    prop::collection::vec(one.prop_map(make), 1..40)
}

fn terms() -> impl Strategy<Value = Terms> {
    let method = prop_oneof![Just(Method::Fifo), Just(Method::Average)];
    let scope = prop_oneof![Just(Scope::Product), Just(Scope::Location)];
    (method, scope, 0_u32..4, prop::option::of(1_i64..3000)).prop_map(
        |(method, scope, decimals, standard)| Terms {
            currency_decimals: decimals,
            standard_cost: standard.map(|cents| Decimal::new(cents, 2)),
            ..Terms::new(method, scope)
        },
    )
}

/// Happenings as movements, numbered as they are recorded; with `back`, some happened before others that are recorded.
fn entries(happenings: &[Happening], terms: Terms, back: bool) -> Vec<Entry> {
    let mut entries = Vec::<Entry>::new();
    for (number, it) in (1_i64..).zip(happenings) {
        let place =
            Place { location: if it.shop && terms.scope == Scope::Location { 2 } else { 1 }, batch: None };
        let at = if back { number * 2 - it.back } else { number };
        let pieces = Decimal::from(it.pieces);
        let cost = Decimal::new(it.cents, 2);
        let of = |wanted: &[Step]| {
            let found: Vec<&Entry> = entries.iter().filter(|entry| wanted.contains(&entry.step)).collect();
            (!found.is_empty()).then(|| it.pick.get(&found).id)
        };
        let plain = Entry {
            id: number * 10,
            at,
            place,
            step: Step::Receipt,
            quantity: pieces,
            unit_cost: None,
            amount: None,
            of: None,
        };
        let new = match it.kind {
            0..=3 => Entry { unit_cost: Some(cost), ..plain },
            4..=8 => Entry { step: Step::Issue, quantity: -pieces, ..plain },
            9 => Entry { step: Step::ReturnIn, of: of(&[Step::Issue]), ..plain },
            10 => Entry { step: Step::ReturnOut, quantity: -pieces, of: of(&[Step::Receipt]), ..plain },
            11 => Entry { step: Step::Adjust, of: of(&[Step::Receipt, Step::Issue]), ..plain },
            12 => {
                let amount = Some(cost.round_dp(terms.currency_decimals));
                match of(&[Step::Receipt]) {
                    Some(of) if it.shop => Entry {
                        step: Step::LandedCost,
                        quantity: Decimal::ZERO,
                        amount,
                        of: Some(of),
                        ..plain
                    },
                    _ => Entry { step: Step::Revalue, quantity: Decimal::ZERO, amount, ..plain },
                }
            }
            13 => {
                let unit_cost = (it.back % 2 == 0).then_some(cost);
                Entry { step: Step::Count(Counted::To(pieces)), quantity: Decimal::ZERO, unit_cost, ..plain }
            }
            _ if terms.scope == Scope::Product => Entry { unit_cost: Some(cost), ..plain },
            _ => {
                let other = Place { location: 3 - place.location, batch: None };
                entries.push(Entry { step: Step::TransferOut, quantity: -pieces, ..plain });
                let arrives = Entry { id: plain.id + 1, place: other, ..plain };
                Entry { step: Step::TransferIn, of: Some(plain.id), ..arrives }
            }
        };
        entries.push(new);
    }
    entries
}

fn sorted(entries: &[Entry]) -> Vec<Entry> {
    let mut sorted = entries.to_vec();
    sorted.sort_by_key(|entry| (entry.at, entry.id));
    sorted
}

fn replay(terms: Terms, entries: &[Entry]) -> Ledger {
    let mut ledger = Ledger::new(terms);
    loop {
        sorted(entries).iter().for_each(|entry| ledger.push(entry).unwrap());
        match ledger.again() {
            Some(next) => ledger = next,
            None => return ledger,
        }
    }
}

type Pools = BTreeMap<PoolKey, (Decimal, Decimal)>;

fn pools(ledger: &Ledger) -> Pools {
    ledger.pools(4).into_iter().map(|pool| (pool.key, (pool.quantity, pool.value))).collect()
}

fn values(ledger: &Ledger) -> BTreeMap<i64, MovementValue> {
    ledger.values().map(|value| (value.movement, value)).collect()
}

/// Replays up to the cut and goes on from the snapshot: it says what the whole replay says, or that it has to begin anew.
fn same_as_the_whole(terms: Terms, all: &[Entry], cut: usize) -> Result<(), TestCaseError> {
    let (before, after) = all.split_at(cut);
    let first = replay(terms, before);
    let text = serde_json::to_string(&first.snapshot()).unwrap();
    let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
    let known = values(&first);
    let mut next = Ledger::resume(snapshot.clone());
    let tell = |ledger: &mut Ledger, id: i64| {
        if let Some(value) = known.get(&id) {
            ledger.know(id, value.quantity, value.value, value.expensed).unwrap();
        }
    };
    snapshot.unsettled().into_iter().for_each(|id| tell(&mut next, id));
    for entry in after {
        entry.of.into_iter().for_each(|id| tell(&mut next, id));
        next.push(entry).unwrap();
    }
    // Only a transfer of goods that came later makes it begin anew.
    if next.is_incomplete() {
        prop_assert!(terms.scope == Scope::Location);
        return Ok(());
    }
    let whole = replay(terms, all);
    prop_assert_eq!(pools(&next), pools(&whole));
    prop_assert_eq!(next.snapshot(), whole.snapshot());
    let mut joined = known;
    joined.extend(values(&next));
    let plain = |values: BTreeMap<i64, MovementValue>| -> Vec<_> {
        values
            .into_values()
            .map(|it| (it.movement, it.quantity, it.value, it.expensed, it.provisional))
            .collect()
    };
    prop_assert_eq!(plain(joined), plain(values(&whole)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_replay_says_what_the_slow_model_says(terms in terms(), all in happenings(), back in any::<bool>()) {
        let all = entries(&all, terms, back);
        let skipped: BTreeSet<i64> = Model::replay(terms, &all).skipped.into_iter().collect();
        let kept: Vec<Entry> = all.into_iter().filter(|entry| !skipped.contains(&entry.id)).collect();
        let (model, ledger) = (Model::replay(terms, &kept), replay(terms, &kept));
        prop_assert!(model.skipped.is_empty());
        let found = values(&ledger);
        for done in &model.done {
            let value = &found[&done.id];
            prop_assert_eq!(
                (done.id, done.quantity, done.value, done.expensed),
                (value.movement, value.quantity, value.value, value.expensed)
            );
        }
        prop_assert_eq!(found.len(), model.done.len());
        let empty = |pools: Pools| -> Pools {
            pools.into_iter().filter(|(_, (quantity, value))| !quantity.is_zero() || !value.is_zero()).collect()
        };
        prop_assert_eq!(empty(pools(&ledger)), empty(model.pools()));
    }

    #[test]
    fn nothing_gets_lost(terms in terms(), all in happenings(), back in any::<bool>()) {
        let all = entries(&all, terms, back);
        let ledger = replay(terms, &all);
        let found = values(&ledger);
        let moved: Decimal = found.values().map(|value| value.value).sum();
        let (_, worth) = ledger.total();
        prop_assert_eq!(moved, worth, "what moved is what is there");
        for pool in ledger.pools(4) {
            if pool.quantity.is_zero() {
                prop_assert_eq!(pool.value, Decimal::ZERO, "nothing is worth nothing");
            }
            let layers: Decimal = pool.layers.iter().map(|layer| layer.value).sum();
            prop_assert_eq!(layers, pool.value, "layers are the pool");
            let pieces: Decimal = pool.layers.iter().map(|layer| layer.quantity).sum();
            prop_assert_eq!(pieces, pool.quantity);
        }
    }

    #[test]
    fn going_on_from_a_snapshot_says_what_replaying_everything_says(
        terms in terms(), all in happenings(), cut in any::<prop::sample::Index>(),
    ) {
        let all = sorted(&entries(&all, terms, false));
        let mut at = cut.index(all.len());
        // Both halves of a transfer are recorded in one transaction.
        at += usize::from(matches!(all[at].step, Step::TransferIn));
        same_as_the_whole(terms, &all, at.min(all.len()))?;
    }
}

#[test]
fn a_transfer_of_goods_that_came_later_costs_what_they_cost() {
    let at = |id, location, step, quantity: i64| Entry {
        id,
        at: id,
        place: Place { location, batch: None },
        step,
        quantity: quantity.into(),
        unit_cost: None,
        amount: None,
        of: None,
    };
    for method in [Method::Fifo, Method::Average] {
        let terms = Terms { standard_cost: Some(Decimal::TEN), ..Terms::new(method, Scope::Location) };
        let late = |id, location, cost: i64| Entry {
            unit_cost: Some(cost.into()),
            ..at(id, location, Step::Receipt, 10)
        };
        // Ten leave A for B before they came; B sells four of them and sends three to C.
        let all = [
            at(1, 1, Step::TransferOut, -10),
            Entry { of: Some(1), ..at(2, 2, Step::TransferIn, 10) },
            at(3, 2, Step::Issue, -4),
            at(4, 2, Step::TransferOut, -3),
            Entry { of: Some(4), ..at(5, 3, Step::TransferIn, 3) },
            late(6, 1, 15),
        ];
        let ledger = replay(terms, &all);
        let value = |id: i64| values(&ledger)[&id].value;
        let whole = [value(1), value(2), value(3), value(4), value(5), value(6)];
        assert_eq!(whole, [-150, 150, -60, -45, 45, 150].map(Decimal::from), "{method}");
        assert_eq!(
            pools(&ledger).into_values().map(|(_, value)| value).collect::<Vec<_>>(),
            [0, 45, 45].map(Decimal::from)
        );
    }
}

#[test]
fn going_on_where_transfers_left_before_they_came_says_what_replaying_everything_says() {
    let at = |id, location, step, quantity: i64, cents: Option<i64>| Entry {
        id,
        at: id / 10,
        place: Place { location, batch: None },
        step,
        quantity: quantity.into(),
        unit_cost: cents.map(|cents| Decimal::new(cents, 2)),
        amount: None,
        of: None,
    };
    let terms = Terms { currency_decimals: 0, ..Terms::new(Method::Fifo, Scope::Location) };
    // Three leave A for B and four B for A before they came, then A gets one after the other, worth next to nothing.
    let mut all = vec![
        at(10, 1, Step::TransferOut, -3, None),
        Entry { of: Some(10), ..at(11, 2, Step::TransferIn, 3, None) },
        at(20, 2, Step::Receipt, 1, Some(350)),
        at(30, 2, Step::Issue, -2, None),
        at(40, 2, Step::TransferOut, -4, None),
        Entry { of: Some(40), ..at(41, 1, Step::TransferIn, 4, None) },
        at(50, 1, Step::Receipt, 1, Some(1)),
        Entry { of: Some(30), ..at(60, 2, Step::Adjust, 1, None) },
        at(70, 1, Step::Receipt, 1, Some(1)),
        at(80, 2, Step::Count(Counted::To(Decimal::ONE)), 0, Some(1)),
    ];
    all.extend((9..20).map(|number| at(number * 10, 1, Step::Receipt, 1, Some(1))));
    for cut in (0..=all.len()).filter(|cut| ![1, 5].contains(cut)) {
        same_as_the_whole(terms, &all, cut).unwrap();
    }
}

#[test]
fn less_than_half_of_the_last_decimal_is_nothing() {
    let of = |id, step, quantity: &str, cost: Option<&str>| Entry {
        id,
        at: id,
        place: Place::default(),
        step,
        quantity: quantity.parse().unwrap(),
        unit_cost: cost.map(|cost| cost.parse().unwrap()),
        amount: None,
        of: None,
    };
    let terms = Terms { quantity_decimals: 3, ..Terms::new(Method::Fifo, Scope::Product) };
    let all = [of(1, Step::Receipt, "1", Some("10")), of(2, Step::Issue, "-1.0003", None)];
    let ledger = replay(terms, &all);
    assert_eq!(ledger.total(), (Decimal::ZERO, Decimal::ZERO));
    assert_eq!(values(&ledger)[&2].value, Decimal::from(-10));
    assert!(!values(&ledger)[&2].provisional);
}
