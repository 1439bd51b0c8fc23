//! When jobs of rate-limited tenants may start: a row for each rate, locked from the look to the claim's commit.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::limits::Rate;
use super::rates::HeldRate;
use crate::db::{Conn, Sql, query};
use crate::error::Result;
use crate::sql;

/// How far ahead starts are given out, so that one claim serves several.
const HORIZON: Duration = Duration::from_millis(50);
/// Starts are this much further apart than the rate says: the room for a handler that starts late. Without it a start on
/// time after a late one would make the window too full.
const SPREAD: f64 = 1.03;
/// How late a job may start, as a part of the period; a later one is given back.
const LATE: f64 = 0.025;

/// How wrong this process may be about the database's time at no cost, as a part of the period; together with `LATE` it is
/// what `SPREAD` leaves.
const DOUBT: f64 = 0.005;

/// Starts that may be used, of one rate.
///
/// The row speaks in the database's time, windows in this process's. The database's `now` was before the answer, so that no
/// start is too early; it may have been as early as the question, and what that is more than `DOUBT` comes on top of the
/// time to the next start of another claim.
#[derive(Debug, Clone)]
pub struct Starts {
    first: DateTime<Utc>,
    interval: Duration,
    now: DateTime<Utc>,
    late: Duration,
    answered: Instant,
    doubt: Duration,
}

/// When one job may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartWindow {
    /// Not before this.
    pub after: Instant,
    /// Not later than this.
    pub within: Instant,
}

impl StartWindow {
    /// What both windows allow.
    pub fn and(self, other: Self) -> Self {
        Self { after: self.after.max(other.after), within: self.within.min(other.within) }
    }
}

/// So much later, or as late as there is a time: rates and bursts have no upper bound.
fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
    at.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn earlier(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
    at.checked_sub_signed(by).unwrap_or(DateTime::UNIX_EPOCH)
}

impl Starts {
    fn new(next_at: DateTime<Utc>, now: DateTime<Utc>, rate: Rate, asked: Instant) -> Self {
        let interval = rate.interval().mul_f64(SPREAD);
        let saved = interval.saturating_mul(rate.burst.max(1) - 1);
        let (first, answered) = (next_at.max(earlier(now, saved)), Instant::now());
        let doubt = answered.saturating_duration_since(asked).saturating_sub(rate.period.mul_f64(DOUBT));
        Self { first, interval, now, late: rate.period.mul_f64(LATE), answered, doubt }
    }

    /// How many jobs may start within the horizon.
    pub fn count(&self) -> usize {
        let Ok(room) = (later(self.now, HORIZON) - self.first).to_std() else { return 0 };
        usize::try_from(room.as_nanos() / self.interval.as_nanos().max(1) + 1).unwrap_or(usize::MAX)
    }

    /// When the job in this place may start.
    pub fn window(&self, place: usize) -> StartWindow {
        let delay = (self.next(place) - self.now).to_std().unwrap_or_default();
        let after = self.answered + delay;
        StartWindow { after, within: after + self.late }
    }

    /// How long to wait for the next one, when so many are used: not at all while some of a burst are left.
    pub fn wait(&self, used: usize) -> Duration {
        (self.next(used) - self.now).to_std().unwrap_or_default().saturating_sub(HORIZON / 4)
    }

    fn next(&self, used: usize) -> DateTime<Utc> {
        later(self.first, self.interval.saturating_mul(u32::try_from(used).unwrap_or(u32::MAX)))
    }
}

/// Locks a rate until the transaction's end and tells which starts are free; `None` when another process has it: a limited
/// tenant is passed over, never waited for.
pub async fn lock(conn: &mut Conn<'_>, held: &HeldRate<'_>) -> Result<Option<Starts>> {
    for _ in 0..2 {
        let asked = Instant::now();
        let row = query(sql!(
            "select next_at, {now} as now from fairlane_rates
             where tenant_id = $1 and scope = $2 and name = $3 and act = 'start' {skip_locked}"
        ))
        .bind(held.tenant_id)
        .bind(held.scope.as_str())
        .bind(held.name)
        .fetch_optional(conn)
        .await?;
        if let Some(row) = row {
            return Ok(Some(Starts::new(row.get("next_at")?, row.get("now")?, held.rate, asked)));
        }
        let made = query(sql!(
            "insert into fairlane_rates (tenant_id, scope, name, act, next_at) values ($1, $2, $3, 'start', {now})
             on conflict (tenant_id, scope, name, act) do nothing"
        ))
        .bind(held.tenant_id)
        .bind(held.scope.as_str())
        .bind(held.name)
        .execute(conn)
        .await?;
        if made == 0 {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Uses up starts of a rate that is locked.
pub async fn used(conn: &mut Conn<'_>, held: &HeldRate<'_>, starts: &Starts, used: usize) -> Result<()> {
    query(Sql {
        postgres: "update fairlane_rates set next_at = $4
             where tenant_id = $1 and scope = $2 and name = $3 and act = 'start'",
        sqlite: "update fairlane_rates set next_at = $4
             where tenant_id = $1 and scope = $2 and name = $3 and act = 'start'",
    })
    .bind(held.tenant_id)
    .bind(held.scope.as_str())
    .bind(held.name)
    .bind(later(starts.next(used), starts.doubt))
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { count: 100, period: Duration::from_secs(1), burst: 1 };

    /// Starts whose row was asked for and answered at this moment.
    fn starts(next_at: DateTime<Utc>, now: DateTime<Utc>, rate: Rate) -> Starts {
        let asked = Instant::now();
        Starts { answered: asked, doubt: Duration::ZERO, ..Starts::new(next_at, now, rate, asked) }
    }

    #[test]
    fn any_period_holds_no_more_starts_than_the_rate_however_late_each_is() {
        let now = Utc::now();
        let free = starts(now, now, RATE);
        let (first, next) = (free.window(0), free.window(100));
        assert!(
            next.after - first.within >= RATE.period,
            "the 101st comes a period after the first, at the earliest"
        );
    }

    #[test]
    fn a_rest_saves_up_the_burst_and_no_more() {
        let now = Utc::now();
        let long_ago = now - TimeDelta::hours(1);
        let even = starts(long_ago, now, RATE);
        assert_eq!((even.window(0).after, even.count()), (even.answered, 5));
        let burst = starts(long_ago, now, Rate { burst: 10, ..RATE });
        assert_eq!((0..20).filter(|place| burst.window(*place).after == burst.answered).count(), 10);
    }

    #[test]
    fn what_a_burst_has_left_waits_for_nothing() {
        let now = Utc::now();
        let burst = starts(now - TimeDelta::hours(1), now, Rate { burst: 10, ..RATE });
        assert_eq!((burst.wait(1), burst.wait(9)), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn no_burst_is_too_large_for_the_clock() {
        let now = Utc::now();
        let day = Rate { count: 1, period: Duration::from_secs(86_400), burst: 100_000_000 };
        let free = starts(now, now, day);
        assert!(free.count() > 0 && free.wait(usize::MAX) > Duration::ZERO);
        assert_eq!(free.window(0).after, free.answered);
    }

    #[test]
    fn a_rate_that_is_used_up_gives_nothing_until_its_next_start_is_near() {
        let now = Utc::now();
        let free = starts(now + TimeDelta::seconds(5), now, RATE);
        assert_eq!(free.count(), 0);
        assert!(free.wait(0) > Duration::from_secs(4));
    }

    #[test]
    fn a_period_holds_a_burst_and_what_comes_evenly_beside_it() {
        let now = Utc::now();
        for (count, burst) in [(100, 1), (100, 10), (5, 40), (1000, 1000)] {
            let rate = Rate { count, burst, ..RATE };
            let rested = starts(now - TimeDelta::hours(1), now, rate);
            // The burst as late as it may be, the others on time.
            let (begin, most) = (rested.window(0).within, count + burst - 1);
            let next = rested.window(usize::try_from(most).unwrap()).after;
            assert!(
                next - begin >= RATE.period,
                "{count} and a burst of {burst}: one more than {most} in a period"
            );
        }
    }

    #[test]
    fn a_slow_answer_makes_no_start_early_and_puts_the_next_claims_start_off() {
        let (now, asked) = (Utc::now(), Instant::now().checked_sub(Duration::from_millis(400)).unwrap());
        let slow = Starts::new(now, now, RATE, asked);
        assert!(
            slow.window(0).after >= asked + Duration::from_millis(400),
            "the database's now may be just before"
        );
        assert!(slow.doubt >= Duration::from_millis(395), "{slow:?}");
        assert_eq!(Starts::new(now, now, RATE, Instant::now()).doubt, Duration::ZERO);
    }
}
