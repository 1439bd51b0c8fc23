//! What a chunk of rows means for what is stored: who is created, who changes, who is refused. Pure.

use std::collections::{HashMap, HashSet};

use super::counts::Counts;
use super::import_type::{FieldChange, Found, Key, RecordType, RowError};
use super::options::Mode;
use super::row_errors::{Outcome, Refusal, RowPlace};

/// A row that could be read, and where it stands.
#[derive(Debug)]
pub struct PlacedRow<R> {
    /// Where it stands.
    pub place: RowPlace,
    /// What it says.
    pub row: R,
}

/// What some rows became.
#[derive(Debug, Default)]
pub struct Applied {
    /// Their numbers.
    pub counts: Counts,
    /// Those that were refused or left out.
    pub refusals: Vec<Refusal>,
}

impl Applied {
    /// Adds what other rows became.
    pub fn merge(&mut self, other: Self) {
        self.counts.add(&other.counts);
        self.refusals.extend(other.refusals);
    }

    /// Adds a row that was refused or left out.
    pub fn refuse(&mut self, place: RowPlace, outcome: Outcome, error: RowError) {
        self.counts.total += 1;
        match outcome {
            Outcome::Failed => self.counts.failed += 1,
            Outcome::Skipped => self.counts.skipped += 1,
        }
        self.refusals.push(Refusal { place, outcome, error });
    }
}

/// What has to be written for a chunk.
pub(super) struct Plan<T: RecordType> {
    slots: Vec<Slot<T>>,
    updates: Vec<UpdateDraft<T>>,
    /// What is wrong with the stored rows that can't be read, by the keys they hold.
    damaged: HashMap<Key, String>,
    /// The keys that mean several records.
    ambiguous: HashSet<Key>,
    /// What became of the rows.
    pub(super) applied: Applied,
}

/// One record of the chunk, stored or new.
struct Slot<T: RecordType> {
    record: T::Record,
    is_new: bool,
    is_changed: bool,
    /// What a new record was before later rows of the chunk changed it: what its event tells.
    first: Option<T::Record>,
}

/// An update's event before the record's id is known.
struct UpdateDraft<T: RecordType> {
    slot: usize,
    record: T::Record,
    changes: Vec<FieldChange>,
}

impl<T: RecordType> Plan<T> {
    /// Goes through the rows in order, so that of rows with the same key the last one wins.
    pub(super) fn make(mode: Mode, stored: Found<T::Record>, rows: &[&PlacedRow<T::Row>]) -> Self {
        let damaged = stored.damaged.into_iter();
        let damaged = damaged.flat_map(|row| row.keys.into_iter().map(move |key| (key, row.why.clone())));
        let mut plan = Self {
            slots: Vec::new(),
            updates: Vec::new(),
            damaged: damaged.collect(),
            ambiguous: stored.ambiguous.into_iter().collect(),
            applied: Applied::default(),
        };
        let mut index = HashMap::with_capacity(stored.records.len() + rows.len());
        for record in stored.records {
            index.extend(T::record_keys(&record).into_iter().map(|key| (key, plan.slots.len())));
            plan.slots.push(Slot { record, is_new: false, is_changed: false, first: None });
        }
        for placed in rows {
            match plan.add(mode, &mut index, &placed.row) {
                Ok(()) => plan.applied.counts.total += 1,
                Err((outcome, error)) => plan.applied.refuse(placed.place, outcome, error),
            }
        }
        plan
    }

    fn add(
        &mut self,
        mode: Mode,
        index: &mut HashMap<Key, usize>,
        row: &T::Row,
    ) -> Result<(), (Outcome, RowError)> {
        let keys = T::row_keys(row);
        let Some(identity) = keys.first() else {
            return Err((Outcome::Failed, RowError::row("missing_key", "nothing to find it by")));
        };
        if let Some((key, why)) = keys.iter().find_map(|key| self.damaged.get_key_value(key)) {
            let message = format!("belongs to a stored row that can't be read ({why}); repair it first");
            return Err((Outcome::Failed, key_error::<T>("damaged_record", key, &message)));
        }
        if let Some(key) = keys.iter().find(|key| self.ambiguous.contains(key)) {
            let message = "belongs to several records; name the one that is meant by its code";
            return Err((Outcome::Failed, key_error::<T>("ambiguous_key", key, message)));
        }
        let slot = keys.iter().find_map(|key| index.get(key).copied());
        match (slot, mode) {
            (Some(slot), Mode::Create) => {
                let key = keys.iter().find(|key| index.contains_key(key)).unwrap_or(identity);
                Err(self.refuse_repeat(slot, key))
            }
            (None, Mode::Update) => {
                Err((Outcome::Skipped, key_error::<T>("not_found", identity, "nothing stored has this key")))
            }
            (Some(slot), _) => {
                if let Some(key) = self.conflict(index, &keys, slot) {
                    let message = "belongs to another record already";
                    return Err((Outcome::Failed, key_error::<T>("duplicate_key", key, message)));
                }
                self.change(index, slot, row);
                Ok(())
            }
            (None, _) => {
                let record = T::new_record(row).map_err(|error| (Outcome::Failed, error))?;
                index.extend(keys.into_iter().map(|key| (key, self.slots.len())));
                self.slots.push(Slot { record, is_new: true, is_changed: false, first: None });
                self.applied.counts.created += 1;
                Ok(())
            }
        }
    }

    /// The key by which the row would become one with a second record: it is held by another one than `slot`, or
    /// `slot` was found by a lesser key and has another value for this one.
    fn conflict<'k>(&self, index: &HashMap<Key, usize>, keys: &'k [Key], slot: usize) -> Option<&'k Key> {
        let found_by = keys.iter().position(|key| index.contains_key(key)).unwrap_or_default();
        let own = T::record_keys(&self.slots[slot].record);
        let differs = |key: &&Key| own.iter().any(|own| own.field == key.field);
        let held_elsewhere = |key: &&Key| index.get(*key).is_some_and(|&holder| holder != slot);
        let lesser = keys[..found_by].iter().find(differs).map(|_| &keys[found_by]);
        lesser.or_else(|| keys.iter().find(held_elsewhere))
    }

    fn refuse_repeat(&self, slot: usize, identity: &Key) -> (Outcome, RowError) {
        let message = if self.slots[slot].is_new {
            "stands twice in the file; mode create takes the first"
        } else {
            "exists already; mode upsert or update would change it"
        };
        (Outcome::Failed, key_error::<T>("duplicate_key", identity, message))
    }

    fn change(&mut self, index: &mut HashMap<Key, usize>, place: usize, row: &T::Row) {
        let slot = &mut self.slots[place];
        let mut record = slot.record.clone();
        let changes = T::merge(&mut record, row);
        if changes.is_empty() {
            self.applied.counts.unchanged += 1;
            return;
        }
        self.applied.counts.updated += 1;
        for key in T::record_keys(&slot.record) {
            index.remove(&key);
        }
        index.extend(T::record_keys(&record).into_iter().map(|key| (key, place)));
        self.updates.push(UpdateDraft { slot: place, record: record.clone(), changes });
        let before = std::mem::replace(&mut slot.record, record);
        if slot.is_new {
            slot.first.get_or_insert(before);
        } else {
            slot.is_changed = true;
        }
    }

    /// The records to be inserted.
    pub(super) fn inserts(&self) -> Vec<&T::Record> {
        self.slots.iter().filter(|slot| slot.is_new).map(|slot| &slot.record).collect()
    }

    /// The stored records to be updated.
    pub(super) fn changed(&self) -> Vec<&T::Record> {
        self.slots.iter().filter(|slot| slot.is_changed).map(|slot| &slot.record).collect()
    }

    /// Gives the inserted records their ids.
    pub(super) fn set_ids(&mut self, ids: Vec<i64>) {
        let new = self.slots.iter_mut().filter(|slot| slot.is_new);
        for (slot, id) in new.zip(ids) {
            T::set_id(&mut slot.record, id);
            if let Some(first) = &mut slot.first {
                T::set_id(first, id);
            }
        }
    }

    /// The records as they were created, in order of the file.
    pub(super) fn created(&self) -> impl Iterator<Item = &T::Record> {
        self.slots.iter().filter(|slot| slot.is_new).map(|slot| slot.first.as_ref().unwrap_or(&slot.record))
    }

    /// The changes, in order of the file.
    pub(super) fn take_updates(&mut self) -> Vec<(T::Record, Vec<FieldChange>)> {
        let slots = &self.slots;
        let drafts = std::mem::take(&mut self.updates).into_iter();
        drafts
            .map(|UpdateDraft { slot, mut record, changes }| {
                T::set_id(&mut record, T::id(&slots[slot].record));
                (record, changes)
            })
            .collect()
    }
}

fn key_error<T: RecordType>(code: &'static str, key: &Key, message: &str) -> RowError {
    let name = T::FIELDS.get(key.field).map_or("key", |field| field.name);
    RowError::cell(code, key.field, &key.value, format!("{name} `{}` {message}", key.value))
}
