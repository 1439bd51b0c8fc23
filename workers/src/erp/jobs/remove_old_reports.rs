//! Removes the files of reports that were kept long enough, and what killed workers have left.

use fairlane::{Context, Job, JobError, JobResult, Policy};
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::erp::Erp;
use crate::erp::reports::storage::ReportFiles;
use crate::erp::store::reports;

/// Files of one transaction.
const PAGE: i64 = 100;

/// Removes files first and notes it then: one that was removed before is removed again, which changes nothing.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct RemoveOldReports {}

impl Job for RemoveOldReports {
    const KIND: &'static str = "erp.remove_old_reports";
    const POLICY: Policy = Policy::LOW;
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let files = ReportFiles::open(&ctx.state.reports)?;
        let (tenant, slug) = (ctx.job().tenant_id, ctx.job().tenant.clone());
        let mut removed = 0;
        loop {
            let mut tx = ctx.begin().await?;
            let expired = reports::expired(&mut tx.conn(), tenant, PAGE).await?;
            tx.rollback().await?;
            if expired.is_empty() {
                break;
            }
            for (_, key) in &expired {
                files.remove(&slug, key).await?;
            }
            let ids: Vec<i64> = expired.iter().map(|(id, _)| *id).collect();
            let mut tx = ctx.begin().await?;
            reports::forget_files(&mut tx.conn(), tenant, &ids).await?;
            tx.progress(removed + ids.len() as u64, None);
            tx.commit().await?;
            removed += ids.len() as u64;
            if ctx.is_stopping() {
                return Err(JobError::snooze(std::time::Duration::ZERO));
            }
        }
        let orphans = sweep(&files, &ctx).await?;
        let parts = files.sweep_parts(&slug).await?;
        info!(removed, orphans, parts, "old reports removed");
        let tx = ctx.begin().await?;
        ctx.complete_in(tx).await
    }

    fn unique_key(&self) -> Option<String> {
        Some("remove_old_reports".into())
    }
}

/// Removes files that no report names: their workers died between the file and its row.
async fn sweep(files: &ReportFiles, ctx: &Context<Erp>) -> Result<u64, JobError> {
    let mut removed = 0;
    for keys in files.old(&ctx.job().tenant, None).await?.chunks(500) {
        let mut tx = ctx.begin().await?;
        let known = reports::known_files(&mut tx.conn(), ctx.job().tenant_id, keys).await?;
        tx.rollback().await?;
        for key in keys.iter().filter(|key| !known.contains(key)) {
            files.remove(&ctx.job().tenant, key).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
