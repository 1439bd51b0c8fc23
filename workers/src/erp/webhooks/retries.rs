//! When a webhook is tried again.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// The first attempt is made at once; behind each that fails so long is waited.
const WAITS: [u64; 9] =
    [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// How often a webhook is tried.
pub const ATTEMPTS: usize = WAITS.len() + 1;

/// An endpoint that has failed for so long, and never succeeded, is disabled.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(5 * 24 * HOUR);

/// How long to wait behind the attempt with this number, from 1; none behind the last. What the other side asks for is
/// never undercut.
pub fn wait_after(attempt: i64, asked: Option<Duration>) -> Option<Duration> {
    let index = usize::try_from(attempt).ok()?.checked_sub(1)?;
    let wait = Duration::from_secs(*WAITS.get(index)?);
    Some(wait.max(asked.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_specification_is_kept() {
        let waits: Vec<u64> =
            (1..).map_while(|attempt| wait_after(attempt, None)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]);
        assert_eq!((ATTEMPTS, wait_after(10, None), wait_after(0, None)), (10, None, None));
        assert_eq!(wait_after(1, Some(Duration::from_secs(90))), Some(Duration::from_secs(90)));
        assert_eq!(wait_after(2, Some(Duration::from_secs(90))), Some(Duration::from_secs(300)));
    }
}
