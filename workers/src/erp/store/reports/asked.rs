//! What is asked for, called off and thrown away.

use chrono::NaiveDate;
use fairlane::db::{Conn, query};
use fairlane::{Result, sql};
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
