//! How imports end: by themselves, by somebody's wish, or because their job is gone.

use fairlane::db::{Conn, query};
use fairlane::{Result, sql};

use super::super::import_type::Scope;
use super::json;

/// How an import ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportResult {
    /// Every row is stored, or was left out on purpose.
    Completed,
    /// Some rows were refused.
    CompletedWithErrors,
    /// It could not be done; what was done before is kept.
    Failed,
    /// Somebody stopped it; what was done before is kept.
    Cancelled,
}

impl ImportResult {
    /// The word in the column `result`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::CompletedWithErrors => "completed_with_errors",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn status(self) -> &'static str {
        match self {
            Self::Completed | Self::CompletedWithErrors => "completed",
            Self::Failed | Self::Cancelled => "failed",
        }
    }
}

/// Ends an import: its result, and why it failed, with the first of its errors.
pub(in super::super) async fn finish(
    conn: &mut Conn<'_>,
    scope: Scope,
    result: ImportResult,
    failure: Option<(&str, &str)>,
) -> Result<()> {
    const ERRORS_IN_LOG: i64 = 1000;
    let errors =
        super::super::row_errors::list(conn, scope.tenant_id, scope.import_id, 0, ERRORS_IN_LOG).await?;
    query(sql!(
        "update import_logs set status = $3, result = $4, failure_code = $5, failure = $6, errors = $7,
            completed_at = case when $3 = 'completed' then {now} end,
            failed_at = case when $3 = 'failed' then {now} end, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(scope.tenant_id)
    .bind(scope.import_id)
    .bind(result.status())
    .bind(result.as_str())
    .bind(failure.map(|(code, _)| code))
    .bind(failure.map(|(_, message)| message))
    .bind(json(&errors)?)
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks an import to stop; one that has not begun stops at once. `false` when it has ended already, or is unknown.
pub async fn request_cancel(conn: &mut Conn<'_>, tenant_id: i64, import_id: i64) -> Result<bool> {
    let touched = query(sql!(
        "update import_logs set cancel_requested_at = {now}, updated_at = {now},
            result = case when status = 'pending' then 'cancelled' else result end,
            failed_at = case when status = 'pending' then {now} else failed_at end,
            status = case when status = 'pending' then 'failed' else status end
         where tenant_id = $1 and id = $2 and status in ('pending', 'processing')"
    ))
    .bind(tenant_id)
    .bind(import_id)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Marks an import whose job has failed for good; one whose job was retried meanwhile goes on. `false` when it had ended
/// already, or goes on.
pub(in super::super) async fn mark_failed(
    conn: &mut Conn<'_>,
    scope: Scope,
    code: &str,
    message: &str,
) -> Result<bool> {
    let marked = query(sql!(
        "update import_logs set status = 'failed', result = 'failed', failure_code = $3, failure = $4,
            failed_at = {now}, updated_at = {now}
         where tenant_id = $1 and id = $2 and status in ('pending', 'processing')
            and not exists (select 1 from fairlane_jobs j where j.id = import_logs.job_id)"
    ))
    .bind(scope.tenant_id)
    .bind(scope.import_id)
    .bind(code)
    .bind(message)
    .execute(conn)
    .await?;
    Ok(marked == 1)
}

/// Whether an import of the tenant waits for a job that is no longer live: see [`settle_orphans`].
pub async fn has_orphans(conn: &mut Conn<'_>, tenant_id: i64) -> Result<bool> {
    query(sql!(
        "select exists (select 1 from import_logs where tenant_id = $1 and status in ('pending', 'processing')
            and not exists (select 1 from fairlane_jobs j where j.id = import_logs.job_id)) as orphaned"
    ))
    .bind(tenant_id)
    .fetch_one(conn)
    .await?
    .get("orphaned")
}

/// Ends the imports whose job nobody will run any more, with what became of it; returns how many.
///
/// The queue knows nothing of imports: a job that was cancelled while it waited, cleared, or that took its worker down
/// with it leaves no hook to say so.
pub async fn settle_orphans(conn: &mut Conn<'_>, tenant_id: i64) -> Result<u64> {
    query(sql!(
        "update import_logs set status = 'failed', failed_at = {now}, updated_at = {now},
            result = case when exists (select 1 from fairlane_job_history h
                where h.id = import_logs.job_id and h.state = 'cancelled') then 'cancelled' else 'failed' end,
            failure_code = coalesce((select f.code from fairlane_failed_jobs f where f.id = import_logs.job_id),
                case when exists (select 1 from fairlane_job_history h
                    where h.id = import_logs.job_id and h.state = 'cancelled') then 'job_cancelled'
                else 'job_gone' end),
            failure = coalesce(
                (select f.error from fairlane_failed_jobs f where f.id = import_logs.job_id),
                (select 'its job was cancelled in the queue: ' || coalesce(h.reason, 'no reason was given')
                    from fairlane_job_history h where h.id = import_logs.job_id and h.state = 'cancelled'),
                'its job is gone from the queue')
         where tenant_id = $1 and status in ('pending', 'processing')
            and not exists (select 1 from fairlane_jobs j where j.id = import_logs.job_id)"
    ))
    .bind(tenant_id)
    .execute(conn)
    .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests;
