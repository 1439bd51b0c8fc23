//! A report that is made, from its beginning to its end.

use fairlane::db::{Conn, query};
use fairlane::{Result, sql};
use uuid::Uuid;

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
