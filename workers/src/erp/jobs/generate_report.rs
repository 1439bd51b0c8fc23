//! Makes a report.

use std::time::Duration;

use chrono::Utc;
use fairlane::{Context, Error, Failure, Job, JobError, JobResult, Policy, Tenant, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::{info, warn};

use crate::erp::Erp;
use crate::erp::notifications::{
    AlertNotification, Audience, REPORTS_VIEW, ReportGeneratedNotification, notify_audience,
};
use crate::erp::reports::links::{LinkKey, target};
use crate::erp::reports::storage::{ReportFiles, Stored};
use crate::erp::reports::{self, DayRange, Made, Parameters, ReportError, ReportRequest, Watch, format};
use crate::erp::services::reports as service;
use crate::erp::store::reading;
use crate::erp::store::reports::{Finished, Report};
use crate::erp::store::{now, reports as store};

/// Reads a report from one snapshot, writes its file, keeps it, and tells who asked.
///
/// An attempt that ended half-way left nothing under the report's name; the next begins anew. The report is finished, told and
/// the job completed in one commit: a worker that was taken for dead finds its own refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerateReport {
    /// The report, in `reports`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_id: Option<i64>,
    /// What a schedule asks for: the report is entered when the job begins, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<ReportRequest>,
}

impl Job for GenerateReport {
    const KIND: &'static str = "erp.generate_report";
    const POLICY: Policy = Policy::LOW.attempts(3).timeout(Duration::from_secs(900)).long();
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let Some(report) = begin(&self, &ctx).await? else { return Ok(()) };
        match produce(&report, &ctx).await {
            Ok(stored) => finish(&report, stored, &ctx).await,
            Err(error) => give_up(&report, error, &ctx).await,
        }
    }

    async fn failed(self, failure: Failure, ctx: Context<Erp>) {
        if let Err(why) = tell_failure(&self, &failure, &ctx).await {
            warn!(error = %why, "a report that has failed could not be marked");
        }
    }
}

/// The report of the job, noted as being made; none when there is nothing left to do.
async fn begin(job: &GenerateReport, ctx: &Context<Erp>) -> Result<Option<Report>, JobError> {
    let (tenant, id) = (ctx.job().tenant_id, ctx.job().id);
    let mut tx = ctx.begin().await?;
    let conn = &mut tx.conn();
    let found = match job.report_id {
        Some(report) => store::find(conn, tenant, report).await?,
        None => store::of_job(conn, tenant, id).await?,
    };
    let found = match (found, &job.request) {
        (None, Some(request)) => {
            // From when it was due: a queue that was long must not turn yesterday into today.
            let entered = service::enter(conn, tenant, request, None, ctx.job().created_at, Some(id)).await;
            let report = match entered {
                Err(error @ Error::Invalid { .. }) => {
                    return Err(JobError::discard(&error).code("invalid_request"));
                }
                entered => entered?,
            };
            store::find(conn, tenant, report).await?
        }
        (found, _) => found,
    };
    let Some(report) = found else {
        return Err(JobError::discard("its report does not exist").code("report_not_found"));
    };
    match report.result.as_deref() {
        Some("completed") => return Ok(None),
        Some("cancelled") => return Err(JobError::cancel("the report was cancelled")),
        _ => {}
    }
    store::start(conn, tenant, report.id, id).await?;
    tx.commit().await?;
    Ok(Some(report))
}

/// What a stored report asks for.
fn parameters(report: &Report) -> Result<Parameters, ReportError> {
    let damaged =
        |why: String| ReportError::refused("damaged_row", format!("the report's row is damaged: {why}"));
    let request: ReportRequest =
        serde_json::from_value(report.parameters.clone()).map_err(|why| damaged(why.to_string()))?;
    let (Some(from), Some(to), Some(zone)) = (report.period_from, report.period_to, &report.zone) else {
        return Err(damaged("it has no period".into()));
    };
    let zone = zone.parse().map_err(|_| damaged(format!("\"{zone}\" is no time zone")))?;
    let parameters = request.resolve(zone, |_| to)?;
    // The days were counted when it was asked for.
    Ok(Parameters { range: DayRange::new(from, to, zone)?, ..parameters })
}

/// Reads, writes and keeps the file.
async fn produce(report: &Report, ctx: &Context<Erp>) -> Result<(Stored, Made), ReportError> {
    let files = ReportFiles::open(&ctx.state.reports)?;
    let bench = files.workbench()?;
    let parameters = parameters(report)?;
    let watch = Watch::of(ctx, report.id);
    let stop = watch.stopper();
    let made = reports::make(&ctx.tenant(), parameters, bench.path(), watch).await?;
    let path = bench.path().join("file");
    let file = path.clone();
    let made = tokio::task::spawn_blocking(move || format::write(&made, &file, &stop).map(|()| made))
        .await
        .map_err(std::io::Error::other)??;
    let ending = made.meta.parameters.format.as_str();
    let stored = files.keep(&ctx.job().tenant, &path, ending).await?;
    Ok((stored, made))
}

/// Report, notification and job in one commit.
async fn finish(report: &Report, (stored, made): (Stored, Made), ctx: &Context<Erp>) -> JobResult {
    let done = match settle(report, &stored, &made, ctx).await {
        Ok(Some(tx)) => ctx.complete_in(tx).await,
        Ok(None) => {
            let files = ReportFiles::open(&ctx.state.reports)?;
            drop_file(&files, &stored, ctx).await;
            return give_up(report, ReportError::Cancelled, ctx).await;
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => info!(report_id = report.id, rows = made.table.rows, bytes = stored.bytes, "report made"),
        // Refused for certain or not, the row does not name the file unless it was committed; what nobody names is swept.
        Err(_) => warn!(report_id = report.id, "the report was written, and could not be noted as finished"),
    }
    done
}

async fn settle(
    report: &Report,
    stored: &Stored,
    made: &Made,
    ctx: &Context<Erp>,
) -> Result<Option<Transaction>, JobError> {
    let settings = &ctx.state.reports;
    let tenant = ctx.job().tenant_id;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let finished = Finished {
        file_name: made.meta.parameters.file_name(&ctx.job().tenant),
        key: stored.key.clone(),
        sha256: stored.sha256.clone(),
        bytes: number(stored.bytes),
        rows: number(made.table.rows),
        read_rows: number(made.read),
        keep_days: settings.keep_days,
    };
    let key = LinkKey::load(settings)?;
    let mut tx = ctx.begin().await?;
    if !store::finish(&mut tx.conn(), tenant, report.id, &finished).await? {
        return Ok(None);
    }
    let until =
        now(&mut tx.conn()).await? + chrono::Duration::days(settings.link_days.min(settings.keep_days));
    let notification = ReportGeneratedNotification {
        report_id: report.id,
        report_type: report.report_type.clone(),
        file_name: finished.file_name.clone(),
        download_link: target(&key.sign(tenant, report.id, until)?),
    };
    let audience = audience(report).about("report", report.id);
    let told = format!("report:{}", report.id);
    notify_audience(&mut tx, &ctx.tenant(), &audience, &notification, &told).await?;
    Ok(Some(tx))
}

/// Who asked; where nobody did, those who see reports.
fn audience(report: &Report) -> Audience<'static> {
    match report.user_id {
        Some(user) => Audience::user(user),
        None => Audience::holders(REPORTS_VIEW),
    }
}

async fn drop_file(files: &ReportFiles, stored: &Stored, ctx: &Context<Erp>) {
    if let Err(error) = files.remove(&ctx.job().tenant, &stored.key).await {
        warn!(%error, "the file of a report that was called off stays until the clean-up");
    }
}

async fn give_up(report: &Report, error: ReportError, ctx: &Context<Erp>) -> JobResult {
    match error {
        ReportError::Cancelled => {
            end(report, "cancelled", ("cancelled", "somebody cancelled it"), ctx).await?;
            Err(JobError::cancel("the report was cancelled"))
        }
        ReportError::Interrupted if cancelled_in_queue(ctx).await? => {
            end(report, "cancelled", ("job_cancelled", "its job was cancelled in the queue"), ctx).await?;
            Err(JobError::cancel("the report was cancelled"))
        }
        ReportError::Interrupted => Err(JobError::snooze(Duration::ZERO)),
        ReportError::Refused { code, why } => Err(JobError::discard(why).code(code)),
        ReportError::Database(error) => Err(error.into()),
        ReportError::Io(_) => Err(JobError::retry(&error).code("file_unwritable")),
        ReportError::Store(_) => Err(JobError::retry(&error).code("store_unreachable")),
    }
}

async fn end(report: &Report, result: &str, why: (&str, &str), ctx: &Context<Erp>) -> Result<(), Error> {
    let mut tx = ctx.begin().await?;
    store::end(&mut tx.conn(), ctx.job().tenant_id, report.id, result, why).await?;
    tx.commit().await
}

/// Whether the job was cancelled in the queue, which the report has to say too.
async fn cancelled_in_queue(ctx: &Context<Erp>) -> Result<bool, Error> {
    let mut tx = reading(&ctx.tenant()).await?;
    store::is_job_cancelled(&mut tx.conn(), ctx.job().tenant_id, ctx.job().id).await
}

/// Marks the report, and tells who asked that there is none.
async fn tell_failure(job: &GenerateReport, failure: &Failure, ctx: &Context<Erp>) -> Result<(), Error> {
    let tenant: Tenant = ctx.tenant();
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let found = match job.report_id {
        Some(report) => store::find(&mut tx.conn(), id, report).await?,
        None => store::of_job(&mut tx.conn(), id, ctx.job().id).await?,
    };
    let Some(report) = found else { return Ok(()) };
    if !store::end(&mut tx.conn(), id, report.id, "failed", (&failure.code, &failure.message)).await? {
        return Ok(());
    }
    let alert = AlertNotification::warning(
        format!("The {} report could not be made", report.report_type),
        format!("{}. Once that is repaired: fairlane retry {}", failure.message, ctx.job().id),
        json!({ "report_id": report.id, "report_type": report.report_type, "job_id": ctx.job().id }),
    );
    // A retry that fails again is told again.
    let told = format!("report:{}:failed:{}", report.id, Utc::now().timestamp());
    notify_audience(&mut tx, &tenant, &audience(&report).about("report", report.id), &alert, &told).await?;
    tx.commit().await
}
