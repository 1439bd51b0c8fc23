//! Reports as they are stored.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// A report as stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Its number.
    pub id: i64,
    /// Who asked for it.
    pub user_id: Option<i64>,
    /// `sales`, `inventory` ...
    pub report_type: String,
    /// What was asked for.
    pub parameters: Value,
    /// The first day.
    pub period_from: Option<NaiveDate>,
    /// The last day.
    pub period_to: Option<NaiveDate>,
    /// The zone of the days.
    pub zone: Option<String>,
    /// How its file is written.
    pub format: Option<String>,
    /// `pending`, `processing`, `completed` or `failed`.
    pub status: String,
    /// How it ended: `completed`, `failed` or `cancelled`.
    pub result: Option<String>,
    /// The stable word for why it failed.
    pub failure_code: Option<String>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// The job that makes it.
    pub job_id: Option<Uuid>,
    /// Rows read so far.
    pub read_rows: i64,
    /// Rows of the report.
    pub row_count: Option<i64>,
    /// The name people see.
    pub file_name: Option<String>,
    /// Where the file is; not for people.
    #[serde(skip)]
    pub file_key: Option<String>,
    /// Of the file.
    pub sha256: Option<String>,
    /// Of the file.
    pub bytes: Option<i64>,
    /// Whether somebody wants it to stop.
    pub cancel_requested: bool,
    /// When it was asked for.
    #[serde(serialize_with = "fairlane::cli::json::time")]
    pub created_at: DateTime<Utc>,
    /// When it was finished.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub generated_at: Option<DateTime<Utc>>,
    /// Until when its file is kept.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When its file was removed.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub removed_at: Option<DateTime<Utc>>,
}

impl Report {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            user_id: row.get("user_id")?,
            report_type: row.get("report_type")?,
            parameters: row.get("parameters")?,
            period_from: row.get("period_from")?,
            period_to: row.get("period_to")?,
            zone: row.get("zone")?,
            format: row.get("format")?,
            status: row.get("status")?,
            result: row.get("result")?,
            failure_code: row.get("failure_code")?,
            error_message: row.get("error_message")?,
            job_id: row.get("job_id")?,
            read_rows: row.get("read_rows")?,
            row_count: row.get("row_count")?,
            file_name: row.get("file_name")?,
            file_key: row.get("file_key")?,
            sha256: row.get("sha256")?,
            bytes: row.get("bytes")?,
            cancel_requested: row.get("cancel_requested")?,
            created_at: row.get("created_at")?,
            generated_at: row.get("generated_at")?,
            expires_at: row.get("expires_at")?,
            removed_at: row.get("removed_at")?,
        })
    }
}

macro_rules! reports {
    ($rest:literal) => {
        sql!(concat!(
            "select id, user_id, report_type, parameters, period_from, period_to, zone, format, status, result, failure_code,
                error_message, job_id, read_rows, row_count, file_name, file_key, sha256, bytes,
                cancel_requested_at is not null as cancel_requested, created_at, generated_at, expires_at, removed_at
             from reports where tenant_id = $1 ",
            $rest
        ))
    };
}

/// One report.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Report>> {
    let row = query(reports!("and id = $2")).bind(tenant).bind(id).fetch_optional(conn).await?;
    row.as_ref().map(Report::read).transpose()
}

/// The report a job makes.
pub async fn of_job(conn: &mut Conn<'_>, tenant: i64, job: Uuid) -> Result<Option<Report>> {
    let row = query(reports!("and job_id = $2")).bind(tenant).bind(job).fetch_optional(conn).await?;
    row.as_ref().map(Report::read).transpose()
}

/// The newest reports.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<Report>> {
    let rows = query(reports!("order by id desc limit $2")).bind(tenant).bind(limit).fetch_all(conn).await?;
    rows.iter().map(Report::read).collect()
}

/// What is said of a report that is not there.
pub fn missing(id: i64) -> Error {
    Error::NotFound { what: "report", name: id.to_string() }
}
