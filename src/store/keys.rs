//! Jobs that share a concurrency key: at most so many of them run at a time, in the order of their places.
//!
//! What runs is counted from the jobs themselves, under a lock on the key that the claim holds until its commit: there is
//! no counter that could leak. A job that finds its key taken is set aside (`suspended`) and costs no claim any more;
//! whoever settles a job of the key lets the next one in, and a sweep does it for those who died.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use uuid::Uuid;

use crate::db::{Conn, Dialect, Row, Sql, query};
use crate::error::Result;
use crate::fair::Key;
use crate::sql;
use crate::store::claim::{Claimed, open_lane};
use crate::store::look::LaneHead;

/// A key of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantKey {
    /// The tenant's number.
    pub tenant_id: i64,
    /// The key.
    pub key: String,
}

impl TenantKey {
    /// The key of a claimed job, if it has one.
    pub(crate) fn of(job: &Claimed) -> Option<Self> {
        Some(Self { tenant_id: job.tenant_id, key: job.concurrency_key.clone()? })
    }
}

/// How many jobs of a key the configuration lets run, where it says so; what is set at run time wins.
pub type ConfiguredKeys = BTreeMap<TenantKey, u32>;

/// The configured keys as rows; `$bind` is their JSON.
macro_rules! configured {
    (postgres, $bind:literal) => {
        concat!(
            "configured as materialized (
                select * from jsonb_to_recordset(",
            $bind,
            "::jsonb) as c(tenant_id bigint, name text, concurrency bigint)
             )"
        )
    };
    (sqlite, $bind:literal) => {
        concat!(
            "configured as materialized (
                select value ->> 'tenant_id' as tenant_id, value ->> 'name' as name, value ->> 'concurrency' as concurrency
                from jsonb_each(",
            $bind,
            ")
             )"
        )
    };
}

/// The limit of `configured!` for a key.
macro_rules! configured_limit {
    ($tenant:literal, $key:literal) => {
        concat!(
            "(select c.concurrency from configured c where c.tenant_id = ",
            $tenant,
            " and c.name = ",
            $key,
            ")"
        )
    };
}

/// How many jobs of a key may run: what somebody has set, else what the configuration says, else one. The row is read in
/// the statement that counts, so that a change holds at once.
macro_rules! limit_of_key {
    ($tenant:literal, $key:literal, $configured:expr) => {
        concat!(
            "coalesce((select l.concurrency from fairlane_limits l where l.tenant_id = ",
            $tenant,
            " and l.scope = 'key' and l.name = ",
            $key,
            "), ",
            $configured,
            ", 1)"
        )
    };
}

fn rows_of(configured: &ConfiguredKeys) -> String {
    let row = |(key, most): (&TenantKey, &u32)| json!({ "tenant_id": key.tenant_id, "name": key.key, "concurrency": most });
    serde_json::Value::Array(configured.iter().map(row).collect()).to_string()
}

/// Locks keys until the transaction's end, always in the same order. SQLite has one writer anyway.
async fn lock(conn: &mut Conn<'_>, keys: &BTreeSet<TenantKey>) -> Result<()> {
    if conn.dialect() == Dialect::Postgres {
        let names: Vec<String> = keys.iter().map(|key| format!("{}:{}", key.tenant_id, key.key)).collect();
        query(sql!(
            "select pg_advisory_xact_lock(hash)
             from (select distinct hashtextextended('fairlane.key:' || unnest($1::text[]), 0) as hash order by 1) keys"
        ))
        .bind(names)
        .fetch_all(conn)
        .await?;
    }
    Ok(())
}

/// A column of another table as the bound of an index. SQLite wants it without its affinity: else it read all jobs of the
/// key for each one that was claimed.
macro_rules! bound {
    (postgres, $column:literal) => {
        $column
    };
    (sqlite, $column:literal) => {
        concat!("+", $column)
    };
}

macro_rules! set_aside {
    ($dialect:ident) => {
        concat!(
            "with ",
            configured!($dialect, "$3"),
            ", mine as materialized (
                select id, tenant_id, concurrency_key, queue, priority, run_at, row_number() over (
                    partition by tenant_id, concurrency_key order by priority, run_at, id) as place
                from fairlane_jobs where id {in:$1}
             ), taken as materialized (
                select m.id from mine m
                where m.place + (select count(*) from fairlane_jobs o
                        where o.tenant_id = m.tenant_id and o.concurrency_key = m.concurrency_key and o.state = 'executing'
                            and not (o.id {in:$1})) > ",
            limit_of_key!("m.tenant_id", "m.concurrency_key", configured_limit!("m.tenant_id", "m.concurrency_key")),
            "       or exists (select 1 from fairlane_jobs e
                        where e.tenant_id = m.tenant_id and e.concurrency_key = m.concurrency_key and e.queue = m.queue
                            and e.state in ('available', 'suspended') and e.kind {in:$2}
                            and (e.priority, e.run_at, e.id) < (m.priority, ",
            bound!($dialect, "m.run_at"),
            ", ",
            bound!($dialect, "m.id"),
            "))
             )
             update fairlane_jobs set state = 'suspended', token = null, lease_until = null, worker_id = null,
                started_at = null, attempt = attempt - 1, runs = runs - 1
             where id in (select id from taken) returning id"
        )
    };
}

/// Sets aside those of just claimed jobs whose key is taken, or for whom an earlier one waits in the same queue; returns
/// them. In the transaction of the claim.
pub async fn set_aside(
    conn: &mut Conn<'_>,
    claimed: &[Uuid],
    keys: &BTreeSet<TenantKey>,
    kinds: &[String],
    configured: &ConfiguredKeys,
) -> Result<Vec<Uuid>> {
    lock(conn, keys).await?;
    let rows = query(Sql { postgres: set_aside!(postgres), sqlite: set_aside!(sqlite) })
        .bind(claimed)
        .bind(kinds)
        .bind(rows_of(configured))
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Lets jobs in that were set aside, as many as their keys have room for; in a transaction. Returns their places. One let
/// in too many is set aside again by its claim.
pub async fn let_in(
    conn: &mut Conn<'_>,
    keys: &BTreeSet<TenantKey>,
    configured: &ConfiguredKeys,
) -> Result<Vec<LaneHead>> {
    lock(conn, keys).await?;
    let mut heads = Vec::new();
    for key in keys {
        let rows = query(sql!(concat!(
            "update fairlane_jobs set state = 'available' where id in (
                select id from (select id, row_number() over (order by priority, run_at, id) as place from fairlane_jobs
                    where tenant_id = $1 and concurrency_key = $2 and state = 'suspended') waiting
                where place + (select count(*) from fairlane_jobs
                    where tenant_id = $1 and concurrency_key = $2 and state = 'executing')
                    <= ",
            limit_of_key!("$1", "$2", "$3"),
            ") returning queue, tenant_id, priority, run_at, id, kind"
        )))
        .bind(key.tenant_id)
        .bind(key.key.as_str())
        .bind(configured.get(key).copied())
        .fetch_all(conn)
        .await?;
        heads.extend(rows.iter().filter_map(|row| head(row).ok()));
    }
    Ok(heads)
}

fn head(row: &Row) -> Result<LaneHead> {
    let run_at: chrono::DateTime<chrono::Utc> = row.get("run_at")?;
    Ok(LaneHead {
        queue: row.get("queue")?,
        tenant_id: row.get("tenant_id")?,
        key: Key { priority: row.get("priority")?, run_at: run_at.timestamp_micros(), id: row.get("id")? },
        kind: row.get("kind")?,
        keyed: true,
        open: true,
    })
}

macro_rules! with_jobs_aside {
    ($dialect:ident) => {
        concat!(
            "with ",
            configured!($dialect, "$2"),
            " select k.tenant_id, k.concurrency_key from (
                select distinct tenant_id, concurrency_key from fairlane_jobs
                where state = 'suspended' and concurrency_key is not null) k
             where (select count(*) from fairlane_jobs o
                where o.tenant_id = k.tenant_id and o.concurrency_key = k.concurrency_key and o.state = 'executing') < ",
            limit_of_key!("k.tenant_id", "k.concurrency_key", configured_limit!("k.tenant_id", "k.concurrency_key")),
            " order by random() limit $1"
        )
    };
}

/// Keys that have room and for which jobs were set aside: for the sweep. Any of them, so that those who have to wait for an
/// earlier job of their key can't crowd out the others.
pub async fn with_jobs_aside(
    conn: &mut Conn<'_>,
    most: i64,
    configured: &ConfiguredKeys,
) -> Result<BTreeSet<TenantKey>> {
    let rows = query(Sql { postgres: with_jobs_aside!(postgres), sqlite: with_jobs_aside!(sqlite) })
        .bind(most)
        .bind(rows_of(configured))
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| Ok(TenantKey { tenant_id: row.get("tenant_id")?, key: row.get("concurrency_key")? }))
        .collect()
}

/// Whether a job with a key waits in these queues: for its turn, or set aside until a job of its key is settled. Of kinds that
/// are served, in queues and of tenants that are not paused. Whoever stops when nothing is left to do asks this after its
/// last look: in one statement, since between two a claim may have set aside what the first saw as available.
pub async fn any_waits(conn: &mut Conn<'_>, queues: &[String], kinds: &[String]) -> Result<bool> {
    let row = query(sql!(concat!(
        "select exists (
            select 1 from fairlane_jobs j
            where j.concurrency_key is not null and j.state in ('available', 'suspended')
                and j.queue {in:$1} and j.kind {in:$2} and ",
        open_lane!("j.queue", "j.tenant_id"),
        ") as waits"
    )))
    .bind(queues)
    .bind(kinds)
    .fetch_one(conn)
    .await?;
    row.get("waits")
}
