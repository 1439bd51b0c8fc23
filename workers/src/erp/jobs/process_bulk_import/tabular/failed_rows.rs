//! Writes the rows an import refused, so that they can be corrected and imported again.
//!
//! The file carries four columns before the original ones: `error_line`, `error_column`, `error_code` and
//! `error_message`. They stand in front because a refused row may have more or fewer cells than the header:
//! its cells follow as they were found, nothing is cut off or filled up, and a row that is imported again
//! uncorrected is refused again. A row that cannot be split into cells (a quote is not closed, or the row is
//! over the limit) stands in one cell, as it was read, its first 32,000 bytes at the most. On import a file with all four columns is recognised and they are ignored.
//!
//! A cell that a spreadsheet would run as a formula (it begins with `=`, `+`, `@`, tab or carriage return, or
//! with `-` and is no number) is written behind an apostrophe, and so is a cell that already looks like that.
//! The reader takes one such apostrophe away again when the file carries the error columns, so that every cell
//! comes back as it was.

use std::borrow::Cow;
use std::io::{self, Write};

use super::number::looks_like_number;
use super::record::Record;

/// The columns that make a file one of failed rows, in the order in which they are written.
pub const ERROR_COLUMNS: [&str; 4] = ["error_line", "error_column", "error_code", "error_message"];

/// One refused row and why it was refused.
#[derive(Debug, Clone, Copy)]
pub struct FailedRow<'a> {
    /// The line of the original file it starts on.
    pub line: u64,
    /// The column at fault, where one is.
    pub column: Option<&'a str>,
    /// The stable code of the error.
    pub code: &'a str,
    /// The error for a person.
    pub message: &'a str,
    /// The row's cells as they were read.
    pub fields: &'a Record,
    /// Whether they are cells: of a row that could not be split, the first is its text.
    pub has_cells: bool,
}

/// Writes a CSV file of failed rows: UTF-8 with a byte order mark (for spreadsheets), commas, double quotes.
#[derive(Debug)]
pub struct FailedRowsWriter<W: Write> {
    output: csv::Writer<W>,
    /// Which of the original columns are data, when the original is a file of failed rows itself.
    data: Option<Vec<bool>>,
}

impl<W: Write> FailedRowsWriter<W> {
    /// Starts a file with the error columns and the original column names.
    pub fn new(mut output: W, header: &super::Header) -> io::Result<Self> {
        output.write_all("\u{feff}".as_bytes())?;
        let mut output = csv::WriterBuilder::new().flexible(true).from_writer(output);
        let names = header.data_names();
        let guarded = names.iter().map(|name| with_guard(name));
        output.write_record(
            ERROR_COLUMNS.iter().map(|&name| Cow::Borrowed(name)).chain(guarded).map(Cow::into_owned),
        )?;
        let data = header.is_failed_rows().then(|| (0..header.len()).map(|at| header.is_data(at)).collect());
        Ok(Self { output, data })
    }

    /// Adds one row.
    pub fn write(&mut self, row: &FailedRow<'_>) -> io::Result<()> {
        self.output.write_field(row.line.to_string())?;
        for cell in [row.column.unwrap_or(""), row.code, row.message] {
            self.output.write_field(with_guard(cell).as_bytes())?;
        }
        for (at, cell) in row.fields.iter().enumerate() {
            let is_data = |data: &Vec<bool>| data.get(at).copied().unwrap_or(true);
            if !row.has_cells || self.data.as_ref().is_none_or(is_data) {
                self.output.write_field(with_guard(cell).as_bytes())?;
            }
        }
        self.output.write_record(None::<&[u8]>)?;
        Ok(())
    }

    /// Writes what is still buffered and gives the output back.
    pub fn finish(self) -> io::Result<W> {
        self.output.into_inner().map_err(|error| io::Error::new(error.error().kind(), error.to_string()))
    }
}

fn starts_a_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '@', '-', '\t', '\r'])
}

/// The cell as it is written: an apostrophe in front of what a spreadsheet would run.
pub fn with_guard(cell: &str) -> Cow<'_, str> {
    let inner = cell.trim_start_matches('\'');
    let plain_negative = inner.len() == cell.len() && cell.starts_with('-') && looks_like_number(cell);
    if starts_a_formula(inner) && !plain_negative {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// The cell as it was before [`with_guard`].
pub fn without_guard(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if starts_a_formula(rest.trim_start_matches('\'')) => rest,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sniff::sniff;
    use super::super::{Limits, Overrides, Row, RowReader};
    use super::*;

    #[test]
    fn formulas_are_guarded_and_plain_negatives_are_not() {
        for (cell, written) in [
            ("=cmd|x", "'=cmd|x"),
            ("+1 555", "'+1 555"),
            ("@x", "'@x"),
            ("-5", "-5"),
            ("-1,234.50", "-1,234.50"),
            ("-cmd", "'-cmd"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("plain", "plain"),
            ("'quoted'", "'quoted'"),
            ("", ""),
        ] {
            assert_eq!(with_guard(cell), written);
        }
    }

    /// Reads a file and writes its refused rows as failed rows.
    fn failed_rows_of(text: &str) -> String {
        let source = std::io::Cursor::new(text.to_owned());
        let sniffed = sniff(source.clone(), &Overrides::default()).unwrap();
        let mut reader = RowReader::open(source, &sniffed.format(), Limits::default()).unwrap();
        let mut writer = FailedRowsWriter::new(Vec::new(), reader.header()).unwrap();
        let mut row = Row::default();
        while reader.read(&mut row).unwrap() {
            let Some(problem) = &row.problem else { continue };
            let (code, message) = (problem.code.as_str(), problem.message.as_str());
            let has_cells = problem.code.has_cells();
            let failed =
                FailedRow { line: row.line, column: None, code, message, fields: &row.fields, has_cells };
            writer.write(&failed).unwrap();
        }
        String::from_utf8(writer.finish().unwrap()).unwrap()
    }

    #[test]
    fn failed_rows_stay_refused_until_corrected_and_then_come_back_as_they_were() {
        let failed = failed_rows_of("sku,name,note\n1,Bolt,ok\n2,=cmd,'-x,extra\n3,short\n");
        let lines: Vec<&str> = failed.lines().collect();
        assert_eq!(lines[0], "\u{feff}error_line,error_column,error_code,error_message,sku,name,note");
        assert!(
            lines[1].starts_with("3,,field_count,") && lines[1].ends_with(",2,'=cmd,''-x,extra"),
            "{failed}"
        );
        assert!(lines[2].ends_with(",3,short"), "{failed}");
        assert_eq!(failed_rows_of(&failed).lines().count(), 3);

        let source = std::io::Cursor::new(failed.replace(",extra", ""));
        let sniffed = sniff(source.clone(), &Overrides::default()).unwrap();
        let mut reader = RowReader::open(source, &sniffed.format(), Limits::default()).unwrap();
        let columns = ["sku", "name", "note"].map(|name| reader.header().find(name).unwrap());
        let mut row = Row::default();
        assert!(reader.read(&mut row).unwrap() && row.problem.is_none());
        assert_eq!(columns.map(|column| row.fields.get(column).unwrap()), ["2", "=cmd", "'-x"]);
        assert!(reader.read(&mut row).unwrap() && row.problem.is_some());
    }

    #[test]
    fn a_row_without_cells_stands_in_one_and_is_refused_again_whatever_the_file_is() {
        for (text, shown) in
            [("sku,name\n1,\"Bolt\n2,Nut\n", ",\"1,\"\"Bolt\""), ("sku\n\"Bolt\n2\n", ",\"\"\"Bolt\",")]
        {
            let failed = failed_rows_of(text);
            assert_eq!(failed.lines().count(), 2, "{failed}");
            assert!(failed.lines().nth(1).unwrap().ends_with(shown), "{failed}");
            let again = failed_rows_of(&failed);
            assert!(again.lines().nth(1).unwrap().contains("field_count"), "{again}");
        }
        // Spoilt while it was corrected: nothing of what was typed is lost.
        let spoilt =
            failed_rows_of("error_line,error_column,error_code,error_message,sku,name\n2,,x,y,1,\"Bo\n");
        assert!(spoilt.lines().nth(1).unwrap().ends_with(",\"2,,x,y,1,\"\"Bo\""), "{spoilt}");
    }

    #[test]
    fn apostrophes_of_an_ordinary_file_are_left_alone() {
        let text = "sku,name\n1,'=x\n";
        let source = std::io::Cursor::new(text);
        let sniffed = sniff(source.clone(), &Overrides::default()).unwrap();
        assert_eq!(sniffed.preview, [["1", "'=x"]]);
    }

    proptest::proptest! {
        #[test]
        fn every_cell_comes_back_as_it_was(cell in "['=+@\t\r\\-15a,.]{0,6}") {
            let written = with_guard(&cell);
            proptest::prop_assert_eq!(without_guard(&written), cell.as_str());
        }
    }
}
