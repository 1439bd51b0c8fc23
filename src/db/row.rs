//! Rows that come out of statements, the same for both databases.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::encode;
use crate::error::{Error, Result};
use sqlx::Row as _;

/// One row of a result.
#[derive(Debug)]
pub enum Row {
    /// From PostgreSQL.
    Postgres(PgRow),
    /// From SQLite.
    Sqlite(SqliteRow),
}

impl Row {
    /// The value of a column; a value of the wrong shape is [`Error::Damaged`] and names the column.
    pub fn get<T: Column>(&self, name: &str) -> Result<T> {
        match self {
            Self::Postgres(row) => T::from_postgres(row, name),
            Self::Sqlite(row) => T::from_sqlite(row, name),
        }
        .map_err(|source| match source {
            sqlx::Error::ColumnDecode { source, .. } => Error::Damaged(format!("column {name}: {source}")),
            other => Error::Damaged(format!("column {name}: {other}")),
        })
    }
}

/// A type that can be read from a column of either database.
pub trait Column: Sized {
    /// Reads it from a PostgreSQL row.
    fn from_postgres(row: &PgRow, name: &str) -> Result<Self, sqlx::Error>;
    /// Reads it from an SQLite row.
    fn from_sqlite(row: &SqliteRow, name: &str) -> Result<Self, sqlx::Error>;
}

fn decode_error(name: &str, why: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: name.to_owned(), source: why.to_string().into() }
}

macro_rules! column {
    ($type:ty, |$pg:ident, $name:ident| $postgres:expr, $stored:ty => |$value:ident| $decode:expr) => {
        impl Column for Option<$type> {
            fn from_postgres($pg: &PgRow, $name: &str) -> Result<Self, sqlx::Error> {
                $postgres
            }
            fn from_sqlite(row: &SqliteRow, name: &str) -> Result<Self, sqlx::Error> {
                let stored: Option<$stored> = row.try_get(name)?;
                stored.map(|$value| $decode.map_err(|why| decode_error(name, why))).transpose()
            }
        }
        impl Column for $type {
            fn from_postgres(row: &PgRow, name: &str) -> Result<Self, sqlx::Error> {
                <Option<$type>>::from_postgres(row, name)?.ok_or_else(|| decode_error(name, "it is null"))
            }
            fn from_sqlite(row: &SqliteRow, name: &str) -> Result<Self, sqlx::Error> {
                <Option<$type>>::from_sqlite(row, name)?.ok_or_else(|| decode_error(name, "it is null"))
            }
        }
    };
}

type Infallible<T> = std::result::Result<T, std::convert::Infallible>;

column!(bool, |row, name| row.try_get(name), bool => |value| Infallible::Ok(value));
// Unchecked: integer columns of every width decode into i64.
column!(i64, |row, name| row.try_get_unchecked(name), i64 => |value| Infallible::Ok(value));
column!(i32, |row, name| row.try_get_unchecked(name), i32 => |value| Infallible::Ok(value));
column!(f64, |row, name| row.try_get(name), f64 => |value| Infallible::Ok(value));
column!(String, |row, name| row.try_get(name), String => |value| Infallible::Ok(value));
column!(Uuid, |row, name| row.try_get(name), String => |value| Uuid::parse_str(&value));
column!(DateTime<Utc>, |row, name| row.try_get(name), i64 => |value| encode::decode_time(value));
column!(NaiveDate, |row, name| row.try_get(name), String => |value| value.parse::<NaiveDate>());
column!(Decimal, |row, name| row.try_get(name), String => |value| value.parse::<Decimal>());
column!(
    serde_json::Value,
    |row, name| Ok(row.try_get::<Option<Json<serde_json::Value>>, _>(name)?.map(|json| json.0)),
    String => |value| serde_json::from_str::<serde_json::Value>(&value)
);
