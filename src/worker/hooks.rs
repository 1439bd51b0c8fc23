//! `failed()` hooks: what an application does about a job that failed for good.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::process::Process;
use crate::context::Run;
use crate::outcome::Failure;
use crate::registry::KindHandler;

/// How long a `failed` hook may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// Starts a hook on the handlers' runtime; a worker that stops waits for it.
pub(crate) fn run_failed(
    process: &Process,
    handler: &KindHandler,
    payload: String,
    failure: Failure,
    run: Arc<Run>,
) {
    let failed = handler.failed.clone();
    let hook = async move {
        let job = run.job.id;
        if tokio::time::timeout(HOOK_TIMEOUT, failed(payload, failure, run)).await.is_err() {
            warn!(%job, "the failed() hook did not end in time");
        }
    };
    process.hooks.spawn_on(hook, &process.handlers_run_on);
}
