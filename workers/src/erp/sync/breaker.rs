//! The circuit breaker of a connection, as a pure state machine: no clock, no database.
//!
//! ```text
//! closed --(failures in a row)--> open --(cooldown over)--> half open --(probe succeeds)--> closed
//!                                  ^                            |
//!                                  +------(probe fails)---------+   the cooldown doubles
//! ```

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Requests go out.
    Closed,
    /// Nothing goes out.
    Open,
    /// One request goes out, to see.
    HalfOpen,
}

impl State {
    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// So many failures in a row open it.
    pub failures: u32,
    /// How long it stays open at first.
    pub cooldown: Duration,
    /// How long at most, after probes that failed.
    pub longest: Duration,
    /// After this long a probe that nobody heard of again has failed with its worker.
    pub probe: Duration,
}

/// A breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Where it stands.
    pub state: State,
    /// Failures in a row.
    pub failures: u32,
    /// Since when it is open.
    pub opened_at: Option<DateTime<Utc>>,
    /// How long it stays open.
    pub cooldown: Duration,
    /// Open: when the next probe may go. Half open: when the probe that went counts as lost.
    pub probe_at: Option<DateTime<Utc>>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, failures: 0, opened_at: None, cooldown: Duration::ZERO, probe_at: None }
    }
}

impl Breaker {
    /// Lets a request out, or says how long none may go.
    ///
    /// # Errors
    /// The time to the next probe.
    pub fn admit(&mut self, now: DateTime<Utc>, terms: &Terms) -> Result<(), Duration> {
        if self.state == State::Closed {
            return Ok(());
        }
        let wait = self.probe_at.map_or(TimeDelta::zero(), |at| at.signed_duration_since(now));
        match wait.to_std() {
            Ok(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.state = State::HalfOpen;
                self.probe_at = Some(after(now, terms.probe));
                Ok(())
            }
        }
    }

    /// The other system has answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The other system has not, or with an error of its own. Returns whether that has opened the breaker.
    pub fn failed(&mut self, now: DateTime<Utc>, terms: &Terms) -> bool {
        self.failures = self.failures.saturating_add(1);
        let cooldown = match self.state {
            State::Closed if self.failures < terms.failures => return false,
            // A request that was under way when it opened.
            State::Open => return false,
            State::Closed => terms.cooldown,
            State::HalfOpen => (self.cooldown * 2).clamp(terms.cooldown, terms.longest.max(terms.cooldown)),
        };
        let opened_at = self.opened_at.unwrap_or(now);
        *self = Self {
            state: State::Open,
            failures: self.failures,
            opened_at: Some(opened_at),
            cooldown,
            probe_at: Some(after(now, cooldown)),
        };
        true
    }
}

/// A time after another; at the end of all time, that.
pub(super) fn after(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        failures: 3,
        cooldown: Duration::from_secs(30),
        longest: Duration::from_secs(100),
        probe: Duration::from_secs(60),
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for second in 0..3 {
            breaker.failed(at(second), &TERMS);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_forgives() {
        let mut breaker = Breaker::default();
        assert!(!breaker.failed(at(0), &TERMS) && !breaker.failed(at(1), &TERMS));
        breaker.succeeded();
        assert!(!breaker.failed(at(2), &TERMS) && !breaker.failed(at(3), &TERMS));
        assert!(breaker.failed(at(4), &TERMS));
        assert_eq!((breaker.state, breaker.opened_at), (State::Open, Some(at(4))));
    }

    #[test]
    fn nothing_goes_out_while_it_is_open_then_one_probe() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(10), &TERMS), Err(Duration::from_secs(22)));
        assert_eq!(breaker.admit(at(32), &TERMS), Ok(()));
        assert_eq!(breaker.state, State::HalfOpen);
        assert_eq!(breaker.admit(at(33), &TERMS), Err(Duration::from_secs(59)), "one probe at a time");
        assert_eq!(breaker.admit(at(92), &TERMS), Ok(()), "a lost probe is followed by another");
    }

    #[test]
    fn a_failed_probe_doubles_the_wait_up_to_a_limit_and_a_good_one_closes_it() {
        let mut breaker = opened();
        let mut now = 2;
        for cooldown in [30, 60, 100, 100] {
            assert_eq!(breaker.cooldown.as_secs(), cooldown);
            now += i64::try_from(cooldown).unwrap();
            breaker.admit(at(now), &TERMS).unwrap();
            assert!(breaker.failed(at(now), &TERMS));
        }
        assert_eq!(breaker.opened_at, Some(at(2)), "it was never closed meanwhile");
        breaker.admit(at(now + 100), &TERMS).unwrap();
        breaker.succeeded();
        assert_eq!(breaker, Breaker::default());
    }
}
