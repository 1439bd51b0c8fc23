//! `--max-time` and `--memory`.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::{Process, StopReason};

/// How often the process looks at itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Stops the process when it is too old or too large.
pub(super) async fn watch(process: Arc<Process>) {
    loop {
        let left = process.options.max_time.map(|limit| limit.saturating_sub(process.since.elapsed()));
        tokio::time::sleep(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))).await;
        if process.options.max_time.is_some_and(|limit| process.since.elapsed() >= limit) {
            process.control.stop(StopReason::MaxTime);
        }
        if let (Some(limit), Some(used)) = (process.options.memory, memory_stats::memory_stats())
            && used.physical_mem as u64 > limit
        {
            warn!(used = used.physical_mem, limit, "the memory limit is exceeded");
            process.control.stop(StopReason::Memory);
        }
    }
}
