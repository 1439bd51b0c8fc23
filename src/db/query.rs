//! A statement with its binds, run on a connection of either database.

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;

use super::sql::{Sql, Text};
use super::{Conn, Link, Row, Value};
use crate::error::{Error, Result};

/// A statement and the values bound to `$1`, `$2` ... in order.
#[derive(Debug)]
pub struct Query {
    sql: Sql,
    values: Vec<Value>,
    keep: bool,
}

/// Starts a statement.
pub fn query(sql: Sql) -> Query {
    Query { sql, values: Vec::new(), keep: true }
}

/// Sends a rendered text with its arguments: `AssertSqlSafe` is for clock-shifted texts only, which contain no input.
/// A statement that is not to be kept has no name on the server: behind a transaction pooler the next client would find
/// the name taken.
macro_rules! prepared {
    ($text:expr, $arguments:expr, $keep:expr) => {
        match $text {
            Text::Fixed(text) => sqlx::query_with(text, $arguments).persistent($keep),
            Text::Shifted(text) => sqlx::query_with(AssertSqlSafe(text), $arguments).persistent(false),
        }
    };
}

impl Query {
    /// Binds the next value.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Has PostgreSQL plan the statement anew each time. For statements that handle many rows a time in a table that grows
    /// under them: a plan kept from when the table was empty made an import of 100,000 rows forty times slower.
    pub fn planned_anew(mut self) -> Self {
        self.keep = false;
        self
    }

    /// Runs the statement; returns the number of rows it touched.
    pub async fn execute(self, conn: &mut Conn<'_>) -> Result<u64> {
        let text = self.sql.render(conn.dialect(), conn.clock_offset);
        match &mut conn.link {
            Link::Postgres(link) => {
                let query =
                    prepared!(text, postgres_arguments(self.values)?, self.keep && conn.keeps_statements);
                Ok(query.execute(&mut **link).await?.rows_affected())
            }
            Link::Sqlite(link) => {
                let query =
                    prepared!(text, sqlite_arguments(self.values)?, self.keep && conn.keeps_statements);
                Ok(query.execute(&mut **link).await?.rows_affected())
            }
        }
    }

    /// All rows.
    pub async fn fetch_all(self, conn: &mut Conn<'_>) -> Result<Vec<Row>> {
        let text = self.sql.render(conn.dialect(), conn.clock_offset);
        match &mut conn.link {
            Link::Postgres(link) => {
                let query =
                    prepared!(text, postgres_arguments(self.values)?, self.keep && conn.keeps_statements);
                Ok(query.fetch_all(&mut **link).await?.into_iter().map(Row::Postgres).collect())
            }
            Link::Sqlite(link) => {
                let query =
                    prepared!(text, sqlite_arguments(self.values)?, self.keep && conn.keeps_statements);
                Ok(query.fetch_all(&mut **link).await?.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// The rows one by one, in constant memory.
    pub fn fetch<'c>(self, conn: &'c mut Conn<'_>) -> Result<BoxStream<'c, Result<Row>>> {
        let text = self.sql.render(conn.dialect(), conn.clock_offset);
        Ok(match &mut conn.link {
            Link::Postgres(link) => {
                let query =
                    prepared!(text, postgres_arguments(self.values)?, self.keep && conn.keeps_statements);
                query.fetch(&mut **link).map_ok(Row::Postgres).map_err(Error::from).boxed()
            }
            Link::Sqlite(link) => {
                let query =
                    prepared!(text, sqlite_arguments(self.values)?, self.keep && conn.keeps_statements);
                query.fetch(&mut **link).map_ok(Row::Sqlite).map_err(Error::from).boxed()
            }
        })
    }

    /// The first row, if there is one.
    pub async fn fetch_optional(self, conn: &mut Conn<'_>) -> Result<Option<Row>> {
        let text = self.sql.render(conn.dialect(), conn.clock_offset);
        match &mut conn.link {
            Link::Postgres(link) => {
                let query =
                    prepared!(text, postgres_arguments(self.values)?, self.keep && conn.keeps_statements);
                Ok(query.fetch_optional(&mut **link).await?.map(Row::Postgres))
            }
            Link::Sqlite(link) => {
                // Through fetch_all: a statement stopped after its first row would leave its writes half done.
                let query =
                    prepared!(text, sqlite_arguments(self.values)?, self.keep && conn.keeps_statements);
                Ok(query.fetch_all(&mut **link).await?.into_iter().next().map(Row::Sqlite))
            }
        }
    }

    /// The first row of a statement that always returns one.
    pub async fn fetch_one(self, conn: &mut Conn<'_>) -> Result<Row> {
        self.fetch_optional(conn).await?.ok_or(Error::Database(sqlx::Error::RowNotFound))
    }
}

fn postgres_arguments(values: Vec<Value>) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    for value in values {
        value.bind_postgres(&mut arguments).map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn sqlite_arguments(values: Vec<Value>) -> Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        value.bind_sqlite(&mut arguments).map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
