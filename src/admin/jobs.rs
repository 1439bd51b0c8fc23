//! Jobs: say why one waits, call some off.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{BATCH, Deed, Operator};
use crate::db::Db;
use crate::error::Result;
use crate::store::cancel;
use crate::store::job_lists::{self, JobDetail, JobFilter};
use crate::store::queues::QueueRow;
use crate::store::tenants::TenantRow;
use crate::store::workers::WorkerRow;

/// What a job's waiting can depend on.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Its queue.
    pub queue: &'a QueueRow,
    /// Its tenant.
    pub tenant: Option<&'a TenantRow>,
    /// Worker processes that were seen lately and are not stopping.
    pub workers: &'a [WorkerRow],
    /// The time.
    pub now: DateTime<Utc>,
}

/// Why a job is not running, in words; `None` when it runs or is done.
pub fn why_waiting(job: &JobDetail, around: &Surroundings<'_>) -> Option<String> {
    let row = &job.job;
    if matches!(row.state.as_str(), "scheduled" | "retryable") {
        let until = row.run_at.filter(|at| *at > around.now);
        let what = if row.state == "scheduled" { "its time" } else { "its next attempt" };
        return Some(match until {
            Some(at) => format!("it waits for {what}, {}", at.format("%Y-%m-%d %H:%M:%S UTC")),
            None => format!("{what} has come; a worker will make it available within seconds"),
        });
    }
    match row.state.as_str() {
        "suspended" => {
            return Some(match &job.concurrency_key {
                Some(key) => format!("it is set aside until its concurrency key {key} is free"),
                None => "it was set aside because its row is damaged".into(),
            });
        }
        "available" => {}
        _ => return None,
    }
    let reason =
        |reason: &Option<String>| reason.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    if let Some(why) = &around.queue.damaged {
        return Some(format!("the row of queue {} is damaged: {why}", row.queue));
    }
    if around.queue.paused_at.is_some() {
        return Some(format!("queue {} is paused{}", row.queue, reason(&around.queue.pause_reason)));
    }
    if let Some(tenant) = around.tenant.filter(|tenant| tenant.paused_at.is_some()) {
        return Some(format!("tenant {} is paused{}", row.tenant, reason(&tenant.pause_reason)));
    }
    let serves = |worker: &&WorkerRow| worker.queues.split(',').any(|queue| queue == row.queue);
    let serving: Vec<_> = around.workers.iter().filter(serves).collect();
    if serving.is_empty() {
        return Some(format!("no worker serves queue {}", row.queue));
    }
    if serving.iter().all(|worker| worker.state == "paused") {
        return Some("every worker of its queue is paused".into());
    }
    if serving.iter().all(|worker| worker.running >= worker.concurrency) {
        return Some("every worker of its queue is busy".into());
    }
    Some("it is ready; jobs before it in its queue go first".into())
}

/// What a cancellation did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CancelCounts {
    /// Waiting jobs, cancelled at once.
    pub cancelled: u64,
    /// Running jobs whose workers were asked to stop them.
    pub requested: u64,
}

/// An operation that calls jobs off, for the audit.
#[derive(Debug, Clone, Copy)]
pub struct CallOff<'a> {
    /// `job.cancel` or `queue.clear`.
    pub action: &'a str,
    /// The ids, filter or queue in words.
    pub target: &'a str,
}

/// Cancels all live jobs that the filter means and that were there when it began.
pub async fn cancel(
    db: &Db,
    filter: &JobFilter,
    call_off: CallOff<'_>,
    operator: &Operator,
    mut progress: impl FnMut(CancelCounts),
) -> Result<CancelCounts> {
    let fixed_at = job_lists::now(&mut db.read().await?.conn()).await?;
    let reason = operator.reason.clone().unwrap_or_else(|| format!("cancelled by {}", operator.actor));
    let mut counts = CancelCounts::default();
    let mut next = Some(Uuid::nil());
    while let Some(after) = next {
        let mut tx = db.begin().await?;
        let page = cancel::cancel_page(&mut tx.conn(), filter, fixed_at, after, &reason, BATCH).await?;
        let affected = (page.waiting.len() + page.running.len()) as u64;
        if affected > 0 {
            let deed = Deed {
                tenant_id: filter.tenant_id,
                action: call_off.action,
                target: call_off.target,
                affected,
                detail: None,
            };
            operator.record(&mut tx.conn(), deed).await?;
        }
        tx.commit().await?;
        counts.cancelled += page.waiting.len() as u64;
        counts.requested += page.running.len() as u64;
        next = page.next;
        progress(counts);
    }
    Ok(counts)
}
