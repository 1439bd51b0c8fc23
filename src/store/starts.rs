//! When jobs of rate-limited tenants may start: a row for each rate, locked from the look to the claim's commit.

use std::time::Duration;

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

/// Starts that may be used, of one rate.
#[derive(Debug, Clone)]
pub struct Starts {
    first: DateTime<Utc>,
    interval: Duration,
    now: DateTime<Utc>,
    late: Duration,
}

/// When one job may start, from the claim on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartWindow {
    /// Not before this.
    pub after: Duration,
    /// Not later than this.
    pub within: Duration,
}

impl StartWindow {
    /// What both windows allow.
    pub fn and(self, other: Self) -> Self {
        Self { after: self.after.max(other.after), within: self.within.max(other.within) }
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
    fn new(next_at: DateTime<Utc>, now: DateTime<Utc>, rate: Rate) -> Self {
        let interval = rate.interval().mul_f64(SPREAD);
        let saved = interval.saturating_mul(rate.burst.max(1) - 1);
        Self { first: next_at.max(earlier(now, saved)), interval, now, late: rate.period.mul_f64(LATE) }
    }

    /// How many jobs may start within the horizon.
    pub fn count(&self) -> usize {
        let Ok(room) = (later(self.now, HORIZON) - self.first).to_std() else { return 0 };
        usize::try_from(room.as_nanos() / self.interval.as_nanos().max(1) + 1).unwrap_or(usize::MAX)
    }

    /// When the job in this place may start.
    pub fn window(&self, place: usize) -> StartWindow {
        let after = (self.next(place) - self.now).to_std().unwrap_or_default();
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
            return Ok(Some(Starts::new(row.get("next_at")?, row.get("now")?, held.rate)));
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
    .bind(starts.next(used))
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { count: 100, period: Duration::from_secs(1), burst: 1 };

    #[test]
    fn any_period_holds_no_more_starts_than_the_rate_however_late_each_is() {
        let now = Utc::now();
        let starts = Starts::new(now, now, RATE);
        let (first, next) = (starts.window(0), starts.window(100));
        assert!(
            next.after - first.within >= RATE.period,
            "the 101st comes a period after the first, at the earliest"
        );
    }

    #[test]
    fn a_rest_saves_up_the_burst_and_no_more() {
        let now = Utc::now();
        let long_ago = now - TimeDelta::hours(1);
        let even = Starts::new(long_ago, now, RATE);
        assert_eq!((even.window(0).after, even.count()), (Duration::ZERO, 5));
        let burst = Starts::new(long_ago, now, Rate { burst: 10, ..RATE });
        assert_eq!((0..20).filter(|place| burst.window(*place).after.is_zero()).count(), 10);
    }

    #[test]
    fn what_a_burst_has_left_waits_for_nothing() {
        let now = Utc::now();
        let burst = Starts::new(now - TimeDelta::hours(1), now, Rate { burst: 10, ..RATE });
        assert_eq!((burst.wait(1), burst.wait(9)), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn no_burst_is_too_large_for_the_clock() {
        let now = Utc::now();
        let day = Rate { count: 1, period: Duration::from_secs(86_400), burst: 100_000_000 };
        let starts = Starts::new(now, now, day);
        assert!(starts.count() > 0 && starts.wait(usize::MAX) > Duration::ZERO);
        assert_eq!(starts.window(0).after, Duration::ZERO);
    }

    #[test]
    fn a_rate_that_is_used_up_gives_nothing_until_its_next_start_is_near() {
        let now = Utc::now();
        let starts = Starts::new(now + TimeDelta::seconds(5), now, RATE);
        assert_eq!(starts.count(), 0);
        assert!(starts.wait(0) > Duration::from_secs(4));
    }
}
