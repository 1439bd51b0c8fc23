//! Workbooks (.xlsx, .xls, .ods) as tables of text: one sheet, written once as CSV, read like any other file from then on.
//!
//! So a workbook has the same rows, checkpoints and failed rows as a CSV file, and no worker needs to unpack one. Row n of
//! the sheet is record n of the table, blank ones included: what the errors call a line is the sheet's row.
//!
//! Before calamine sees a packed workbook everything in it is unpacked into nothing and counted, because what its
//! directory says of sizes may be a lie. .xlsx is streamed; .xls and .ods are read into memory by calamine, an .xls once it
//! is known what it comes to.

mod cell;
mod guard;
mod old;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use calamine::{Data, Ods, OdsError, Reader, Sheet, SheetType, SheetVisible, Xls, XlsError, Xlsx, XlsxError};
use serde::{Deserialize, Serialize};

use super::tabular::TabularError;
use guard::Counted;

/// Most columns of a sheet.
const MOST_COLUMNS: u32 = 16_384;
/// Most rows of a sheet.
const MOST_ROWS: u32 = 1_048_576;

/// The kinds of workbooks that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkbookKind {
    /// Office Open XML.
    Xlsx,
    /// The format before it.
    Xls,
    /// OpenDocument.
    Ods,
}

/// Which workbook and which sheet a table was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SheetOf {
    /// The workbook's kind.
    pub kind: WorkbookKind,
    /// The sheet's name.
    pub sheet: String,
}

/// A sheet as a table of text, in a file that goes with the last of its owners.
#[derive(Debug, Clone)]
pub struct Table {
    /// Where it was made from.
    pub of: SheetOf,
    file: Arc<tempfile::TempPath>,
}

impl Table {
    /// The file: UTF-8, commas, double quotes.
    pub fn path(&self) -> &Path {
        &self.file
    }
}

/// What a workbook may come to.
#[derive(Debug, Clone, Copy)]
pub struct UnpackLimits {
    /// Bytes of all its parts, and of the table.
    pub max_bytes: u64,
    /// Rows that are not blank.
    pub max_rows: u64,
}

/// Opens a file as a workbook and writes one of its sheets as a table; `None` when it is no workbook.
///
/// # Errors
/// When it is one that can't be read: protected, damaged, too large, without that sheet.
pub fn table_of(
    path: &Path,
    sheet: Option<&str>,
    limits: UnpackLimits,
) -> Result<Option<Table>, TabularError> {
    let mut file = File::open(path)?;
    let mut magic = [0; 4];
    let read = file.read(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let kind = match &magic[..read] {
        b"PK\x03\x04" => guard::check_packed(&mut file, limits)?,
        b"\xD0\xCF\x11\xE0" => WorkbookKind::Xls,
        _ => return Ok(None),
    };
    file.seek(SeekFrom::Start(0))?;
    let mut output = tempfile::NamedTempFile::new()?;
    let writer = Counted::new(&mut output, limits);
    let name = match kind {
        WorkbookKind::Xlsx => write_xlsx(BufReader::new(file), sheet, writer)?,
        WorkbookKind::Xls => {
            old::check(&mut file, limits)?;
            file.seek(SeekFrom::Start(0))?;
            write_xls(file, sheet, writer)?
        }
        WorkbookKind::Ods => {
            let mut ods = Ods::new(BufReader::new(file)).map_err(ods_error)?;
            let name = choose(ods.sheets_metadata(), sheet)?;
            write_range(&ods.worksheet_range(&name).map_err(ods_error)?, writer)?;
            name
        }
    };
    let file = Arc::new(output.into_temp_path());
    Ok(Some(Table { of: SheetOf { kind, sheet: name }, file }))
}

fn write_xls<W: Write>(
    mut file: File,
    sheet: Option<&str>,
    writer: Counted<W>,
) -> Result<String, TabularError> {
    // A protected .xlsx is packed into the old format.
    if let Err(XlsxError::Password) = Xlsx::new(BufReader::new(&mut file)) {
        return Err(TabularError::Protected);
    }
    file.seek(SeekFrom::Start(0))?;
    let mut xls = Xls::new(BufReader::new(file)).map_err(xls_error)?;
    let name = choose(xls.sheets_metadata(), sheet)?;
    write_range(&xls.worksheet_range(&name).map_err(xls_error)?, writer)?;
    Ok(name)
}

/// Cell by cell, so that no sheet is in memory.
fn write_xlsx<R: Read + Seek, W: Write>(
    source: R,
    sheet: Option<&str>,
    mut writer: Counted<W>,
) -> Result<String, TabularError> {
    let mut xlsx = Xlsx::new(source).map_err(xlsx_error)?;
    let name = choose(xlsx.sheets_metadata(), sheet)?;
    let mut cells = xlsx.worksheet_cells_reader(&name).map_err(xlsx_error)?;
    let (mut at, mut row) = (0_u32, Vec::new());
    while let Some(cell) = cells.next_cell().map_err(xlsx_error)? {
        let (place, column) = cell.get_position();
        if place < at || place >= MOST_ROWS || column >= MOST_COLUMNS {
            return Err(damaged(format!(
                "the cell in row {} stands where no cell can be",
                place.saturating_add(1)
            )));
        }
        let text = cell::written(&Data::from(cell.get_value().clone()));
        if text.is_empty() {
            continue;
        }
        while at < place {
            writer.write(&row)?;
            row.clear();
            at += 1;
        }
        put(&mut row, column, text);
    }
    writer.write(&row)?;
    writer.finish()?;
    Ok(name)
}

fn write_range<W: Write>(range: &calamine::Range<Data>, mut writer: Counted<W>) -> Result<(), TabularError> {
    let (first_row, first_column) = range.start().unwrap_or_default();
    for _ in 0..first_row {
        writer.write(&[])?;
    }
    for cells in range.rows() {
        let mut row = Vec::new();
        for (column, cell) in (first_column..).zip(cells) {
            let text = cell::written(cell);
            if !text.is_empty() {
                put(&mut row, column, text);
            }
        }
        writer.write(&row)?;
    }
    writer.finish()
}

fn put(row: &mut Vec<String>, column: u32, text: String) {
    let column = column as usize;
    if row.len() <= column {
        row.resize(column + 1, String::new());
    }
    row[column] = text;
}

/// The sheet that is meant: by name, by number from 1, or the first one that is shown.
fn choose(sheets: &[Sheet], wanted: Option<&str>) -> Result<String, TabularError> {
    let tables: Vec<&Sheet> = sheets.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).collect();
    let found = match wanted {
        None => tables.iter().find(|sheet| sheet.visible == SheetVisible::Visible).or(tables.first()),
        Some(wanted) => {
            let wanted = wanted.trim();
            let named = tables.iter().find(|sheet| sheet.name.trim().to_lowercase() == wanted.to_lowercase());
            let number = wanted.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            named.or_else(|| tables.get(number?))
        }
    };
    found.map(|sheet| sheet.name.clone()).ok_or_else(|| TabularError::NoSheet {
        wanted: wanted.unwrap_or("1").to_owned(),
        sheets: tables.iter().map(|sheet| sheet.name.clone()).collect(),
    })
}

fn damaged(why: impl Into<String>) -> TabularError {
    TabularError::DamagedWorkbook { why: why.into() }
}

fn xlsx_error(error: XlsxError) -> TabularError {
    match error {
        XlsxError::Password => TabularError::Protected,
        XlsxError::Io(error) => TabularError::Io(error),
        error => damaged(error.to_string()),
    }
}

fn xls_error(error: XlsError) -> TabularError {
    match error {
        XlsError::Password => TabularError::Protected,
        XlsError::Io(error) => TabularError::Io(error),
        error => damaged(error.to_string()),
    }
}

fn ods_error(error: OdsError) -> TabularError {
    match error {
        OdsError::Password => TabularError::Protected,
        OdsError::Io(error) => TabularError::Io(error),
        error => damaged(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
