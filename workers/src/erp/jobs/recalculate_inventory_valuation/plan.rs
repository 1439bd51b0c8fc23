//! What was asked for, looked up in the tenant.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use fairlane::db::Conn;
use fairlane::{Error, Result};

use super::RecalculateInventoryValuation;
use crate::erp::services::valuation::may_restate;
use crate::erp::store::valuation::entries::{Head, Which};
use crate::erp::store::valuation::figures::Of;
use crate::erp::store::{locations, products, profiles};
use crate::erp::valuation::{Method, PoolFigures, PoolKey, Scope, Terms};

/// What a run does.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) tenant: i64,
    pub(super) which: Which,
    pub(super) scope: Scope,
    method: Option<Method>,
    currency_decimals: u32,
    /// Movements before this time: the end of a day that was asked for.
    pub(super) until: Option<DateTime<Utc>>,
    /// The last day of closed books, and its end; nothing where somebody has values in there changed.
    pub(super) closed: Option<(NaiveDate, DateTime<Utc>)>,
}

impl Plan {
    /// Looks up what the job names.
    ///
    /// # Errors
    /// When the tenant has no such product or location, or the user may not change closed books.
    pub(super) async fn read(
        conn: &mut Conn<'_>,
        tenant: i64,
        job: &RecalculateInventoryValuation,
    ) -> Result<Self> {
        let product = match &job.product {
            Some(code) => Some(products::find(conn, tenant, code).await?.id),
            None => None,
        };
        let location = match &job.location {
            Some(code) => Some(locations::by_code(conn, tenant, code).await?.id),
            None => None,
        };
        if let Some(user) = job.forced_by
            && !may_restate(conn, tenant, user).await?
        {
            return Err(Error::NotFound {
                what: "user who may restate closed books",
                name: user.to_string(),
            });
        }
        let profile = profiles::find(conn, tenant).await?;
        let closed = match job.forced_by {
            Some(_) => None,
            None => profiles::books_closed_until(conn, tenant).await?,
        };
        Ok(Self {
            tenant,
            which: Which { product, location },
            scope: job.scope,
            method: job.method,
            currency_decimals: profile.decimals,
            until: job.as_of.map(|day| end_of(profile.timezone, day)),
            closed: closed.map(|day| (day, end_of(profile.timezone, day))),
        })
    }

    pub(super) fn of(&self, head: &Head) -> Of {
        Of { tenant: self.tenant, scope: self.scope, product: head.product_id }
    }

    pub(super) fn terms(&self, head: &Head) -> Terms {
        Terms {
            currency_decimals: self.currency_decimals,
            standard_cost: head.standard_cost,
            ..Terms::new(self.method.unwrap_or(head.method), self.scope)
        }
    }

    /// The location whose pools are counted, where pools are divided by it.
    pub(super) fn location(&self) -> Option<i64> {
        self.which.location.filter(|_| matches!(self.scope, Scope::Location | Scope::LocationBatch))
    }

    /// Whether a pool is counted.
    pub(super) fn counts(&self, pool: &PoolFigures) -> bool {
        let PoolKey { location, .. } = pool.key;
        self.location().is_none() || location == self.location()
    }
}

/// When a day is over somewhere. Where clocks skip midnight, the next day begins an hour later.
fn end_of(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    let midnight = day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(NaiveTime::MIN);
    (0..3)
        .find_map(|hours| zone.from_local_datetime(&(midnight + TimeDelta::hours(hours))).earliest())
        .map_or(midnight.and_utc(), |at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_where_the_tenant_is_and_where_clocks_skip_midnight() {
        let end = |zone: Tz, day: &str| end_of(zone, day.parse().unwrap()).to_rfc3339();
        assert_eq!(end(chrono_tz::UTC, "2026-10-31"), "2026-11-01T00:00:00+00:00");
        assert_eq!(end(chrono_tz::Asia::Tokyo, "2026-10-31"), "2026-10-31T15:00:00+00:00");
        // In Santiago the first Sunday of September begins at one.
        assert_eq!(end(chrono_tz::America::Santiago, "2026-09-05"), "2026-09-06T04:00:00+00:00");
    }
}
