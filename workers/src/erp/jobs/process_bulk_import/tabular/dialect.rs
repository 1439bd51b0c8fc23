//! Finds out how the fields of a file are separated and quoted, and which row names the columns.
//!
//! Every candidate delimiter is tried on a sample of the file. The best is the one under which most records
//! have the same number of fields, few cells still hold another delimiter, and a header of that width exists.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::TabularError;
use super::header_row::find_header;
use super::number::looks_like_number;
use super::sample::{Sample, SampleRecord};
use super::scanner::{Signs, Terminator};

const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The sign between two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "char", into = "char")]
pub struct Delimiter(u8);

impl Delimiter {
    /// The comma, which a file with a single column is taken to use.
    pub const COMMA: Self = Self(b',');

    /// The delimiter as a byte.
    pub fn as_byte(self) -> u8 {
        self.0
    }
}

impl TryFrom<char> for Delimiter {
    type Error = TabularError;

    fn try_from(sign: char) -> Result<Self, Self::Error> {
        match u8::try_from(sign) {
            Ok(byte)
                if byte == b'\t'
                    || byte == b' '
                    || byte.is_ascii_punctuation() && !b"\"'\\".contains(&byte) =>
            {
                Ok(Self(byte))
            }
            _ => Err(TabularError::BadDelimiter { given: sign.escape_default().to_string() }),
        }
    }
}

impl From<Delimiter> for char {
    fn from(delimiter: Delimiter) -> Self {
        Self::from(delimiter.0)
    }
}

impl std::str::FromStr for Delimiter {
    type Err = TabularError;

    /// Accepts the sign itself or its name: `comma`, `semicolon`, `tab` (also `\t`), `pipe`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut signs = text.chars();
        match (text.to_ascii_lowercase().as_str(), signs.next(), signs.next()) {
            ("comma", ..) => Ok(Self(b',')),
            ("semicolon", ..) => Ok(Self(b';')),
            ("tab" | "\\t", ..) => Ok(Self(b'\t')),
            ("pipe", ..) => Ok(Self(b'|')),
            (_, Some(sign), None) => Self::try_from(sign),
            _ => Err(TabularError::BadDelimiter { given: text.to_owned() }),
        }
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b',' => out.write_str("comma"),
            b';' => out.write_str("semicolon"),
            b'\t' => out.write_str("tab"),
            b'|' => out.write_str("pipe"),
            b' ' => out.write_str("space"),
            other => write!(out, "`{}`", char::from(other)),
        }
    }
}

/// How the records of a file end; the reader accepts every kind anywhere, this is for show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineEnd {
    /// Line feed.
    Lf,
    /// Carriage return and line feed.
    Crlf,
    /// Carriage return alone.
    Cr,
    /// More than one kind.
    Mixed,
}

/// Where the row with the column names stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderAt {
    /// Records above it, blank ones included.
    pub record: u64,
    /// The line it starts on, counted from 1.
    pub line: u64,
}

/// How the fields of a file are separated, quoted and named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// The sign between fields; `None` when the file holds at most one cell and so no table.
    pub delimiter: Option<Delimiter>,
    /// The sign around fields that hold delimiters or line ends.
    pub quote: Option<char>,
    /// Whether a backslash inside quotes makes the next quote or backslash an ordinary sign.
    pub backslash_escapes: bool,
    /// Whether spaces between a delimiter and an opening quote are left out.
    pub skip_initial_space: bool,
    /// How records end.
    pub line_end: LineEnd,
    /// The header row, or `None` for a file without one.
    pub header: Option<HeaderAt>,
}

impl Dialect {
    /// The dialect of RFC 4180: commas, double quotes, the header on line 1.
    pub fn rfc4180() -> Self {
        Self {
            delimiter: Some(Delimiter::COMMA),
            quote: Some('"'),
            backslash_escapes: false,
            skip_initial_space: false,
            line_end: LineEnd::Crlf,
            header: Some(HeaderAt { record: 0, line: 1 }),
        }
    }

    pub(super) fn signs(&self) -> Option<Signs> {
        Some(Signs {
            delimiter: self.delimiter?.0,
            quote: self.quote.filter(char::is_ascii).map(|quote| quote as u8),
            backslash_escapes: self.backslash_escapes,
            skip_initial_space: self.skip_initial_space,
        })
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.delimiter {
            None => return out.write_str("no table"),
            Some(delimiter) => write!(out, "{delimiter}")?,
        }
        match self.quote {
            Some('"') => {}
            Some(quote) => write!(out, ", quoted with {quote}")?,
            None => write!(out, ", no quotes")?,
        }
        if self.backslash_escapes {
            out.write_str(", backslash escapes")?;
        }
        match self.header {
            Some(header) => write!(out, ", header on line {}", header.line),
            None => out.write_str(", no header"),
        }
    }
}

/// The dialect of a sheet that was written as a table; the header stands on the row of its number.
pub(super) fn sheet_dialect(text: &str, whole: bool) -> Dialect {
    let plain = Dialect::rfc4180();
    let Some(signs) = plain.signs() else { return plain };
    let sample = Sample::read(text, whole, signs);
    let header = find_header(&sample.records, sample.usual_width());
    let header = header.map(|record| HeaderAt { record: record.index, line: record.index + 1 });
    Dialect { header, line_end: LineEnd::Lf, ..plain }
}

/// Sniffs the dialect of the beginning of a file; `whole` when the text is the whole file.
pub(super) fn sniff_dialect(text: &str, whole: bool, forced: Option<Delimiter>) -> Dialect {
    let backslash_escapes = has_backslash_escapes(text);
    let quote = if has_single_quotes(text) { b'\'' } else { b'"' };
    let signs =
        |delimiter| Signs { delimiter, quote: Some(quote), backslash_escapes, skip_initial_space: true };
    let delimiter = forced.map(Delimiter::as_byte).or_else(|| {
        let scored =
            CANDIDATES.map(|delimiter| (score(&Sample::read(text, whole, signs(delimiter))), delimiter));
        // The first of equals wins: the candidates stand in order of likelihood.
        let mut best = None;
        for (score, delimiter) in scored {
            if score > best.map_or(0.0, |(score, _)| score) {
                best = Some((score, delimiter));
            }
        }
        best.map(|(_, delimiter)| delimiter)
    });
    let strict =
        Sample::read(text, whole, Signs { skip_initial_space: false, ..signs(delimiter.unwrap_or(b',')) });
    let skip_initial_space = strict.has_spaces_before_quotes(quote);
    let sample =
        if skip_initial_space { Sample::read(text, whole, signs(delimiter.unwrap_or(b','))) } else { strict };
    let filled = sample.records.iter().filter(|record| !record.fields.is_blank()).count();
    let delimiter = delimiter.or((filled > 1).then_some(b','));
    let header = delimiter.and_then(|_| find_header(&sample.records, sample.usual_width()));
    Dialect {
        delimiter: delimiter.map(Delimiter),
        quote: Some(char::from(quote)),
        backslash_escapes,
        skip_initial_space,
        line_end: line_end(&sample.records),
        header: header.map(|record| HeaderAt { record: record.index, line: record.line }),
    }
}

/// How well a sample reads under one delimiter; 0 when it separates nothing.
fn score(sample: &Sample) -> f64 {
    let width = sample.usual_width();
    let filled: Vec<&SampleRecord> =
        sample.records.iter().filter(|record| !record.fields.is_blank()).collect();
    if width < 2 {
        return 0.0;
    }
    let regular = filled.iter().filter(|record| record.fields.len() == width).count();
    let (mut clean, mut cells) = (0_usize, 0_usize);
    for record in &filled {
        cells += record.fields.len();
        clean += clean_cells(record);
    }
    let header = find_header(&sample.records, width).is_some_and(|header| header.fields.len() == width);
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let damage = share(sample.unclosed, filled.len() + sample.unclosed);
    share(regular, filled.len()) * share(clean, cells) * (1.0 - damage) + if header { 0.2 } else { 0.0 }
}

/// Cells that hold no other delimiter, unless they are quoted or that delimiter is part of a number.
fn clean_cells(record: &SampleRecord) -> usize {
    let is_clean = |(cell, &quoted): (&str, &bool)| {
        quoted || !cell.bytes().any(|byte| CANDIDATES.contains(&byte)) || looks_like_number(cell)
    };
    record.fields.iter().zip(&record.quoted).filter(|&pair| is_clean(pair)).count()
}

/// `\"` with text behind it is an escaped quote; with a delimiter or line end behind it, a path's last sign.
fn has_backslash_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut escapes, mut paths) = (0_usize, 0_usize);
    for window in bytes.windows(3) {
        if window[0] == b'\\' && window[1] == b'"' {
            let closes = CANDIDATES.contains(&window[2]) || b"\r\n".contains(&window[2]);
            *if closes { &mut paths } else { &mut escapes } += 1;
        }
    }
    escapes > paths
}

/// Single quotes are the quoting sign where fields begin and end with them and none does with double quotes.
fn has_single_quotes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_edge =
        |byte: Option<&u8>| byte.is_none_or(|byte| CANDIDATES.contains(byte) || b"\r\n".contains(byte));
    let (mut opened, mut closed, mut double) = (0_usize, 0_usize, 0_usize);
    for (at, byte) in bytes.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let (starts, ends) = (is_edge(before), is_edge(bytes.get(at + 1)));
        match byte {
            b'"' if starts || ends => double += 1,
            b'\'' => {
                opened += usize::from(starts);
                closed += usize::from(ends);
            }
            _ => {}
        }
    }
    let lines = bytes.iter().filter(|&&byte| byte == b'\n' || byte == b'\r').count();
    double == 0 && opened >= 2 && opened == closed && opened * 2 >= lines
}

fn line_end(records: &[SampleRecord]) -> LineEnd {
    let has = |terminator| records.iter().any(|record| record.terminator == terminator);
    match (has(Terminator::Lf), has(Terminator::CrLf), has(Terminator::Cr)) {
        (_, false, false) => LineEnd::Lf,
        (false, true, false) => LineEnd::Crlf,
        (false, false, true) => LineEnd::Cr,
        _ => LineEnd::Mixed,
    }
}

#[cfg(test)]
mod tests;
