//! How many live jobs a tenant has, counted no further than the quota: that is what bounds the cost.

use crate::db::{Conn, Sql, query};
use crate::error::Result;
use crate::store::jobs::confine;

/// A counting statement of both databases. On PostgreSQL the tenant's setting travels in it: the count depends on it, so
/// that the planner cannot take it first.
macro_rules! counting {
    ($postgres:expr, $sqlite:expr) => {
        Sql {
            postgres: concat!(
                "with setting as materialized (select set_config('fairlane.tenant_id', $1::text, true) as tenant)
                 select counted.jobs from setting cross join lateral (select count(*) as jobs from (",
                $postgres,
                ") live) counted"
            ),
            sqlite: concat!("select count(*) as jobs from (", $sqlite, ") live"),
        }
    };
}

/// Live jobs of a tenant, at most `up_to` of them.
pub async fn pending(conn: &mut Conn<'_>, tenant_id: i64, up_to: u64) -> Result<u64> {
    confine(conn, tenant_id)?;
    // `attempt >= 0`, which is always so, lets PostgreSQL use the index by tenant (migration 0004).
    let statement = counting!(
        "select 1 from fairlane_jobs where tenant_id = $1 and attempt >= 0 and setting.tenant is not null order by id limit $2",
        "select 1 from fairlane_jobs where tenant_id = $1 order by id limit $2"
    );
    // In the index's order, or the planner trusts that the first rows it meets are the tenant's. A plan kept from an empty table would read the whole of a full one.
    let counted = query(statement).bind(tenant_id).bind(limit(up_to)).planned_anew().fetch_one(conn).await?;
    Ok(u64::try_from(counted.get::<i64>("jobs")?).unwrap_or_default())
}

/// Live jobs of a tenant in one queue, at most `up_to` of them. One scan for each index that knows queue or tenant; of
/// running jobs there are never many.
pub async fn pending_in(conn: &mut Conn<'_>, tenant_id: i64, queue: &str, up_to: u64) -> Result<u64> {
    confine(conn, tenant_id)?;
    macro_rules! scans {
        ($condition:literal) => {
            concat!(
                "select 1 from (
                    select 1 as one from fairlane_jobs where queue = $3 and tenant_id = $1
                        and state = 'available' and not suspect",
                $condition,
                " order by priority, run_at, id limit $2) ready
                 union all select 1 from (
                    select 1 as one from fairlane_jobs where queue = $3 and tenant_id = $1
                        and state = 'available' and suspect",
                $condition,
                " order by priority, run_at, id limit $2) suspects
                 union all select 1 from (
                    select 1 as one from fairlane_jobs where queue = $3 and tenant_id = $1
                        and state in ('scheduled', 'retryable', 'suspended') and attempt >= 0",
                $condition,
                " limit $2) put_off
                 union all select 1 from (
                    select 1 as one from fairlane_jobs where queue = $3 and tenant_id = $1 and state = 'executing' and attempt >= 0",
                $condition,
                " limit $2) running
                 limit $2"
            )
        };
    }
    let statement = counting!(scans!(" and setting.tenant is not null"), scans!(""));
    let counted = query(statement)
        .bind(tenant_id)
        .bind(limit(up_to))
        .bind(queue)
        .planned_anew()
        .fetch_one(conn)
        .await?;
    Ok(u64::try_from(counted.get::<i64>("jobs")?).unwrap_or_default())
}

fn limit(up_to: u64) -> i64 {
    i64::try_from(up_to).unwrap_or(i64::MAX)
}
