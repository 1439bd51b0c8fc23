//! Reports whose job is gone.

use fairlane::db::{Conn, query};
use fairlane::{Result, sql};

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
            failure_code = coalesce((select f.code from fairlane_failed_jobs f where f.id = reports.job_id), 'job_gone'),
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
