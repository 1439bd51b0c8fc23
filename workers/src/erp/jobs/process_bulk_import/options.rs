//! What a user can say about an import beside its mapping.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::tabular::Overrides;
use super::tabular::date::DateFormat;
use super::tabular::number::DecimalMark;

/// Which rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// New ones are created, known ones changed.
    #[default]
    Upsert,
    /// New ones are created, known ones refused.
    Create,
    /// Known ones are changed, new ones left out.
    Update,
    /// Stock: so much is there now.
    Count,
    /// Stock: so much came, or, negative, went.
    Delta,
}

impl Mode {
    /// The name users give.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Create => "create",
            Self::Update => "update",
            Self::Count => "count",
            Self::Delta => "delta",
        }
    }

    /// Whether it is one of stock, which is moved and not kept as a record.
    pub fn is_of_stock(self) -> bool {
        matches!(self, Self::Count | Self::Delta)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Upsert, Self::Create, Self::Update, Self::Count, Self::Delta]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| {
                format!("`{text}` is no mode; use upsert, create or update, for inventory count or delta")
            })
    }
}

/// What becomes of a row whose key an earlier row of the file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// The later one is written over the earlier one.
    #[default]
    LastWins,
    /// It is refused.
    Error,
}

impl FromStr for Duplicates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "last-wins" | "last" => Ok(Self::LastWins),
            "error" => Ok(Self::Error),
            _ => Err(format!("`{text}` says nothing about duplicates; use last-wins or error")),
        }
    }
}

/// After how many failed rows an import gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MaxFailed {
    /// After more than this many.
    Rows(u64),
    /// When more than this share of the rows read so far has failed, in percent.
    Percent(u8),
}

impl MaxFailed {
    /// Whether too many rows have failed.
    pub fn is_passed(self, counts: &Counts) -> bool {
        match self {
            Self::Rows(limit) => counts.failed > limit,
            Self::Percent(percent) => counts.failed * 100 > counts.total * u64::from(percent),
        }
    }
}

impl fmt::Display for MaxFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "{rows}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for MaxFailed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("`{text}` is no limit; use a number of rows (100) or a share of them (20%)");
        match text.trim().strip_suffix('%') {
            Some(percent) => match percent.trim().parse() {
                Ok(percent) if percent <= 100 => Ok(Self::Percent(percent)),
                _ => Err(bad()),
            },
            None => text.trim().parse().map(Self::Rows).map_err(|_| bad()),
        }
    }
}

impl TryFrom<String> for MaxFailed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MaxFailed> for String {
    fn from(limit: MaxFailed) -> Self {
        limit.to_string()
    }
}

/// How an import is to be read, and when it gives up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportOptions {
    /// Encoding, delimiter and header row, where the user knows better than detection.
    pub file: Overrides,
    /// The decimal mark, instead of the detected one.
    pub decimal_mark: Option<DecimalMark>,
    /// The date format, instead of the detected one.
    pub date_format: Option<DateFormat>,
    /// After how many failed rows to give up; never by default.
    pub max_failed: Option<MaxFailed>,
    /// What becomes of a row whose key an earlier row has.
    pub duplicates: Duplicates,
    /// Where the stock is that names no location.
    pub location: Option<String>,
    /// The sheet of a workbook, by name or number; the first that is shown by default.
    pub sheet: Option<String>,
}
