//! The jobs and listeners a worker serves. Types are erased here, once; nothing after it is generic.

use std::collections::{BTreeMap, btree_map::Entry};
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::de::DeserializeOwned;

use crate::context::{Context, Run};
use crate::listener::listener_job_kind;
use crate::outcome::{AttemptResult, Failure, JobResult};
use crate::{Event, Job, Listener, Policy};

/// A domain on one page: its jobs and who listens to what.
///
/// ```
/// # use fairlane::{Registry, Job, Context, JobResult};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Greet;
/// # impl Job for Greet { const KIND: &'static str = "greet"; type State = ();
/// #   async fn run(self, _: Context<()>) -> JobResult { Ok(()) } }
/// let registry: Registry<()> = Registry::new().job::<Greet>();
/// assert_eq!(registry.kinds().collect::<Vec<_>>(), ["greet"]);
/// ```
#[derive(Debug, Clone)]
pub struct Registry<S> {
    handlers: BTreeMap<String, Handler<S>>,
    subscriptions: Vec<Subscription>,
    conflicts: Vec<String>,
}

/// A listener that wants an event: one row of `fairlane_subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The event's name.
    pub event: &'static str,
    /// The listener's kind.
    pub listener: &'static str,
    /// Where and how its jobs run.
    pub policy: Policy,
}

type RunFn<S> = fn(String, S, Arc<Run>) -> BoxFuture<'static, AttemptResult>;
type FailedFn<S> = fn(String, Failure, S, Arc<Run>) -> BoxFuture<'static, ()>;

struct Handler<S> {
    policy: Policy,
    run: RunFn<S>,
    failed: FailedFn<S>,
}

impl<S> Clone for Handler<S> {
    fn clone(&self) -> Self {
        Self { policy: self.policy, run: self.run, failed: self.failed }
    }
}

impl<S> std::fmt::Debug for Handler<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handler").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync + 'static> Registry<S> {
    /// An empty registry.
    pub fn new() -> Self {
        Self { handlers: BTreeMap::new(), subscriptions: Vec::new(), conflicts: Vec::new() }
    }

    /// Serves a kind of job.
    pub fn job<J: Job<State = S>>(mut self) -> Self {
        self.add(
            J::KIND.to_owned(),
            Handler { policy: J::POLICY, run: run_job::<J>, failed: failed_job::<J> },
        );
        self
    }

    /// Lets a listener follow an event.
    pub fn on<E: Event, L: Listener<E, State = S>>(mut self) -> Self {
        let handler =
            Handler { policy: L::POLICY, run: run_listener::<E, L>, failed: failed_listener::<E, L> };
        self.add(listener_job_kind(L::KIND, E::NAME), handler);
        self.subscriptions.push(Subscription { event: E::NAME, listener: L::KIND, policy: L::POLICY });
        self
    }

    /// Adds everything of another registry.
    pub fn merge(mut self, other: Self) -> Self {
        for (kind, handler) in other.handlers {
            self.add(kind, handler);
        }
        self.subscriptions.extend(other.subscriptions);
        self.conflicts.extend(other.conflicts);
        self
    }

    /// The kinds it serves; a listener's kind is `listener@event`.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.handlers.keys().map(String::as_str)
    }

    /// Who listens to what.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    fn add(&mut self, kind: String, handler: Handler<S>) {
        match self.handlers.entry(kind) {
            Entry::Occupied(taken) => self.conflicts.push(taken.key().clone()),
            Entry::Vacant(free) => {
                free.insert(handler);
            }
        }
    }

    /// Binds the state; from here on no type parameter is left.
    pub(crate) fn bind(self, state: S) -> Served {
        let kinds = self.handlers.into_iter().map(|(kind, handler)| {
            let (run_state, failed_state) = (state.clone(), state.clone());
            let kind_handler = KindHandler {
                policy: handler.policy,
                run: Arc::new(move |payload, run| (handler.run)(payload, run_state.clone(), run)),
                failed: Arc::new(move |payload, failure, run| {
                    (handler.failed)(payload, failure, failed_state.clone(), run)
                }),
            };
            (kind, kind_handler)
        });
        Served { kinds: kinds.collect(), subscriptions: self.subscriptions, conflicts: self.conflicts }
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Registry<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// A registry with its state bound: what a worker runs.
#[derive(Clone, Default)]
pub(crate) struct Served {
    pub(crate) kinds: BTreeMap<String, KindHandler>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) conflicts: Vec<String>,
}

type BoundRun = Arc<dyn Fn(String, Arc<Run>) -> BoxFuture<'static, AttemptResult> + Send + Sync>;
type BoundFailed = Arc<dyn Fn(String, Failure, Arc<Run>) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct KindHandler {
    pub(crate) policy: Policy,
    pub(crate) run: BoundRun,
    pub(crate) failed: BoundFailed,
}

impl Served {
    /// What `[kinds."NAME"]` may name: kinds, and listeners for all their events.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str).chain(self.subscriptions.iter().map(|listens| listens.listener))
    }

    /// Adds another registry's kinds.
    pub(crate) fn extend(&mut self, other: Self) {
        for (kind, handler) in other.kinds {
            match self.kinds.entry(kind) {
                Entry::Occupied(taken) => self.conflicts.push(taken.key().clone()),
                Entry::Vacant(free) => {
                    free.insert(handler);
                }
            }
        }
        self.subscriptions.extend(other.subscriptions);
        self.conflicts.extend(other.conflicts);
    }
}

fn run_job<J: Job>(payload: String, state: J::State, run: Arc<Run>) -> BoxFuture<'static, AttemptResult> {
    Box::pin(async move {
        match decode::<J>(&payload) {
            Ok(job) => AttemptResult::Returned(job.run(Context::new(state, run)).await),
            Err(why) => AttemptResult::Undecodable(why),
        }
    })
}

fn failed_job<J: Job>(
    payload: String,
    failure: Failure,
    state: J::State,
    run: Arc<Run>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        if let Ok(job) = decode::<J>(&payload) {
            job.failed(failure, Context::new(state, run)).await;
        }
    })
}

fn run_listener<E: Event, L: Listener<E>>(
    payload: String,
    state: L::State,
    run: Arc<Run>,
) -> BoxFuture<'static, AttemptResult> {
    Box::pin(async move {
        let handled: JobResult = match decode::<E>(&payload) {
            Ok(event) => L::handle(event, Context::new(state, run)).await,
            Err(why) => return AttemptResult::Undecodable(why),
        };
        AttemptResult::Returned(handled)
    })
}

fn failed_listener<E: Event, L: Listener<E>>(
    payload: String,
    failure: Failure,
    state: L::State,
    run: Arc<Run>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        if let Ok(event) = decode::<E>(&payload) {
            L::failed(event, failure, Context::new(state, run)).await;
        }
    })
}

/// The error says where in the payload, never what: payloads do not enter logs.
fn decode<T: DeserializeOwned>(payload: &str) -> Result<T, String> {
    serde_json::from_str(payload)
        .map_err(|why| format!("the payload does not fit {}: {why}", std::any::type_name::<T>()))
}
