//! A run that has just begun: what its handler, its transactions and the worker share.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::client::Fairlane;
use crate::context::{JobInfo, Run};
use crate::store::claim::Claimed;

/// What handler, transactions and worker share about this run.
pub(crate) fn new_run(
    fairlane: &Fairlane,
    claimed: &Claimed,
    lease: Duration,
    draining: CancellationToken,
) -> Run {
    let job = JobInfo {
        id: claimed.id,
        tenant: claimed.tenant.clone(),
        tenant_id: claimed.tenant_id,
        kind: claimed.kind.clone(),
        queue: claimed.queue.clone(),
        attempt: claimed.attempt,
        run: claimed.run,
        event_id: claimed.event_id,
        correlation_id: claimed.correlation_id,
        trace: claimed.trace.clone(),
        created_at: claimed.created_at,
    };
    Run { draining, ..run_of(fairlane, job, claimed.token, claimed.checkpoint.clone(), lease) }
}

/// A run that has just begun.
pub(crate) fn run_of(
    fairlane: &Fairlane,
    job: JobInfo,
    token: Uuid,
    checkpoint: Option<serde_json::Value>,
    lease: Duration,
) -> Run {
    Run {
        fairlane: fairlane.clone(),
        job,
        token,
        lease,
        checkpoint: std::sync::Mutex::new(checkpoint),
        stop: CancellationToken::new(),
        draining: CancellationToken::new(),
        handler_since: OnceLock::new(),
        handler_until: OnceLock::new(),
        asked_for_room: AtomicBool::new(false),
        completed: AtomicBool::new(false),
        void: AtomicBool::new(false),
        transaction_since: std::sync::Mutex::new(None),
        last_progress: std::sync::Mutex::new(Instant::now()),
        last_commit: std::sync::Mutex::new(Instant::now()),
    }
}
