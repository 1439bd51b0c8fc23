//! What a type of import is made of: [`ImportType`] has everything that differs from type to type, [`RecordType`] what
//! differs among those whose rows are records with keys.
//!
//! A new type is one file with one implementation, and one line in [`super::types`].

use std::borrow::Cow;
use std::future::Future;

use fairlane::{Event, Result, Tenant, Transaction};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use super::cells::Cells;
use super::options::Mode;
use super::plan::{Applied, PlacedRow};
pub use super::record_type::RecordType;

/// A field that a column of a file can be mapped to.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in mappings.
    pub name: &'static str,
    /// Whether no row can be created without it.
    pub required: bool,
    /// Whether its cells are numbers, by which the file's decimal mark is judged.
    pub is_number: bool,
    /// Whether its cells are dates, by which the order of day and month is judged.
    pub is_date: bool,
}

impl Field {
    /// A text.
    pub const fn text(name: &'static str) -> Self {
        Self { name, required: false, is_number: false, is_date: false }
    }

    /// A date.
    pub const fn date(name: &'static str) -> Self {
        Self { name, required: false, is_number: false, is_date: true }
    }

    /// A number.
    pub const fn number(name: &'static str) -> Self {
        Self { name, required: false, is_number: true, is_date: false }
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
    /// The columns that tell a file of this system: one that has them all is taken for such a file.
    pub marks: &'static [&'static str],
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
    /// The keys that several records hold: a row that has no other one means none of them.
    pub ambiguous: Vec<Key>,
}

impl<R> Default for Found<R> {
    fn default() -> Self {
        Self { records: Vec::new(), damaged: Vec::new(), ambiguous: Vec::new() }
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

/// Nobody is told: what a type publishes that has no event of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum NoEvent {}

impl Event for NoEvent {
    const NAME: &'static str = "erp.nothing.happened";
}

/// Who writes which rows, and how they are meant.
#[derive(Debug, Clone, Copy)]
pub struct Writing<'a> {
    /// Whose rows.
    pub tenant: &'a Tenant,
    /// The same in numbers, and the import.
    pub scope: Scope,
    /// Which rows are wanted.
    pub mode: Mode,
    /// Where the stock is that names no location.
    pub location: Option<&'a str>,
    /// Whether all of it is rolled back: nobody is told, nothing is noted.
    pub dry: bool,
    /// Whether what was there before is kept, so that the import can be undone.
    pub keep: bool,
}

/// A type of import: its fields, what a row means and what a chunk of rows writes.
pub trait ImportType: Send + Sync + Sized + 'static {
    /// The name users give: `products`.
    const NAME: &'static str;
    /// What the rows become, as changes are kept: `product`.
    const ENTITY: &'static str;
    /// The fields a file can have.
    const FIELDS: &'static [Field];
    /// Ready-made mappings.
    const PRESETS: &'static [Preset];
    /// Other names that a field's column may have: pairs of field and column.
    const ALIASES: &'static [(&'static str, &'static str)] = &[];
    /// The modes it has; the first is meant where none is said.
    const MODES: &'static [Mode];

    /// What one row of a file says.
    type Row: std::hash::Hash + Send + Sync;
    /// What is remembered from row to row; part of the checkpoint.
    type Memory: Default + Clone + Serialize + DeserializeOwned + Send + Sync;

    /// Reads a row.
    ///
    /// # Errors
    /// What makes the row unfit, whatever is stored already.
    fn read(cells: &Cells<'_>, memory: &mut Self::Memory) -> Result<Reading<Self::Row>, RowError>;

    /// What two rows must not share if they are to be two; nothing where every row counts. `location` is where the stock is
    /// that names none.
    fn identity(row: &Self::Row, mode: Mode, location: Option<&str>) -> Option<Key>;

    /// Writes rows in a few statements, whatever their number; a refusal of the database is an error.
    fn apply(
        writing: Writing<'_>,
        tx: &mut Transaction,
        rows: &[&PlacedRow<Self::Row>],
    ) -> impl Future<Output = Result<Applied>> + Send;

    /// Takes back what an import has done to some records; the caller marks them.
    fn undo(
        writing: Writing<'_>,
        tx: &mut Transaction,
        changes: &[Kept],
    ) -> impl Future<Output = Result<Vec<Undone>>> + Send;
}

/// A change of an import that is to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The record.
    pub id: i64,
    /// The version the import left it at.
    pub version: i64,
    /// Whether the import created it.
    pub is_new: bool,
}

/// What undoing a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// The record.
    pub id: i64,
    /// What it came to: `deleted`, `restored`, `reversed` or `conflict`.
    pub outcome: &'static str,
    /// What people know the record by.
    pub label: Option<String>,
    /// Why it is left as it is: the stable word.
    pub code: Option<&'static str>,
    /// The same for a person.
    pub message: Option<String>,
}

impl Undone {
    /// A change that was taken back.
    pub fn done(id: i64, outcome: &'static str) -> Self {
        Self { id, outcome, label: None, code: None, message: None }
    }

    /// A change that stays, and why.
    pub fn conflict(id: i64, label: Option<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { id, outcome: "conflict", label, code: Some(code), message: Some(message.into()) }
    }

    /// Whether it stays.
    pub fn is_conflict(&self) -> bool {
        self.outcome == "conflict"
    }
}
