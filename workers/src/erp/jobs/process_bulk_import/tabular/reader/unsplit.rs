//! Records that cannot be split into cells: why, and as much of their text as people need to find the mistake.

use std::io::{Read, Seek};

use super::super::error::{ProblemCode, RowProblem};
use super::super::row::Row;
use super::RowReader;

/// The most bytes of such a record that are kept: a cell of a spreadsheet holds 32,767 characters.
pub(super) const KEPT_BYTES: usize = 32_000;

impl<R: Read + Seek> RowReader<R> {
    /// Keeps the beginning of a record before the window moves on: it is too long to be kept whole.
    pub(super) fn keep_head(&mut self) {
        let bytes = self.window.bytes();
        self.head.extend_from_slice(&bytes[..bytes.len().min(KEPT_BYTES)]);
    }

    /// The first `length` bytes of the record as one cell. Its own cells would be a guess, and one that might pass when
    /// the row is imported again.
    pub(super) fn keep_text(&mut self, row: &mut Row, length: usize) {
        let bytes = if self.head.is_empty() { self.window.bytes() } else { &self.head };
        let bytes = &bytes[..length.min(bytes.len()).min(KEPT_BYTES)];
        let mut text = self.decoder.text_for_display(bytes);
        if bytes.len() < length {
            text.push('…');
        }
        row.fields.push(text.trim_end_matches(['\r', '\n']));
        if self.columns == Some(1) {
            // One cell would be a whole row here.
            row.fields.push("");
        }
    }

    pub(super) fn too_long(&self, byte_offset: u64) -> RowProblem {
        RowProblem {
            code: ProblemCode::TooLong,
            message: format!(
                "the record has {} bytes and the limit is {}; look for a missing line end",
                self.scanner.length, self.limits.max_record_bytes
            ),
            byte_offset,
        }
    }

    pub(super) fn unclosed(&self, row: &Row) -> RowProblem {
        RowProblem {
            code: ProblemCode::UnclosedQuote,
            message: "a quoted field is not closed on its row; reading goes on with the next line".to_owned(),
            byte_offset: row.byte_offset + self.scanner.quote_at() as u64,
        }
    }
}

/// Why a row of `found` fields does not fit. A sheet has no delimiters: there a cell stands right of the last column.
pub(super) fn other_width(is_sheet: bool, found: usize, expected: usize) -> String {
    if is_sheet {
        return format!(
            "{found} cells where the header has {expected}: more than expected; look for a cell to the right of the \
             last column, or give that column a name"
        );
    }
    let kind = if found > expected { "more" } else { "fewer" };
    format!(
        "{found} fields where the header has {expected}: {kind} than expected; look for a delimiter that should be \
         quoted, or a quote that is not closed"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{open, read_all};
    use super::*;

    #[test]
    fn of_a_row_that_cannot_be_split_its_text_is_kept_up_to_the_line_that_is_read_next() {
        let rows = read_all(&mut open("a,b\r\n1,\"é\r\n2,y\r\n3,\"z".as_bytes(), "utf-8"));
        assert_eq!(rows[0].0.4, ["1,\"é"]);
        assert_eq!(rows[2].0.4, ["3,\"z"]);
        let long = format!("a,b\n1,\"{}\n2,y\n", "é".repeat(40_000));
        let text = read_all(&mut open(long.as_bytes(), "utf-8"))[0].0.4[0].clone();
        assert!(text.len() <= KEPT_BYTES + 3 && text.ends_with("é…"), "no half sign");
    }

    #[test]
    fn a_sheet_is_not_told_of_delimiters() {
        let told = other_width(true, 3, 2);
        assert!(told.starts_with("3 cells where the header has 2") && !told.contains("delimiter"), "{told}");
        assert!(other_width(false, 3, 2).contains("delimiter"));
    }
}
