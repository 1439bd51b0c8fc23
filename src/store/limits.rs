//! What tenants may use, as administrators set it at run time.
//!
//! A limit that is removed keeps its row with nulls, so that whoever looks for changes ([`latest_change`]) sees it go.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::warn;

use crate::db::{Conn, Row, Sql, query};
use crate::error::{Error, Result};
use crate::sql;
use crate::store::jobs::confine;
use crate::store::listing::{DamagedRow, read_all};

pub use crate::limits::{Limit, LimitChange, Limits, Rate, Scope};

/// A tenant with what sets it apart from the others.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantLimits {
    /// Its number.
    pub id: i64,
    /// Its slug.
    pub slug: String,
    /// Its share of worker time, relative to the others.
    pub weight: f64,
    /// Whether none of its jobs start.
    pub paused: bool,
    /// What it may use.
    pub limits: Limits,
}

/// The tenants that have a limit, a weight other than 1, or a pause, by number. A row that can't be read limits nothing
/// and is logged: one that somebody's hand has damaged must not stop every worker.
pub async fn load(conn: &mut Conn<'_>) -> Result<Vec<TenantLimits>> {
    let rows = query(sql!(
        "select t.id, t.slug, t.weight, t.paused_at is not null as paused, l.scope, l.name, l.concurrency,
            l.start_count, l.start_period_ms, l.start_burst, l.dispatch_count, l.dispatch_period_ms, l.dispatch_burst,
            l.pending, l.payload_bytes
         from fairlane_tenants t left join fairlane_limits l on l.tenant_id = t.id
         where l.tenant_id is not null or t.weight <> 1 or t.paused_at is not null
         order by t.id"
    ))
    .fetch_all(conn)
    .await?;
    let mut tenants: Vec<TenantLimits> = Vec::new();
    for row in &rows {
        if let Err(error) = read_into(&mut tenants, row) {
            warn!(%error, "a limit can't be read and does not hold; mend its row");
        }
    }
    tenants.retain(|tenant| tenant.paused || tenant.weight != 1.0 || !tenant.limits.is_empty());
    Ok(tenants)
}

/// Rows of one tenant stand together.
fn read_into(tenants: &mut Vec<TenantLimits>, row: &Row) -> Result<()> {
    let id = row.get("id")?;
    if tenants.last().is_none_or(|tenant| tenant.id != id) {
        tenants.push(TenantLimits {
            id,
            slug: row.get("slug")?,
            weight: row.get("weight")?,
            paused: row.get("paused")?,
            limits: Limits::default(),
        });
    }
    let Some((scope, name, limit)) = read_limit(row)? else { return Ok(()) };
    if let Some(tenant) = tenants.last_mut() {
        tenant.limits.put(scope, name, limit);
    }
    Ok(())
}

/// One tenant's limits as administrators have set them, and the rows that can't be read and don't hold.
pub async fn of_tenant(conn: &mut Conn<'_>, tenant_id: i64) -> Result<(Limits, Vec<DamagedRow>)> {
    let rows = query(sql!(
        "select scope || ' ' || name as key, scope, name, concurrency, start_count, start_period_ms, start_burst, dispatch_count, dispatch_period_ms,
            dispatch_burst, pending, payload_bytes
         from fairlane_limits where tenant_id = $1 order by scope, name"
    ))
    .bind(tenant_id)
    .fetch_all(conn)
    .await?;
    let listing = read_all(&rows, i64::MAX, read_limit)?;
    let mut limits = Limits::default();
    for (scope, name, limit) in listing.rows.into_iter().flatten() {
        limits.put(scope, name, limit);
    }
    Ok((limits, listing.damaged))
}

/// What a client must know before it queues something for a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Why it takes no new jobs, where it takes none; may be empty.
    pub draining: Option<String>,
    /// What it may use, as administrators have set it.
    pub set: Limits,
}

/// The terms of one tenant, in one statement. On PostgreSQL the tenant's setting travels in it, and `offset 0` keeps the
/// planner from reading the rows before it is set.
pub(crate) async fn terms(conn: &mut Conn<'_>, tenant_id: i64) -> Result<Terms> {
    confine(conn, tenant_id)?;
    macro_rules! own {
        ($condition:literal) => {
            concat!(
                "select t.draining_at is not null as draining, t.drain_reason, l.scope, l.name, l.concurrency,
                    l.start_count, l.start_period_ms, l.start_burst, l.dispatch_count, l.dispatch_period_ms,
                    l.dispatch_burst, l.pending, l.payload_bytes
                 from fairlane_tenants t left join fairlane_limits l on l.tenant_id = t.id
                 where t.id = $1",
                $condition
            )
        };
    }
    let statement = Sql {
        postgres: concat!(
            "with setting as materialized (select set_config('fairlane.tenant_id', $1::text, true) as tenant)
             select own.* from setting cross join lateral (",
            own!(" and setting.tenant is not null offset 0"),
            ") own"
        ),
        sqlite: own!(""),
    };
    let rows = query(statement).bind(tenant_id).fetch_all(conn).await?;
    let mut terms = Terms::default();
    for row in &rows {
        if row.get("draining")? {
            terms.draining = Some(row.get::<Option<String>>("drain_reason")?.unwrap_or_default());
        }
        match read_limit(row) {
            Ok(Some((scope, name, limit))) => terms.set.put(scope, name, limit),
            Ok(None) => {}
            Err(error) => warn!(%error, "a limit can't be read and does not hold; mend its row"),
        }
    }
    Ok(terms)
}

/// The limits of one row; `None` where the row has none.
fn read_limit(row: &Row) -> Result<Option<(Scope, String, Limit)>> {
    let Some(word) = row.get::<Option<String>>("scope")? else { return Ok(None) };
    let scope =
        Scope::parse(&word).ok_or_else(|| Error::Damaged(format!("\"{word}\" is no scope of a limit")))?;
    let limit = Limit {
        concurrency: count(row, "concurrency")?,
        starts: rate(row, ["start_count", "start_period_ms", "start_burst"])?,
        dispatches: rate(row, ["dispatch_count", "dispatch_period_ms", "dispatch_burst"])?,
        pending: number(row, "pending")?,
        payload_bytes: number(row, "payload_bytes")?,
    };
    Ok((!limit.is_empty()).then_some((scope, row.get("name")?, limit)))
}

fn number(row: &Row, column: &str) -> Result<Option<u64>> {
    let stored: Option<i64> = row.get(column)?;
    stored
        .map(|value| {
            u64::try_from(value).map_err(|_| Error::Damaged(format!("column {column} is below zero")))
        })
        .transpose()
}

/// More than fits is as good as no limit.
fn count(row: &Row, column: &str) -> Result<Option<u32>> {
    Ok(number(row, column)?.map(|value| u32::try_from(value).unwrap_or(u32::MAX)))
}

fn rate(row: &Row, [count_column, period_column, burst_column]: [&str; 3]) -> Result<Option<Rate>> {
    let (Some(per_period), Some(period)) = (count(row, count_column)?, number(row, period_column)?) else {
        return Ok(None);
    };
    let burst = count(row, burst_column)?.unwrap_or(1).max(1);
    Ok(Some(Rate { count: per_period.max(1), period: Duration::from_millis(period.max(1)), burst }))
}

/// Changes the limits of one scope of a tenant; the total has no name. Returns what holds then.
pub async fn set(
    conn: &mut Conn<'_>,
    tenant_id: i64,
    scope: Scope,
    name: &str,
    change: LimitChange,
) -> Result<Limit> {
    check_name(scope, name)?;
    let before = query(sql!(
        "select scope, name, concurrency, start_count, start_period_ms, start_burst, dispatch_count, dispatch_period_ms,
            dispatch_burst, pending, payload_bytes
         from fairlane_limits where tenant_id = $1 and scope = $2 and name = $3 {lock}"
    ))
    .bind(tenant_id)
    .bind(scope.as_str())
    .bind(name)
    .fetch_optional(conn)
    .await?;
    // A row that can't be read is mended by being set.
    let before = before.and_then(|row| read_limit(&row).ok().flatten()).map(|(_, _, limit)| limit);
    let limit = change.apply(before.unwrap_or_default());
    store(conn, tenant_id, scope, name, &limit).await?;
    Ok(limit)
}

/// Removes what is set for a tenant, in one scope or in all of them, damaged rows as well; returns the scopes that had
/// something, with their names.
pub async fn clear(
    conn: &mut Conn<'_>,
    tenant_id: i64,
    place: Option<(Scope, &str)>,
) -> Result<Vec<(Scope, String)>> {
    let rows = query(sql!(
        "update fairlane_limits set concurrency = null, start_count = null, start_period_ms = null, start_burst = null,
            dispatch_count = null, dispatch_period_ms = null, dispatch_burst = null, pending = null, payload_bytes = null,
            changed_at = {now}
         where tenant_id = $1 and ($2 is null or (scope = $2 and name = $3))
            and coalesce(concurrency, start_count, dispatch_count, pending, payload_bytes) is not null
         returning scope, name"
    ))
    .bind(tenant_id)
    .bind(place.map(|(scope, _)| scope.as_str().to_owned()))
    .bind(place.map_or("", |(_, name)| name))
    .fetch_all(conn)
    .await?;
    let mut cleared = Vec::new();
    for row in &rows {
        let scope = Scope::parse(&row.get::<String>("scope")?);
        cleared.push((scope.unwrap_or(Scope::Total), row.get("name").unwrap_or_default()));
    }
    cleared.sort();
    Ok(cleared)
}

async fn store(conn: &mut Conn<'_>, tenant_id: i64, scope: Scope, name: &str, limit: &Limit) -> Result<()> {
    let (starts, dispatches) = (limit.starts, limit.dispatches);
    query(sql!(
        "insert into fairlane_limits (tenant_id, scope, name, concurrency, start_count, start_period_ms, start_burst,
            dispatch_count, dispatch_period_ms, dispatch_burst, pending, payload_bytes, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, {now})
         on conflict (tenant_id, scope, name) do update set concurrency = excluded.concurrency,
            start_count = excluded.start_count, start_period_ms = excluded.start_period_ms,
            start_burst = excluded.start_burst, dispatch_count = excluded.dispatch_count,
            dispatch_period_ms = excluded.dispatch_period_ms, dispatch_burst = excluded.dispatch_burst,
            pending = excluded.pending, payload_bytes = excluded.payload_bytes, changed_at = excluded.changed_at"
    ))
    .bind(tenant_id)
    .bind(scope.as_str())
    .bind(name)
    .bind(limit.concurrency)
    .bind(starts.map(|rate| rate.count))
    .bind(starts.map(period_ms))
    .bind(starts.map(|rate| rate.burst))
    .bind(dispatches.map(|rate| rate.count))
    .bind(dispatches.map(period_ms))
    .bind(dispatches.map(|rate| rate.burst))
    .bind(limit.pending.map(storable))
    .bind(limit.payload_bytes.map(storable))
    .execute(conn)
    .await?;
    Ok(())
}

fn period_ms(rate: Rate) -> i64 {
    i64::try_from(rate.period.as_millis()).unwrap_or(i64::MAX)
}

fn storable(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn check_name(scope: Scope, name: &str) -> Result<()> {
    let printable = !name.is_empty() && name.len() <= 200 && !name.chars().any(char::is_control);
    if (scope == Scope::Total) == name.is_empty() && (scope == Scope::Total || printable) {
        return Ok(());
    }
    Err(Error::Invalid {
        what: format!("the {} \"{name}\" of a limit", scope.as_str()),
        why: "a queue or key has 1 to 200 printable characters, the total has no name".into(),
    })
}

/// When a limit, a weight or a pause changed last; two probes of indexes. A change may be committed a moment after a
/// later one: whoever compares this with what they saw before loads once more when the latest is a few seconds old.
pub async fn latest_change(conn: &mut Conn<'_>) -> Result<Option<DateTime<Utc>>> {
    query(sql!(
        "select max(latest) as latest from (
            select max(changed_at) as latest from fairlane_limits
            union all select max(changed_at) from fairlane_tenants) changes"
    ))
    .fetch_one(conn)
    .await?
    .get("latest")
}
