//! The cells of a row, read as what their fields are.

use chrono::NaiveDate;
use rust_decimal::{Decimal, RoundingStrategy};

use super::import_type::RowError;
use super::mapping::Columns;
use super::tabular::Record;
use super::tabular::value::{self, ValueError, ValueSettings};

/// What spreadsheets show in place of a value that a formula does not have.
const SPREADSHEET_ERRORS: [&str; 8] =
    ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#GETTING_DATA"];

/// The cells of one row under their fields' names.
#[derive(Debug)]
pub struct Cells<'a> {
    pub(super) record: &'a Record,
    pub(super) columns: &'a Columns,
    pub(super) values: &'a ValueSettings,
}

impl<'a> Cells<'a> {
    /// The text of a field; `None` for an empty cell, a null marker or a field without column.
    pub fn text(&self, field: usize) -> Option<&'a str> {
        value::text(self.raw(field)?)
    }

    /// A number, if there is one.
    ///
    /// # Errors
    /// When the cell is no number, or one that can be read in two ways.
    pub fn decimal(&self, field: usize) -> Result<Option<Decimal>, RowError> {
        let Some(cell) = self.raw(field) else { return Ok(None) };
        self.values.decimal(cell).map_err(|error| value_error(field, cell, &error))
    }

    /// A day, if there is one.
    ///
    /// # Errors
    /// When the cell is none, or one that can be read in two ways.
    pub fn date(&self, field: usize) -> Result<Option<NaiveDate>, RowError> {
        let Some(cell) = self.raw(field) else { return Ok(None) };
        self.values.date(cell).map_err(|error| value_error(field, cell, &error))
    }

    /// A whole number, if there is one.
    ///
    /// # Errors
    /// When the cell is none.
    pub fn whole(&self, field: usize) -> Result<Option<i64>, RowError> {
        let Some(cell) = self.raw(field) else { return Ok(None) };
        self.values.whole(cell).map_err(|error| value_error(field, cell, &error))
    }

    /// A text of at most `longest` characters.
    ///
    /// # Errors
    /// When it is longer.
    pub fn text_within(&self, field: usize, longest: usize) -> Result<Option<String>, RowError> {
        let Some(text) = self.text(field) else { return Ok(None) };
        if text.chars().count() > longest {
            let shown: String = text.chars().take(50).collect();
            let message = format!("longer than {longest} characters");
            return Err(RowError::cell("too_long", field, &shown, message));
        }
        Ok(Some(text.to_owned()))
    }

    /// An amount of money that is not negative, to the four decimals that are kept.
    ///
    /// # Errors
    /// When the cell is none, or one too large to be kept.
    pub fn money(&self, field: usize) -> Result<Option<Decimal>, RowError> {
        const LIMIT: Decimal = Decimal::from_parts(2_764_472_320, 232_830, 0, false, 0);
        self.not_negative(field, self.within(field, 4, LIMIT)?)
    }

    /// A quantity that is not negative, to the six decimals that are kept.
    ///
    /// # Errors
    /// When the cell is none, or one too large to be kept.
    pub fn quantity(&self, field: usize) -> Result<Option<Decimal>, RowError> {
        self.not_negative(field, self.signed_quantity(field)?)
    }

    /// A quantity with its sign.
    ///
    /// # Errors
    /// When the cell is none, or one too large to be kept.
    pub fn signed_quantity(&self, field: usize) -> Result<Option<Decimal>, RowError> {
        const LIMIT: Decimal = Decimal::from_parts(3_567_587_328, 232, 0, false, 0);
        self.within(field, 6, LIMIT)
    }

    /// A number rounded half up to the decimals its column keeps, and below its limit.
    fn within(&self, field: usize, scale: u32, limit: Decimal) -> Result<Option<Decimal>, RowError> {
        let Some(number) = self.decimal(field)? else { return Ok(None) };
        let rounded =
            number.round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero).normalize();
        if rounded.abs() >= limit {
            let shown = self.text(field).unwrap_or_default();
            return Err(RowError::cell("number_too_large", field, shown, format!("{limit} or more")));
        }
        Ok(Some(rounded))
    }

    fn not_negative(&self, field: usize, number: Option<Decimal>) -> Result<Option<Decimal>, RowError> {
        match number {
            Some(number) if number.is_sign_negative() && !number.is_zero() => {
                let shown = self.text(field).unwrap_or_default();
                Err(RowError::cell("negative", field, shown, "negative, which it cannot be"))
            }
            number => Ok(number),
        }
    }

    /// A truth value, if there is one.
    ///
    /// # Errors
    /// When the cell is none.
    pub fn boolean(&self, field: usize) -> Result<Option<bool>, RowError> {
        let Some(cell) = self.raw(field) else { return Ok(None) };
        self.values.boolean(cell).map_err(|error| value_error(field, cell, &error))
    }

    /// Refuses a row with a spreadsheet's error in a cell that is read: it would be stored as a text.
    pub(super) fn check_errors(&self) -> Result<(), RowError> {
        for (field, at) in self.columns.places() {
            let cell = self.record.get(at).unwrap_or_default();
            if cell.starts_with('#') && SPREADSHEET_ERRORS.contains(&cell.trim_end()) {
                let message = format!("`{cell}` is the error of a formula, not a value; correct the sheet");
                return Err(RowError::cell("cell_error", field, cell, message));
            }
        }
        Ok(())
    }

    fn raw(&self, field: usize) -> Option<&'a str> {
        self.record.get(self.columns.of(field)?)
    }
}

fn value_error(field: usize, cell: &str, error: &ValueError) -> RowError {
    RowError::cell(error.code(), field, cell.trim(), error.to_string())
}
