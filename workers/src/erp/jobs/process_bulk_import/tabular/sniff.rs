//! Looks at the beginning of a file and says how it is written: what a dry run shows before the first row.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::workbook::{SheetOf, WorkbookKind};
use super::dialect::{Delimiter, Dialect, HeaderAt, sheet_dialect, sniff_dialect};
use super::encoding::{TextEncoding, byte_order_mark, detect};
use super::error::TabularError;
use super::reader::{Format, Limits, Row, RowReader};

/// How many bytes the dialect is judged by.
const SAMPLE_BYTES: usize = 128 * 1024;
/// How many rows a preview shows.
const PREVIEW_ROWS: usize = 5;

/// What the caller knows better than the sniffer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// The encoding, instead of the detected one.
    pub encoding: Option<TextEncoding>,
    /// The delimiter, instead of the sniffed one.
    pub delimiter: Option<Delimiter>,
    /// The header row, instead of the sniffed one.
    pub header: Option<HeaderChoice>,
}

/// Where the caller says the column names stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderChoice {
    /// Nowhere: the first row is data.
    None,
    /// On the row that starts on this line, counted from 1.
    Line(u64),
}

/// How a file is written and what its first rows look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sniffed {
    /// The encoding of the text.
    pub encoding: TextEncoding,
    /// Whether the file begins with a byte order mark.
    pub bom: bool,
    /// Delimiter, quoting and header row.
    pub dialect: Dialect,
    /// The sheet of a workbook, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<SheetOf>,
    /// The column names; made up for a file without a header.
    pub header: Vec<String>,
    /// The first rows that could be read.
    pub preview: Vec<Vec<String>>,
}

impl Sniffed {
    /// What a reader needs to know.
    pub fn format(&self) -> Format {
        Format { encoding: self.encoding, dialect: self.dialect.clone(), sheet: self.sheet.is_some() }
    }

    /// Whether there is a table to read at all.
    pub fn has_table(&self) -> bool {
        self.dialect.delimiter.is_some()
    }
}

impl fmt::Display for Sniffed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(of) = &self.sheet {
            let kind = match of.kind {
                WorkbookKind::Xlsx => "xlsx",
                WorkbookKind::Xls => "xls",
                WorkbookKind::Ods => "ods",
            };
            write!(out, "{kind}, sheet `{}`", of.sheet)?;
            return match self.dialect.header {
                Some(header) => write!(out, ", header on row {}", header.line),
                None => out.write_str(", no header"),
            };
        }
        let mark = if self.bom { " with byte order mark" } else { "" };
        write!(out, "{}{mark}, {}", self.encoding, self.dialect)
    }
}

/// Sniffs the file at `path`.
pub fn sniff_file(path: &Path, overrides: &Overrides) -> Result<Sniffed, TabularError> {
    sniff(File::open(path)?, overrides)
}

/// Sniffs any source that can be read twice.
pub fn sniff<R: Read + Seek>(mut source: R, overrides: &Overrides) -> Result<Sniffed, TabularError> {
    let encoding = match overrides.encoding {
        Some(encoding) => encoding,
        None => detect(&mut source)?,
    };
    let mut head = Vec::new();
    source.seek(SeekFrom::Start(0))?;
    source.by_ref().take(SAMPLE_BYTES as u64).read_to_end(&mut head)?;
    let whole = head.len() < SAMPLE_BYTES;
    let mark = byte_order_mark(&head).map_or(0, |(_, length)| length);
    // Only the shape is judged here, so what cannot be decoded may be replaced.
    let (text, _) = encoding.get().decode_without_bom_handling(&head[mark..]);
    let mut dialect = sniff_dialect(&text, whole, overrides.delimiter);
    apply_header(overrides.header, &mut dialect, &mut source, encoding, false)?;
    let mut sniffed =
        Sniffed { encoding, bom: mark > 0, dialect, sheet: None, header: Vec::new(), preview: Vec::new() };
    if sniffed.has_table() {
        preview(&mut sniffed, source)?;
    }
    Ok(sniffed)
}

/// Looks at a sheet that was written as a table: only where its header stands is a question.
pub fn sniff_sheet(path: &Path, overrides: &Overrides) -> Result<Sniffed, TabularError> {
    let mut source = File::open(path)?;
    let mut head = Vec::new();
    source.by_ref().take(SAMPLE_BYTES as u64).read_to_end(&mut head)?;
    let whole = head.len() < SAMPLE_BYTES;
    let mut dialect = sheet_dialect(&String::from_utf8_lossy(&head), whole);
    let encoding = TextEncoding::UTF_8;
    apply_header(overrides.header, &mut dialect, &mut source, encoding, true)?;
    // What workbook it was is the caller's to say.
    let of = SheetOf { kind: WorkbookKind::Xlsx, sheet: String::new() };
    let mut sniffed =
        Sniffed { encoding, bom: false, dialect, sheet: Some(of), header: Vec::new(), preview: Vec::new() };
    preview(&mut sniffed, source)?;
    if sniffed.header.is_empty() {
        return Err(TabularError::NoTable { found: "an empty sheet".into() });
    }
    Ok(sniffed)
}

fn apply_header<R: Read + Seek>(
    choice: Option<HeaderChoice>,
    dialect: &mut Dialect,
    source: &mut R,
    encoding: TextEncoding,
    sheet: bool,
) -> Result<(), TabularError> {
    match choice {
        None => return Ok(()),
        Some(HeaderChoice::None) => dialect.header = None,
        Some(HeaderChoice::Line(line)) => {
            dialect.delimiter = dialect.delimiter.or(Some(Delimiter::COMMA));
            dialect.header = None;
            let format = Format { encoding, dialect: dialect.clone(), sheet };
            dialect.header = Some(header_at(line, RowReader::open(source, &format, no_limits())?)?);
        }
    }
    dialect.delimiter = dialect.delimiter.or(Some(Delimiter::COMMA));
    Ok(())
}

fn header_at<R: Read + Seek>(line: u64, mut reader: RowReader<R>) -> Result<HeaderAt, TabularError> {
    let mut row = Row::default();
    let mut record = 0;
    while reader.position().line <= line && reader.read_record(&mut row)? {
        if row.line == line && !row.fields.is_blank() {
            return Ok(HeaderAt { record, line });
        }
        record += 1;
    }
    Err(TabularError::NoHeaderAtLine { line })
}

fn preview<R: Read + Seek>(sniffed: &mut Sniffed, source: R) -> Result<(), TabularError> {
    let mut reader = RowReader::open(source, &sniffed.format(), no_limits())?;
    sniffed.header = reader.header().names().to_vec();
    let mut row = Row::default();
    for _ in 0..PREVIEW_ROWS * 4 {
        if sniffed.preview.len() == PREVIEW_ROWS || !reader.read(&mut row)? {
            break;
        }
        if row.problem.is_none() {
            sniffed.preview.push(row.fields.to_vec());
        }
    }
    Ok(())
}

fn no_limits() -> Limits {
    Limits { max_bytes: None, max_rows: None, ..Limits::default() }
}

#[cfg(test)]
mod tests;
