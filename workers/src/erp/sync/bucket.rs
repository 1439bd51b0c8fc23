//! The rate of requests of a connection: a bucket as one point in time (GCRA). Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::breaker::after;

/// How many requests a connection may send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// A second, in the long run.
    pub per_second: f64,
    /// At once, after a pause.
    pub burst: u32,
}

impl Rate {
    fn interval(self) -> Duration {
        let seconds = if self.per_second > 0.0 { 1.0 / self.per_second } else { 0.0 };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(86_400))
    }
}

/// Takes one request out of the bucket, which is empty until `next_at`; returns what it is then.
///
/// # Errors
/// How long to wait for the next one.
pub fn take(
    next_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    rate: Rate,
) -> Result<DateTime<Utc>, Duration> {
    let interval = rate.interval();
    let slack = interval * rate.burst.saturating_sub(1);
    let due = next_at.filter(|at| *at > now).unwrap_or(now);
    let ahead = due.signed_duration_since(now).to_std().unwrap_or_default();
    match ahead.checked_sub(slack) {
        Some(wait) if wait > Duration::ZERO => Err(wait),
        _ => Ok(after(due, interval)),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let rate = Rate { per_second: 2.0, burst: 3 };
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let (mut now, mut next, mut sent) = (start, None, Vec::new());
        while sent.len() < 7 {
            match take(next, now, rate) {
                Ok(at) => {
                    next = Some(at);
                    sent.push((now - start).num_milliseconds());
                }
                Err(wait) => now = after(now, wait),
            }
        }
        assert_eq!(sent, [0, 0, 0, 500, 1000, 1500, 2000]);
    }

    #[test]
    fn a_pause_fills_the_bucket_but_no_further() {
        let rate = Rate { per_second: 1.0, burst: 2 };
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let long_ago = Some(now - TimeDelta::hours(1));
        let once = take(long_ago, now, rate).unwrap();
        let twice = take(Some(once), now, rate).unwrap();
        assert_eq!(take(Some(twice), now, rate), Err(Duration::from_secs(1)));
    }
}
