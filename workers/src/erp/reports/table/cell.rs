//! A value of a report, and how it is written into the spool.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::Kind;
use crate::erp::reports::error::{ReportError, Result};

/// A value of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// It is not known.
    Empty,
    /// There is nothing to be known: a service has no cost of goods.
    Nothing,
    /// Words.
    Text(String),
    /// A count.
    Integer(i64),
    /// A number.
    Number(Decimal),
    /// A calendar day.
    Date(NaiveDate),
}

impl Cell {
    /// Words, or nothing.
    pub fn text(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Empty, |text| Self::Text(text.into()))
    }

    /// A number, or nothing.
    pub fn number(number: Option<Decimal>) -> Self {
        number.map_or(Self::Empty, Self::Number)
    }

    /// A day, or nothing.
    pub fn date(day: Option<NaiveDate>) -> Self {
        day.map_or(Self::Empty, Self::Date)
    }

    /// The number in it.
    pub fn as_number(&self) -> Option<Decimal> {
        match self {
            Self::Integer(number) => Some(Decimal::from(*number)),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// As programs read it; none where it is not known. Amounts have the currency's decimals, and more where they have more:
    /// nothing is rounded here.
    pub fn plain(&self, kind: Kind, decimals: u32) -> Option<String> {
        Some(match self {
            Self::Empty | Self::Nothing => return None,
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Date(day) => day.to_string(),
            Self::Number(number) => {
                let mut number = number.normalize();
                let least = match kind {
                    Kind::Money => decimals,
                    Kind::Percent => 2,
                    _ => 0,
                };
                if number.scale() < least {
                    number.rescale(least);
                }
                number.to_string()
            }
        })
    }

    pub(super) fn spooled(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Nothing => "-".to_owned(),
            Self::Text(text) => format!("t{text}"),
            Self::Integer(number) => format!("i{number}"),
            Self::Number(number) => format!("n{number}"),
            Self::Date(day) => format!("d{day}"),
        }
    }

    pub(super) fn from_spool(text: &str) -> Result<Self> {
        let damaged =
            || ReportError::Io(std::io::Error::other(format!("the spooled cell {text:?} is damaged")));
        let Some((tag, rest)) = text.split_at_checked(1) else { return Ok(Self::Empty) };
        Ok(match tag {
            "-" => Self::Nothing,
            "t" => Self::Text(rest.to_owned()),
            "i" => Self::Integer(rest.parse().map_err(|_| damaged())?),
            "n" => Self::Number(rest.parse().map_err(|_| damaged())?),
            "d" => Self::Date(rest.parse().map_err(|_| damaged())?),
            _ => return Err(damaged()),
        })
    }
}
