//! The decoded fields of one record, in buffers that are used again for the next.

use std::fmt::Write;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::encoding::TextEncoding;
use super::scanner::{FieldKind, Signs, Span};

/// The fields of one record as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    text: String,
    ends: Vec<usize>,
}

impl Record {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The field at `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.text.get(start..end)
    }

    /// The fields in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index).unwrap_or(""))
    }

    /// The fields as owned strings.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }

    /// Whether every field is empty or white space.
    pub fn is_blank(&self) -> bool {
        self.text.trim_start().is_empty()
    }

    /// Adds a field at the end.
    pub fn push(&mut self, field: &str) {
        self.text.push_str(field);
        self.ends.push(self.text.len());
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Applies `change` to every field.
    pub(super) fn map_fields(&mut self, change: impl Fn(&str) -> &str) {
        if self.iter().all(|field| change(field).len() == field.len()) {
            return;
        }
        let fields = self.to_vec();
        self.clear();
        for field in &fields {
            self.push(change(field));
        }
    }
}

/// Turns the scanned bytes of a record into a [`Record`].
#[derive(Debug)]
pub(super) struct FieldDecoder {
    encoding: &'static Encoding,
    signs: Signs,
    decoded: String,
}

impl FieldDecoder {
    pub(super) fn new(encoding: TextEncoding, signs: Signs) -> Self {
        Self { encoding: encoding.get(), signs, decoded: String::new() }
    }

    pub(super) fn encoding_name(&self) -> String {
        self.encoding.name().to_ascii_lowercase()
    }

    /// Decodes every field, or says at which offset from the record's start the bytes make no sense.
    pub(super) fn decode(&mut self, raw: &[u8], spans: &[Span], out: &mut Record) -> Result<(), usize> {
        out.clear();
        if self.encoding == UTF_8 {
            // Checked as a whole, so that taking the quotes out cannot join two broken halves.
            let text = std::str::from_utf8(raw).map_err(|error| error.valid_up_to())?;
            for span in spans {
                self.push_text(text.get(span.start..span.end).unwrap_or(""), span.kind, out);
            }
            return Ok(());
        }
        let mut decoded = std::mem::take(&mut self.decoded);
        for span in spans {
            decoded.clear();
            decode_strictly(self.encoding, &raw[span.start..span.end], &mut decoded)
                .map_err(|at| span.start + at)?;
            self.push_text(&decoded, span.kind, out);
        }
        self.decoded = decoded;
        Ok(())
    }

    /// Decodes a damaged record for a person to look at: bytes that make no sense become `\xNN`.
    pub(super) fn decode_for_display(&self, raw: &[u8], spans: &[Span], out: &mut Record) {
        out.clear();
        for span in spans {
            let text = self.visible_text(&raw[span.start..span.end]);
            self.push_text(&text, span.kind, out);
        }
    }

    /// The beginning of a record that has no cells, for a person to look at. A sign that was cut in two is left out.
    pub(super) fn text_for_display(&self, bytes: &[u8]) -> String {
        let whole = match self.encoding == UTF_8 {
            true => std::str::from_utf8(bytes)
                .err()
                .filter(|error| error.error_len().is_none())
                .map_or(bytes.len(), |error| error.valid_up_to()),
            false => bytes.len(),
        };
        self.visible_text(&bytes[..whole])
    }

    fn visible_text(&self, bytes: &[u8]) -> String {
        // One byte at a time where bytes stand alone; UTF-16 must stay on its pairs.
        let step = if self.encoding == UTF_16LE || self.encoding == UTF_16BE { 2 } else { 1 };
        let mut text = String::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = if self.encoding.is_single_byte() { &rest[..1] } else { rest };
            let kept = text.len();
            let Err(at) = decode_strictly(self.encoding, piece, &mut text) else {
                rest = &rest[piece.len()..];
                continue;
            };
            text.truncate(kept);
            if at > 0 && decode_strictly(self.encoding, &piece[..at], &mut text).is_err() {
                text.truncate(kept);
            }
            let bad = &rest[at..(at + step).min(rest.len())];
            for byte in bad {
                let _ = write!(text, "\\x{byte:02X}");
            }
            rest = &rest[at + bad.len()..];
        }
        text
    }

    fn push_text(&self, text: &str, kind: FieldKind, out: &mut Record) {
        match kind {
            FieldKind::Plain | FieldKind::Quoted => out.text.push_str(text),
            FieldKind::Escaped => self.unescape(text, &mut out.text),
        }
        out.ends.push(out.text.len());
    }

    /// Undoes doubled quotes and backslashes; signs behind the closing quote are taken as they stand.
    fn unescape(&self, text: &str, out: &mut String) {
        let quote = char::from(self.signs.quote.unwrap_or(b'"'));
        let mut signs = text.chars().peekable();
        while let Some(sign) = signs.next() {
            let escapes_next = if sign == quote {
                if signs.peek() != Some(&quote) {
                    out.extend(signs);
                    return;
                }
                true
            } else {
                self.signs.backslash_escapes
                    && sign == '\\'
                    && signs.peek().is_some_and(|&next| next == '\\' || next == quote)
            };
            let kept = if escapes_next { signs.next().unwrap_or(sign) } else { sign };
            out.push(kept);
        }
    }
}

/// Appends `bytes` as text to `out`, or gives the offset of the first byte that cannot be decoded.
pub(super) fn decode_strictly(
    encoding: &'static Encoding,
    bytes: &[u8],
    out: &mut String,
) -> Result<(), usize> {
    if bytes.is_ascii() && encoding.is_ascii_compatible() {
        out.push_str(std::str::from_utf8(bytes).map_err(|error| error.valid_up_to())?);
        return Ok(());
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room =
        decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len() * 4 + 16);
    out.reserve(room);
    let start = out.len();
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, out, true);
    if let DecoderResult::Malformed(bad, after) = result {
        return Err(read.saturating_sub(usize::from(bad) + usize::from(after)));
    }
    if encoding == UTF_8 || !encoding.is_single_byte() {
        return Ok(());
    }
    // A single-byte encoding maps its unused bytes to control characters that no text contains.
    match out[start..].chars().position(|sign| ('\u{80}'..='\u{9f}').contains(&sign)) {
        Some(at) => Err(at),
        None => Ok(()),
    }
}
