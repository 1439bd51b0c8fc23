//! Reads delimited text files row by row, in constant memory, without ever guessing at a damaged row.
//!
//! [`sniff_file`] finds out how a file is written (encoding, delimiter, quoting, header row) and shows it;
//! [`RowReader`] then streams the rows. A row that cannot be read is handed over as a [`RowProblem`] with
//! its byte offset and reading goes on behind it; what makes the whole file unreadable is a
//! [`TabularError`]. After every row [`RowReader::position`] can be stored, and
//! [`RowReader::resume`] goes on from there exactly as an undisturbed reader would.
//!
//! The reader splits records on the file's own bytes and decodes field by field, so every offset is an
//! offset in the file as it lies on disk, in UTF-16 and Big5 as much as in UTF-8.
//!
//! Cell values are text; [`number`], [`date`] and [`value`] give them their types.

pub mod date;
pub mod dialect;
pub mod encoding;
pub mod error;
pub mod failed_rows;
pub mod header;
mod header_row;
pub mod number;
pub mod reader;
pub mod record;
mod row;
mod sample;
mod scanner;
pub mod sniff;
mod units;
pub mod value;
mod window;

pub use dialect::{Delimiter, Dialect, HeaderAt, LineEnd};
pub use encoding::TextEncoding;
pub use error::{ProblemCode, RowProblem, TabularError};
pub use failed_rows::{FailedRow, FailedRowsWriter};
pub use header::{Header, HeaderError};
pub use reader::{Format, Limits, Position, Row, RowReader};
pub use record::Record;
pub use sniff::{HeaderChoice, Overrides, Sniffed, sniff_file, sniff_sheet};
