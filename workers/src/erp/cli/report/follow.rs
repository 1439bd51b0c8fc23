//! Watching a report from outside: its row says how far it is.

use std::time::{Duration, Instant};

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Exit, Failure};

use super::super::reading;
use crate::erp::store::reports::{self, Report};

/// How often the row is read.
const POLL: Duration = Duration::from_millis(100);
/// How long a report may wait before its watcher says what it waits for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a watcher says something.
const EVERY: Duration = Duration::from_secs(2);

/// Waits for the end of a report and says how far it is.
pub(super) async fn follow(tenant: &Tenant, env: &CommandEnv, id: i64) -> anyhow::Result<Report> {
    let (began, mut spoke, mut warned) = (Instant::now(), Instant::now(), false);
    loop {
        let report = find(tenant, id).await?;
        if report.result.is_some() {
            return Ok(report);
        }
        if report.status == "pending" && !warned && began.elapsed() > PATIENCE {
            warned = true;
            env.output.warn("it waits for a worker of the queue low; start one: fairlane work --queue low");
        }
        if report.status == "processing" && spoke.elapsed() > EVERY {
            spoke = Instant::now();
            env.output.remark(&format!("report {id}: {} rows read", report.read_rows));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Ends the reports whose job is gone from the queue; writes only where there is one.
pub(super) async fn settle(tenant: &Tenant) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let orphaned = reports::has_orphans(&mut reading(tenant).await?.conn(), id).await?;
    if orphaned {
        let mut tx = tenant.begin().await?;
        reports::settle_orphans(&mut tx.conn(), id).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// A report of the tenant, or an error that says how to list them.
pub(super) async fn find(tenant: &Tenant, report: i64) -> anyhow::Result<Report> {
    let id = tenant.id().await?;
    settle(tenant).await?;
    let found = reports::find(&mut reading(tenant).await?.conn(), id, report).await?;
    found.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("tenant {} has no report {report}", tenant.slug()))
            .hint(format!("list them: fairlane erp report list -t {}", tenant.slug()))
            .into()
    })
}
