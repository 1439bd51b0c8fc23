//! The records at the beginning of a file, read under a dialect that is still being tried.

use std::collections::BTreeMap;

use super::encoding::TextEncoding;
use super::record::{FieldDecoder, Record};
use super::scanner::{FieldKind, Scanner, Signs, Step, Terminator};
use super::units::Bytes;

const MOST_RECORDS: usize = 1_000;

/// One record of the sample.
#[derive(Debug)]
pub(super) struct SampleRecord {
    /// Records above it, blank ones included.
    pub(super) index: u64,
    /// The line it starts on, counted from 1.
    pub(super) line: u64,
    pub(super) fields: Record,
    /// For every field, whether it is quoted.
    pub(super) quoted: Vec<bool>,
    pub(super) terminator: Terminator,
}

/// The first records of a file.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) records: Vec<SampleRecord>,
    /// Records whose quotes do not close.
    pub(super) unclosed: usize,
}

impl Sample {
    /// Splits `text`; its last record is left out when the text is cut from a longer file.
    pub(super) fn read(text: &str, whole: bool, signs: Signs) -> Self {
        let mut scanner = Scanner::new(signs);
        let mut decoder = FieldDecoder::new(TextEncoding::UTF_8, signs);
        let mut sample = Self::default();
        let (mut at, mut line, mut index) = (0, 1, 0);
        while at < text.len() && sample.records.len() < MOST_RECORDS {
            let rest = &text.as_bytes()[at..];
            scanner.start_record();
            match scanner.advance(Bytes, rest, 0, whole) {
                Step::NeedMore => break,
                Step::Record(terminator) => {
                    let mut fields = Record::new();
                    if decoder.decode(&rest[..scanner.length], &scanner.spans, &mut fields).is_ok() {
                        let quoted = scanner.spans.iter().map(|span| span.kind != FieldKind::Plain).collect();
                        sample.records.push(SampleRecord { index, line, fields, quoted, terminator });
                    }
                    at += scanner.length;
                    line += scanner.lines + 1;
                }
                Step::Unclosed => {
                    sample.unclosed += 1;
                    let Some(line_break) = scanner.line_break() else { break };
                    at += line_break.after;
                    line += line_break.lines;
                }
            }
            index += 1;
        }
        sample
    }

    /// The number of fields most records have; of equally frequent ones the largest. 0 without records.
    pub(super) fn usual_width(&self) -> usize {
        let mut counts = BTreeMap::<usize, usize>::new();
        for record in self.records.iter().filter(|record| !record.fields.is_blank()) {
            *counts.entry(record.fields.len()).or_default() += 1;
        }
        counts.into_iter().max_by_key(|&(width, count)| (count, width)).map_or(0, |(width, _)| width)
    }

    /// Whether fields begin with spaces and a quote, which then is meant to open the field.
    pub(super) fn has_spaces_before_quotes(&self, quote: u8) -> bool {
        let quote = char::from(quote);
        self.records.iter().any(|record| {
            record.fields.iter().zip(&record.quoted).any(|(field, quoted)| {
                !quoted && field.starts_with([' ', '\t']) && field.trim_start().starts_with(quote)
            })
        })
    }
}
