//! Stopping, pausing and resuming a worker, and why it stopped.

use std::sync::Arc;

use tokio::sync::watch;

/// Why a worker stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A signal, or the caller's shutdown future.
    Interrupted,
    /// `--max-jobs` reached.
    MaxJobs,
    /// `--max-time` reached.
    MaxTime,
    /// `--memory` exceeded.
    Memory,
    /// `--stop-when-empty` and nothing was due.
    Empty,
    /// `--once` and the job was done, or there was none.
    Once,
    /// `fairlane restart`.
    RestartSignal,
}

impl StopReason {
    /// The word in logs and in the list of workers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::MaxJobs => "max_jobs",
            Self::MaxTime => "max_time",
            Self::Memory => "memory",
            Self::Empty => "empty",
            Self::Once => "once",
            Self::RestartSignal => "restart_signal",
        }
    }

    /// The exit code of a process that stopped for this reason: 0, or 12 for the memory limit (as in Laravel).
    pub fn exit_code(self) -> u8 {
        if self == Self::Memory { 12 } else { 0 }
    }
}

/// What a worker is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Runs what it has, takes nothing new.
    Paused,
    /// Finishes what it has, until the deadline.
    Draining(StopReason),
    /// Gives back what it has, at once.
    Aborting(StopReason),
}

impl Phase {
    pub(crate) fn stop_reason(self) -> Option<StopReason> {
        match self {
            Self::Draining(reason) | Self::Aborting(reason) => Some(reason),
            Self::Running | Self::Paused => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Draining(_) | Self::Aborting(_) => "draining",
        }
    }
}

/// A handle on a running worker.
#[derive(Debug, Clone)]
pub struct Control {
    phase: Arc<watch::Sender<Phase>>,
}

impl Control {
    pub(crate) fn new() -> Self {
        Self { phase: Arc::new(watch::channel(Phase::Running).0) }
    }

    /// Takes nothing new and finishes what runs, until the drain timeout.
    pub fn stop(&self, reason: StopReason) {
        self.phase.send_if_modified(|phase| {
            let first = phase.stop_reason().is_none();
            if first {
                *phase = Phase::Draining(reason);
            }
            first
        });
    }

    /// Gives back what runs and stops at once: the second signal.
    pub fn abort(&self) {
        self.phase.send_modify(|phase| {
            *phase = Phase::Aborting(phase.stop_reason().unwrap_or(StopReason::Interrupted));
        });
    }

    /// Takes nothing new until resumed.
    pub fn pause(&self) {
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Paused;
            }
            running
        });
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        self.phase.send_if_modified(|phase| {
            let paused = *phase == Phase::Paused;
            if paused {
                *phase = Phase::Running;
            }
            paused
        });
    }

    /// Whether it is on its way out.
    pub fn is_stopping(&self) -> bool {
        self.phase().stop_reason().is_some()
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Ends when the worker is to give back what runs.
    pub(crate) async fn aborted(&self) {
        let _ = self.watch().wait_for(|phase| matches!(phase, Phase::Aborting(_))).await;
    }

    /// Ends when the worker takes nothing new any more.
    pub(crate) async fn stopping(&self) {
        let _ = self.watch().wait_for(|phase| phase.stop_reason().is_some()).await;
    }
}
