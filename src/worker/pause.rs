//! Waiting for a database that is away.

use std::time::Duration;

use tracing::warn;

/// Waits between tries while the database is away: longer each time, with jitter, so that fifty workers do not come
/// back in the same instant.
pub(crate) struct Pause {
    failures: u32,
}

impl Pause {
    pub(crate) fn new() -> Self {
        Self { failures: 0 }
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(crate) async fn after_error(&mut self, doing: &'static str, error: &crate::Error) {
        self.failures = (self.failures + 1).min(6);
        warn!(doing, code = error.code(), %error, "will try again");
        let base = 50u64 << self.failures;
        tokio::time::sleep(Duration::from_millis(base + fastrand::u64(..=base / 2))).await;
    }
}
