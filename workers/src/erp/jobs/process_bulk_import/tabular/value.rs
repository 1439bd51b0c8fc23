//! Gives a cell its type: text, number, truth value or date, with the null markers people use.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::date::{DateError, DateFormat, parse_date};
use super::number::{DecimalMark, NumberError, TYPED, parse_decimal};

/// Why a cell has not the type its column needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a number, or one that cannot be kept exactly.
    #[error("`{text}`: {source}")]
    Number {
        /// The cell's text.
        text: String,
        /// What is wrong with it.
        source: NumberError,
    },
    /// A number with decimals where a whole one is needed.
    #[error("`{text}` is not a whole number")]
    NotWhole {
        /// The cell's text.
        text: String,
    },
    /// Not a date, or one that can be read in two ways.
    #[error("`{text}`: {source}")]
    Date {
        /// The cell's text.
        text: String,
        /// What is wrong with it.
        source: DateError,
    },
    /// Not a truth value.
    #[error("`{text}` is not a truth value; use true or false, yes or no, 1 or 0")]
    Boolean {
        /// The cell's text.
        text: String,
    },
}

impl ValueError {
    /// The stable name of this error, as it is stored with a failed row.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Number { source: NumberError::NotANumber, .. } => "not_a_number",
            Self::Number { source: NumberError::Ambiguous, .. } => "ambiguous_number",
            Self::Number { source: NumberError::TooLarge, .. } => "number_too_large",
            Self::NotWhole { .. } => "not_whole",
            Self::Date { source: DateError::NotADate, .. } => "not_a_date",
            Self::Date { .. } => "ambiguous_date",
            Self::Boolean { .. } => "not_a_boolean",
        }
    }
}

/// How the cells of one import are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueSettings {
    /// The decimal mark, where it is stated or detected.
    pub decimal_mark: Option<DecimalMark>,
    /// The date format, where it is stated or detected.
    pub date_format: Option<DateFormat>,
}

impl ValueSettings {
    /// Reads a number; `None` for an empty cell or a null marker, which is never zero.
    pub fn decimal(&self, cell: &str) -> Result<Option<Decimal>, ValueError> {
        let Some(text) = text(cell) else { return Ok(None) };
        let mark = if cell.starts_with(TYPED) { Some(DecimalMark::Point) } else { self.decimal_mark };
        let number = parse_decimal(text, mark);
        number.map(Some).map_err(|source| ValueError::Number { text: text.to_owned(), source })
    }

    /// Reads a whole number; `13090.0` is one.
    pub fn whole(&self, cell: &str) -> Result<Option<i64>, ValueError> {
        let Some(number) = self.decimal(cell)? else { return Ok(None) };
        let whole = number.is_integer().then(|| i64::try_from(number).ok()).flatten();
        whole.map(Some).ok_or_else(|| ValueError::NotWhole { text: cell.trim().to_owned() })
    }

    /// Reads a date; a time of day behind it is left out.
    pub fn date(&self, cell: &str) -> Result<Option<NaiveDate>, ValueError> {
        let Some(text) = text(cell) else { return Ok(None) };
        let date = parse_date(text, self.date_format);
        date.map(Some).map_err(|source| ValueError::Date { text: text.to_owned(), source })
    }

    /// Reads a truth value.
    pub fn boolean(&self, cell: &str) -> Result<Option<bool>, ValueError> {
        let Some(text) = text(cell) else { return Ok(None) };
        parse_bool(text).map(Some).ok_or_else(|| ValueError::Boolean { text: text.to_owned() })
    }
}

/// The text of a cell without the white space around it; `None` for a null marker.
pub fn text(cell: &str) -> Option<&str> {
    let text = cell.trim();
    (!is_null_marker(text)).then_some(text)
}

/// Whether the text stands for "no value": empty, `NULL`, `N/A`, `NA`, `NONE`, `.` or `-`, in any case.
pub fn is_null_marker(text: &str) -> bool {
    const MARKERS: [&str; 7] = ["", "NULL", "N/A", "NA", "NONE", ".", "-"];
    let text = text.trim();
    MARKERS.iter().any(|marker| text.eq_ignore_ascii_case(marker))
}

/// A truth value in the spellings of spreadsheets, databases and people.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_markers_are_no_value_in_any_case_and_never_zero() {
        let settings = ValueSettings::default();
        for marker in ["", "  ", "NULL", "null", "N/A", "n/a", "NA", "NONE", "None", ".", "-", "\u{a0}"] {
            assert_eq!(text(marker), None, "{marker}");
            assert_eq!(settings.decimal(marker), Ok(None), "{marker}");
            assert_eq!(settings.date(marker), Ok(None), "{marker}");
            assert_eq!(settings.boolean(marker), Ok(None), "{marker}");
        }
        assert_eq!(text(" Nancy "), Some("Nancy"));
        assert_eq!(settings.decimal("0"), Ok(Some(Decimal::ZERO)));
    }

    #[test]
    fn truth_values_are_read_and_others_refused() {
        let settings = ValueSettings::default();
        assert_eq!(settings.boolean("TRUE"), Ok(Some(true)));
        assert_eq!(settings.boolean(" no "), Ok(Some(false)));
        assert_eq!(settings.boolean("maybe").unwrap_err().code(), "not_a_boolean");
    }

    #[test]
    fn a_whole_number_may_carry_a_spreadsheets_decimals_but_no_fraction() {
        let settings = ValueSettings::default();
        assert_eq!(settings.whole("13090.0"), Ok(Some(13090)));
        assert_eq!(settings.whole("1.5").unwrap_err().code(), "not_whole");
        assert_eq!(settings.whole("99999999999999999999").unwrap_err().code(), "not_whole");
    }

    #[test]
    fn errors_name_the_cell_and_carry_a_code() {
        let settings = ValueSettings::default();
        let error = settings.decimal("1,234").unwrap_err();
        assert_eq!(error.code(), "ambiguous_number");
        assert!(error.to_string().starts_with("`1,234`: "), "{error}");
        assert_eq!(settings.date("03/04/2020").unwrap_err().code(), "ambiguous_date");
        assert_eq!(settings.date("30/02/2020").unwrap_err().code(), "not_a_date");
    }
}
