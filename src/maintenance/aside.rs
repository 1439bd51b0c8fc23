//! Jobs that wait for their concurrency key, when nobody who could let them in is left.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::jittered;
use crate::store;
use crate::worker::Process;

/// The pause between two sweeps: whoever settles a job of a key lets the next one in at once.
const EVERY: Duration = Duration::from_secs(2);
/// Keys of one sweep.
const KEYS: i64 = 100;

/// Sweeps whenever a look has seen jobs that wait aside.
pub(super) async fn run(process: Arc<Process>) {
    loop {
        process.chores.aside.notified().await;
        tokio::time::sleep(jittered(EVERY)).await;
        let swept = async {
            let keys = store::keys::with_jobs_aside(&mut process.db.read().await?.conn(), KEYS).await?;
            if keys.is_empty() { Ok(()) } else { process.let_in(&keys).await }
        };
        if let Err(error) = swept.await {
            warn!(code = error.code(), %error, "letting in jobs that wait for a key failed");
        }
    }
}
