//! A table of text (RFC 4180): the names of the columns, then the rows. No totals: they would be taken for a row.

use std::io::Write;

use super::super::Made;
use super::super::error::Result;
use super::super::table::Cell;
use super::{is_formula, rows};

pub(super) fn write(made: &Made, out: &mut impl Write, stop: &dyn Fn() -> bool) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    let columns = &made.table.columns;
    writer.write_record(columns.iter().map(|column| column.name))?;
    for row in rows(made, stop)? {
        let row = row?;
        let cells = columns.iter().zip(&row).map(|(column, cell)| match cell {
            Cell::Text(text) => harmless(text),
            cell => cell.plain(column.kind, made.meta.decimals).unwrap_or_default(),
        });
        writer.write_record(cells)?;
    }
    writer.flush()?;
    Ok(())
}

/// Words that begin like a formula get an apostrophe in front, by which spreadsheets know words.
fn harmless(text: &str) -> String {
    if is_formula(text) { format!("'{text}") } else { text.to_owned() }
}
