//! A report as a file: JSON for programs, CSV and a workbook to calculate with, a page to look at.
//!
//! Words that a spreadsheet would take for a formula are made harmless; numbers stay numbers.

mod chart;
mod csv;
mod html;
mod json;
mod xlsx;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rust_decimal::Decimal;

use super::Made;
use super::error::{ReportError, Result};
use super::request::FileFormat;
use super::table::Cell;

/// Rows between two looks at whether to stop.
const LOOK_EVERY: usize = 1000;

/// Writes a report into a file, in the format that was asked for; `stop` is asked now and then.
///
/// # Errors
/// When the file can't be written, the format can't hold it, or it shall stop.
pub fn write(made: &Made, path: &Path, stop: &dyn Fn() -> bool) -> Result<()> {
    match made.meta.parameters.format {
        FileFormat::Xlsx => xlsx::write(made, path, stop),
        FileFormat::Json => to_file(path, |out| json::write(made, out, stop)),
        FileFormat::Csv => to_file(path, |out| csv::write(made, out, stop)),
        FileFormat::Html => to_file(path, |out| html::write(made, out, stop)),
    }
}

fn to_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(path)?);
    write(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(())
}

/// The rows, one by one, until it shall stop.
fn rows<'a>(
    made: &Made,
    stop: &'a dyn Fn() -> bool,
) -> Result<impl Iterator<Item = Result<Vec<Cell>>> + use<'a>> {
    let rows = made.table.read()?.enumerate();
    Ok(rows.map(move |(at, row)| match at % LOOK_EVERY == 0 && stop() {
        true => Err(ReportError::Interrupted),
        false => row,
    }))
}

/// Whether a spreadsheet would take these words for a formula. A number may begin with a minus.
pub(super) fn is_formula(text: &str) -> bool {
    match text.chars().next() {
        Some('=' | '+' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => true,
        Some('-') => text.parse::<Decimal>().is_err(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_told_from_words_and_numbers() {
        for text in ["=1+1", "+49 30 123", "@SUM(A1)", "\t=1", "\r=1", "-1+cmd|' /C calc'!A0", "--1", "－1"]
        {
            assert!(is_formula(text), "{text:?}");
        }
        for text in ["", "-1", "-0.50", "Bolt", "1-2", "a=b"] {
            assert!(!is_formula(text), "{text:?}");
        }
    }
}
