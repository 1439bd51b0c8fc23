//! What a handler passes before it starts: its time, a slot, and the release of the key that held until then.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::warn;

use crate::db::Db;
use crate::store::claim::{self, Claimed};
use crate::store::settle::Fence;
use crate::store::starts::StartWindow;

/// How long a job that was claimed ahead waits for a slot before it is given back.
const LONGEST_AHEAD: Duration = Duration::from_secs(1);

/// What a handler passes before it starts, on the application's runtime: there a slot that becomes free is passed on
/// without waking another thread. Through the engine's thread each round of slots took a millisecond, and 500 jobs that
/// do nothing took 35 ms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    pub(crate) slots: Option<Arc<Semaphore>>,
    pub(crate) start: Option<StartWindow>,
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

/// A job's side of the release of its start key: it has passed its gate, and waits.
#[derive(Debug)]
pub(super) struct StartKey {
    passed: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

impl StartKey {
    /// Says that the job starts; `false` when nobody is there any more to release its key.
    pub(super) async fn give_up(self) -> bool {
        self.passed.send(()).is_ok() && self.released.await.is_ok()
    }
}

/// The engine's side: its connections must not be used on the handlers' runtime.
#[derive(Debug)]
pub(super) struct StartKeyKeeper {
    passed: oneshot::Receiver<()>,
    released: oneshot::Sender<()>,
}

/// The start key of a job that has one: only when it has passed its gate is it sure to start, and before its handler does
/// anything another one may be queued.
pub(super) fn start_key(claimed: &Claimed) -> (Option<StartKey>, Option<StartKeyKeeper>) {
    if !claimed.holds_start_key {
        return (None, None);
    }
    let ((passed, has_passed), (release, released)) = (oneshot::channel(), oneshot::channel());
    let keeper = StartKeyKeeper { passed: has_passed, released: release };
    (Some(StartKey { passed, released }), Some(keeper))
}

impl StartKeyKeeper {
    /// Releases the key when the job starts, and never ends; a failure costs the early release, not the job.
    pub(super) async fn keep(self, db: &Db, fence: Fence) -> Infallible {
        if self.passed.await.is_ok() {
            let released = async {
                let mut tx = db.single().await?;
                claim::release_start_key(&mut tx.conn(), fence).await?;
                tx.commit().await
            };
            if let Err(error) = released.await {
                warn!(%error, "a unique key that holds until the start was not released");
            }
            let _ = self.released.send(());
        }
        std::future::pending().await
    }
}
