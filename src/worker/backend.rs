//! The apalis backend through which leased jobs reach the executor.
//!
//! Nothing but the receiving end of a channel: it never sees a database error (`Error = Infallible`), so none can end the
//! worker, and it never returns `None`, which would park it for ever.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use tokio::sync::{mpsc, watch};
use tower::layer::util::Identity;
use uuid::Uuid;

use super::in_flight::StopCause;
use crate::context::Run;
use crate::store::claim::Claimed;
use crate::store::starts::StartWindow;

/// A claimed job on its way to the executor.
pub(crate) struct Lease {
    pub(crate) claimed: Claimed,
    pub(crate) run: Arc<Run>,
    /// When it may start, where its tenant has a rate.
    pub(crate) start: Option<StartWindow>,
    /// Tells the handler when to stop.
    pub(crate) stop: watch::Receiver<Option<StopCause>>,
}

/// The receiving end of the claim loop.
pub(super) struct Leases {
    pub(super) receiver: mpsc::UnboundedReceiver<Lease>,
}

impl Backend for Leases {
    type Task = Task<Lease>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        match self.receiver.poll_recv(cx) {
            Poll::Ready(Some(lease)) => {
                let id = TaskId::from_string(lease.claimed.id.to_string());
                Poll::Ready(Some(Ok(TaskBuilder::new(lease).task_id(id).build())))
            }
            // The channel is closed at the end: stay pending until the worker is stopped.
            _ => Poll::Pending,
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Leases {
    type Args = Lease;
    type Id = Uuid;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
