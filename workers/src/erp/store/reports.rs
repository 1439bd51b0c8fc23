//! Reports: what was asked for, how far it is, and the file it came to.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// A report to be made.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// Who asks for it.
    pub user_id: Option<i64>,
    /// `sales`, `inventory` ...
    pub report_type: &'static str,
    /// What was asked for, as it was asked.
    pub parameters: Value,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The zone of the days.
    pub zone: String,
    /// `json`, `csv`, `xlsx` or `html`.
    pub format: &'static str,
    /// The job that makes it, where that is known already.
    pub job_id: Option<Uuid>,
}

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

/// Enters a report; returns its number.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &NewReport) -> Result<i64> {
    query(sql!(
        "insert into reports (tenant_id, user_id, report_type, parameters, period_from, period_to, zone, format, job_id,
             created_at, updated_at)
         values ($1, $2, $3, {json:$4}, $5, $6, $7, $8, $9, {now}, {now}) returning id"
    ))
    .bind(tenant)
    .bind(new.user_id)
    .bind(new.report_type)
    .bind(new.parameters.clone())
    .bind(new.from)
    .bind(new.to)
    .bind(new.zone.as_str())
    .bind(new.format)
    .bind(new.job_id)
    .fetch_one(conn)
    .await?
    .get("id")
}

/// Says which job makes a report.
pub async fn set_job(conn: &mut Conn<'_>, tenant: i64, id: i64, job: Uuid) -> Result<()> {
    query(sql!("update reports set job_id = $3 where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .bind(job)
        .execute(conn)
        .await?;
    Ok(())
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

/// Notes that a report is being made, by this job.
pub async fn start(conn: &mut Conn<'_>, tenant: i64, id: i64, job: Uuid) -> Result<()> {
    query(sql!(
        "update reports set status = 'processing', job_id = $3, started_at = coalesce(started_at, {now}), result = null,
             failure_code = null, error_message = null, failed_at = null, read_rows = 0, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(job)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes how far a report is; returns whether somebody wants it to stop, or has deleted it.
pub async fn progress(conn: &mut Conn<'_>, tenant: i64, id: i64, rows: i64) -> Result<bool> {
    let row = query(sql!(
        "update reports set read_rows = $3, updated_at = {now} where tenant_id = $1 and id = $2
         returning cancel_requested_at is not null as stop"
    ))
    .bind(tenant)
    .bind(id)
    .bind(rows)
    .fetch_optional(conn)
    .await?;
    row.map_or(Ok(true), |row| row.get("stop"))
}

/// The file a report came to.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The name people see.
    pub file_name: String,
    /// Where it is.
    pub key: String,
    /// Of the file.
    pub sha256: String,
    /// Of the file.
    pub bytes: i64,
    /// Rows of the report.
    pub rows: i64,
    /// Rows that were read for it.
    pub read_rows: i64,
    /// For how many days it is kept.
    pub keep_days: i64,
}

/// Notes that a report is finished; false when somebody has deleted it, or wants it to stop.
pub async fn finish(conn: &mut Conn<'_>, tenant: i64, id: i64, done: &Finished) -> Result<bool> {
    let touched = query(sql!(
        "update reports set status = 'completed', result = 'completed', file_name = $3, file_key = $4, sha256 = $5,
             bytes = $6, row_count = $7, read_rows = $8, generated_at = {now}, expires_at = {now} + {ms:$9},
             failed_at = null, updated_at = {now}
         where tenant_id = $1 and id = $2 and cancel_requested_at is null"
    ))
    .bind(tenant)
    .bind(id)
    .bind(done.file_name.as_str())
    .bind(done.key.as_str())
    .bind(done.sha256.as_str())
    .bind(done.bytes)
    .bind(done.rows)
    .bind(done.read_rows)
    .bind(done.keep_days * 86_400_000)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Ends a report without a file: `failed` or `cancelled`, with the reason; what has ended before stays.
pub async fn end(
    conn: &mut Conn<'_>,
    tenant: i64,
    id: i64,
    result: &str,
    (code, message): (&str, &str),
) -> Result<bool> {
    let touched = query(sql!(
        "update reports set status = 'failed', result = $3, failure_code = $4, error_message = $5, failed_at = {now},
             updated_at = {now}
         where tenant_id = $1 and id = $2 and status in ('pending', 'processing')"
    ))
    .bind(tenant)
    .bind(id)
    .bind(result)
    .bind(code)
    .bind(message)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Asks a report to stop; one that has not begun stops at once. False when it has ended already, or is not there.
pub async fn request_cancel(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<bool> {
    let touched = query(sql!(
        "update reports set cancel_requested_at = {now}, updated_at = {now},
             result = case when status = 'pending' then 'cancelled' else result end,
             failed_at = case when status = 'pending' then {now} else failed_at end,
             status = case when status = 'pending' then 'failed' else status end
         where tenant_id = $1 and id = $2 and status in ('pending', 'processing')"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Whether the job that makes a report was cancelled in the queue.
pub async fn is_job_cancelled(conn: &mut Conn<'_>, tenant: i64, job: Uuid) -> Result<bool> {
    let row = query(sql!(
        "select cancel_requested_at is not null as cancelled from fairlane_jobs where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(job)
    .fetch_optional(conn)
    .await?;
    row.map_or(Ok(false), |row| row.get("cancelled"))
}

/// Whether a report waits for a job that is no longer live: see [`settle_orphans`]. One that has failed a moment ago has its
/// own hook, which says why and tells who asked.
pub async fn has_orphans(conn: &mut Conn<'_>, tenant: i64) -> Result<bool> {
    query(sql!(
        "select exists (select 1 from reports where tenant_id = $1 and status in ('pending', 'processing')
            and job_id is not null and not exists (select 1 from fairlane_jobs j where j.id = reports.job_id)
            and not exists (select 1 from fairlane_failed_jobs f where f.id = reports.job_id
                and f.failed_at > {now} - {ms:10000})) as orphaned"
    ))
    .bind(tenant)
    .fetch_one(conn)
    .await?
    .get("orphaned")
}

/// Ends the reports whose job nobody will run any more: the queue has no hook for a job that was cancelled while it
/// waited, cleared, or that took its worker down with it.
pub async fn settle_orphans(conn: &mut Conn<'_>, tenant: i64) -> Result<u64> {
    query(sql!(
        "update reports set status = 'failed', failed_at = {now}, updated_at = {now},
            result = case when exists (select 1 from fairlane_job_history h
                where h.id = reports.job_id and h.state = 'cancelled') then 'cancelled' else 'failed' end,
            failure_code = 'job_gone',
            error_message = coalesce(
                (select f.error from fairlane_failed_jobs f where f.id = reports.job_id), 'its job is gone from the queue')
         where tenant_id = $1 and status in ('pending', 'processing') and job_id is not null
            and not exists (select 1 from fairlane_jobs j where j.id = reports.job_id)
            and not exists (select 1 from fairlane_failed_jobs f where f.id = reports.job_id
                and f.failed_at > {now} - {ms:10000})"
    ))
    .bind(tenant)
    .execute(conn)
    .await
}

/// Reports whose file has been kept long enough: number and file.
pub async fn expired(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<(i64, String)>> {
    let rows = query(sql!(
        "select id, file_key from reports where tenant_id = $1 and file_key is not null and expires_at <= {now}
         order by expires_at, id limit $2"
    ))
    .bind(tenant)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("file_key")?))).collect()
}

/// Notes that files are gone; the reports stay, to be looked at.
pub async fn forget_files(conn: &mut Conn<'_>, tenant: i64, ids: &[i64]) -> Result<()> {
    query(sql!(
        "update reports set file_key = null, removed_at = {now}, updated_at = {now} where tenant_id = $1 and id {in:$2}"
    ))
    .bind(tenant)
    .bind(ids.to_vec())
    .execute(conn)
    .await?;
    Ok(())
}

/// Which of these files belong to reports.
pub async fn known_files(conn: &mut Conn<'_>, tenant: i64, keys: &[String]) -> Result<Vec<String>> {
    let rows = query(sql!("select file_key from reports where tenant_id = $1 and file_key {in:$2}"))
        .bind(tenant)
        .bind(keys)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.get("file_key")).collect()
}

/// Deletes a report that is not being made; returns whether it was there.
pub async fn delete(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<bool> {
    let touched = query(sql!(
        "delete from reports where tenant_id = $1 and id = $2 and status in ('completed', 'failed')"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// By what scope the tenant's movements are valued, the widest first; none where nothing is.
pub async fn valued_scope(conn: &mut Conn<'_>, tenant: i64) -> Result<Option<String>> {
    for scope in ["product", "location", "batch", "location_batch"] {
        let row =
            query(sql!("select scope from movement_valuations where tenant_id = $1 and scope = $2 limit 1"))
                .bind(tenant)
                .bind(scope)
                .fetch_optional(conn)
                .await?;
        if row.is_some() {
            return Ok(Some(scope.to_owned()));
        }
    }
    Ok(None)
}

/// What is said of a report that is not there.
pub fn missing(id: i64) -> Error {
    Error::NotFound { what: "report", name: id.to_string() }
}
