//! Taking places in a rate of dispatches: the generic cell rate algorithm, a row for each rate.
//!
//! The row holds when the next job would come if all came evenly. A job may come before that by as much as the burst
//! allows, and moves it on by one interval; a tenant that rested starts from now.

use std::time::Duration;

use super::limits::{Rate, Scope};
use crate::db::{Conn, Sql, query};
use crate::error::Result;
use crate::store::jobs::{confine, set_tenant};

/// A rate that holds for one scope of a tenant.
#[derive(Debug, Clone, Copy)]
pub struct HeldRate<'a> {
    /// The tenant.
    pub tenant_id: i64,
    /// What it is about.
    pub scope: Scope,
    /// The queue's name; the total has none.
    pub name: &'a str,
    /// The rate.
    pub rate: Rate,
}

/// What became of the wish for places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// They are taken.
    Taken,
    /// There are enough after this long.
    After(Duration),
    /// There are never so many at once.
    Never,
}

/// Takes places for so many jobs at once, or none. One statement: the row is locked no longer than it takes, unless the
/// caller holds a transaction open around it.
pub async fn take(conn: &mut Conn<'_>, held: &HeldRate<'_>, jobs: u64) -> Result<Places> {
    if jobs > u64::from(held.rate.burst) {
        return Ok(Places::Never);
    }
    confine(conn, held.tenant_id)?;
    let (cost, burst) = (micros_for(held.rate, jobs), micros_for(held.rate, held.rate.burst.into()));
    let taken = query(Sql {
        postgres: "with setting as materialized (select set_config('fairlane.tenant_id', $1::text, true))
            insert into fairlane_rates (tenant_id, scope, name, act, next_at)
            select $1, $2, $3, 'dispatch', {now} + $4 * interval '1 microsecond' from setting
            on conflict (tenant_id, scope, name, act) do update
            set next_at = greatest(fairlane_rates.next_at, {now}) + $4 * interval '1 microsecond'
            where greatest(fairlane_rates.next_at, {now}) + ($4 - $5) * interval '1 microsecond' <= {now}
            returning next_at",
        sqlite: "insert into fairlane_rates (tenant_id, scope, name, act, next_at)
            values ($1, $2, $3, 'dispatch', {now} + $4)
            on conflict (tenant_id, scope, name, act) do update set next_at = max(next_at, {now}) + $4
            where max(next_at, {now}) + $4 - $5 <= {now}
            returning next_at",
    })
    .bind(held.tenant_id)
    .bind(held.scope.as_str())
    .bind(held.name)
    .bind(cost)
    .bind(burst)
    .fetch_optional(conn)
    .await?;
    if taken.is_some() {
        return Ok(Places::Taken);
    }
    let ahead = micros_ahead(conn, held).await?;
    let wait = ahead.saturating_add(cost).saturating_sub(burst).max(1);
    Ok(Places::After(Duration::from_micros(u64::try_from(wait).unwrap_or_default())))
}

/// How far ahead of now the row is.
async fn micros_ahead(conn: &mut Conn<'_>, held: &HeldRate<'_>) -> Result<i64> {
    let row = query(Sql {
        postgres: "with setting as materialized (select set_config('fairlane.tenant_id', $1::text, true) as tenant)
            select own.ahead from setting cross join lateral (
                select (extract(epoch from next_at - {now}) * 1000000)::bigint as ahead from fairlane_rates
                where tenant_id = $1 and scope = $2 and name = $3 and act = 'dispatch' and setting.tenant is not null
                offset 0) own",
        sqlite: "select next_at - {now} as ahead from fairlane_rates
            where tenant_id = $1 and scope = $2 and name = $3 and act = 'dispatch'",
    })
    .bind(held.tenant_id)
    .bind(held.scope.as_str())
    .bind(held.name)
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or(Ok(0), |row| row.get::<i64>("ahead"))?.max(0))
}

/// Gives places back that were taken for jobs which another limit refused; in a transaction.
pub async fn give_back(conn: &mut Conn<'_>, held: &HeldRate<'_>, jobs: u64) -> Result<()> {
    set_tenant(conn, held.tenant_id).await?;
    query(Sql {
        postgres: "update fairlane_rates set next_at = next_at - $4 * interval '1 microsecond'
            where tenant_id = $1 and scope = $2 and name = $3 and act = 'dispatch'",
        sqlite: "update fairlane_rates set next_at = next_at - $4
            where tenant_id = $1 and scope = $2 and name = $3 and act = 'dispatch'",
    })
    .bind(held.tenant_id)
    .bind(held.scope.as_str())
    .bind(held.name)
    .bind(micros_for(held.rate, jobs))
    .execute(conn)
    .await?;
    Ok(())
}

/// The time that so many jobs take up in a rate, rounded up: never more than the rate.
fn micros_for(rate: Rate, jobs: u64) -> i64 {
    let micros = (u128::from(jobs) * rate.period.as_micros()).div_ceil(u128::from(rate.count.max(1)));
    i64::try_from(micros).unwrap_or(i64::MAX / 4)
}
