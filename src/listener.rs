//! Listeners: what a domain does when an event has happened.

use std::future::Future;

use crate::{Context, Event, Failure, JobResult, Policy};

/// Reacts to an event, in a job of its own: one listener's failure never touches another's delivery.
///
/// Delivery is at least once. A handler that ends with [`Context::complete_in`] has its effects exactly once, also when
/// the same event is delivered again.
pub trait Listener<E: Event>: Send + Sync + 'static {
    /// The name of the listener: `<domain>.<verb_noun>`. One listener may follow several events.
    const KIND: &'static str;

    /// Where its jobs wait, how often and how long they may try.
    const POLICY: Policy = Policy::DEFAULT;

    /// What the handler needs beside the event.
    type State: Clone + Send + Sync + 'static;

    /// Handles one event.
    fn handle(event: E, ctx: Context<Self::State>) -> impl Future<Output = JobResult> + Send;

    /// Runs once after the listener's job has failed for good, with what its last attempt ended with; its errors are logged.
    fn failed(event: E, failure: Failure, ctx: Context<Self::State>) -> impl Future<Output = ()> + Send {
        let _ = (event, failure, ctx);
        async {}
    }
}

/// The kind of the jobs that bring `event` to `listener`: both names, because a worker claims only what it serves.
pub(crate) fn listener_job_kind(listener: &str, event: &str) -> String {
    format!("{listener}@{event}")
}
