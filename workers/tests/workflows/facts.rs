//! What the observer reads: rows of statements, each column by its type.

use fairlane::db::{Row, query};
use fairlane::sql;

use crate::support::processes::Site;

/// The rows of a statement, read outside the engine.
pub(crate) async fn rows<T>(site: &Site, statement: &'static str, read: impl Fn(&Row) -> T) -> Vec<T> {
    let mut tx = site.observer.read().await.unwrap();
    let rows = query(sql!(statement)).fetch_all(&mut tx.conn()).await.expect(statement);
    rows.iter().map(read).collect()
}
