//! How SQLite stores what it has no type for. The only place that knows.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use uuid::Uuid;

/// Microseconds since 1970: sortable, exact, and the precision PostgreSQL keeps.
pub(crate) fn time(value: DateTime<Utc>) -> i64 {
    value.timestamp_micros()
}

pub(crate) fn decode_time(micros: i64) -> Result<DateTime<Utc>, String> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| format!("{micros} is no point in time"))
}

/// Hyphenated text, so that a person with the sqlite3 shell can read and type it.
pub(crate) fn uuid(value: Uuid) -> String {
    value.hyphenated().to_string()
}

/// Canonical text: no trailing zeros, no exponent; equal numbers have equal texts.
pub(crate) fn decimal(value: Decimal) -> String {
    value.normalize().to_string()
}
