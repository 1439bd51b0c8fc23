//! Jobs that wait for their concurrency key, when nobody who could let them in is left.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::jittered;
use crate::worker::Process;

/// The pause between two sweeps: whoever settles a job of a key lets the next one in at once.
const EVERY: Duration = Duration::from_secs(2);

/// Sweeps whenever a look has seen jobs that wait aside.
pub(super) async fn run(process: Arc<Process>) {
    loop {
        process.chores.aside.notified().await;
        tokio::time::sleep(jittered(EVERY)).await;
        if let Err(error) = process.sweep_keys().await {
            warn!(code = error.code(), %error, "letting in jobs that wait for a key failed");
        }
    }
}
