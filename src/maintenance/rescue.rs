//! Jobs of workers that died go back to their queues.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, warn};

use super::jittered;
use crate::error::Result;
use crate::store;
use crate::worker::Process;

/// Looks for expired leases until the process ends.
pub(super) async fn run(process: Arc<Process>) {
    let lease = process.options.lease;
    let every = (lease / 6).clamp(Duration::from_millis(100), Duration::from_secs(5));
    let mut judge_from = Instant::now();
    loop {
        tokio::time::sleep(jittered(every)).await;
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

async fn rescue_expired(process: &Process) -> Result<()> {
    let mut tx = process.db.begin().await?;
    let rescued = store::rescue::rescue(&mut tx.conn(), process.options.lease).await?;
    tx.commit().await?;
    for id in &rescued.poisoned {
        error!(job = %id, "a poison pill: its process died again and again; it failed for good");
    }
    for id in &rescued.damaged {
        warn!(id, "a job whose id can't be read was suspended; mend its row, or delete it");
    }
    if !rescued.jobs.is_empty() {
        warn!(jobs = rescued.jobs.len(), "took back jobs whose lease had run out");
        process.fairlane.wake(rescued.queues.into_iter().collect::<BTreeSet<_>>());
    }
    Ok(())
}
