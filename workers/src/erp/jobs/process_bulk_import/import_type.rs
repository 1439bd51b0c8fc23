//! What a type of import is made of: [`ImportType`] has everything that differs from type to type.
//!
//! A new type is one file with one implementation, and one line in [`super::types`].

use std::borrow::Cow;
use std::future::Future;

use fairlane::db::Conn;
use fairlane::{Event, Result};
use rust_decimal::Decimal;
use serde::{Serialize, de::DeserializeOwned};

use super::mapping::Columns;
use super::tabular::Record;
use super::tabular::value::{self, ValueError, ValueSettings};

/// A field that a column of a file can be mapped to.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in mappings.
    pub name: &'static str,
    /// Whether no row can be created without it.
    pub required: bool,
    /// Whether its cells are numbers, by which the file's decimal mark is judged.
    pub is_number: bool,
}

impl Field {
    /// A text.
    pub const fn text(name: &'static str) -> Self {
        Self { name, required: false, is_number: false }
    }

    /// A number.
    pub const fn number(name: &'static str) -> Self {
        Self { name, required: false, is_number: true }
    }

    /// No row can be created without it.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// A ready-made mapping for the files of a system: pairs of field and column.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// What it is called.
    pub name: &'static str,
    /// Field and column; a column that the file does not have is left out.
    pub columns: &'static [(&'static str, &'static str)],
}

/// By what a row is found again: the field's place in [`ImportType::FIELDS`], and the value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which field it is.
    pub field: usize,
    /// Its value.
    pub value: String,
}

/// A field that an import changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The column of the table.
    pub column: &'static str,
    /// What was there.
    pub old: serde_json::Value,
    /// What is there now.
    pub new: serde_json::Value,
}

/// What a row of the file means.
#[derive(Debug)]
pub enum Reading<R> {
    /// A row to be stored.
    Row(R),
    /// A row that is no record of its own and is left out: why, by code and in words.
    Skip(&'static str, &'static str),
}

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The stable word.
    pub code: Cow<'static, str>,
    /// The place of the field at fault in [`ImportType::FIELDS`], where one is.
    pub field: Option<usize>,
    /// The cell's text.
    pub value: Option<String>,
    /// For a person.
    pub message: String,
}

impl RowError {
    /// An error in one cell.
    pub fn cell(code: &'static str, field: usize, value: &str, message: impl Into<String>) -> Self {
        Self { code: code.into(), field: Some(field), value: Some(value.to_owned()), message: message.into() }
    }

    /// An error of the row as a whole.
    pub fn row(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), field: None, value: None, message: message.into() }
    }
}

/// What was found stored under some keys.
#[derive(Debug)]
pub struct Found<R> {
    /// The records.
    pub records: Vec<R>,
    /// The rows that can't be read: no row of the file may write to them.
    pub damaged: Vec<DamagedRecord>,
}

impl<R> Default for Found<R> {
    fn default() -> Self {
        Self { records: Vec::new(), damaged: Vec::new() }
    }
}

/// A stored row that can't be read as a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRecord {
    /// The keys it holds.
    pub keys: Vec<Key>,
    /// What is wrong with it.
    pub why: String,
}

/// Whose rows, and which import writes them.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// The tenant's number.
    pub tenant_id: i64,
    /// The import; 0 in a dry run.
    pub import_id: i64,
    /// Who started it.
    pub user_id: Option<i64>,
}

/// The cells of one row under their fields' names.
#[derive(Debug)]
pub struct Cells<'a> {
    pub(super) record: &'a Record,
    pub(super) columns: &'a Columns,
    pub(super) values: &'a ValueSettings,
}

impl<'a> Cells<'a> {
    /// The text of a field; `None` for an empty cell, a null marker or a field without column.
    pub fn text(&self, field: usize) -> Option<&'a str> {
        value::text(self.raw(field)?)
    }

    /// A number, if there is one.
    ///
    /// # Errors
    /// When the cell is no number, or one that can be read in two ways.
    pub fn decimal(&self, field: usize) -> Result<Option<Decimal>, RowError> {
        let Some(cell) = self.raw(field) else { return Ok(None) };
        self.values.decimal(cell).map_err(|error| value_error(field, cell, &error))
    }

    /// A truth value, if there is one.
    ///
    /// # Errors
    /// When the cell is none.
    pub fn boolean(&self, field: usize) -> Result<Option<bool>, RowError> {
        let Some(cell) = self.raw(field) else { return Ok(None) };
        self.values.boolean(cell).map_err(|error| value_error(field, cell, &error))
    }

    fn raw(&self, field: usize) -> Option<&'a str> {
        self.record.get(self.columns.of(field)?)
    }
}

fn value_error(field: usize, cell: &str, error: &ValueError) -> RowError {
    RowError::cell(error.code(), field, cell, error.to_string())
}

/// A type of import: its fields, its keys, its table and its events.
///
/// The import reads rows, asks for the stored records with the same keys, merges in memory and writes what is new and
/// what changed in one statement each; so every function here is either pure or a single statement.
pub trait ImportType: Send + Sync + Sized + 'static {
    /// The name users give: `products`.
    const NAME: &'static str;
    /// The fields a file can have.
    const FIELDS: &'static [Field];
    /// Ready-made mappings.
    const PRESETS: &'static [Preset];

    /// What one row of a file says.
    type Row: std::hash::Hash + Send + Sync;
    /// What the database holds.
    type Record: Clone + Send + Sync;
    /// What is remembered from row to row; part of the checkpoint.
    type Memory: Default + Clone + Serialize + DeserializeOwned + Send + Sync;
    /// The event of a new record.
    type Created: Event;
    /// The event of a changed record.
    type Updated: Event;

    /// Reads a row.
    ///
    /// # Errors
    /// What makes the row unfit, whatever is stored already.
    fn read(cells: &Cells<'_>, memory: &mut Self::Memory) -> Result<Reading<Self::Row>, RowError>;

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

    /// What is stored under one of the keys.
    fn load(
        conn: &mut Conn<'_>,
        scope: Scope,
        keys: &[Key],
    ) -> impl Future<Output = Result<Found<Self::Record>>> + Send;

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

    /// The event of a new record.
    fn created(record: &Self::Record, scope: Scope) -> Self::Created;

    /// The event of a changed record.
    fn updated(record: &Self::Record, changes: Vec<FieldChange>, scope: Scope) -> Self::Updated;
}
