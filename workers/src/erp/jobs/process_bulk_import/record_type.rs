//! What is left to say of a type whose rows are records with keys: [`RecordType`].

use std::future::Future;

use fairlane::db::Conn;
use fairlane::{Event, Result};

use super::changes::ChangeSql;
use super::import_type::{FieldChange, Found, ImportType, Key, RowError, Scope};

/// A type whose rows are records with keys.
///
/// The import reads rows, asks for the stored records with the same keys, merges in memory and writes what is new and
/// what changed in one statement each; so every function here is either pure or a single statement.
pub trait RecordType: ImportType {
    /// What the database holds.
    type Record: Clone + Send + Sync;
    /// The event of a new record.
    type Created: Event;
    /// The event of a changed record.
    type Updated: Event;
    /// The event of a record that is gone.
    type Deleted: Event;

    /// The statements that keep what was there before, and bring it back.
    const CHANGES: ChangeSql;

    /// By what a row is found: the first key identifies it, the others must not belong to another record.
    fn row_keys(row: &Self::Row) -> Vec<Key>;

    /// The same of a stored record: every key it holds.
    fn record_keys(record: &Self::Record) -> Vec<Key>;

    /// A new record, its id still 0.
    ///
    /// # Errors
    /// When a required field is missing.
    fn new_record(row: &Self::Row) -> Result<Self::Record, RowError>;

    /// Writes a row's values into a record and raises its version; returns what changed. An empty cell changes nothing.
    fn merge(record: &mut Self::Record, row: &Self::Row) -> Vec<FieldChange>;

    /// The record's id.
    fn id(record: &Self::Record) -> i64;

    /// Gives the record its id.
    fn set_id(record: &mut Self::Record, id: i64);

    /// The record's version.
    fn version(record: &Self::Record) -> i64;

    /// What people know the record by.
    fn label(record: &Self::Record) -> String;

    /// What is stored under one of the keys.
    fn load(
        conn: &mut Conn<'_>,
        scope: Scope,
        keys: &[Key],
    ) -> impl Future<Output = Result<Found<Self::Record>>> + Send;

    /// The records with these ids, locked; those that are gone or can't be read are left out.
    fn load_ids(
        conn: &mut Conn<'_>,
        scope: Scope,
        ids: &[i64],
    ) -> impl Future<Output = Result<Vec<Self::Record>>> + Send;

    /// Stores new records; returns their ids in order.
    fn insert(
        conn: &mut Conn<'_>,
        scope: Scope,
        records: &[&Self::Record],
    ) -> impl Future<Output = Result<Vec<i64>>> + Send;

    /// Stores changed records.
    fn update(
        conn: &mut Conn<'_>,
        scope: Scope,
        records: &[&Self::Record],
    ) -> impl Future<Output = Result<()>> + Send;

    /// The event of a new record, where there is one.
    fn created(record: &Self::Record, scope: Scope) -> Option<Self::Created>;

    /// The event of a changed record, where there is one.
    fn updated(record: &Self::Record, changes: Vec<FieldChange>, scope: Scope) -> Option<Self::Updated>;

    /// The event of a record that is gone, where there is one.
    fn deleted(record: &Self::Record, scope: Scope) -> Option<Self::Deleted>;

    /// In what a record differs from what it was.
    fn differences(before: &Self::Record, after: &Self::Record) -> Vec<FieldChange>;
}
