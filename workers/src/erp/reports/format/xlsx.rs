//! A workbook: the rows with their totals on one sheet, what is said beside them on another. Numbers are numbers.

use std::path::Path;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use rust_xlsxwriter::{
    DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError,
};

use super::super::Made;
use super::super::error::{ReportError, Result};
use super::super::table::{Cell, Column, Kind};
use super::{is_formula, rows};

/// A sheet has no more rows; the first holds the headings, the last the totals.
const MOST_ROWS: u64 = 1_048_576 - 2;

impl From<XlsxError> for ReportError {
    fn from(error: XlsxError) -> Self {
        match error {
            XlsxError::IoError(error) => Self::Io(error),
            error => Self::refused("workbook", format!("the workbook cannot be written: {error}")),
        }
    }
}

/// The formats of the cells.
struct Formats {
    heading: Format,
    money: Format,
    quantity: Format,
    integer: Format,
    percent: Format,
    date: Format,
    text: Format,
    quoted: Format,
    wrapped: Format,
}

impl Formats {
    fn new(decimals: u32) -> Self {
        let zeros = "0".repeat(usize::try_from(decimals).unwrap_or_default());
        let money = if decimals == 0 { "#,##0".to_owned() } else { format!("#,##0.{zeros}##") };
        let number = |format: &str| Format::new().set_num_format(format).set_align(FormatAlign::Right);
        Self {
            heading: Format::new().set_bold().set_background_color(0x00E8_EEF2).set_text_wrap(),
            money: number(&money),
            quantity: number("#,##0.######"),
            integer: number("#,##0"),
            percent: number("0.00"),
            date: Format::new().set_num_format("yyyy-mm-dd"),
            text: Format::new(),
            quoted: Format::new().set_quote_prefix(),
            wrapped: Format::new().set_text_wrap().set_align(FormatAlign::Top),
        }
    }

    fn of(&self, kind: Kind) -> &Format {
        match kind {
            Kind::Money => &self.money,
            Kind::Quantity => &self.quantity,
            Kind::Integer => &self.integer,
            Kind::Percent => &self.percent,
            Kind::Date => &self.date,
            Kind::Text => &self.text,
        }
    }

    /// Below a line, in bold: the totals.
    fn total(&self, kind: Kind) -> Format {
        self.of(kind).clone().set_bold().set_border_top(FormatBorder::Thin)
    }
}

pub(super) fn write(made: &Made, path: &Path, stop: &dyn Fn() -> bool) -> Result<()> {
    if made.table.rows > MOST_ROWS {
        let why =
            format!("the report has {} rows and a sheet holds {MOST_ROWS}; ask for csv", made.table.rows);
        return Err(ReportError::refused("too_many_rows", why));
    }
    let mut workbook = Workbook::new();
    if let Some(folder) = path.parent() {
        workbook.set_tempdir(folder)?;
    }
    workbook.set_properties(
        &DocProperties::new().set_title(format!("{} report", made.meta.parameters.report.as_str())),
    );
    let formats = Formats::new(made.meta.decimals);
    table(made, workbook.add_worksheet_with_constant_memory()?, &formats, stop)?;
    beside(made, workbook.add_worksheet_with_constant_memory()?, &formats)?;
    workbook.save(path)?;
    std::fs::File::open(path)?.sync_all()?;
    Ok(())
}

fn table(made: &Made, sheet: &mut Worksheet, formats: &Formats, stop: &dyn Fn() -> bool) -> Result<()> {
    sheet.set_name("Rows")?;
    let columns = &made.table.columns;
    for (at, column) in (0..).zip(columns) {
        let width = match column.kind {
            Kind::Text if column.name.contains("name") || column.name == "product" => 32.0,
            Kind::Text => 16.0,
            _ => 13.0,
        };
        sheet.set_column_width(at, width)?;
        sheet.write_string_with_format(0, at, column.title, &formats.heading)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    sheet.set_landscape();
    sheet.set_repeat_rows(0, 0)?;
    let mut line = 0;
    for row in rows(made, stop)? {
        line += 1;
        for ((at, column), cell) in (0..).zip(columns).zip(&row?) {
            put(sheet, (line, at), cell, formats.of(column.kind), formats)?;
        }
    }
    for ((at, column), cell) in (0..).zip(columns).zip(&made.table.totals) {
        let cell = match (at, cell) {
            (0, Cell::Empty) => &Cell::Text("Total".into()),
            (_, cell) => cell,
        };
        put(sheet, (line + 1, at), cell, &formats.total(column.kind), formats)?;
    }
    Ok(())
}

/// The figures, small tables and notes.
fn beside(made: &Made, sheet: &mut Worksheet, formats: &Formats) -> Result<()> {
    sheet.set_name("Summary")?;
    sheet.set_column_width(0, 34.0)?;
    for at in 1..6 {
        sheet.set_column_width(at, 18.0)?;
    }
    let (meta, range) = (&made.meta, &made.meta.parameters.range);
    let about = [
        ("Tenant", meta.tenant.clone()),
        ("Report", meta.parameters.report.as_str().to_owned()),
        ("Period", format!("{} to {}", range.from, range.to)),
        ("Time zone", range.zone.name().to_owned()),
        ("Currency", meta.currency.clone()),
        ("As of", meta.taken_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
    ];
    let mut line = 0;
    for (name, value) in about {
        sheet.write_string_with_format(line, 0, name, &formats.heading)?;
        put(sheet, (line, 1), &Cell::Text(value), &formats.text, formats)?;
        line += 1;
    }
    for fact in &made.summary.facts {
        sheet.write_string_with_format(line, 0, fact.title, &formats.heading)?;
        put(sheet, (line, 1), &fact.cell, formats.of(fact.kind), formats)?;
        line += 1;
    }
    for section in &made.summary.sections {
        line += 1;
        sheet.write_string_with_format(line, 0, section.title, &formats.heading)?;
        line = lines(sheet, line + 1, &section.columns, &section.rows, formats)?;
    }
    for note in &made.summary.notes {
        line += 1;
        sheet.write_string_with_format(line, 0, note, &formats.wrapped)?;
    }
    Ok(())
}

fn lines(
    sheet: &mut Worksheet,
    mut line: u32,
    columns: &[Column],
    rows: &[Vec<Cell>],
    formats: &Formats,
) -> Result<u32> {
    for (at, column) in (0..).zip(columns) {
        sheet.write_string_with_format(line, at, column.title, &formats.heading)?;
    }
    for row in rows {
        line += 1;
        for ((at, column), cell) in (0..).zip(columns).zip(row) {
            put(sheet, (line, at), cell, formats.of(column.kind), formats)?;
        }
    }
    Ok(line + 1)
}

fn put(
    sheet: &mut Worksheet,
    (line, at): (u32, u16),
    cell: &Cell,
    format: &Format,
    formats: &Formats,
) -> Result<()> {
    match cell {
        Cell::Empty | Cell::Nothing => sheet.write_blank(line, at, format)?,
        // Marked as words: a workbook knows the mark, and keeps it when it is saved again.
        Cell::Text(text) if is_formula(text) => {
            sheet.write_string_with_format(line, at, text, &formats.quoted)?
        }
        Cell::Text(text) => sheet.write_string_with_format(line, at, text, format)?,
        Cell::Integer(number) => number_in(sheet, (line, at), Decimal::from(*number), format)?,
        Cell::Number(number) => number_in(sheet, (line, at), *number, format)?,
        Cell::Date(day) => {
            use chrono::Datelike;
            let known = u16::try_from(day.year()).ok().and_then(|year| {
                let (month, day) = (u8::try_from(day.month()).ok()?, u8::try_from(day.day()).ok()?);
                ExcelDateTime::from_ymd(year, month, day).ok()
            });
            match known {
                Some(date) => sheet.write_datetime_with_format(line, at, &date, format)?,
                None => sheet.write_string_with_format(line, at, day.to_string(), format)?,
            }
        }
    };
    Ok(())
}

fn number_in<'s>(
    sheet: &'s mut Worksheet,
    (line, at): (u32, u16),
    number: Decimal,
    format: &Format,
) -> Result<&'s mut Worksheet> {
    Ok(match number.to_f64() {
        Some(number) => sheet.write_number_with_format(line, at, number, format)?,
        None => sheet.write_string_with_format(line, at, number.to_string(), format)?,
    })
}
