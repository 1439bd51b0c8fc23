//! The jobs this process holds under lease.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use uuid::Uuid;

use crate::context::Run;
use crate::store::keys::TenantKey;
use crate::store::settle::Fence;

/// Why a running handler is to stop before it has returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// Somebody cancelled the job.
    Cancelled(String),
    /// Another worker owns it now.
    LeaseLost,
    /// This worker stops and its drain time is over.
    Shutdown,
}

/// A job this process holds under lease: from the claim until it is settled.
#[derive(Debug)]
struct Held {
    token: Uuid,
    renewed_at: Instant,
    /// The key it shares with others.
    key: Option<TenantKey>,
    /// Its handler's commits renew the lease too.
    run: Arc<Run>,
    stop: watch::Sender<Option<StopCause>>,
}

/// Everything that is claimed and not settled.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    jobs: Mutex<HashMap<Uuid, Held>>,
}

impl InFlight {
    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, Held>> {
        self.jobs.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes a claimed job; the receiver tells its handler when to stop.
    pub(crate) fn add(
        &self,
        run: &Arc<Run>,
        key: Option<TenantKey>,
        claimed_at: Instant,
    ) -> watch::Receiver<Option<StopCause>> {
        let (stop, stopped) = watch::channel(None);
        let held = Held { token: run.token, renewed_at: claimed_at, key, run: run.clone(), stop };
        self.held().insert(run.job.id, held);
        stopped
    }

    /// Forgets a job, if it is still held under this fence; returns the key it shared with others.
    pub(crate) fn remove(&self, fence: &Fence) -> Option<TenantKey> {
        let mut held = self.held();
        let ours = held.get(&fence.id).is_some_and(|job| job.token == fence.token);
        if ours { held.remove(&fence.id).and_then(|job| job.key) } else { None }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.held().len()
    }

    /// The fences of everything in flight.
    pub(crate) fn fences(&self) -> Vec<(Uuid, Uuid)> {
        self.held().iter().map(|(id, job)| (*id, job.token)).collect()
    }

    /// A lease was renewed.
    pub(crate) fn renewed(&self, id: Uuid, token: Uuid, at: Instant) {
        if let Some(job) = self.held().get_mut(&id).filter(|job| job.token == token) {
            job.renewed_at = at;
        }
    }

    /// Tells a handler to stop; the first cause counts, but a lost lease beats every other.
    pub(crate) fn stop(&self, id: Uuid, token: Uuid, cause: StopCause) {
        if let Some(job) = self.held().get(&id).filter(|job| job.token == token) {
            job.stop.send_if_modified(|stop| {
                let news =
                    stop.is_none() || (cause == StopCause::LeaseLost && *stop != Some(StopCause::LeaseLost));
                if news {
                    *stop = Some(cause);
                }
                news
            });
        }
    }

    /// Asks a handler to go back to the queue at its next checkpoint.
    pub(crate) fn ask_for_room(&self, id: Uuid) {
        if let Some(job) = self.held().get(&id) {
            job.run.asked_for_room.store(true, Ordering::Relaxed);
        }
    }

    /// Jobs whose lease could not be renewed for this long: they may be another worker's by now.
    pub(crate) fn unrenewed_for(&self, age: Duration) -> Vec<(Uuid, Uuid)> {
        self.held()
            .iter()
            .filter(|(_, job)| job.renewed_at.max(job.run.last_commit()).elapsed() > age)
            .map(|(id, job)| (*id, job.token))
            .collect()
    }

    /// Tells every handler to stop.
    pub(crate) fn stop_all(&self, cause: &StopCause) {
        for (id, token) in self.fences() {
            self.stop(id, token, cause.clone());
        }
    }
}
