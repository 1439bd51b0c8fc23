//! Whether a worker that is to stop when nothing is left has come so far.

use std::time::Instant;

use tracing::warn;

use super::ClaimLoop;
use crate::error::Result;
use crate::store::{held, keys};
use crate::worker::StopReason;

impl ClaimLoop {
    /// Nothing runs whose end could bring more, and a look that began now finds nothing.
    pub(super) async fn nothing_left_to_do(&mut self) -> bool {
        let process = self.process.clone();
        if !(process.options.once || process.options.stop_when_empty) || process.running() > 0 {
            return false;
        }
        // Jobs of workers that died are taken back by this process, if by no other.
        let Some(elsewhere) = self.executing_elsewhere().await else { return false };
        let now = Instant::now();
        let mut rotations = process.rotations.subscribe();
        process.look_now.notify_one();
        let rotation = tokio::select! {
            found = rotations.wait_for(|last| last.is_some_and(|last| last.began >= now)) => {
                found.ok().and_then(|last| *last)
            }
            () = process.control.stopping() => None,
        };
        let empty = rotation.is_some_and(|rotation| rotation.empty);
        if !empty || process.scheduler().has_work() || process.running() > 0 {
            return false;
        }
        // After the look, which does not see what was set aside just before it.
        if !matches!(self.waits_for_a_key().await, Ok(false)) {
            return false;
        }
        if !matches!(self.suspects.none_waits(&process).await, Ok(true)) {
            self.suspects.look_again();
            return false;
        }
        if elsewhere > 0 {
            warn!(jobs = elsewhere, "nothing is left to do here; jobs are executing elsewhere");
        }
        process.control.stop(if process.options.once { StopReason::Once } else { StopReason::Empty });
        true
    }

    /// How many jobs that this worker could run are with other workers; nothing when some of them are with none any more.
    async fn executing_elsewhere(&self) -> Option<i64> {
        let options = &self.process.options;
        let mut tx = self.process.db.read().await.ok()?;
        let held =
            held::held(&mut tx.conn(), &options.queues, &self.process.kinds, options.lease).await.ok()?;
        (held.lost == 0).then_some(held.executing)
    }

    /// Whether a job waits that this worker could run, now or as soon as its key is free.
    async fn waits_for_a_key(&self) -> Result<bool> {
        let options = &self.process.options;
        let mut tx = self.process.db.read().await?;
        keys::any_waits(&mut tx.conn(), &options.queues, &self.process.kinds).await
    }
}
