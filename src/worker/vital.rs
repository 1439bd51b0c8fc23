//! The engine's tasks, none of which may end before the worker does.
//!
//! A worker whose settler or heartbeat has died looks alive and does harm: it runs jobs that nobody settles. It gives
//! back what it runs and ends with an error, so that whatever supervises the process starts it again.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;

use tokio::task::{Id, JoinSet};
use tracing::error;

use super::control::Control;
use crate::error::{Error, Result};

/// What a worker refuses when a part of it died.
pub(crate) const RUNNING: &str = "running the worker";

/// Endless tasks under names for the log.
#[derive(Debug, Default)]
pub(crate) struct VitalTasks {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl VitalTasks {
    /// Starts a task that only a stop of the worker may end.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Runs the work to its end, which comes at once when a task dies.
    ///
    /// # Errors
    /// When a task ended before the work did; the work is awaited all the same.
    pub(super) async fn watch_over(
        &mut self,
        control: &Control,
        work: impl Future<Output = ()>,
    ) -> Result<()> {
        let mut work = pin!(work);
        let died = tokio::select! {
            () = &mut work => return Ok(()),
            died = self.first_end() => died,
        };
        error!(task = died, "a part of the worker died: giving back what runs and stopping");
        control.abort();
        work.await;
        Err(Error::Refused {
            what: RUNNING.into(),
            why: format!("its {died} died, see the log; start it again"),
        })
    }

    async fn first_end(&mut self) -> &'static str {
        let ended = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(panicked)) => panicked.id(),
            None => return std::future::pending().await,
        };
        self.names.get(&ended).copied().unwrap_or("task")
    }

    /// Ends them all.
    pub(super) async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}
