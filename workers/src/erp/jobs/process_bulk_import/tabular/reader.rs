//! Streams the rows of a delimited file and can go on from any saved position.

mod unsplit;

use std::io::{Read, Seek};

use super::dialect::Dialect;
use super::encoding::byte_order_mark;
use super::error::{ProblemCode, RowProblem, TabularError};
use super::header::Header;
use super::record::FieldDecoder;
use super::scanner::{LineBreak, Scanner, Step};
use super::units::{Bytes, UnitFamily};
use super::window::Window;

pub use super::row::{Format, Limits, Position, Row};

/// Reads the rows of one file in order.
#[derive(Debug)]
pub struct RowReader<R> {
    window: Window<R>,
    scanner: Scanner,
    decoder: FieldDecoder,
    /// The beginning of a record that is longer than the window.
    head: Vec<u8>,
    family: UnitFamily,
    limits: Limits,
    header: Header,
    columns: Option<usize>,
    undo_guards: bool,
    sheet: bool,
    position: Position,
}

/// How the scan of one record ended.
enum Scanned {
    EndOfFile,
    Whole,
    TooLong,
    Unclosed(Option<LineBreak>),
}

impl<R: Read + Seek> RowReader<R> {
    /// Opens a file at its first row.
    pub fn open(source: R, format: &Format, limits: Limits) -> Result<Self, TabularError> {
        Self::open_window(Window::new(source), format, limits)
    }

    /// Opens a file and goes on behind the row after which `position` was taken.
    pub fn resume(
        source: R,
        format: &Format,
        limits: Limits,
        position: Position,
    ) -> Result<Self, TabularError> {
        let mut reader = Self::open(source, format, limits)?;
        reader.seek(position)?;
        Ok(reader)
    }

    pub(super) fn open_window(
        mut window: Window<R>,
        format: &Format,
        limits: Limits,
    ) -> Result<Self, TabularError> {
        let length = window.file_length()?;
        if let Some(limit) = limits.max_bytes.filter(|&limit| length > limit) {
            return Err(TabularError::TooManyBytes { found: length, limit });
        }
        let signs = format.dialect.signs().ok_or_else(|| TabularError::NoTable {
            found: format!("{length} bytes with no delimiter in them"),
        })?;
        window.seek(0)?;
        window.fill()?;
        let mark = byte_order_mark(window.bytes()).map_or(0, |(_, length)| length);
        window.advance(mark);
        let mut reader = Self {
            window,
            scanner: Scanner::new(signs),
            decoder: FieldDecoder::new(format.encoding, signs),
            head: Vec::new(),
            family: UnitFamily::of(format.encoding.get()),
            limits,
            header: Header::default(),
            columns: None,
            undo_guards: false,
            sheet: format.sheet,
            position: Position { byte_offset: mark as u64, record: 0, line: 1, blank: 0 },
        };
        reader.read_header(&format.dialect)?;
        Ok(reader)
    }

    /// The column names.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The place behind the last row read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Blank records skipped so far.
    pub fn blank_records(&self) -> u64 {
        self.position.blank
    }

    /// Moves to a saved position of the same file.
    pub fn seek(&mut self, position: Position) -> Result<(), TabularError> {
        let length = self.window.file_length()?;
        if position.byte_offset > length || position.line == 0 {
            return Err(TabularError::PositionOutside { byte_offset: position.byte_offset, length });
        }
        self.window.seek(position.byte_offset)?;
        self.position = position;
        Ok(())
    }

    /// Reads the next row into `row`; `false` at the end of the file.
    pub fn read(&mut self, row: &mut Row) -> Result<bool, TabularError> {
        loop {
            let before = self.position;
            if !self.read_record(row)? {
                return Ok(false);
            }
            if row.problem.is_none() && row.fields.is_blank() {
                self.position.blank += 1;
                continue;
            }
            self.check_row_limit(before)?;
            self.position.record += 1;
            row.number = self.position.record;
            self.check_field_count(row);
            if self.undo_guards {
                row.fields.map_fields(super::failed_rows::without_guard);
            }
            return Ok(true);
        }
    }

    /// The cells of some columns in the next `rows` readable rows, to judge number and date formats by; the
    /// reader stays where it was.
    pub fn sample_columns(
        &mut self,
        columns: &[usize],
        rows: usize,
    ) -> Result<Vec<Vec<String>>, TabularError> {
        let start = self.position;
        let mut cells = vec![Vec::new(); columns.len()];
        let mut row = Row::default();
        for _ in 0..rows {
            if self.limits.max_rows.is_some_and(|limit| self.position.record >= limit)
                || !self.read(&mut row)?
            {
                break;
            }
            for (&column, cells) in columns.iter().zip(&mut cells) {
                let cell = row.fields.get(column).filter(|_| row.problem.is_none());
                cells.extend(cell.map(str::to_owned));
            }
        }
        self.seek(start)?;
        Ok(cells)
    }

    fn check_row_limit(&mut self, before: Position) -> Result<(), TabularError> {
        match self.limits.max_rows.filter(|&limit| before.record >= limit) {
            Some(limit) => {
                // Put back, so that a caller who asks again hears the same answer.
                self.window.seek(before.byte_offset)?;
                self.position = before;
                Err(TabularError::TooManyRows { limit, line: before.line })
            }
            None => Ok(()),
        }
    }

    fn check_field_count(&mut self, row: &mut Row) {
        if self.sheet {
            let missing = self.columns.map_or(0, |columns| columns.saturating_sub(row.fields.len()));
            (0..missing).for_each(|_| row.fields.push(""));
        }
        let found = row.fields.len();
        // Without a header the first row says how many fields a row has.
        let expected = *self.columns.get_or_insert(found);
        if row.problem.is_none() && found != expected {
            row.problem = Some(RowProblem {
                code: ProblemCode::FieldCount,
                message: unsplit::other_width(self.sheet, found, expected),
                byte_offset: row.byte_offset,
            });
        }
    }

    fn read_header(&mut self, dialect: &Dialect) -> Result<(), TabularError> {
        let mut row = Row::default();
        let Some(header) = dialect.header else {
            return self.count_columns(&mut row);
        };
        for _ in 0..=header.record {
            if !self.read_record(&mut row)? {
                return Err(TabularError::NoHeaderAtLine { line: header.line });
            }
        }
        if let Some(problem) = row.problem {
            return Err(TabularError::UnreadableHeader { line: row.line, problem });
        }
        self.header = Header::new(row.fields.to_vec());
        self.columns = Some(row.fields.len());
        self.undo_guards = self.header.is_failed_rows();
        Ok(())
    }

    /// Names the columns of a file without a header after its first readable row.
    fn count_columns(&mut self, row: &mut Row) -> Result<(), TabularError> {
        let start = self.position;
        while self.read_record(row)? {
            if row.problem.is_none() && !row.fields.is_blank() {
                self.header = Header::unnamed(row.fields.len());
                self.columns = Some(row.fields.len());
                break;
            }
        }
        self.window.seek(start.byte_offset)?;
        self.position = start;
        Ok(())
    }

    /// Reads one record of any kind, blank ones included, without judging its field count.
    pub(super) fn read_record(&mut self, row: &mut Row) -> Result<bool, TabularError> {
        row.byte_offset = self.window.offset();
        row.line = self.position.line;
        row.problem = None;
        row.number = 0;
        row.fields.clear();
        let next = match self.scan()? {
            Scanned::EndOfFile => return Ok(false),
            Scanned::Whole => {
                self.decode(row);
                None
            }
            Scanned::TooLong => {
                row.problem = Some(self.too_long(row.byte_offset));
                None
            }
            Scanned::Unclosed(line_break) => {
                row.problem = Some(self.unclosed(row));
                line_break
            }
        };
        let (length, lines) = match next {
            Some(LineBreak { after, lines }) => (after, lines),
            None => (self.scanner.length, self.scanner.lines + 1),
        };
        if row.problem.as_ref().is_some_and(|problem| !problem.code.has_cells()) {
            self.keep_text(row, length);
        }
        row.next_offset = row.byte_offset + length as u64;
        self.window.seek(row.next_offset)?;
        self.position.byte_offset = row.next_offset;
        self.position.line += if self.sheet { 1 } else { lines };
        Ok(true)
    }

    fn scan(&mut self) -> Result<Scanned, TabularError> {
        self.scanner.start_record();
        self.head.clear();
        loop {
            let last = self.window.at_end_of_file();
            if last && self.window.bytes().is_empty() {
                return Ok(Scanned::EndOfFile);
            }
            match self.advance(0, last) {
                Step::Record(_) if self.scanner.length > self.limits.max_record_bytes => {
                    return Ok(Scanned::TooLong);
                }
                Step::Record(_) => return Ok(Scanned::Whole),
                Step::Unclosed => return Ok(Scanned::Unclosed(self.scanner.line_break())),
                Step::NeedMore if self.window.bytes().len() > self.limits.max_record_bytes => {
                    return self.scan_past_limit();
                }
                Step::NeedMore => self.window.fill()?,
            }
        }
    }

    /// Looks for the end of a record that is too long to be kept, to tell a long one from an unclosed quote.
    fn scan_past_limit(&mut self) -> Result<Scanned, TabularError> {
        self.scanner.forget_fields();
        self.keep_head();
        let mut base = 0;
        loop {
            let passed = self.scanner.length - base;
            self.window.advance(passed);
            base += passed;
            self.window.fill()?;
            match self.advance(base, self.window.at_end_of_file()) {
                Step::Record(_) => return Ok(Scanned::TooLong),
                Step::Unclosed => return Ok(Scanned::Unclosed(self.scanner.line_break())),
                Step::NeedMore => {}
            }
        }
    }

    fn advance(&mut self, base: usize, last: bool) -> Step {
        let bytes = self.window.bytes();
        match self.family {
            UnitFamily::Bytes => self.scanner.advance(Bytes, bytes, base, last),
            UnitFamily::LeadBytes(units) => self.scanner.advance(units, bytes, base, last),
            UnitFamily::Utf16(units) => self.scanner.advance(units, bytes, base, last),
        }
    }

    fn decode(&mut self, row: &mut Row) {
        let raw = &self.window.bytes()[..self.scanner.length];
        let spans = &self.scanner.spans;
        let decoded = self.decoder.decode(raw, spans, &mut row.fields);
        if let Err(at) = decoded {
            self.decoder.decode_for_display(raw, spans, &mut row.fields);
            row.problem = Some(RowProblem {
                code: ProblemCode::Encoding,
                message: format!(
                    "the byte 0x{:02X} makes no sense in {}; correct it or choose the file's encoding",
                    raw.get(at).copied().unwrap_or(0),
                    self.decoder.encoding_name(),
                ),
                byte_offset: row.byte_offset + at as u64,
            });
        }
        if let Some(at) = self.scanner.nul_at {
            row.problem = Some(RowProblem {
                code: ProblemCode::NulByte,
                message: "a NUL character, which cannot be stored; remove it".to_owned(),
                byte_offset: row.byte_offset + at as u64,
            });
        }
    }
}

#[cfg(test)]
mod tests;
