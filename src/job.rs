//! Jobs: work that is done later, by a worker, for a tenant.

use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Context, Failure, JobResult, Policy};

/// A piece of work: its fields are the payload, [`Job::run`] does it.
///
/// Return `Ok(())` when it is done. `?` on any error means *try again later*, as [`Policy`] says; the explicit
/// decisions are on [`crate::JobError`]: `cancel`, `discard`, `snooze`.
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// use fairlane::{Context, Job, JobResult, Policy};
///
/// /// Greets somebody.
/// #[derive(Serialize, Deserialize)]
/// struct Greet { name: String }
///
/// impl Job for Greet {
///     const KIND: &'static str = "greet";
///     const POLICY: Policy = Policy::LOW.attempts(5);
///     type State = ();
///
///     async fn run(self, ctx: Context<()>) -> JobResult {
///         println!("{} greets {}", ctx.job().tenant, self.name);
///         Ok(())
///     }
/// }
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name under which payloads wait in the database: `<domain>.<verb_noun>`. Never change it while jobs wait.
    const KIND: &'static str;

    /// Where it waits, how often and how long it may try.
    const POLICY: Policy = Policy::DEFAULT;

    /// What handlers need beside the payload: pools, clients, settings. Cloned for every run.
    type State: Clone + Send + Sync + 'static;

    /// Does the work.
    fn run(self, ctx: Context<Self::State>) -> impl Future<Output = JobResult> + Send;

    /// Runs once after the job has failed for good, for clearing up or telling somebody; its errors are logged. What its
    /// last attempt ended with has the code that `fairlane failed` shows.
    fn failed(self, failure: Failure, ctx: Context<Self::State>) -> impl Future<Output = ()> + Send {
        let _ = (failure, ctx);
        async {}
    }

    /// While a job with the same key waits (see [`crate::Unique`] for how long), another dispatch returns that one.
    fn unique_key(&self) -> Option<String> {
        None
    }

    /// Jobs with the same key share the limits set for it.
    fn concurrency_key(&self) -> Option<String> {
        None
    }
}
