//! What a handler passes before it starts: its time, and a slot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::claiming::StartTime;

/// How long a job that was claimed ahead waits for a slot before it is given back.
const LONGEST_AHEAD: Duration = Duration::from_secs(1);

/// What a handler passes before it starts, on the application's runtime: there a slot that becomes free is passed on
/// without waking another thread. Through the engine's thread each round of slots took a millisecond, and 500 jobs that
/// do nothing took 35 ms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    pub(crate) slots: Option<Arc<Semaphore>>,
    pub(crate) start: Option<StartTime>,
}

impl Gate {
    /// A slot, in time; `None` when the job is to be given back: its start has passed and would stand too close to the
    /// next one, or it was claimed ahead of slots that do not become free.
    pub(super) async fn pass(self) -> Option<Option<OwnedSemaphorePermit>> {
        if let Some(start) = self.start {
            tokio::time::sleep_until(start.after.into()).await;
        }
        let slot = match self.slots {
            Some(slots) => Some(match slots.clone().try_acquire_owned() {
                Ok(slot) => slot,
                Err(_) => tokio::time::timeout(LONGEST_AHEAD, slots.acquire_owned()).await.ok()?.ok()?,
            }),
            None => None,
        };
        let in_time = self.start.is_none_or(|start| Instant::now() <= start.within);
        in_time.then_some(slot)
    }
}
