//! One attempt of one job, from lease to decision.
//!
//! Each handler runs in a tokio task of its own, on the application's runtime: a slow poll or a panic stays alone. Timeout, panic and cancellation are
//! told apart here and nowhere else, so that what is written always says what really happened.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use apalis_core::task::Task;
use futures::future::OptionFuture;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tower::Service;
use tracing::{Instrument, Span, debug, info_span, warn};

use super::attempt_limits::AttemptLimits;
use super::backend::Lease;
use super::gate::{Gate, start_key};
use super::in_flight::StopCause;
use super::process::Process;
use super::settle::Settlement;
use crate::context::{JobInfo, Run, in_run};
use crate::db::{Db, Dialect};
use crate::outcome::{AttemptFacts, AttemptResult, Next, decide};
use crate::registry::KindHandler;
use crate::store::claim::Claimed;
use crate::store::complete;
use crate::store::settle::{Fence, RunEnd};
use crate::transaction::longest_transaction;

/// How long a cancelled handler may take to stop by itself before it is dropped at its next await.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How long a process that ends waits for a handler that blocks its thread.
const BLOCKED_AT_THE_END: Duration = Duration::from_secs(1);

/// The service apalis calls with every leased job.
#[derive(Clone)]
pub(super) struct Executor {
    process: Arc<Process>,
}

impl Executor {
    pub(super) fn new(process: Arc<Process>) -> Self {
        Self { process }
    }
}

impl Service<Task<Lease>> for Executor {
    type Response = ();
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<(), Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Lease>) -> Self::Future {
        let process = self.process.clone();
        Box::pin(async move {
            execute(&process, task.take().0).await;
            Ok(())
        })
    }
}

async fn execute(process: &Arc<Process>, lease: Lease) {
    let Lease { claimed, run, start, stop } = lease;
    let fence = Fence { id: claimed.id, token: claimed.token };
    let Some(handler) = process.handlers.get(&claimed.kind) else {
        return process.give_back(fence);
    };
    let limits = AttemptLimits::of(process, &claimed, handler.policy);
    let span = info_span!(
        "job",
        tenant = claimed.tenant,
        job = %claimed.id,
        kind = claimed.kind,
        queue = claimed.queue,
        attempt = claimed.attempt,
        trace = claimed.trace,
    );
    let gate = Gate { slots: Some(process.slots.clone()), start };
    let place = Place { db: &process.db, handlers_run_on: &process.handlers_run_on, gate };
    let next = attempt(place, handler, &claimed, run.clone(), &limits, stop).instrument(span).await;
    let worked = run.worked();
    process.finished(fence, run.ran());
    let end = RunEnd { fence, worked };
    let settlement =
        Settlement { end, next, run: Some(run), handler: Some(handler.clone()), payload: claimed.payload };
    let _ = process.settlements.send(settlement);
}

/// Where an attempt takes place.
#[derive(Debug, Clone)]
pub(crate) struct Place<'a> {
    /// The engine's own connections.
    pub(crate) db: &'a Db,
    /// The runtime of the handlers: not the engine's, which a blocking handler must not stop.
    pub(crate) handlers_run_on: &'a Handle,
    /// What it waits for.
    pub(crate) gate: Gate,
}

/// Runs one attempt and decides what follows.
pub(crate) async fn attempt(
    place: Place<'_>,
    handler: &KindHandler,
    claimed: &Claimed,
    run: Arc<Run>,
    limits: &AttemptLimits,
    stop: watch::Receiver<Option<StopCause>>,
) -> Next {
    let facts = AttemptFacts {
        attempt: claimed.attempt,
        max_attempts: limits.max_attempts,
        retry_time_left: claimed.retry_time_left,
    };
    let started = Instant::now();
    let result = match before_start(place.db, claimed, &run).await {
        Some(result) => result,
        None => run_handler(place, handler, claimed, run.clone(), limits.timeout, stop).await,
    };
    // The handler's own commit is the truth, whatever happened to it afterwards.
    let result = if run.is_completed() { AttemptResult::Returned(Ok(())) } else { result };
    // Time spent in this attempt is gone from what is left to retry in.
    let facts = AttemptFacts {
        retry_time_left: facts.retry_time_left.map(|left| left.saturating_sub(started.elapsed())),
        ..facts
    };
    let next = decide(result, &facts, &limits.backoff, fastrand::f64());
    log_end(&next, started.elapsed());
    next
}

/// Reasons not to start at all: cancelled while it waited, or a repeated delivery.
async fn before_start(db: &Db, claimed: &Claimed, run: &Run) -> Option<AttemptResult> {
    if let Some(reason) = &claimed.cancel_reason {
        return Some(AttemptResult::CancelRequested(reason.clone()));
    }
    run.job.event_id?;
    // Boxed: it would make the future of each job in flight 16 KB large, used or not.
    match Box::pin(handled_before(db, &run.job)).await {
        Ok(true) => {
            debug!("this listener has handled this event before: nothing to do");
            Some(AttemptResult::Returned(Ok(())))
        }
        Ok(false) => None,
        // complete_in asks again, in the transaction that matters.
        Err(error) => {
            warn!(%error, "could not ask whether this event was handled before");
            None
        }
    }
}

async fn handled_before(db: &Db, job: &JobInfo) -> crate::Result<bool> {
    let mut tx = db.read().await?;
    complete::handled_before(&mut tx.conn(), job).await
}

async fn run_handler(
    place: Place<'_>,
    handler: &KindHandler,
    claimed: &Claimed,
    run: Arc<Run>,
    timeout: Option<Duration>,
    mut stop: watch::Receiver<Option<StopCause>>,
) -> AttemptResult {
    let future = (handler.run)(claimed.payload.clone(), run.clone());
    let within = place.gate.start.map(|start| start.within);
    let (gate, begun) = (place.gate, run.clone());
    let (key, keeper) = start_key(claimed);
    let gated = async move {
        let Some(_slot) = gate.pass().await else { return AttemptResult::Interrupted };
        if let Some(key) = key
            && (!key.give_up().await || within.is_some_and(|within| Instant::now() > within))
        {
            // Nobody is there any more, or the release took so long that the start would stand too close to the next one.
            return AttemptResult::Interrupted;
        }
        begun.begin();
        let result = in_run(begun.clone(), future).await;
        begun.end();
        result
    };
    let mut task = AbortOnDropHandle::new(place.handlers_run_on.spawn(gated.instrument(Span::current())));
    let fence = Fence { id: claimed.id, token: claimed.token };
    let releasing = OptionFuture::from(keeper.map(|keeper| Box::pin(keeper.keep(place.db, fence))));
    let result = tokio::select! {
        joined = &mut task => return returned(joined),
        Some(never) = releasing => match never {},
        limit = overrun(&run, timeout) => AttemptResult::TimedOut(limit),
        cause = stop_cause(&mut stop) => stopped_by(cause),
    };
    run.stop.cancel();
    // A cancelled handler may stop at a place of its own choosing; it may also finish first.
    if let AttemptResult::CancelRequested(_) = &result {
        tokio::select! {
            joined = &mut task => return after_cancel(returned(joined), result),
            _ = tokio::time::sleep(CANCEL_GRACE) => {}
            () = lease_lost(&mut stop) => return AttemptResult::LeaseLost,
        }
    }
    run.make_void();
    task.abort();
    // Blocking code cannot be stopped: it keeps its slot until it returns, but nothing it writes counts any more. A
    // process that ends does not wait for it.
    let ends = matches!(result, AttemptResult::Interrupted);
    tokio::select! {
        _ = &mut task => {}
        () = tokio::time::sleep(BLOCKED_AT_THE_END), if ends => {}
        () = warn_while_overrun(&run) => {}
    }
    result
}

/// A handler that returned after it was asked to stop: done is done, everything else is the cancellation.
fn after_cancel(returned: AttemptResult, cancelled: AttemptResult) -> AttemptResult {
    if matches!(returned, AttemptResult::Returned(Ok(()))) { returned } else { cancelled }
}

fn stopped_by(cause: StopCause) -> AttemptResult {
    match cause {
        StopCause::Cancelled(reason) => AttemptResult::CancelRequested(reason),
        StopCause::LeaseLost => AttemptResult::LeaseLost,
        StopCause::Shutdown => AttemptResult::Interrupted,
    }
}

async fn stop_cause(stop: &mut watch::Receiver<Option<StopCause>>) -> StopCause {
    let cause = stop.wait_for(Option::is_some).await.ok().and_then(|cause| cause.clone());
    match cause {
        Some(cause) => cause,
        // The job was let go: nobody will ever ask it to stop.
        None => std::future::pending().await,
    }
}

async fn lease_lost(stop: &mut watch::Receiver<Option<StopCause>>) {
    let lost = stop.wait_for(|cause| *cause == Some(StopCause::LeaseLost)).await.is_ok();
    if !lost {
        std::future::pending::<()>().await;
    }
}

fn returned(joined: Result<AttemptResult, tokio::task::JoinError>) -> AttemptResult {
    match joined {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => AttemptResult::Panicked(panic_message(&*panic)),
            Err(_) => AttemptResult::Interrupted,
        },
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

/// Ends when the handler has made no progress for its timeout, or holds SQLite's writer for too long.
async fn overrun(run: &Run, timeout: Option<Duration>) -> Duration {
    let transaction_limit = longest_transaction(run.fairlane.db().dialect(), run.lease);
    loop {
        // Before it begins its time does not run.
        let since = if run.has_begun() { run.last_progress() } else { Instant::now() };
        let timeout_at = timeout.map(|limit| (since + limit, limit));
        let transaction_at =
            run.open_since().zip(transaction_limit).map(|(since, limit)| (since + limit, limit));
        let next = timeout_at.into_iter().chain(transaction_at).min_by_key(|(at, _)| *at);
        if let Some((at, limit)) = next
            && at <= Instant::now()
        {
            return limit;
        }
        let look_again = match run.fairlane.db().dialect() {
            Dialect::Sqlite => Duration::from_millis(500),
            Dialect::Postgres => Duration::from_secs(60),
        };
        let wake_at = Instant::now() + look_again;
        tokio::time::sleep_until(next.map_or(wake_at, |(at, _)| at.min(wake_at)).into()).await;
    }
}

async fn warn_while_overrun(run: &Run) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        warn!(job = %run.job.id, "the handler is over its time but blocks its thread: its slot stays taken");
    }
}

fn log_end(next: &Next, took: Duration) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match next {
        Next::Complete => debug!(ms, "done"),
        Next::Retry { after, failure } => {
            let after = after.as_secs_f64();
            warn!(ms, code = failure.code, error = failure.message, after, "failed, will retry");
        }
        Next::Fail { failure } => {
            tracing::error!(ms, code = failure.code, error = failure.message, "failed for good");
        }
        Next::Snooze { after } => debug!(ms, after = after.as_secs_f64(), "snoozed"),
        Next::Cancel { reason } => debug!(ms, reason, "cancelled"),
        Next::Release => debug!(ms, "given back"),
        Next::Forget => debug!(ms, "lease lost"),
    }
}
