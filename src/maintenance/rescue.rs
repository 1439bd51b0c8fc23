//! Jobs of workers that died go back to their queues.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{error, warn};
use uuid::Uuid;

use super::jittered;
use crate::error::Result;
use crate::registry::KindHandler;
use crate::store;
use crate::store::rescue::PoisonPill;
use crate::worker::{Pause, Process, hooks, run_of};

/// Looks for expired leases until the process ends.
pub(super) async fn run(process: Arc<Process>) {
    let lease = process.options.lease;
    let every = (lease / 6).clamp(Duration::from_millis(100), Duration::from_secs(5));
    let mut judge_from = Instant::now();
    let mut outages = 0;
    loop {
        process.chores.rescue.notified().await;
        // Of many workers that have seen the same expired leases not all at once.
        tokio::time::sleep(jittered(every / 4)).await;
        let seen = process.chores.outages.load(Ordering::Relaxed);
        if std::mem::replace(&mut outages, seen) != seen {
            judge_from = Instant::now() + lease;
        }
        if Instant::now() < judge_from {
            continue;
        }
        if let Err(failure) = rescue_expired(&process).await {
            // After an outage nobody could renew: everyone gets one lease before they are judged.
            judge_from = Instant::now() + lease;
            warn!(code = failure.code(), error = %failure, "looking for expired leases failed; waiting one lease");
        }
    }
}

async fn rescue_expired(process: &Arc<Process>) -> Result<()> {
    let mut tx = process.db.begin().await?;
    let rescued = store::rescue::rescue(&mut tx.conn(), process.options.lease).await?;
    let pills = match rescued.poisoned.as_slice() {
        [] => Vec::new(),
        poisoned => store::rescue::poison_pills(&mut tx.conn(), poisoned).await?,
    };
    tx.commit().await?;
    for id in &rescued.poisoned {
        error!(job = %id, "a poison pill: its process died again and again; it failed for good");
    }
    for id in &rescued.damaged {
        warn!(id, "a job whose id can't be read was suspended; mend its row, or delete it");
    }
    for pill in pills {
        match pill {
            Ok(pill) => run_failed_hook(process, pill),
            Err(damaged) => warn!(%damaged, "a poison pill is damaged: its failed() hook is not run"),
        }
    }
    if !rescued.jobs.is_empty() {
        warn!(jobs = rescued.jobs.len(), "took back jobs whose lease had run out");
        process.fairlane.wake_queues(rescued.queues);
    }
    Ok(())
}

/// The process that ran the poison pill is dead, so its `failed()` hook runs here, where the kind is served.
fn run_failed_hook(process: &Arc<Process>, pill: PoisonPill) {
    let Some(handler) = process.handlers.get(&pill.job.kind).cloned() else {
        warn!(job = %pill.job.id, kind = pill.job.kind, "not served here: its failed() hook is not run");
        return;
    };
    process.hooks.spawn(call_failed(process.clone(), handler, pill));
}

async fn call_failed(process: Arc<Process>, handler: KindHandler, pill: PoisonPill) {
    let PoisonPill { job, payload, failure, checkpoint } = pill;
    let payload = match job.event_id {
        None => payload,
        Some(event) => match event_payload(&process, event).await {
            Ok(Some(payload)) => payload,
            Ok(None) => return warn!(job = %job.id, "its event is gone: its failed() hook is not run"),
            Err(error) => {
                return warn!(job = %job.id, %error, "its event is unreadable: its failed() hook is not run");
            }
        },
    };
    // No claim has this token: whatever a hook writes under the fence is refused, as after every failure.
    let run = run_of(&process.fairlane, job, Uuid::nil(), checkpoint, process.options.lease);
    hooks::run_failed(&process, &handler, payload, failure, Arc::new(run));
}

async fn event_payload(process: &Process, event: Uuid) -> Result<Option<String>> {
    let mut pause = Pause::new();
    loop {
        match store::events::payloads(&process.db, &[event]).await {
            Err(error) if error.is_transient() => pause.after_error("reading an event", &error).await,
            read => return Ok(read?.pop().map(|(_, payload)| payload)),
        }
    }
}
