//! Whether a request may go out now: the breaker, a wait that was asked for, the rate. One row for all workers.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::breaker::{Breaker, Terms, after};
use super::bucket::{self, Rate};

/// What all workers share about a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    /// Its circuit breaker.
    pub breaker: Breaker,
    /// The other system wants to be left alone until then.
    pub blocked_until: Option<DateTime<Utc>>,
    /// The bucket of requests is empty until then.
    pub next_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// Why a request has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The breaker is open.
    Breaker(Duration),
    /// The other system asked for it.
    Asked(Duration),
    /// The rate.
    Rate(Duration),
}

impl Wait {
    /// How long.
    pub fn time(self) -> Duration {
        match self {
            Self::Breaker(time) | Self::Asked(time) | Self::Rate(time) => time,
        }
    }
}

impl Gate {
    /// Takes the place of one request, or says how long there is none.
    ///
    /// # Errors
    /// The wait.
    pub fn admit(&mut self, now: DateTime<Utc>, rate: Rate, terms: &Terms) -> Result<(), Wait> {
        if let Some(wait) =
            self.blocked_until.and_then(|until| until.signed_duration_since(now).to_std().ok())
            && !wait.is_zero()
        {
            return Err(Wait::Asked(wait));
        }
        // The rate first: a probe that then has to wait for it would count as lost.
        let next_at = bucket::take(self.next_at, now, rate).map_err(Wait::Rate)?;
        self.breaker.admit(now, terms).map_err(Wait::Breaker)?;
        self.next_at = Some(next_at);
        Ok(())
    }

    /// The other system has answered.
    pub fn succeeded(&mut self) {
        self.breaker.succeeded();
        self.last_error = None;
    }

    /// It has not, or with an error of its own.
    pub fn failed(&mut self, now: DateTime<Utc>, terms: &Terms, why: &str) -> bool {
        self.last_error = Some(why.chars().take(500).collect());
        self.breaker.failed(now, terms)
    }

    /// It wants to be left alone. That is an answer: the breaker does not count it.
    pub fn asked_to_wait(&mut self, now: DateTime<Utc>, wait: Duration) {
        self.breaker.succeeded();
        self.leave_alone(now, wait);
    }

    /// Nothing goes out for so long. Whoever asked for it says nothing of whether the other system is well.
    pub fn leave_alone(&mut self, now: DateTime<Utc>, wait: Duration) {
        let until = after(now, wait);
        self.blocked_until = Some(self.blocked_until.map_or(until, |before| before.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        failures: 1,
        cooldown: Duration::from_secs(30),
        longest: Duration::from_secs(300),
        probe: Duration::from_secs(60),
    };
    const RATE: Rate = Rate { per_second: 1.0, burst: 1 };

    #[test]
    fn a_wait_that_was_asked_for_holds_for_everybody_and_no_shorter_one_cuts_it() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut gate = Gate::default();
        gate.asked_to_wait(now, Duration::from_secs(60));
        gate.asked_to_wait(now, Duration::from_secs(5));
        assert_eq!(gate.admit(now, RATE, &TERMS), Err(Wait::Asked(Duration::from_secs(60))));
        assert_eq!(gate.admit(after(now, Duration::from_secs(60)), RATE, &TERMS), Ok(()));
    }

    #[test]
    fn a_request_that_waits_takes_nothing_and_is_no_probe() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut gate = Gate::default();
        gate.admit(now, RATE, &TERMS).unwrap();
        let before = gate.clone();
        assert_eq!(gate.admit(now, RATE, &TERMS), Err(Wait::Rate(Duration::from_secs(1))));
        assert_eq!(gate, before);
        assert!(gate.failed(now, &TERMS, "502"));
        let later = after(now, Duration::from_secs(10));
        let before = gate.clone();
        assert_eq!(gate.admit(later, RATE, &TERMS), Err(Wait::Breaker(Duration::from_secs(20))));
        assert_eq!(gate, before);
    }
}
