//! What keeps a small file from becoming a very large one.

use std::fs::File;
use std::io::{self, Read, Write};

use zip::ZipArchive;
use zip::result::ZipError;

use super::super::tabular::TabularError;
use super::{UnpackLimits, WorkbookKind, damaged};

/// Most parts of a packed workbook.
const MOST_PARTS: usize = 10_000;
/// Rows above the first one that counts: titles and the header.
const ABOVE: u64 = 100;

/// Unpacks every part into nothing and counts, before anything is read into memory; says which kind of workbook it is.
pub(super) fn check_packed(file: &mut File, limits: UnpackLimits) -> Result<WorkbookKind, TabularError> {
    let mut archive = ZipArchive::new(file).map_err(zip_error)?;
    if archive.len() > MOST_PARTS {
        return Err(damaged(format!("it has {} parts", archive.len())));
    }
    let has = |name: &str| archive.file_names().flatten().any(|part| part.eq_ignore_ascii_case(name));
    let kind = match (has("xl/workbook.xml"), has("content.xml")) {
        (true, _) => WorkbookKind::Xlsx,
        (_, true) => WorkbookKind::Ods,
        _ => return Err(TabularError::NotText { found: "a zip archive, or a workbook of another kind" }),
    };
    let mut left = limits.max_bytes;
    for at in 0..archive.len() {
        let part = archive.by_index(at).map_err(zip_error)?;
        let unpacked = io::copy(&mut part.take(left.saturating_add(1)), &mut io::sink())
            .map_err(|error| damaged(error.to_string()))?;
        left = left.checked_sub(unpacked).ok_or(TabularError::TooMuchUnpacked { limit: limits.max_bytes })?;
    }
    Ok(kind)
}

fn zip_error(error: ZipError) -> TabularError {
    match error {
        ZipError::Io(error) => TabularError::Io(error),
        ZipError::UnsupportedArchive(why) if why == ZipError::PASSWORD_REQUIRED => TabularError::Protected,
        error => damaged(error.to_string()),
    }
}

/// Writes the rows of a table as CSV, no more than the limits allow.
pub(super) struct Counted<W: Write> {
    output: csv::Writer<W>,
    bytes: u64,
    rows: u64,
    limits: UnpackLimits,
}

impl<W: Write> Counted<W> {
    pub(super) fn new(output: W, limits: UnpackLimits) -> Self {
        let output = csv::WriterBuilder::new().flexible(true).from_writer(output);
        Self { output, bytes: 0, rows: 0, limits }
    }

    /// Adds a row; one without cells is a blank line.
    pub(super) fn write(&mut self, row: &[String]) -> Result<(), TabularError> {
        let cells = row.iter().map(|cell| cell.len() as u64 + 1).sum::<u64>().max(1);
        self.bytes = self.bytes.saturating_add(cells);
        self.rows += u64::from(!row.is_empty());
        if self.bytes > self.limits.max_bytes {
            return Err(TabularError::TooMuchUnpacked { limit: self.limits.max_bytes });
        }
        if self.rows > self.limits.max_rows.saturating_add(ABOVE) {
            return Err(TabularError::TooManyRows { limit: self.limits.max_rows, line: self.rows });
        }
        let written = match row {
            [] => self.output.write_record([""]),
            row => self.output.write_record(row),
        };
        written.map_err(|error| TabularError::Io(io::Error::other(error)))
    }

    pub(super) fn finish(mut self) -> Result<(), TabularError> {
        self.output.flush().map_err(TabularError::Io)
    }
}
