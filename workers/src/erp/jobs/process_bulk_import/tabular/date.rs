//! Reads dates in a stated or detected order of day, month and year.
//!
//! `1996-07-04`, `20140102` and dates with an English month name say themselves what they are. In `03/04/2020`
//! the order must be stated, or decided by the column: one cell with a number above 12 tells day from month.
//! A time of day behind the date is checked for its shape and left out.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// The order in which a date's parts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// Year, month, day.
    Ymd,
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
}

/// How the dates of a file are to be read; written `DD/MM/YYYY`, `MM/DD/YY`, `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DateFormat {
    /// The order of the parts.
    pub order: DateOrder,
    /// Whether years have two digits: 70 to 99 mean 19xx, 00 to 69 mean 20xx.
    pub two_digit_year: bool,
}

impl From<DateOrder> for DateFormat {
    fn from(order: DateOrder) -> Self {
        Self { order, two_digit_year: false }
    }
}

impl FromStr for DateFormat {
    type Err = String;

    /// The separators do not matter; `%d/%m/%Y` is accepted too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let spelled = text.replace("%Y", "YYYY").replace("%y", "YY").replace("%m", "MM").replace("%d", "DD");
        let mut parts: Vec<char> = spelled.to_ascii_uppercase().chars().collect();
        parts.retain(char::is_ascii_alphabetic);
        let years = parts.iter().filter(|&&part| part == 'Y').count();
        parts.dedup();
        let order = match parts[..] {
            ['Y', 'M', 'D'] => DateOrder::Ymd,
            ['D', 'M', 'Y'] => DateOrder::Dmy,
            ['M', 'D', 'Y'] => DateOrder::Mdy,
            _ => return Err(bad_format(text)),
        };
        match years {
            2 | 4 => Ok(Self { order, two_digit_year: years == 2 }),
            _ => Err(bad_format(text)),
        }
    }
}

fn bad_format(text: &str) -> String {
    format!("`{text}` is no date format; use DD/MM/YYYY, MM/DD/YYYY or YYYY-MM-DD (YY for two-digit years)")
}

impl TryFrom<String> for DateFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DateFormat> for String {
    fn from(format: DateFormat) -> Self {
        format.to_string()
    }
}

impl fmt::Display for DateFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let year = if self.two_digit_year { "YY" } else { "YYYY" };
        match self.order {
            DateOrder::Ymd => write!(out, "{year}-MM-DD"),
            DateOrder::Dmy => write!(out, "DD/MM/{year}"),
            DateOrder::Mdy => write!(out, "MM/DD/{year}"),
        }
    }
}

/// Why a cell, or a column, is not read as dates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// The text is no date, or a day that does not exist.
    #[error("not a date")]
    NotADate,
    /// Day and month cannot be told apart.
    #[error(
        "`{example}` may be day/month or month/day; state it with --date-format DD/MM/YYYY or MM/DD/YYYY"
    )]
    Ambiguous {
        /// A cell that can be read both ways.
        example: String,
    },
    /// The column holds dates of both kinds.
    #[error(
        "`{day_first}` is day/month and `{month_first}` month/day; correct the column or state --date-format"
    )]
    Mixed {
        /// A cell that only day/month fits.
        day_first: String,
        /// A cell that only month/day fits.
        month_first: String,
    },
}

/// Reads a date; without a format only dates that need none are read.
pub fn parse_date(text: &str, format: Option<DateFormat>) -> Result<NaiveDate, DateError> {
    let parts = Parts::of(text, format).ok_or(DateError::NotADate)?;
    let (year, month, day) = match parts {
        Parts::Known { year, month, day } => (year, month, day),
        Parts::Numbers { first, second, year } => match format.map(|format| format.order) {
            Some(DateOrder::Dmy) => (year, second, first),
            Some(DateOrder::Mdy) => (year, first, second),
            Some(DateOrder::Ymd) => return Err(DateError::NotADate),
            None if first > 12 => (year, second, first),
            None if second > 12 || first == second => (year, first, second),
            None => return Err(DateError::Ambiguous { example: text.trim().to_owned() }),
        },
    };
    NaiveDate::from_ymd_opt(year, month, day).ok_or(DateError::NotADate)
}

/// Finds the order the dates of one column agree on; `None` when no cell needs one.
pub fn detect_date_order<'a>(
    cells: impl IntoIterator<Item = &'a str>,
) -> Result<Option<DateOrder>, DateError> {
    let (mut day_first, mut month_first, mut open, mut year_first) = (None, None, None, false);
    for cell in cells {
        match Parts::of(cell, None) {
            Some(Parts::Numbers { first, second, .. }) => {
                let seen = match (first > 12, second > 12) {
                    (true, false) => &mut day_first,
                    (false, true) => &mut month_first,
                    (false, false) => &mut open,
                    (true, true) => continue,
                };
                seen.get_or_insert(cell.trim());
            }
            Some(Parts::Known { .. }) => year_first = true,
            None => {}
        }
    }
    match (day_first, month_first, open) {
        (Some(day_first), Some(month_first), _) => {
            Err(DateError::Mixed { day_first: day_first.to_owned(), month_first: month_first.to_owned() })
        }
        (Some(_), None, _) => Ok(Some(DateOrder::Dmy)),
        (None, Some(_), _) => Ok(Some(DateOrder::Mdy)),
        (None, None, Some(example)) => Err(DateError::Ambiguous { example: example.to_owned() }),
        (None, None, None) => Ok(year_first.then_some(DateOrder::Ymd)),
    }
}

/// Whether the text has the shape of a date with separators or a month name.
pub fn looks_like_date(text: &str) -> bool {
    text.contains(|sign: char| !sign.is_ascii_digit()) && Parts::of(text, None).is_some()
}

/// The numbers of a date, as far as its own shape tells what they are.
enum Parts {
    Known { year: i32, month: u32, day: u32 },
    Numbers { first: u32, second: u32, year: i32 },
}

impl Parts {
    fn of(text: &str, format: Option<DateFormat>) -> Option<Self> {
        let date = without_time(text.trim())?;
        if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::compact(date, format);
        }
        let separators = ['-', '/', '.', ' ', ','];
        let mut pieces = date.split(separators).filter(|piece| !piece.is_empty());
        let (first, second, third) = (pieces.next()?, pieces.next()?, pieces.next()?);
        if pieces.next().is_some() || !date.starts_with(|sign: char| sign.is_alphanumeric()) {
            return None;
        }
        if let Some(month) = month_name(second) {
            return Some(Self::Known { year: year(third, format)?, month, day: day_or_month(first)? });
        }
        if let Some(month) = month_name(first) {
            return Some(Self::Known { year: year(third, format)?, month, day: day_or_month(second)? });
        }
        let two_digit_first =
            format.is_some_and(|format| format.two_digit_year && format.order == DateOrder::Ymd);
        if first.len() == 4 || two_digit_first {
            let (month, day) = (day_or_month(second)?, day_or_month(third)?);
            return Some(Self::Known { year: year(first, format)?, month, day });
        }
        let (first, second) = (day_or_month(first)?, day_or_month(second)?);
        Some(Self::Numbers { first, second, year: year(third, format)? })
    }

    /// Eight digits without separators.
    fn compact(date: &str, format: Option<DateFormat>) -> Option<Self> {
        let number = |from: usize, to: usize| date.get(from..to)?.parse().ok();
        Some(match format.map_or(DateOrder::Ymd, |format| format.order) {
            DateOrder::Ymd => {
                Self::Known { year: date.get(..4)?.parse().ok()?, month: number(4, 6)?, day: number(6, 8)? }
            }
            DateOrder::Dmy | DateOrder::Mdy => Self::Numbers {
                first: number(0, 2)?,
                second: number(2, 4)?,
                year: date.get(4..)?.parse().ok()?,
            },
        })
    }
}

fn day_or_month(text: &str) -> Option<u32> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (1..=31).contains(number))
}

fn year(text: &str, format: Option<DateFormat>) -> Option<i32> {
    let number: i32 = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    match (text.len(), format) {
        (4, _) => Some(number),
        (2, Some(DateFormat { two_digit_year: true, .. })) => {
            Some(if number >= 70 { 1900 + number } else { 2000 + number })
        }
        _ => None,
    }
}

fn month_name(text: &str) -> Option<u32> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let text = text.to_ascii_lowercase();
    let is_name = |name: &&str| {
        text == **name
            || (text.len() == 3 && name.starts_with(&text))
            || text == "sept" && name.starts_with("sept")
    };
    (1..).zip(NAMES).find(|(_, name)| is_name(name)).map(|(number, _)| number)
}

/// The text before the time of day; `None` when what follows the date is no time.
fn without_time(text: &str) -> Option<&str> {
    let Some(colon) = text.find(':') else { return Some(text) };
    let start = text[..colon].rfind([' ', 'T', 't'])?;
    let time = text[start + 1..].trim();
    let upper = time.to_ascii_uppercase();
    let clock = upper.trim_end_matches("AM").trim_end_matches("PM").trim_end_matches('Z').trim_end();
    let (clock, offset) = match clock.find(['+', '-']) {
        Some(at) => clock.split_at(at),
        None => (clock, ""),
    };
    let is_clock = clock.trim_end().bytes().all(|byte| byte.is_ascii_digit() || byte == b':' || byte == b'.');
    let is_offset = offset.bytes().skip(1).all(|byte| byte.is_ascii_digit() || byte == b':');
    (is_clock && is_offset).then(|| text[..start].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, format: Option<&str>) -> Result<String, DateError> {
        parse_date(text, format.map(|format| format.parse().unwrap())).map(|date| date.to_string())
    }

    #[test]
    fn dates_that_say_what_they_are_need_no_format() {
        for (text, date) in [
            ("1996-07-04 00:00:00.000", "1996-07-04"),
            ("2024-02-29T10:00:00+02:00", "2024-02-29"),
            ("20140102", "2014-01-02"),
            ("16-Jul-2010", "2010-07-16"),
            ("July 16, 2010", "2010-07-16"),
            ("16/07/2010", "2010-07-16"),
            ("5/19/2006 0:00:00", "2006-05-19"),
            ("5/19/2006 3:15 PM", "2006-05-19"),
        ] {
            assert_eq!(read(text, None).as_deref(), Ok(date), "{text}");
        }
    }

    #[test]
    fn a_stated_format_decides_and_is_kept_to() {
        assert_eq!(read("03/04/2020", Some("DD/MM/YYYY")).as_deref(), Ok("2020-04-03"));
        assert_eq!(read("03/04/2020", Some("%m/%d/%Y")).as_deref(), Ok("2020-03-04"));
        assert_eq!(read("31.12.99", Some("DD.MM.YY")).as_deref(), Ok("1999-12-31"));
        assert_eq!(read("01022020", Some("DDMMYYYY")).as_deref(), Ok("2020-02-01"));
        assert_eq!(read("12/31/2020", Some("DD/MM/YYYY")), Err(DateError::NotADate));
        assert_eq!(read("03/04/2020", Some("YYYY-MM-DD")), Err(DateError::NotADate));
        for bad in ["", "MM/YYYY", "DD/MM/YYY", "dates"] {
            assert!(bad.parse::<DateFormat>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "30/02/2020",
            "2020-13-01",
            "1.5",
            "10:30",
            "03/04/20",
            "abc",
            "2020-01",
            "-1-2-2020",
            "2020-01-02 noon:1",
        ] {
            assert_eq!(read(text, None), Err(DateError::NotADate), "{text}");
        }
        assert!(matches!(read("03/04/2020", None), Err(DateError::Ambiguous { .. })));
    }

    #[test]
    fn a_column_decides_day_from_month_or_asks() {
        assert_eq!(detect_date_order(["02/01/2014", "31/12/2012"]), Ok(Some(DateOrder::Dmy)));
        assert_eq!(detect_date_order(["5/19/2006 0:00:00", "1/2/2006"]), Ok(Some(DateOrder::Mdy)));
        assert_eq!(detect_date_order(["1996-07-04", "NULL"]), Ok(Some(DateOrder::Ymd)));
        assert_eq!(detect_date_order(["", "x"]), Ok(None));
        let asks = detect_date_order(["01/02/2020", "03/04/2020"]).unwrap_err();
        assert!(asks.to_string().contains("--date-format"), "{asks}");
        assert!(matches!(detect_date_order(["31/12/2020", "12/31/2020"]), Err(DateError::Mixed { .. })));
    }
}
