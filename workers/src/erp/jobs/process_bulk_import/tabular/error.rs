//! What can go wrong with a file, and with one row of it.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum TabularError {
    /// The operating system could not read the file.
    #[error("cannot read the file: {0}; check that it exists and may be read")]
    Io(#[from] io::Error),
    /// The file has no rows and no header.
    #[error("the file holds no table: {found}; choose a file with a header row and at least one delimiter")]
    NoTable {
        /// What was found instead.
        found: String,
    },
    /// The file is not delimited text.
    #[error("the file is {found}, not delimited text; export it as CSV (UTF-8) and import that")]
    NotText {
        /// What the first bytes say it is.
        found: &'static str,
    },
    /// The workbook is encrypted.
    #[error(
        "the workbook is protected by a password; take the password off, or export the sheet as CSV (UTF-8)"
    )]
    Protected,
    /// The workbook cannot be read.
    #[error("the workbook cannot be read: {why}; save it again, or export the sheet as CSV (UTF-8)")]
    DamagedWorkbook {
        /// What is wrong with it.
        why: String,
    },
    /// The workbook is larger than the limit once it is unpacked.
    #[error(
        "the workbook comes to more than {limit} bytes, the limit of import.max_unpacked; split it or raise the limit"
    )]
    TooMuchUnpacked {
        /// The limit it passes.
        limit: u64,
    },
    /// No such sheet.
    #[error("the workbook has no sheet `{wanted}`; it has: {}", .sheets.join(", "))]
    NoSheet {
        /// The sheet as given.
        wanted: String,
        /// The sheets there are.
        sheets: Vec<String>,
    },
    /// The encoding is not one that can be read.
    #[error(
        "unknown encoding `{label}`; use utf-8, utf-16le, utf-16be, windows-1252, big5 or another name of \
             the WHATWG encoding standard"
    )]
    UnknownEncoding {
        /// The label as given.
        label: String,
    },
    /// The delimiter cannot separate fields.
    #[error("`{given}` cannot be a delimiter; use one ASCII sign such as , ; | or tab")]
    BadDelimiter {
        /// The delimiter as given.
        given: String,
    },
    /// The header row named by the caller is not in the file.
    #[error("line {line} does not start a header row; name the line on which the column names stand")]
    NoHeaderAtLine {
        /// The line asked for.
        line: u64,
    },
    /// The header row itself is damaged.
    #[error("the header row on line {line} cannot be read: {problem}; correct it or choose another encoding")]
    UnreadableHeader {
        /// The line the header starts on.
        line: u64,
        /// What is wrong with it.
        problem: RowProblem,
    },
    /// The file is larger than the limit.
    #[error("the file has {found} bytes and the limit is {limit}; split it or raise the limit")]
    TooManyBytes {
        /// The size of the file.
        found: u64,
        /// The limit it passes.
        limit: u64,
    },
    /// The file has more rows than the limit.
    #[error("the file has more than {limit} rows (line {line}); split it or raise the limit")]
    TooManyRows {
        /// The limit it passes.
        limit: u64,
        /// The line of the first row over the limit.
        line: u64,
    },
    /// A saved position lies outside the file.
    #[error(
        "the saved position (byte {byte_offset}) is outside the file of {length} bytes; the file was \
             changed since, import it again from the start"
    )]
    PositionOutside {
        /// The saved offset.
        byte_offset: u64,
        /// The length of the file now.
        length: u64,
    },
}

impl TabularError {
    /// The stable name of this error, for logs and machine-readable output.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::NoTable { .. } => "no_table",
            Self::NotText { .. } => "not_text",
            Self::Protected => "workbook_protected",
            Self::DamagedWorkbook { .. } => "damaged_workbook",
            Self::TooMuchUnpacked { .. } => "too_much_unpacked",
            Self::NoSheet { .. } => "no_sheet",
            Self::UnknownEncoding { .. } => "unknown_encoding",
            Self::BadDelimiter { .. } => "bad_delimiter",
            Self::NoHeaderAtLine { .. } => "no_header_at_line",
            Self::UnreadableHeader { .. } => "unreadable_header",
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::TooManyRows { .. } => "too_many_rows",
            Self::PositionOutside { .. } => "position_outside",
        }
    }
}

/// The kind of damage that makes one row unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// More or fewer fields than the header has.
    FieldCount,
    /// Bytes that mean nothing in the file's encoding.
    Encoding,
    /// A NUL character, which no text column can store.
    NulByte,
    /// A quoted field that does not end.
    UnclosedQuote,
    /// A record longer than the limit.
    TooLong,
}

impl ProblemCode {
    /// The stable name of this kind, as it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FieldCount => "field_count",
            Self::Encoding => "encoding",
            Self::NulByte => "nul_byte",
            Self::UnclosedQuote => "unclosed_quote",
            Self::TooLong => "too_long",
        }
    }

    /// Whether a row with this damage could be split into cells; if not, its text stands in one.
    pub fn has_cells(self) -> bool {
        !matches!(self, Self::UnclosedQuote | Self::TooLong)
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Why one row was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowProblem {
    /// The kind of damage.
    pub code: ProblemCode,
    /// What was found, for a person.
    pub message: String,
    /// Where in the file the damage lies.
    pub byte_offset: u64,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (byte {})", self.message, self.byte_offset)
    }
}
