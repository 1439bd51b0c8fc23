//! Finds where a record and its fields begin and end, on raw bytes, without copying anything.
//!
//! The rules are those of RFC 4180, read as spreadsheets and Python's `csv` read them: a quote opens a quoted
//! field only at the field's start, a doubled quote inside is one quote, and signs after the closing quote
//! belong to the field. One reading is refused: a quoted field that spans lines and is then followed by more
//! text is a forgotten closing quote that has swallowed other rows.

mod span;

pub(super) use span::{FieldKind, Span};

use super::units::{NOT_ASCII, Unit, Units};

/// The signs that give a record its shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) backslash_escapes: bool,
    pub(super) skip_initial_space: bool,
}

/// The line end that closed a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terminator {
    Lf,
    CrLf,
    Cr,
    EndOfFile,
}

/// What a scan came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The bytes given end inside the record.
    NeedMore,
    /// The record is complete; [`Scanner::length`] bytes, line end included.
    Record(Terminator),
    /// A quoted field does not end, or ends in the middle of another row.
    Unclosed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Unquoted,
    Quoted,
    AfterQuoted,
}

/// A line end met inside a quoted field: where reading can go on if the quote was a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineBreak {
    /// Offset just behind the line end.
    pub(super) after: usize,
    /// Line ends of the record up to and with this one.
    pub(super) lines: u64,
}

/// Scans one record after the other; give it bytes until it says where the record ends.
#[derive(Debug)]
pub(super) struct Scanner {
    signs: Signs,
    unquoted_stops: [bool; 256],
    quoted_stops: [bool; 256],
    state: State,
    kind: FieldKind,
    field_start: usize,
    quote_at: usize,
    closed_at: usize,
    has_escapes: bool,
    line_break: Option<LineBreak>,
    /// Bytes of this record looked at so far; the record's length once it is complete.
    pub(super) length: usize,
    /// Line ends inside the record, its own not counted.
    pub(super) lines: u64,
    /// The first NUL of the record.
    pub(super) nul_at: Option<usize>,
    /// The fields found so far.
    pub(super) spans: Vec<Span>,
    keep_spans: bool,
}

impl Scanner {
    pub(super) fn new(signs: Signs) -> Self {
        let mut unquoted_stops = [false; 256];
        let mut quoted_stops = [false; 256];
        for sign in [b'\n', b'\r', 0] {
            unquoted_stops[usize::from(sign)] = true;
            quoted_stops[usize::from(sign)] = true;
        }
        unquoted_stops[usize::from(signs.delimiter)] = true;
        if let Some(quote) = signs.quote {
            quoted_stops[usize::from(quote)] = true;
        }
        quoted_stops[usize::from(b'\\')] |= signs.backslash_escapes;
        Self {
            signs,
            unquoted_stops,
            quoted_stops,
            state: State::FieldStart,
            kind: FieldKind::Plain,
            field_start: 0,
            quote_at: 0,
            closed_at: 0,
            has_escapes: false,
            line_break: None,
            length: 0,
            lines: 0,
            nul_at: None,
            spans: Vec::new(),
            keep_spans: true,
        }
    }

    /// Forgets the last record and starts the next.
    pub(super) fn start_record(&mut self) {
        self.state = State::FieldStart;
        self.kind = FieldKind::Plain;
        self.field_start = 0;
        self.has_escapes = false;
        self.line_break = None;
        self.length = 0;
        self.lines = 0;
        self.nul_at = None;
        self.spans.clear();
        self.keep_spans = true;
    }

    /// Stops collecting fields: the record is too long to be kept and only its end is wanted.
    pub(super) fn forget_fields(&mut self) {
        self.keep_spans = false;
        self.spans = Vec::new();
    }

    /// Where the quoted field being scanned was opened.
    pub(super) fn quote_at(&self) -> usize {
        self.quote_at
    }

    /// The first line end inside the quoted field being scanned.
    pub(super) fn line_break(&self) -> Option<LineBreak> {
        self.line_break
    }

    /// Goes on scanning; the first of `input`'s bytes lies `base` bytes behind the record's start.
    pub(super) fn advance<U: Units>(&mut self, units: U, bytes: &[u8], base: usize, last: bool) -> Step {
        let mut input = Input { units, bytes, base, at: self.length - base, last };
        let step = loop {
            let step = match self.state {
                State::FieldStart => self.start_field(&mut input),
                State::Unquoted | State::AfterQuoted => self.plain_text(&mut input),
                State::Quoted => self.quoted_text(&mut input),
            };
            if let Some(step) = step {
                break step;
            }
        };
        self.length = input.offset();
        step
    }

    fn start_field<U: Units>(&mut self, input: &mut Input<'_, U>) -> Option<Step> {
        self.kind = FieldKind::Plain;
        self.field_start = input.offset();
        let Some(unit) = input.unit() else {
            return Some(self.out_of_bytes(input));
        };
        let is_space = unit.sign == b' ' || unit.sign == b'\t';
        if self.signs.quote == Some(unit.sign) {
            self.state = State::Quoted;
            self.quote_at = input.offset();
            self.line_break = None;
            input.at += unit.length;
            self.field_start = input.offset();
        } else if self.signs.skip_initial_space && is_space && unit.sign != self.signs.delimiter {
            input.at += unit.length;
        } else {
            self.state = State::Unquoted;
        }
        None
    }

    /// Text outside quotes, up to the delimiter or line end that closes the field.
    fn plain_text<U: Units>(&mut self, input: &mut Input<'_, U>) -> Option<Step> {
        let from = input.at;
        input.find(&self.unquoted_stops);
        if self.state == State::AfterQuoted && input.at > from {
            self.kind = FieldKind::Escaped;
            if self.line_break.is_some() && !input.only_spaces(from) {
                return Some(Step::Unclosed);
            }
        }
        let Some(unit) = input.unit() else {
            return Some(self.out_of_bytes(input));
        };
        if unit.sign == self.signs.delimiter {
            self.end_field(input.offset());
            input.at += unit.length;
            self.state = State::FieldStart;
        } else if unit.sign == 0 {
            self.kind = if self.state == State::AfterQuoted { FieldKind::Escaped } else { self.kind };
            self.nul_at.get_or_insert(input.offset());
            input.at += unit.length;
        } else {
            let Some((length, terminator)) = input.line_end(unit) else {
                return Some(Step::NeedMore);
            };
            self.end_field(input.offset());
            input.at += length;
            return Some(Step::Record(terminator));
        }
        None
    }

    /// Text inside quotes, up to the closing quote.
    fn quoted_text<U: Units>(&mut self, input: &mut Input<'_, U>) -> Option<Step> {
        input.find(&self.quoted_stops);
        let Some(unit) = input.unit() else {
            return Some(if input.last { Step::Unclosed } else { Step::NeedMore });
        };
        if self.signs.quote == Some(unit.sign) {
            let Some(next) = input.peek(unit.length) else {
                return Some(Step::NeedMore);
            };
            if next.sign == unit.sign {
                self.has_escapes = true;
                input.at += unit.length + next.length;
            } else {
                self.close_quote(input.offset());
                input.at += unit.length;
            }
            return None;
        }
        match unit.sign {
            b'\n' | b'\r' => {
                let Some((length, _)) = input.line_end(unit) else {
                    return Some(Step::NeedMore);
                };
                input.at += length;
                self.lines += 1;
                self.line_break.get_or_insert(LineBreak { after: input.offset(), lines: self.lines });
            }
            0 => {
                self.nul_at.get_or_insert(input.offset());
                input.at += unit.length;
            }
            _ => {
                let Some(next) = input.peek(unit.length) else {
                    return Some(Step::NeedMore);
                };
                self.has_escapes = true;
                let escaped = next.sign == b'\\' || self.signs.quote == Some(next.sign);
                input.at += unit.length + if escaped { next.length } else { 0 };
            }
        }
        None
    }

    fn close_quote(&mut self, at: usize) {
        self.state = State::AfterQuoted;
        self.kind = if self.has_escapes { FieldKind::Escaped } else { FieldKind::Quoted };
        self.has_escapes = false;
        self.closed_at = at;
    }

    fn end_field(&mut self, at: usize) {
        if self.keep_spans {
            let end = if self.kind == FieldKind::Quoted { self.closed_at } else { at };
            self.spans.push(Span { start: self.field_start, end, kind: self.kind });
        }
    }

    fn out_of_bytes<U: Units>(&mut self, input: &Input<'_, U>) -> Step {
        if !input.last {
            return Step::NeedMore;
        }
        self.end_field(input.offset());
        Step::Record(Terminator::EndOfFile)
    }
}

/// The bytes at hand and how far they are read.
struct Input<'a, U> {
    units: U,
    bytes: &'a [u8],
    base: usize,
    at: usize,
    last: bool,
}

impl<U: Units> Input<'_, U> {
    /// The position as an offset from the record's start.
    fn offset(&self) -> usize {
        self.base + self.at
    }

    fn unit(&self) -> Option<Unit> {
        self.units.unit(self.bytes, self.at, self.last)
    }

    /// The unit `ahead` bytes on; a sign that is nothing at the end of the file, `None` when bytes are missing.
    fn peek(&self, ahead: usize) -> Option<Unit> {
        let end = Unit { sign: NOT_ASCII, length: 0 };
        self.units.unit(self.bytes, self.at + ahead, self.last).or(self.last.then_some(end))
    }

    fn find(&mut self, stops: &[bool; 256]) {
        self.at = self.units.find(self.bytes, self.at, stops);
        // `find` stops before an incomplete unit; at the end of the file that is an ordinary sign.
        while self.last && self.unit().is_some_and(|unit| unit.sign == NOT_ASCII) {
            self.at += self.unit().map_or(0, |unit| unit.length);
            self.at = self.units.find(self.bytes, self.at, stops);
        }
    }

    fn line_end(&self, unit: Unit) -> Option<(usize, Terminator)> {
        if unit.sign == b'\n' {
            return Some((unit.length, Terminator::Lf));
        }
        let next = self.peek(unit.length)?;
        Some(if next.sign == b'\n' {
            (unit.length + next.length, Terminator::CrLf)
        } else {
            (unit.length, Terminator::Cr)
        })
    }

    fn only_spaces(&self, from: usize) -> bool {
        let mut at = from;
        while at < self.at {
            match self.units.unit(self.bytes, at, self.last) {
                Some(unit) if unit.sign == b' ' || unit.sign == b'\t' => at += unit.length,
                _ => return false,
            }
        }
        true
    }
}
