//! Reads numbers as people and programs write them, in exact decimals, never through floating point.
//!
//! The decimal mark is a setting of the import, or inferred from whole columns by [`detect_decimal_mark`].
//! Where neither says anything, one number is read alone by this rule:
//!
//! * with both `.` and `,` the last one is the decimal mark: `43,774.58`, `1.234,56`;
//! * a mark that stands more than once separates thousands: `200.000.000`;
//! * a mark beside space-separated thousands is the decimal mark: `1 234,500`;
//! * a single mark not followed by exactly three digits is the decimal mark: `1,7`, `0.5`, `1234,5`;
//! * a leading zero has no thousands behind it: `0,125` is an eighth;
//! * `1.234` is the decimal 1.234, as every program writes it;
//! * `1,234` is refused as ambiguous: a price a thousand times too large or small is worse than a question.
//!
//! Thousands must stand in groups of three (or in the Indian way, twos before the last three), separated by one
//! kind of sign: the other mark, a space or an apostrophe. A currency sign or common currency code may stand on
//! either side. `-5`, `5-` and `(5)` are negative. Exponents, percentages, `NaN` and formulas are refused.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The sign before the decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecimalMark {
    /// `1,234.56`
    Point,
    /// `1.234,56`
    Comma,
}

impl DecimalMark {
    fn sign(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }

    fn other(self) -> char {
        match self {
            Self::Point => ',',
            Self::Comma => '.',
        }
    }
}

impl FromStr for DecimalMark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "." | "point" | "dot" => Ok(Self::Point),
            "," | "comma" => Ok(Self::Comma),
            _ => Err(format!("`{text}` is no decimal mark; use point or comma")),
        }
    }
}

impl fmt::Display for DecimalMark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Point => "point",
            Self::Comma => "comma",
        })
    }
}

/// Stands before a number that a workbook holds as a number: its sign is a point, whatever the texts beside it use. White
/// space (a figure space), so that whoever reads the cell as a text does not see it.
pub const TYPED: char = '\u{2007}';

/// Why a cell is not read as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is no number.
    #[error("not a number")]
    NotANumber,
    /// The comma may mark thousands or decimals.
    #[error("the comma may mark thousands or decimals; state the decimal mark (point or comma)")]
    Ambiguous,
    /// More digits than can be kept exactly.
    #[error("more digits than can be stored exactly (28)")]
    TooLarge,
}

/// The columns contradict each other about the decimal mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{point}` has a decimal point and `{comma}` a decimal comma; state the decimal mark (point or comma)"
)]
pub struct MixedMarks {
    /// A cell that can only be read with a decimal point.
    pub point: String,
    /// A cell that can only be read with a decimal comma.
    pub comma: String,
}

/// Reads a number, with the stated decimal mark or by the rule of this module.
pub fn parse_decimal(text: &str, mark: Option<DecimalMark>) -> Result<Decimal, NumberError> {
    let (negative, body) = bare_number(text).ok_or(NumberError::NotANumber)?;
    let mark = match (mark, evidence(body)) {
        (Some(mark), _) => mark,
        (None, Evidence::Mark(mark)) => mark,
        (None, Evidence::Either(',')) => {
            plain_digits(body, DecimalMark::Comma)?;
            return Err(NumberError::Ambiguous);
        }
        (None, Evidence::None | Evidence::Either(_)) => DecimalMark::Point,
    };
    let digits = plain_digits(body, mark)?;
    let value = Decimal::from_str_exact(&digits).map_err(|_| NumberError::TooLarge)?;
    Ok(if negative { -value } else { value })
}

/// Finds the decimal mark the cells of one or several columns agree on; `None` when no cell tells. What a workbook holds as
/// a number says nothing of how people write theirs.
pub fn detect_decimal_mark<'a>(
    cells: impl IntoIterator<Item = &'a str>,
) -> Result<Option<DecimalMark>, MixedMarks> {
    let (mut point, mut comma) = (None, None);
    for cell in cells.into_iter().filter(|cell| !cell.starts_with(TYPED)) {
        let Some((_, body)) = bare_number(cell) else { continue };
        match evidence(body) {
            Evidence::Mark(mark) if plain_digits(body, mark).is_ok() => {
                let seen = if mark == DecimalMark::Point { &mut point } else { &mut comma };
                seen.get_or_insert(cell);
            }
            _ => {}
        }
    }
    match (point, comma) {
        (Some(point), Some(comma)) => Err(MixedMarks { point: point.to_owned(), comma: comma.to_owned() }),
        (Some(_), None) => Ok(Some(DecimalMark::Point)),
        (None, Some(_)) => Ok(Some(DecimalMark::Comma)),
        (None, None) => Ok(None),
    }
}

/// Whether the text is a number under any reading.
pub fn looks_like_number(text: &str) -> bool {
    !matches!(parse_decimal(text, None), Err(NumberError::NotANumber))
}

/// What a number's own signs say about the decimal mark.
enum Evidence {
    None,
    Mark(DecimalMark),
    /// The sign may be either: one to three digits, the sign, three digits.
    Either(char),
}

fn evidence(body: &str) -> Evidence {
    let mark = |sign| if sign == '.' { DecimalMark::Point } else { DecimalMark::Comma };
    let opposite = |sign| if sign == '.' { DecimalMark::Comma } else { DecimalMark::Point };
    let mut marks = body.char_indices().filter(|(_, sign)| matches!(sign, '.' | ','));
    let Some((at, sign)) = marks.next() else { return Evidence::None };
    let Some((_, last)) = marks.next_back() else {
        let (before, after) = (&body[..at], &body[at + 1..]);
        let thousands = after.len() == 3
            && (1..=3).contains(&before.len())
            && !before.starts_with('0')
            && before.bytes().all(|byte| byte.is_ascii_digit());
        return if thousands { Evidence::Either(sign) } else { Evidence::Mark(mark(sign)) };
    };
    Evidence::Mark(if last == sign { opposite(sign) } else { mark(last) })
}

/// Takes signs and currency off: whether the number is negative, and what is left of it.
fn bare_number(text: &str) -> Option<(bool, &str)> {
    let text = text.trim();
    let (text, parenthesised) = match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) => (inner.trim(), true),
        None => (text, false),
    };
    let (text, mut sign) = without_sign(text);
    let mut body = without_currency(text);
    if body.len() != text.len() && sign.is_none() {
        (body, sign) = without_sign(body);
    }
    let starts = body.starts_with(|first: char| first.is_ascii_digit() || first == '.' || first == ',');
    let has_digit = body.bytes().any(|byte| byte.is_ascii_digit());
    if !starts || !has_digit || (parenthesised && sign.is_some()) {
        return None;
    }
    Some((parenthesised || sign == Some('-'), body))
}

/// Takes one sign off, before the number or behind it.
fn without_sign(text: &str) -> (&str, Option<char>) {
    const MINUS: [char; 2] = ['-', '\u{2212}'];
    if let Some(rest) = text.strip_prefix(MINUS).or_else(|| text.strip_suffix(MINUS)) {
        (rest.trim(), Some('-'))
    } else if let Some(rest) = text.strip_prefix('+') {
        (rest.trim(), Some('+'))
    } else {
        (text, None)
    }
}

fn without_currency(text: &str) -> &str {
    const SIGNS: [char; 12] = ['$', '€', '£', '¥', '₹', '₩', '₽', '₺', '₫', '₦', '฿', '₴'];
    const CODES: [&str; 26] = [
        "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "INR", "JPY", "KRW",
        "MMK", "MXN", "NOK", "NZD", "PLN", "RON", "SEK", "SGD", "THB", "TRY", "USD", "ZAR",
    ];
    if let Some(rest) = text.strip_prefix(SIGNS).or_else(|| text.strip_suffix(SIGNS)) {
        return rest.trim();
    }
    let code = CODES.iter().find_map(|code| text.strip_prefix(code).or_else(|| text.strip_suffix(code)));
    code.map_or(text, str::trim)
}

/// The digits with a point as the only sign, if the text is well formed under `mark`.
fn plain_digits(body: &str, mark: DecimalMark) -> Result<String, NumberError> {
    let (whole, decimals) = match body.split_once(mark.sign()) {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (body, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if decimals.is_some_and(|decimals| !is_digits(decimals)) {
        return Err(NumberError::NotANumber);
    }
    let mut digits = if whole.is_empty() && decimals.is_some() {
        "0".to_owned()
    } else {
        without_thousands(whole, mark).ok_or(NumberError::NotANumber)?
    };
    if let Some(decimals) = decimals {
        digits.push('.');
        digits.push_str(decimals);
    }
    Ok(digits)
}

/// The whole part without its thousands separators, if they stand where they may.
fn without_thousands(whole: &str, mark: DecimalMark) -> Option<String> {
    let is_separator = |sign: char| {
        sign == mark.other() || matches!(sign, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\'' | '\u{2019}')
    };
    let separator = whole.chars().find(|&sign| is_separator(sign));
    let groups: Vec<&str> = match separator {
        Some(separator) => whole.split(separator).collect(),
        None => vec![whole],
    };
    if groups.iter().any(|group| group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    if let [first, middle @ .., last] = &groups[..] {
        let threes = first.len() <= 3 && middle.iter().all(|group| group.len() == 3);
        let indian = first.len() <= 2 && middle.iter().all(|group| group.len() == 2);
        if last.len() != 3 || !(threes || indian) {
            return None;
        }
    }
    Some(groups.concat())
}

#[cfg(test)]
mod tests;
