//! Taking jobs under a lease.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::db::{Conn, Row, Sql, query};
use crate::error::{Error, Result};
use crate::fair::Key;
use crate::sql;
use crate::store::settle::Fence;
use crate::store::tenants::TenantNames;

/// What to claim.
#[derive(Debug, Clone)]
pub struct ClaimRequest<'a> {
    /// The lanes to take from, each at most once.
    pub lanes: &'a [LaneClaim<'a>],
    /// Kinds this worker serves: it leaves the others to releases that know them.
    pub kinds: &'a [String],
    /// Those of them that lanes with `only_short` are asked for.
    pub short_kinds: &'a [String],
    /// Who takes them.
    pub worker_id: Uuid,
    /// How long the lease lasts unless it is renewed.
    pub lease: Duration,
    /// The tenants' slugs.
    pub names: &'a TenantNames,
}

/// What to take from one lane: the jobs of one tenant in one queue.
#[derive(Debug, Clone, Serialize)]
pub struct LaneClaim<'a> {
    /// The queue.
    pub queue: &'a str,
    /// The tenant's number.
    pub tenant_id: i64,
    /// Jobs after this place only.
    #[serde(flatten)]
    pub after: Key,
    /// Most jobs.
    pub limit: usize,
    /// Kinds of `short_kinds` only.
    pub only_short: bool,
    /// Jobs that share a key too: only a claim that looks at their keys ([`super::keys::set_aside`]) may take them.
    pub keyed: bool,
}

/// A job under lease.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its id.
    pub id: Uuid,
    /// The fence: every later write carries it, and no other claim can ever have it.
    pub token: Uuid,
    /// Its tenant's number.
    pub tenant_id: i64,
    /// Its tenant's slug.
    pub tenant: String,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Its payload as JSON; for listener jobs the event's.
    pub payload: String,
    /// The event it brings to a listener.
    pub event_id: Option<Uuid>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Which start this is, from 1.
    pub run: u32,
    /// Most attempts, where the dispatch said so.
    pub max_attempts: Option<u32>,
    /// Timeout, where the dispatch said so.
    pub timeout: Option<Duration>,
    /// Time left to retry in, at the claim.
    pub retry_time_left: Option<Duration>,
    /// Whether its process died under it before.
    pub suspect: bool,
    /// Whether somebody cancelled it while it had no worker.
    pub cancel_reason: Option<String>,
    /// Whether it holds a unique key that its start releases.
    pub holds_start_key: bool,
    /// What the last checkpoint said.
    pub checkpoint: Option<serde_json::Value>,
    /// Ties together what one first cause led to.
    pub correlation_id: Option<Uuid>,
    /// W3C trace context.
    pub trace: Option<String>,
    /// When it was dispatched.
    pub created_at: DateTime<Utc>,
    /// Its place in its lane.
    pub key: Key,
    /// Jobs of its tenant with the same key share a limit.
    pub concurrency_key: Option<String>,
}

/// A row that was claimed but can't be read: its fence and why.
#[derive(Debug)]
pub struct Unreadable {
    /// Its id.
    pub id: Uuid,
    /// Its fence.
    pub token: Uuid,
    /// What is wrong with the row.
    pub why: String,
}

/// What every claim writes and returns, on PostgreSQL. `$3` is the token, `$4` the worker, `$5` the lease.
macro_rules! take_on_postgres {
    () => {
        " update fairlane_jobs j
          set state = 'executing', token = $3, worker_id = $4, lease_until = {now} + {ms:$5}, started_at = {now},
             attempt = attempt + 1, runs = runs + 1
          where j.id = any(array(select id from picked)) and j.state = 'available'
          returning j.id, j.tenant_id, j.queue, j.kind, j.payload::text as payload, j.event_id, j.attempt, j.runs, j.max_attempts, j.timeout_ms, j.suspect,
             j.cancel_requested_at is not null as cancelled, j.cancel_reason, j.unique_mode, j.concurrency_key,
             j.checkpoint, j.correlation_id, j.trace, j.created_at, j.priority, j.run_at,
             (extract(epoch from j.retry_until - {now}) * 1000)::bigint as retry_left_ms"
    };
}

/// The same on SQLite.
macro_rules! take_on_sqlite {
    () => {
        " update fairlane_jobs
          set state = 'executing', token = $3, worker_id = $4, lease_until = {now} + {ms:$5}, started_at = {now},
             attempt = attempt + 1, runs = runs + 1
          where id in (select id from picked) and state = 'available'
          returning id, tenant_id, queue, kind, payload, event_id, attempt, runs, max_attempts, timeout_ms, suspect,
             cancel_requested_at is not null as cancelled, cancel_reason, unique_mode, concurrency_key, checkpoint,
             correlation_id, trace, created_at, priority, run_at, (retry_until - {now}) / 1000 as retry_left_ms"
    };
}

/// Paused tenants and queues give nothing.
macro_rules! open_lane {
    ($queue:literal, $tenant:literal) => {
        concat!(
            "exists (select 1 from fairlane_tenants t where t.id = ",
            $tenant,
            " and t.paused_at is null)
             and not exists (select 1 from fairlane_queues q where q.name = ",
            $queue,
            " and q.paused_at is not null and (q.paused_until is null or q.paused_until > {now}))"
        )
    };
}

pub(super) use {open_lane, take_on_postgres, take_on_sqlite};

/// Each lane gives its next jobs after a place: an index scan that starts there. No other index than that of the ready jobs
/// may be able to answer it: the planner took one by tenant, with all its dead rows (300 to 1,500 ms, migration 0004). Tried
/// instead: the lane's end as a comparison of rows, `(queue, tenant_id) <= ..`; PostgreSQL 15 goes on to the end of the
/// queue. SQLite has neither lateral joins nor
/// arrays, no limit that depends on a row (hence the places), and one writer at a time, so nothing to lock.
const CLAIM: Sql = Sql {
    postgres: concat!(
        "with lanes as materialized (
            select * from jsonb_to_recordset($1::jsonb) as l(queue text, tenant_id bigint, priority bigint, run_at bigint,
                id uuid, \"limit\" bigint, only_short boolean, keyed boolean)
         ), picked as materialized (
            select head.id from lanes l cross join lateral (
                select id from fairlane_jobs
                where state = 'available' and not suspect and queue = l.queue and tenant_id = l.tenant_id
                    and (priority, run_at, id)
                        > (l.priority, 'epoch'::timestamptz + l.run_at * interval '1 microsecond', l.id)
                    and kind = any(case when l.only_short then $6 else $2 end)
                    and (l.keyed or concurrency_key is null)
                order by queue, tenant_id, priority, run_at, id limit l.\"limit\"
                for no key update skip locked) head
            where ",
        open_lane!("l.queue", "l.tenant_id"),
        ")",
        take_on_postgres!()
    ),
    sqlite: concat!(
        "with lanes as materialized (
            select value ->> 'queue' as queue, value ->> 'tenant_id' as tenant_id, value ->> 'priority' as priority,
                value ->> 'run_at' as run_at, value ->> 'id' as id, value ->> 'limit' as most,
                value ->> 'only_short' as only_short, value ->> 'keyed' as keyed
            from jsonb_each($1)
         ), picked as materialized (
            select head.id from lanes l join fairlane_jobs head on head.id in (
                select next.id from (
                    select j.id, row_number() over (order by j.priority, j.run_at, j.id) as place from fairlane_jobs j
                    where j.state = 'available' and not j.suspect and j.queue = l.queue and j.tenant_id = l.tenant_id
                        and (j.priority, j.run_at, j.id) > (l.priority, l.run_at, l.id)
                        and j.kind in (select value from json_each(case when l.only_short then $6 else $2 end))
                        and (l.keyed or j.concurrency_key is null)
                    order by j.priority, j.run_at, j.id limit $7) next
                where next.place <= l.most)
            where ",
        open_lane!("l.queue", "l.tenant_id"),
        ")",
        take_on_sqlite!()
    ),
};

/// Takes jobs from lanes, each in its own order and from a place of its own.
///
/// The picked ids are *materialised* behind `any(array(..))`: as a plain subselect PostgreSQL can lock far more rows than
/// the limit (200 for a limit of 5, measured by others). Tried before: finding the tenants in the same statement by a
/// loose index scan (3.4 ms a claim beside 1,000 tenants, and a held snapshot slows it down without end), a window
/// function over all ready rows (377 ms), a table of ready tenants (a write each enqueue, and less than half the speed
/// beside a held snapshot).
pub async fn claim(
    conn: &mut Conn<'_>,
    request: &ClaimRequest<'_>,
) -> Result<Vec<Result<Claimed, Unreadable>>> {
    // Before the claim: an error after it would leave its jobs to the rescue.
    request.names.learn(conn, request.lanes.iter().map(|lane| lane.tenant_id).collect()).await?;
    let token = Uuid::now_v7();
    let lanes = serde_json::to_string(request.lanes)
        .map_err(|why| Error::Invalid { what: "a claim".into(), why: why.to_string() })?;
    let rows = query(CLAIM)
        .bind(lanes)
        .bind(request.kinds)
        .bind(token)
        .bind(request.worker_id)
        .bind(millis(request.lease))
        .bind(request.short_kinds)
        .bind(request.lanes.iter().map(|lane| lane.limit as i64).max())
        .fetch_all(conn)
        .await?;
    let mut claimed: Vec<_> = rows.iter().filter_map(|row| read(row, token, request.names)).collect();
    // `returning` promises no order.
    claimed.sort_by_key(|job| job.as_ref().map(|job| job.key).ok());
    Ok(claimed)
}

pub(super) fn millis(lease: Duration) -> i64 {
    i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)
}

/// A damaged row is that job's problem, never the claim's. One without a readable id can't even be failed: it stays
/// under this lease until the rescue parks it.
pub(super) fn read(row: &Row, token: Uuid, names: &TenantNames) -> Option<Result<Claimed, Unreadable>> {
    match row.get::<Uuid>("id") {
        Ok(id) => Some(read_job(row, id, token, names).map_err(|why| Unreadable {
            id,
            token,
            why: why.to_string(),
        })),
        Err(why) => {
            tracing::warn!(%why, "a row of fairlane_jobs has no readable id: it is left out");
            None
        }
    }
}

fn read_job(row: &Row, id: Uuid, token: Uuid, names: &TenantNames) -> Result<Claimed> {
    let millis = |column: &str| -> Result<Option<Duration>> {
        let value: Option<i64> = row.get(column)?;
        Ok(value.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default())))
    };
    let count = |column: &str| -> Result<u32> {
        u32::try_from(row.get::<i64>(column)?)
            .map_err(|_| Error::Damaged(format!("column {column} is no count")))
    };
    let cancelled: bool = row.get("cancelled")?;
    let tenant_id = row.get("tenant_id")?;
    let tenant =
        names.of(tenant_id).ok_or_else(|| Error::Damaged(format!("there is no tenant {tenant_id}")))?;
    Ok(Claimed {
        id,
        token,
        tenant_id,
        tenant: tenant.to_string(),
        queue: row.get("queue")?,
        kind: row.get("kind")?,
        payload: row.get("payload")?,
        event_id: row.get("event_id")?,
        attempt: count("attempt")?,
        run: count("runs")?,
        max_attempts: row
            .get::<Option<i64>>("max_attempts")?
            .map(|value| u32::try_from(value).unwrap_or_default()),
        timeout: millis("timeout_ms")?,
        retry_time_left: millis("retry_left_ms")?,
        suspect: row.get("suspect")?,
        cancel_reason: cancelled
            .then(|| Ok::<_, Error>(row.get::<Option<String>>("cancel_reason")?.unwrap_or_default()))
            .transpose()?,
        holds_start_key: row.get::<Option<String>>("unique_mode")?.as_deref() == Some("until_started"),
        checkpoint: row.get("checkpoint")?,
        correlation_id: row.get("correlation_id")?,
        trace: row.get("trace")?,
        created_at: row.get("created_at")?,
        key: Key {
            priority: row.get("priority")?,
            run_at: row.get::<DateTime<Utc>>("run_at")?.timestamp_micros(),
            id,
        },
        concurrency_key: row.get("concurrency_key")?,
    })
}

/// Gives up the key that holds only until a job is started, if it is still this claim's.
pub async fn release_start_key(conn: &mut Conn<'_>, fence: Fence) -> Result<()> {
    query(sql!(
        "delete from fairlane_unique_keys where scope <> 'idempotency' and job_id in (
            select id from fairlane_jobs
            where id = $1 and token = $2 and state = 'executing' and unique_mode = 'until_started')"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .execute(conn)
    .await?;
    Ok(())
}
