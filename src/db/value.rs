//! Values that go into statements, the same for both databases.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, types::Json};
use uuid::Uuid;

use super::encode;

/// One bound value. Lists become arrays on PostgreSQL and JSON arrays on SQLite.
#[derive(Debug, Clone)]
pub enum Value {
    /// A truth value.
    Bool(Option<bool>),
    /// An integer of any width.
    Int(Option<i64>),
    /// A floating-point number (weights, rates; never money).
    Float(Option<f64>),
    /// A text.
    Text(Option<String>),
    /// An id.
    Uuid(Option<Uuid>),
    /// A point in time, to the microsecond.
    Time(Option<DateTime<Utc>>),
    /// A calendar day.
    Date(Option<NaiveDate>),
    /// An exact decimal number: `numeric` on PostgreSQL, its canonical text on SQLite.
    Decimal(Option<Decimal>),
    /// A JSON document.
    Json(Option<serde_json::Value>),
    /// A list of integers.
    Ints(Vec<Option<i64>>),
    /// A list of texts.
    Texts(Vec<Option<String>>),
    /// A list of ids.
    Uuids(Vec<Option<Uuid>>),
    /// A list of points in time.
    Times(Vec<Option<DateTime<Utc>>>),
    /// A list of exact decimal numbers.
    Decimals(Vec<Option<Decimal>>),
    /// A list of truth values.
    Bools(Vec<Option<bool>>),
}

macro_rules! from_scalar {
    ($($type:ty => $variant:ident),* $(,)?) => { $(
        impl From<$type> for Value {
            fn from(value: $type) -> Self { Self::$variant(Some(value.into())) }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self { Self::$variant(value.map(Into::into)) }
        }
    )* };
}

from_scalar! {
    bool => Bool, i64 => Int, i32 => Int, u32 => Int, f64 => Float, String => Text, &str => Text,
    Uuid => Uuid, DateTime<Utc> => Time, NaiveDate => Date, Decimal => Decimal, serde_json::Value => Json,
}

macro_rules! from_list {
    ($($type:ty => $variant:ident),* $(,)?) => { $(
        impl From<Vec<$type>> for Value {
            fn from(values: Vec<$type>) -> Self {
                Self::$variant(values.into_iter().map(|value| Some(value.into())).collect())
            }
        }
        impl From<Vec<Option<$type>>> for Value {
            fn from(values: Vec<Option<$type>>) -> Self {
                Self::$variant(values.into_iter().map(|value| value.map(Into::into)).collect())
            }
        }
    )* };
}

from_list! {
    i64 => Ints, i32 => Ints, String => Texts, &str => Texts, Uuid => Uuids, DateTime<Utc> => Times,
    Decimal => Decimals, bool => Bools,
}

impl From<&[Uuid]> for Value {
    fn from(values: &[Uuid]) -> Self {
        values.to_vec().into()
    }
}

impl From<&[String]> for Value {
    fn from(values: &[String]) -> Self {
        values.to_vec().into()
    }
}

impl Value {
    pub(crate) fn bind_postgres(self, arguments: &mut PgArguments) -> Result<(), sqlx::error::BoxDynError> {
        match self {
            Self::Bool(value) => arguments.add(value),
            Self::Int(value) => arguments.add(value),
            Self::Float(value) => arguments.add(value),
            Self::Text(value) => arguments.add(value),
            Self::Uuid(value) => arguments.add(value),
            Self::Time(value) => arguments.add(value),
            Self::Date(value) => arguments.add(value),
            Self::Decimal(value) => arguments.add(value),
            Self::Json(value) => arguments.add(value.map(Json)),
            Self::Ints(values) => arguments.add(values),
            Self::Texts(values) => arguments.add(values),
            Self::Uuids(values) => arguments.add(values),
            Self::Times(values) => arguments.add(values),
            Self::Decimals(values) => arguments.add(values),
            Self::Bools(values) => arguments.add(values),
        }
    }

    pub(crate) fn bind_sqlite(self, arguments: &mut SqliteArguments) -> Result<(), sqlx::error::BoxDynError> {
        match self {
            Self::Bool(value) => arguments.add(value),
            Self::Int(value) => arguments.add(value),
            Self::Float(value) => arguments.add(value),
            Self::Text(value) => arguments.add(value),
            Self::Uuid(value) => arguments.add(value.map(encode::uuid)),
            Self::Time(value) => arguments.add(value.map(encode::time)),
            Self::Date(value) => arguments.add(value.map(|day| day.to_string())),
            Self::Decimal(value) => arguments.add(value.map(encode::decimal)),
            Self::Json(value) => arguments.add(value.map(|json| json.to_string())),
            Self::Ints(values) => arguments.add(json_array(values)),
            Self::Texts(values) => arguments.add(json_array(values)),
            Self::Uuids(values) => arguments.add(json_array(map_all(values, encode::uuid))),
            Self::Times(values) => arguments.add(json_array(map_all(values, encode::time))),
            Self::Decimals(values) => arguments.add(json_array(map_all(values, encode::decimal))),
            Self::Bools(values) => arguments.add(json_array(values)),
        }
    }
}

fn map_all<T, U>(values: Vec<Option<T>>, encode: impl Fn(T) -> U) -> Vec<Option<U>> {
    values.into_iter().map(|value| value.map(&encode)).collect()
}

/// Lists of plain values always serialise.
fn json_array<T: serde::Serialize>(values: Vec<T>) -> String {
    serde_json::to_string(&values).unwrap_or_default()
}
