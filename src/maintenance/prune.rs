//! Retention.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::jittered;
use crate::store;
use crate::worker::Process;

/// How often what is too old is removed.
const EVERY: Duration = Duration::from_secs(600);
/// The pause between batches, for everybody else.
const BETWEEN_BATCHES: Duration = Duration::from_millis(100);

/// Removes what is too old until the process ends.
pub(super) async fn run(process: Arc<Process>) {
    loop {
        tokio::time::sleep(jittered(EVERY)).await;
        loop {
            match store::prune::prune(&process.db, &process.options.retention).await {
                Ok(0) => break,
                Ok(rows) => debug!(rows, "removed what was too old"),
                Err(error) => {
                    warn!(code = error.code(), %error, "removing old rows failed");
                    break;
                }
            }
            tokio::time::sleep(BETWEEN_BATCHES).await;
        }
    }
}
