//! Statements made while a test runs: over tables that nobody has listed.

use fairlane::db::{Conn, Row, Sql, query};
use fairlane::sql;

/// A statement of a text made at run time; texts live as long as the test.
pub(crate) fn text(text: impl Into<String>) -> Sql {
    let text: &'static str = String::leak(text.into());
    sql!(text)
}

/// All rows of a statement.
pub(crate) async fn rows(conn: &mut Conn<'_>, statement: Sql) -> Vec<Row> {
    query(statement).fetch_all(conn).await.unwrap()
}

/// The `n` of a counting statement.
pub(crate) async fn count(conn: &mut Conn<'_>, statement: Sql) -> i64 {
    query(statement).fetch_one(conn).await.unwrap().get("n").unwrap()
}

/// A text as it is written in a statement.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
