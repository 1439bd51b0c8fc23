//! Batches near their end are looked for, once a day.

use fairlane::{Context, Job, JobError, JobResult, Policy};
use serde::{Deserialize, Serialize};

use crate::erp::Erp;
use crate::erp::services::stock::{close_over, open_due};
use crate::erp::store::{now, profiles};

/// Tells of each batch that has reached a stage (90, 30, 7, 0 days before its end, counted in the tenant's time zone), once
/// for each location and stage, and closes what was told of batches that are gone.
///
/// Chunks with a checkpoint: a scan that was interrupted goes on, and what was told is told once.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct ScanExpiringStock {}

/// How far a scan is: first the alerts that are open, then the levels.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct Progress {
    closed: bool,
    after: i64,
}

impl Job for ScanExpiringStock {
    const KIND: &'static str = "erp.scan_expiring_stock";
    const POLICY: Policy = Policy::LOW;
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let mut at: Progress = ctx.checkpoint()?.unwrap_or_default();
        loop {
            let mut tx = ctx.begin().await?;
            let tenant = ctx.job().tenant_id;
            let conn = &mut tx.conn();
            let profile = profiles::find(conn, tenant).await?;
            let today = profile.day(now(conn).await?);
            let next = match at.closed {
                false => close_over(&mut tx, tenant, today, at.after).await?,
                true => open_due(&mut tx, &ctx.tenant(), today, at.after).await?,
            };
            at = match (next, at.closed) {
                (Some(after), closed) => Progress { closed, after },
                (None, false) => Progress { closed: true, after: 0 },
                (None, true) => return ctx.complete_in(tx).await,
            };
            tx.checkpoint(&at)?;
            tx.commit().await?;
            if ctx.is_stopping() {
                return Err(JobError::snooze(std::time::Duration::from_secs(1)));
            }
        }
    }

    fn unique_key(&self) -> Option<String> {
        Some("scan_expiring_stock".into())
    }
}
