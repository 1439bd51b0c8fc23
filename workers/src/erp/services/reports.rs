//! Reports: asked for, called off, deleted.

use chrono::{DateTime, Utc};
use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};
use uuid::Uuid;

use super::{active_user, scanners};
use crate::erp::jobs::GenerateReport;
use crate::erp::reports::ReportRequest;
use crate::erp::store::reports::{self, NewReport, Report};
use crate::erp::store::{now, profiles};

/// Asks for a report: it is made by a job, and whoever asks is told when it is there.
///
/// A period like `last-week` is counted from today, in the zone of the report.
pub async fn request(
    tx: &mut Transaction,
    tenant: &Tenant,
    request: &ReportRequest,
    user: Option<i64>,
) -> Result<Report> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    active_user(conn, id, user).await?;
    let now = now(conn).await?;
    let report = enter(conn, id, request, user, now, None).await?;
    scanners::ensure_first(tx, tenant).await?;
    let job = GenerateReport { report_id: Some(report), request: None };
    let job = tenant.dispatch(job).in_tx(&mut *tx).await?;
    reports::set_job(&mut tx.conn(), id, report, job.id).await?;
    named(&mut tx.conn(), id, report).await
}

/// Enters what a request means at a time; `job` makes it.
pub(crate) async fn enter(
    conn: &mut Conn<'_>,
    tenant: i64,
    request: &ReportRequest,
    user: Option<i64>,
    at: DateTime<Utc>,
    job: Option<Uuid>,
) -> Result<i64> {
    let zone = profiles::find(conn, tenant).await?.timezone;
    let parameters = request.resolve(zone, |zone| at.with_timezone(&zone).date_naive())?;
    let asked = serde_json::to_value(request)
        .map_err(|why| Error::Invalid { what: "the report".into(), why: why.to_string() })?;
    let new = NewReport {
        user_id: user,
        report_type: parameters.report.as_str(),
        parameters: asked,
        from: parameters.range.from,
        to: parameters.range.to,
        zone: parameters.range.zone.name().to_owned(),
        format: parameters.format.as_str(),
        job_id: job,
    };
    reports::insert(conn, tenant, &new).await
}

/// The report people know by its number.
pub async fn named(conn: &mut Conn<'_>, tenant: i64, report: i64) -> Result<Report> {
    reports::find(conn, tenant, report).await?.ok_or_else(|| reports::missing(report))
}

/// Calls a report off: one that waits is not made, one that is being made stops soon.
pub async fn cancel(tx: &mut Transaction, tenant: &Tenant, report: i64) -> Result<Report> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let before = named(conn, id, report).await?;
    if !reports::request_cancel(conn, id, report).await? {
        let why = format!("it is {} already", before.result.as_deref().unwrap_or(&before.status));
        return Err(Error::Refused { what: format!("cancelling report {report}"), why });
    }
    named(conn, id, report).await
}

/// Deletes a report that is not being made; its file is the caller's to remove once the transaction is committed, and goes
/// with the clean-up else.
pub async fn delete(tx: &mut Transaction, tenant: &Tenant, report: i64) -> Result<Report> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let before = named(conn, id, report).await?;
    if !reports::delete(conn, id, report).await? {
        let why = format!("it is {}; cancel it first: fairlane erp report cancel {report}", before.status);
        return Err(Error::Refused { what: format!("deleting report {report}"), why });
    }
    Ok(before)
}
