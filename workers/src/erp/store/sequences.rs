//! Numbers without gaps and without duplicates.

use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;

/// The next number of a sequence in a period.
///
/// The row stays locked until the transaction ends, so whoever wants the next number waits, and a transaction that is
/// rolled back gives its number back. `max() + 1` would hand out duplicates, a database sequence would leave gaps.
pub async fn next(conn: &mut Conn<'_>, tenant: i64, name: &str, period: &str) -> Result<i64> {
    query(sql!(
        "insert into number_sequences (tenant_id, name, period, last) values ($1, $2, $3, 1)
         on conflict (tenant_id, name, period) do update set last = number_sequences.last + 1
         returning last"
    ))
    .bind(tenant)
    .bind(name)
    .bind(period)
    .fetch_one(conn)
    .await?
    .get("last")
}

/// A number as people read it: `INV-2026-00001`.
pub fn format(prefix: &str, period: &str, number: i64) -> String {
    format!("{prefix}-{period}-{number:05}")
}
