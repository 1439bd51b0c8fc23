//! What a reader is told about a file, and what it hands over for every row.

use serde::{Deserialize, Serialize};

use super::dialect::Dialect;
use super::encoding::TextEncoding;
use super::error::RowProblem;
use super::record::Record;

/// How a file is written: all a reader needs to know, to be stored beside a saved position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The encoding of the text.
    pub encoding: TextEncoding,
    /// Delimiter, quoting and header row.
    pub dialect: Dialect,
    /// Whether it is a sheet as a table: its lines are the sheet's rows, and empty cells at their ends are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sheet: bool,
}

/// What a reader refuses to go beyond; `None` switches a limit off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the whole file.
    pub max_bytes: Option<u64>,
    /// Rows behind the header, blank ones not counted.
    pub max_rows: Option<u64>,
    /// Bytes of one record.
    pub max_record_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: Some(100_000_000), max_rows: Some(1_000_000), max_record_bytes: 1_000_000 }
    }
}

/// A place between two rows, from which reading can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The file offset at which the next record starts.
    pub byte_offset: u64,
    /// Rows read so far, blank ones not counted: the number of the last row.
    pub record: u64,
    /// The line on which the next record starts, counted from 1.
    pub line: u64,
    /// Blank records met so far behind the header.
    pub blank: u64,
}

/// One row behind the header; give the same one to every [`RowReader::read`](super::RowReader::read) to use its buffers again.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The row's number: 1 is the first behind the header; blank records have none.
    pub number: u64,
    /// The line it starts on, counted from 1.
    pub line: u64,
    /// The file offset of its first byte.
    pub byte_offset: u64,
    /// The file offset of the record behind it.
    pub next_offset: u64,
    /// The fields. Of a refused row: what can be shown of it, bytes that make no sense as `\xNN`; one that cannot be
    /// split into fields has its text in the first, as far as it is kept.
    pub fields: Record,
    /// Why the row was refused; its fields must then not be stored.
    pub problem: Option<RowProblem>,
}
