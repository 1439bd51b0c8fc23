//! The vectors of `../shared/data/valuation`: what other systems' own tests say. Those that systems differ in are decided
//! here, by name.

use std::collections::HashMap;
use std::path::Path;

use chrono::NaiveDate;
use fairlane_workers::erp::valuation::ageing::Slots;
use fairlane_workers::erp::valuation::queue::{Bin, Order, Queue};
use fairlane_workers::erp::valuation::{
    Counted, Entry, LayerFigures, Ledger, Method, MovementValue, Place, PoolFigures, Scope, Step, Terms,
};
use rust_decimal::Decimal;
use serde_json::Value;

fn vectors() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/valuation/vectors.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("SKIPPED: ../shared/data is not there, so no vector was tried");
        return Vec::new();
    };
    let all: Value = serde_json::from_str(&text).unwrap();
    all["vectors"].as_array().unwrap().clone()
}

fn tier(name: &str) -> Vec<Value> {
    vectors().into_iter().filter(|vector| vector["tier"] == name).collect()
}

fn dec(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("a decimal: {value}")).parse().unwrap()
}

fn maybe(value: &Value) -> Option<Decimal> {
    value.as_str().map(|text| text.parse().unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A time of a vector: a number, or a day.
fn time(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let day: NaiveDate = value.as_str()?.parse().ok()?;
        Some((day - NaiveDate::default()).num_days())
    })
}

/// Names of places and movements, as numbers.
#[derive(Default)]
struct Names(HashMap<String, i64>);

impl Names {
    fn number(&mut self, name: &str) -> i64 {
        let next = self.0.len() as i64 + 1;
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

/// A vector under way: its movements in the order of their recording.
struct Tried<'v> {
    vector: &'v Value,
    terms: Terms,
    names: Names,
    entries: Vec<Entry>,
    /// How many movements were recorded, those that are cancelled by now too.
    recorded: i64,
    faults: Vec<String>,
}

impl<'v> Tried<'v> {
    fn new(vector: &'v Value) -> Self {
        let scope = match text(&vector["scope"]) {
            "" => Scope::Product,
            "location+batch" => Scope::LocationBatch,
            word => word.parse().unwrap(),
        };
        let mut terms = Terms::new(text(&vector["method"]).parse::<Method>().unwrap(), scope);
        terms.currency_decimals = vector["currency_decimals"].as_u64().unwrap_or(2) as u32;
        terms.quantity_decimals = vector["quantity_decimals"].as_u64().unwrap_or(6) as u32;
        terms.standard_cost = maybe(&vector["fallback_cost"]);
        Self { vector, terms, names: Names::default(), entries: Vec::new(), recorded: 0, faults: Vec::new() }
    }

    /// Tries all steps; what of it is not as expected.
    fn run(mut self) -> Vec<String> {
        for step in self.vector["steps"].as_array().unwrap() {
            match text(&step["op"]) {
                "expect" => self.expect(step),
                "cancel" => {
                    let gone = self.names.number(text(&step["of"]));
                    let halves = [gone, self.half(text(&step["of"]), "in")];
                    self.entries.retain(|entry| !halves.contains(&entry.id));
                }
                "transfer" => self.transfer(step),
                op => self.add(op, step),
            }
        }
        self.faults
    }

    fn half(&mut self, name: &str, half: &str) -> i64 {
        self.names.number(&format!("{name}:{half}"))
    }

    fn place(&mut self, location: &Value, batch: &Value) -> Place {
        let location = match text(location) {
            "" => 0,
            name => self.names.number(&format!("at {name}")),
        };
        let batch = batch.as_str().map(|name| self.names.number(&format!("lot {name}")));
        Place { location, batch }
    }

    fn entry(&mut self, id: i64, place: Place, step: Step, quantity: Decimal, at: &Value) -> Entry {
        self.recorded += 1;
        let at = time(at).unwrap_or(self.recorded);
        Entry { id, at, place, step, quantity, unit_cost: None, amount: None, of: None }
    }

    fn add(&mut self, op: &str, step: &Value) {
        let of = step["of"].as_str().map(|name| self.names.number(name));
        let named =
            of.and_then(|of| self.entries.iter().find(|entry| entry.id == of)).map(|entry| entry.place);
        let own = self.place(&step["location"], &step["batch"]);
        let place =
            if step["location"].is_null() && step["batch"].is_null() { named.unwrap_or(own) } else { own };
        let quantity = maybe(&step["qty"]).unwrap_or_default();
        let (kind, signed) = match op {
            "receipt" => (Step::Receipt, quantity),
            "issue" => (Step::Issue, -quantity),
            "return_of_issue" => (Step::ReturnIn, quantity),
            "return_of_receipt" => (Step::ReturnOut, -quantity),
            "adjust_receipt" => (Step::Adjust, quantity),
            "adjust_issue" => (Step::Adjust, -quantity),
            "landed_cost" => (Step::LandedCost, Decimal::ZERO),
            "revalue" => (Step::Revalue, Decimal::ZERO),
            "count" => (Step::Count(Counted::To(quantity)), Decimal::ZERO),
            op => panic!("{}: an unknown step {op}", self.vector["id"]),
        };
        let id = self.names.number(text(&step["ref"]));
        let entry = self.entry(id, place, kind, signed, &step["at"]);
        let (unit_cost, amount) = (maybe(&step["unit_cost"]), maybe(&step["amount"]));
        self.entries.push(Entry { unit_cost, amount, of, ..entry });
    }

    fn transfer(&mut self, step: &Value) {
        let (name, quantity) = (text(&step["ref"]), dec(&step["qty"]));
        let (out, into) = (self.names.number(name), self.half(name, "in"));
        let from = self.place(&step["from"], &step["batch"]);
        let to = self.place(&step["to"], &step["batch"]);
        let leaves = self.entry(out, from, Step::TransferOut, -quantity, &step["at"]);
        let arrives = self.entry(into, to, Step::TransferIn, quantity, &step["at"]);
        self.entries.push(leaves);
        self.entries.push(Entry { of: Some(out), at: leaves.at, ..arrives });
    }

    fn replay(&self, until: Option<i64>) -> Ledger {
        let mut entries: Vec<&Entry> =
            self.entries.iter().filter(|entry| until.is_none_or(|until| entry.at <= until)).collect();
        entries.sort_by_key(|entry| entry.at);
        let mut ledger = Ledger::new(self.terms);
        loop {
            entries.iter().for_each(|entry| ledger.push(entry).unwrap());
            match ledger.again() {
                Some(next) => ledger = next,
                None => return ledger,
            }
        }
    }

    fn expect(&mut self, step: &Value) {
        let ledger = self.replay(time(&step["at_date"]));
        let place = self.place(&step["location"], &step["batch"]);
        let here = |pool: &PoolFigures| {
            (step["location"].is_null() || pool.key.location == Some(place.location))
                && (step["batch"].is_null() || pool.key.batch == place.batch)
        };
        let decimals = |text: &str| text.split_once('.').map_or(0, |(_, after)| after.len() as u32);
        let wanted_cost = text(&step["avg_cost"]);
        let pools: Vec<PoolFigures> = ledger.pools(decimals(wanted_cost)).into_iter().filter(here).collect();
        let quantity: Decimal = pools.iter().map(|pool| pool.quantity).sum();
        let value: Decimal = pools.iter().map(|pool| pool.value).sum();
        let whole = step["location"].is_null() && step["batch"].is_null();
        let cost = match pools.as_slice() {
            [only] if !whole => only.average_cost,
            _ => ledger.average_cost(decimals(wanted_cost)),
        };
        self.check("qty", maybe(&step["qty"]), Some(quantity));
        self.check("value", maybe(&step["value"]), Some(value));
        self.check("avg_cost", maybe(&step["avg_cost"]), cost);
        if let Some(layers) = step["layers"].as_array() {
            let wanted: Vec<(Decimal, Decimal)> = layers.iter().map(|l| (dec(&l[0]), dec(&l[1]))).collect();
            let found = merged(pools.iter().flat_map(|pool| &pool.layers), &wanted);
            self.check("layers", Some(wanted), Some(found));
        }
        let values: HashMap<i64, MovementValue> =
            ledger.values().map(|value| (value.movement, value)).collect();
        for (name, wanted) in step["movement_values"].as_object().into_iter().flatten() {
            let found = self.movement_value(name, &values);
            self.check(name, Some(dec(wanted)), found);
        }
        if let Some(running) = step["running_qty"].as_array() {
            let mut sum = Decimal::ZERO;
            let found: Vec<Decimal> = ledger
                .values()
                .map(|value| {
                    sum += value.quantity;
                    sum
                })
                .collect();
            self.check("running_qty", Some(running.iter().map(dec).collect()), Some(found));
        }
    }

    fn movement_value(&mut self, name: &str, values: &HashMap<i64, MovementValue>) -> Option<Decimal> {
        let of = |tried: &mut Self, name: &str| values.get(&tried.names.number(name)).copied();
        let Some((movement, part)) = name.split_once(':') else { return of(self, name).map(|it| it.value) };
        let found = of(self, movement)?;
        let is_count =
            self.entries.iter().any(|e| e.id == found.movement && matches!(e.step, Step::Count(_)));
        match part {
            "cogs" => Some(found.expensed),
            "out" if is_count => Some(-found.left),
            "in" if is_count => Some(found.value + found.left),
            "out" => Some(found.value),
            "in" => of(self, name).map(|it| it.value),
            part => panic!("{}: an unknown part {part}", self.vector["id"]),
        }
    }

    fn check<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, wanted: Option<T>, found: Option<T>) {
        if wanted.is_some() && wanted != found {
            let id = text(&self.vector["id"]);
            self.faults.push(format!("{id}: {what} is {found:?} and should be {wanted:?}"));
        }
    }
}

/// Layers as quantity and unit cost, with as many decimals as are wanted; equal neighbours are one.
fn merged<'a>(
    layers: impl Iterator<Item = &'a LayerFigures>,
    wanted: &[(Decimal, Decimal)],
) -> Vec<(Decimal, Decimal)> {
    let decimals = wanted.iter().map(|(_, cost)| cost.scale()).max().unwrap_or_default();
    let mut merged = Vec::<(Decimal, Decimal)>::new();
    for layer in layers {
        let cost = (layer.value / layer.quantity).round_dp(decimals.max(4));
        match merged.last_mut() {
            Some((quantity, last)) if *last == cost => *quantity += layer.quantity,
            _ => merged.push((layer.quantity, cost)),
        }
    }
    merged
}

#[test]
fn all_core_vectors_hold() {
    let core = tier("core");
    let faults: Vec<String> = core.iter().flat_map(|vector| Tried::new(vector).run()).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    println!("{} core vectors hold", core.len());
}

/// What was chosen where systems differ: the vector, the choice, and what is expected instead.
const CHOICES: [(&str, &str, &str); 1] = [(
    "fifo-purchase-return-landed",
    "landed cost is prospective: what left before it keeps its value, its share is cost of goods sold",
    r#"{"op": "expect", "movement_values": {"rt": "-200", "lc": "30", "lc:cogs": "20"}, "qty": "3", "value": "330"}"#,
)];

#[test]
fn where_systems_differ_the_choice_is_the_documented_one() {
    for vector in tier("policy") {
        let id = text(&vector["id"]);
        let choice = CHOICES.iter().find(|(name, ..)| *name == id);
        let (_, what, instead) =
            choice.unwrap_or_else(|| panic!("{id}: nobody has chosen: {}", vector["policy"]));
        let mut ours = vector.clone();
        // The last expectation is the one that systems differ in.
        *ours["steps"].as_array_mut().unwrap().last_mut().unwrap() = serde_json::from_str(instead).unwrap();
        assert_eq!(Tried::new(&ours).run(), Vec::<String>::new(), "{what}");
        assert!(!Tried::new(&vector).run().is_empty(), "{id}: the other choice holds too");
    }
}

#[test]
fn the_bare_queue_adds_and_takes_as_its_vectors_say() {
    for vector in tier("queue") {
        let id = text(&vector["id"]);
        let bins = |value: &Value| -> Vec<Bin> {
            let rows = value.as_array().cloned().unwrap_or_default();
            rows.iter().map(|row| Bin { quantity: dec(&row[0]), rate: dec(&row[1]) }).collect()
        };
        let order = if vector["method"] == "lifo" { Order::Lifo } else { Order::Fifo };
        let mut queue = Queue::new(order, bins(&vector["initial"]));
        for step in vector["steps"].as_array().unwrap() {
            match text(&step["op"]) {
                "add" => queue.add(dec(&step["qty"]), dec(&step["rate"])),
                "remove" => {
                    let taken = queue.remove(dec(&step["qty"]), maybe(&step["prefer_rate"]), Decimal::ZERO);
                    if !step["consumed"].is_null() {
                        assert_eq!(taken, bins(&step["consumed"]), "{id}");
                    }
                }
                "expect" => {
                    let there = queue.bins();
                    if !step["layers"].is_null() {
                        assert_eq!(there, bins(&step["layers"]), "{id}");
                    }
                    let quantity: Decimal = there.iter().map(|bin| bin.quantity).sum();
                    let value: Decimal = there.iter().map(|bin| bin.quantity * bin.rate).sum();
                    assert_eq!(maybe(&step["qty"]).unwrap_or(quantity), quantity, "{id}");
                    assert_eq!(maybe(&step["value"]).unwrap_or(value), value, "{id}");
                }
                op => panic!("{id}: an unknown step {op}"),
            }
        }
    }
}

#[test]
fn ages_are_those_of_the_oldest_goods_that_are_still_there() {
    for vector in tier("ageing") {
        let id = text(&vector["id"]);
        let ranges: Vec<i64> =
            vector["ranges"].as_array().unwrap().iter().map(|r| r.as_i64().unwrap()).collect();
        let mut slots = Slots::default();
        let day = |value: &Value| text(value).parse::<NaiveDate>().unwrap();
        for step in vector["steps"].as_array().unwrap() {
            match text(&step["op"]) {
                "move" => {
                    slots.moves(
                        dec(&step["qty"]),
                        maybe(&step["value"]).unwrap_or_default(),
                        day(&step["date"]),
                    );
                }
                "count" => slots.count(dec(&step["qty"]), day(&step["date"])),
                "expect" => {
                    assert_eq!(
                        maybe(&step["total_qty"]).unwrap_or(slots.quantity()),
                        slots.quantity(),
                        "{id}"
                    );
                    if let Some(wanted) = step["slots"].as_array() {
                        let found: Vec<Decimal> = slots.iter().map(|slot| slot.quantity).collect();
                        assert_eq!(found, wanted.iter().map(dec).collect::<Vec<_>>(), "{id}");
                    }
                    if let Some(wanted) = step["buckets"].as_array() {
                        let wanted: Vec<_> =
                            wanted.iter().map(|bucket| (dec(&bucket[0]), dec(&bucket[1]))).collect();
                        assert_eq!(slots.buckets(day(&step["as_of"]), &ranges), wanted, "{id}");
                    }
                }
                op => panic!("{id}: an unknown step {op}"),
            }
        }
    }
}
