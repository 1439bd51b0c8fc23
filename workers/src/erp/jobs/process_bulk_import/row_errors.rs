//! The rows that were refused or left out, and why: `import_errors`.

use std::collections::HashSet;

use fairlane::db::{Conn, Dialect, Row, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;

use super::import_type::{RowError, Scope};

/// Where a row stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowPlace {
    /// Its number, 1 for the first behind the header.
    pub record: u64,
    /// The line it starts on.
    pub line: u64,
    /// The file offset of its first byte.
    pub byte_offset: u64,
}

/// Whether a row was refused or left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Refused: it counts as failed.
    Failed,
    /// Left out: the mode or the type of import does not want it.
    Skipped,
}

impl Outcome {
    /// The word in the column `outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A row that was not stored, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where it stands.
    pub place: RowPlace,
    /// Refused or left out.
    pub outcome: Outcome,
    /// Why.
    pub error: RowError,
}

/// A refusal as it is stored, shown and written into the log's `errors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredRefusal {
    /// The row's number.
    pub record: u64,
    /// The line it starts on.
    pub line: u64,
    /// The file offset of its first byte.
    #[serde(skip)]
    pub byte_offset: u64,
    /// Refused or left out.
    pub outcome: Outcome,
    /// The file's column, where one is at fault.
    pub column: Option<String>,
    /// The cell's text.
    pub value: Option<String>,
    /// The stable word.
    pub code: String,
    /// For a person.
    pub message: String,
}

impl StoredRefusal {
    /// A refusal with the name of the file's column.
    pub(super) fn new(refusal: &Refusal, column: Option<&str>) -> Self {
        let RowError { code, value, message, .. } = &refusal.error;
        Self {
            record: refusal.place.record,
            line: refusal.place.line,
            byte_offset: refusal.place.byte_offset,
            outcome: refusal.outcome,
            column: column.map(str::to_owned),
            value: value.as_deref().map(shorten),
            code: code.clone().into_owned(),
            message: message.clone(),
        }
    }
}

/// A cell can be a megabyte long; a page of errors should not be.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 200;
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// Stores the refusals of a chunk.
pub(super) async fn insert(conn: &mut Conn<'_>, scope: Scope, refusals: &[StoredRefusal]) -> Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    let json = serde_json::to_string(&refusals.iter().map(Stored).collect::<Vec<_>>())
        .map_err(|why| Error::Invalid { what: "a chunk's errors".into(), why: why.to_string() })?;
    let statement = match conn.dialect() {
        Dialect::Postgres => sql!(
            "insert into import_errors (tenant_id, import_id, record, line, byte_offset, outcome, column_name, value,
                code, message)
             select $1, $2, e.record, e.line, e.byte_offset, e.outcome, e.column_name, e.value, e.code, e.message
             from jsonb_to_recordset($3::jsonb) as e(record bigint, line bigint, byte_offset bigint, outcome text,
                column_name text, value text, code text, message text)"
        ),
        Dialect::Sqlite => sql!(
            "insert into import_errors (tenant_id, import_id, record, line, byte_offset, outcome, column_name, value,
                code, message)
             select $1, $2, value ->> 'record', value ->> 'line', value ->> 'byte_offset', value ->> 'outcome',
                value ->> 'column_name', value ->> 'value', value ->> 'code', value ->> 'message'
             from jsonb_each($3)"
        ),
    };
    query(statement).bind(scope.tenant_id).bind(scope.import_id).bind(json).execute(conn).await?;
    Ok(())
}

/// A refusal under the names of its table's columns.
struct Stored<'a>(&'a StoredRefusal);

impl Serialize for Stored<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Columns<'a> {
            record: u64,
            line: u64,
            byte_offset: u64,
            outcome: Outcome,
            column_name: Option<&'a str>,
            value: Option<&'a str>,
            code: &'a str,
            message: &'a str,
        }
        let Self(refusal) = self;
        Columns {
            record: refusal.record,
            line: refusal.line,
            byte_offset: refusal.byte_offset,
            outcome: refusal.outcome,
            column_name: refusal.column.as_deref(),
            value: refusal.value.as_deref(),
            code: &refusal.code,
            message: &refusal.message,
        }
        .serialize(serializer)
    }
}

/// The refusals behind a row, in order of the file.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant_id: i64,
    import_id: i64,
    after_record: u64,
    limit: i64,
) -> Result<Vec<StoredRefusal>> {
    let rows = query(sql!(
        "select record, line, byte_offset, outcome, column_name, value, code, message from import_errors
         where tenant_id = $1 and import_id = $2 and record > $3 order by record limit $4"
    ))
    .bind(tenant_id)
    .bind(import_id)
    .bind(i64::try_from(after_record).unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// The numbers of all rows that were not stored.
pub(super) async fn records(conn: &mut Conn<'_>, scope: Scope) -> Result<HashSet<u64>> {
    let rows = query(sql!("select record from import_errors where tenant_id = $1 and import_id = $2"))
        .bind(scope.tenant_id)
        .bind(scope.import_id)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(u64::try_from(row.get::<i64>("record")?).unwrap_or_default())).collect()
}

fn read(row: &Row) -> Result<StoredRefusal> {
    let number = |column| Ok::<_, Error>(u64::try_from(row.get::<i64>(column)?).unwrap_or_default());
    let outcome = match row.get::<String>("outcome")?.as_str() {
        "skipped" => Outcome::Skipped,
        _ => Outcome::Failed,
    };
    Ok(StoredRefusal {
        record: number("record")?,
        line: number("line")?,
        byte_offset: number("byte_offset")?,
        outcome,
        column: row.get("column_name")?,
        value: row.get("value")?,
        code: row.get("code")?,
        message: row.get("message")?,
    })
}
