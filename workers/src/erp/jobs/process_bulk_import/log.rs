//! The log of imports: `import_logs`, current with every chunk.

mod outcome;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, Sql, query};
use fairlane::store::listing::{Listing, read_all};
use fairlane::{Error, Result, sql};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::counts::Counts;
use super::import_type::Scope;
use super::mapping::Mapping;
use super::options::{ImportOptions, Mode};
use super::tabular::Format;
use super::tabular::value::ValueSettings;
use super::workbook::SheetOf;

pub use outcome::{ImportResult, has_orphans, request_cancel, settle_orphans};
pub(super) use outcome::{finish, mark_failed};

/// How a file is read: what was detected, or stated, when it was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFormat {
    /// Whether the file begins with a byte order mark.
    pub bom: bool,
    /// Encoding and dialect.
    #[serde(flatten)]
    pub text: Format,
    /// Decimal mark and date format.
    pub values: ValueSettings,
    /// The sheet of a workbook, where it is one.
    #[serde(default, rename = "workbook", skip_serializing_if = "Option::is_none")]
    pub sheet: Option<SheetOf>,
    /// The file's columns that go into no field.
    #[serde(default)]
    pub not_read: Vec<String>,
}

/// An import before it has a number.
#[derive(Debug)]
pub(super) struct NewImport<'a> {
    pub(super) tenant_id: i64,
    pub(super) user_id: Option<i64>,
    pub(super) import_type: &'a str,
    pub(super) file_path: &'a str,
    pub(super) file_name: &'a str,
    pub(super) file_size: u64,
    pub(super) sha256: &'a str,
    pub(super) mode: Mode,
    pub(super) mapping: &'a Mapping,
    pub(super) options: &'a ImportOptions,
    pub(super) format: &'a FileFormat,
}

/// An import as its log has it.
#[derive(Debug, Clone, Serialize)]
pub struct ImportLog {
    /// Its number.
    pub id: i64,
    /// What is imported.
    pub import_type: String,
    /// The name of the file as it was handed in.
    pub file_name: String,
    /// Where the file is kept, below the folder of files.
    pub file_path: String,
    /// Its size.
    pub file_size: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Which rows are wanted.
    pub mode: String,
    /// Field to column.
    pub mapping: Mapping,
    /// What the user said beside it.
    pub options: ImportOptions,
    /// How the file is read.
    pub format: FileFormat,
    /// The job that does it.
    pub job_id: Option<Uuid>,
    /// Who started it.
    pub user_id: Option<i64>,
    /// pending, processing, completed or failed.
    pub status: String,
    /// completed, completed_with_errors, failed or cancelled; nothing before the end.
    pub result: Option<String>,
    /// What became of the rows.
    pub counts: Counts,
    /// How much of the file has been read.
    pub read_bytes: u64,
    /// Why it failed: the stable word.
    pub failure_code: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Whether somebody wants it to stop.
    pub cancel_requested: bool,
    /// When it was handed in.
    pub created_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was completed.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it failed or was cancelled.
    pub failed_at: Option<DateTime<Utc>>,
    /// How far it is undone; nothing where nobody has asked for that.
    pub undo: Option<UndoState>,
}

/// How far an import is undone.
#[derive(Debug, Clone, Serialize)]
pub struct UndoState {
    /// pending, processing, completed or failed.
    pub status: String,
    /// Records that are as they were before.
    pub undone: u64,
    /// Records that were touched since, and stay.
    pub conflicts: u64,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it was done.
    pub undone_at: Option<DateTime<Utc>>,
}

fn json(value: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value)
        .map_err(|why| Error::Invalid { what: "an import".into(), why: why.to_string() })
}

fn as_int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Enters an import; returns its number.
pub(super) async fn insert(conn: &mut Conn<'_>, import: &NewImport<'_>) -> Result<i64> {
    query(sql!(
        "insert into import_logs (tenant_id, user_id, import_type, file_path, file_name, file_size, sha256, mode,
            mapping, options, format, stock_mode, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, {now}, {now})
         returning id"
    ))
    .bind(import.tenant_id)
    .bind(import.user_id)
    .bind(import.import_type)
    .bind(import.file_path)
    .bind(import.file_name)
    .bind(as_int(import.file_size))
    .bind(import.sha256)
    .bind(if import.mode.is_of_stock() { Mode::Upsert.as_str() } else { import.mode.as_str() })
    .bind(json(import.mapping)?)
    .bind(json(import.options)?)
    .bind(json(import.format)?)
    .bind(import.mode.is_of_stock().then(|| import.mode.as_str()))
    .fetch_one(conn)
    .await?
    .get("id")
}

/// Says which job does an import.
pub(super) async fn set_job(conn: &mut Conn<'_>, tenant_id: i64, import_id: i64, job: Uuid) -> Result<()> {
    query(sql!("update import_logs set job_id = $3 where tenant_id = $1 and id = $2"))
        .bind(tenant_id)
        .bind(import_id)
        .bind(job)
        .execute(conn)
        .await?;
    Ok(())
}

const COLUMNS: Sql = sql!(
    "select cast(id as text) as key, id, import_type, file_name, file_path, file_size, sha256,
        coalesce(stock_mode, mode) as mode, mapping, options, format, job_id, user_id,
        status, result, total_rows, created_rows, updated_rows, unchanged_rows, skipped_rows, failed_rows, blank_rows,
        read_bytes, failure_code, failure, cancel_requested_at is not null as cancel_requested, created_at,
        started_at, completed_at, failed_at, undo_status, undone_rows, conflict_rows, undo_failure, undone_at
     from import_logs
     where tenant_id = $1 and (cast($2 as bigint) = 0 or id = $2) and ($3 = '' or sha256 = $3)
        and (cast($5 as bigint) is null or id < $5)
     order by id desc limit $4"
);

/// One import; `None` when the tenant has none of that number.
pub async fn find(conn: &mut Conn<'_>, tenant_id: i64, import_id: i64) -> Result<Option<ImportLog>> {
    if import_id <= 0 {
        return Ok(None);
    }
    let row = query(COLUMNS)
        .bind(tenant_id)
        .bind(import_id)
        .bind("")
        .bind(1_i64)
        .bind(None::<i64>)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read).transpose()
}

/// A tenant's imports, the latest first; those behind the one of a number, where one is named.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant_id: i64,
    behind: Option<i64>,
    limit: i64,
) -> Result<Listing<ImportLog>> {
    let rows =
        query(COLUMNS).bind(tenant_id).bind(0_i64).bind("").bind(limit).bind(behind).fetch_all(conn).await?;
    read_all(&rows, limit, read)
}

/// A tenant's imports of the same bytes, the latest first; those that can't be read speak for nothing and are left out.
pub(super) async fn with_contents(
    conn: &mut Conn<'_>,
    tenant_id: i64,
    sha256: &str,
) -> Result<Vec<ImportLog>> {
    let rows = query(COLUMNS)
        .bind(tenant_id)
        .bind(0_i64)
        .bind(sha256)
        .bind(100_i64)
        .bind(None::<i64>)
        .fetch_all(conn)
        .await?;
    Ok(read_all(&rows, 100, read)?.rows)
}

fn read(row: &Row) -> Result<ImportLog> {
    let number = |column| Ok::<_, Error>(u64::try_from(row.get::<i64>(column)?).unwrap_or_default());
    fn document<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
        serde_json::from_value(row.get(column)?)
            .map_err(|why| Error::Damaged(format!("import_logs.{column}: {why}")))
    }
    Ok(ImportLog {
        id: row.get("id")?,
        import_type: row.get("import_type")?,
        file_name: row.get("file_name")?,
        file_path: row.get("file_path")?,
        file_size: number("file_size")?,
        sha256: row.get("sha256")?,
        mode: row.get("mode")?,
        mapping: document(row, "mapping")?,
        options: document(row, "options")?,
        format: document(row, "format")?,
        job_id: row.get("job_id")?,
        user_id: row.get("user_id")?,
        status: row.get("status")?,
        result: row.get("result")?,
        counts: Counts {
            total: number("total_rows")?,
            created: number("created_rows")?,
            updated: number("updated_rows")?,
            unchanged: number("unchanged_rows")?,
            skipped: number("skipped_rows")?,
            failed: number("failed_rows")?,
            blank: number("blank_rows")?,
        },
        read_bytes: number("read_bytes")?,
        failure_code: row.get("failure_code")?,
        failure: row.get("failure")?,
        cancel_requested: row.get("cancel_requested")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        completed_at: row.get("completed_at")?,
        failed_at: row.get("failed_at")?,
        undo: match row.get::<Option<String>>("undo_status")? {
            Some(status) => Some(UndoState {
                status,
                undone: number("undone_rows")?,
                conflicts: number("conflict_rows")?,
                failure: row.get("undo_failure")?,
                undone_at: row.get("undone_at")?,
            }),
            None => None,
        },
    })
}

/// Takes the one place a tenant's imports of a type have; `false` while another one has it, or an earlier one has not had
/// its turn: it may wait to be tried again.
///
/// An import whose job is gone (forgotten, cancelled in the queue, failed for good) gives its place up.
pub(super) async fn start(conn: &mut Conn<'_>, scope: Scope, import_type: &str, job: Uuid) -> Result<bool> {
    settle_orphans(conn, scope.tenant_id).await?;
    let started = query(sql!(
        "update import_logs set status = 'processing', job_id = $4, started_at = coalesce(started_at, {now}),
            result = null, failure_code = null, failure = null, failed_at = null, updated_at = {now}
         where tenant_id = $1 and id = $3 and not exists (select 1 from import_logs o
            where o.tenant_id = $1 and o.import_type = $2 and o.id <> $3
                and (o.status = 'processing' or (o.status = 'pending' and o.id < $3)))"
    ))
    .bind(scope.tenant_id)
    .bind(import_type)
    .bind(scope.import_id)
    .bind(job)
    .execute(conn)
    .await?;
    Ok(started == 1)
}

/// Locks an import's row: who else wants to undo it waits.
pub(super) async fn lock(conn: &mut Conn<'_>, scope: Scope) -> Result<()> {
    query(sql!("select id from import_logs where tenant_id = $1 and id = $2 {lock}"))
        .bind(scope.tenant_id)
        .bind(scope.import_id)
        .fetch_optional(conn)
        .await
        .map(drop)
}

/// Forgets what an attempt without checkpoint has left behind.
pub(super) async fn forget_errors(conn: &mut Conn<'_>, scope: Scope) -> Result<()> {
    query(sql!("delete from import_errors where tenant_id = $1 and import_id = $2"))
        .bind(scope.tenant_id)
        .bind(scope.import_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Brings the counts up to date; returns whether somebody wants the import to stop.
pub(super) async fn progress(
    conn: &mut Conn<'_>,
    scope: Scope,
    counts: &Counts,
    read_bytes: u64,
) -> Result<bool> {
    query(sql!(
        "update import_logs set total_rows = $3, imported_rows = $4, failed_rows = $5, created_rows = $6,
            updated_rows = $7, unchanged_rows = $8, skipped_rows = $9, blank_rows = $10, read_bytes = $11,
            updated_at = {now}
         where tenant_id = $1 and id = $2
         returning cancel_requested_at is not null as cancel_requested"
    ))
    .bind(scope.tenant_id)
    .bind(scope.import_id)
    .bind(as_int(counts.total))
    .bind(as_int(counts.imported()))
    .bind(as_int(counts.failed))
    .bind(as_int(counts.created))
    .bind(as_int(counts.updated))
    .bind(as_int(counts.unchanged))
    .bind(as_int(counts.skipped))
    .bind(as_int(counts.blank))
    .bind(as_int(read_bytes))
    .fetch_one(conn)
    .await?
    .get("cancel_requested")
}
