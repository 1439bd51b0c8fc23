//! Taking jobs under a lease.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::{Conn, Db, Row, Sql, query};
use crate::error::{Error, Result};
use crate::sql;

/// What to claim.
#[derive(Debug, Clone)]
pub struct ClaimRequest<'a> {
    /// The queue to look at.
    pub queue: &'a str,
    /// Most jobs to take.
    pub limit: i64,
    /// Kinds this worker serves: it leaves the others to releases that know them.
    pub kinds: &'a [String],
    /// Tenants are served in turn, beginning after this one.
    pub after_tenant: i64,
    /// Who takes them.
    pub worker_id: Uuid,
    /// How long the lease lasts unless it is renewed.
    pub lease: Duration,
    /// Take suspects (jobs whose process died) instead of others; they run alone.
    pub suspects: bool,
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

/// The claim on PostgreSQL; `$which` is the condition that tells suspects from the others, spelled out so that each has
/// its partial index.
macro_rules! postgres_claim {
    ($which:literal) => {
        concat!(
            "with recursive lanes(tenant_id) as (
                (select tenant_id from fairlane_jobs
                 where state = 'available' and queue = $1 and tenant_id > $3 and kind = any($4) and run_at <= {now} and ",
            $which,
            "    order by queue, tenant_id limit 1)
                union all
                select (select j.tenant_id from fairlane_jobs j
                        where j.state = 'available' and j.queue = $1 and j.tenant_id > lanes.tenant_id
                            and kind = any($4) and run_at <= {now} and ",
            $which,
            "           order by j.queue, j.tenant_id limit 1)
                from lanes where lanes.tenant_id is not null
             ), open_lanes as materialized (
                select l.tenant_id from lanes l
                where exists (select 1 from fairlane_tenants t where t.id = l.tenant_id and t.paused_at is null)
                limit $2
             ), picked as materialized (
                select head.id from open_lanes l cross join lateral (
                    select id from fairlane_jobs
                    where state = 'available' and queue = $1 and tenant_id = l.tenant_id and run_at <= {now}
                        and kind = any($4) and ",
            $which,
            "       order by priority, run_at, id
                    limit greatest(1, $2 / (select count(*) from open_lanes))
                    for no key update skip locked) head
                where not exists (select 1 from fairlane_queues q where q.name = $1 and q.paused_at is not null
                    and (q.paused_until is null or q.paused_until > {now}))
             )
             update fairlane_jobs j
             set state = 'executing', token = $5, worker_id = $6, lease_until = {now} + {ms:$7}, started_at = {now},
                attempt = attempt + 1, runs = runs + 1
             where j.id = any(array(select id from picked)) and j.state = 'available'
             returning j.id, j.token, j.tenant_id, (select t.slug from fairlane_tenants t where t.id = j.tenant_id) as tenant,
                j.queue, j.kind, j.payload::text as payload, j.event_id, j.attempt, j.runs, j.max_attempts, j.timeout_ms,
                j.suspect, j.cancel_requested_at is not null as cancelled, j.cancel_reason, j.unique_mode, j.checkpoint,
                j.correlation_id, j.trace, j.created_at, j.priority, j.run_at,
                (extract(epoch from j.retry_until - {now}) * 1000)::bigint as retry_left_ms"
        )
    };
}

/// The claim on SQLite, which has neither lateral joins nor arrays; one writer at a time, so nothing to lock.
macro_rules! sqlite_claim {
    ($which:literal) => {
        concat!(
            "with recursive lanes(tenant_id) as (
                select * from (select tenant_id from fairlane_jobs
                 where state = 'available' and queue = $1 and tenant_id > $3
                    and kind in (select value from json_each($4)) and run_at <= {now} and ",
            $which,
            "    order by tenant_id limit 1)
                union all
                select (select j.tenant_id from fairlane_jobs j
                        where j.state = 'available' and j.queue = $1 and j.tenant_id > lanes.tenant_id
                            and kind in (select value from json_each($4)) and run_at <= {now} and ",
            $which,
            "           order by j.tenant_id limit 1)
                from lanes where lanes.tenant_id is not null
             ), open_lanes as materialized (
                select l.tenant_id from lanes l
                where exists (select 1 from fairlane_tenants t where t.id = l.tenant_id and t.paused_at is null)
                limit $2
             ), picked as materialized (
                select head.id from open_lanes l join fairlane_jobs head on head.id in (
                    select id from fairlane_jobs
                    where state = 'available' and queue = $1 and tenant_id = l.tenant_id and run_at <= {now}
                        and kind in (select value from json_each($4)) and ",
            $which,
            "       order by priority, run_at, id
                    limit max(1, $2 / (select count(*) from open_lanes)))
                where not exists (select 1 from fairlane_queues q where q.name = $1 and q.paused_at is not null
                    and (q.paused_until is null or q.paused_until > {now}))
             )
             update fairlane_jobs
             set state = 'executing', token = $5, worker_id = $6, lease_until = {now} + {ms:$7}, started_at = {now},
                attempt = attempt + 1, runs = runs + 1
             where id in (select id from picked) and state = 'available'
             returning id, token, tenant_id, (select t.slug from fairlane_tenants t where t.id = tenant_id) as tenant,
                queue, kind, payload, event_id, attempt, runs, max_attempts, timeout_ms, suspect,
                cancel_requested_at is not null as cancelled, cancel_reason, unique_mode, checkpoint, correlation_id, trace,
                created_at, priority, run_at, (retry_until - {now}) / 1000 as retry_left_ms"
        )
    };
}

const CLAIM: Sql = Sql { postgres: postgres_claim!("not suspect"), sqlite: sqlite_claim!("not suspect") };
const CLAIM_SUSPECTS: Sql = Sql { postgres: postgres_claim!("suspect"), sqlite: sqlite_claim!("suspect") };

/// Takes up to `limit` jobs, the same number from each tenant that has some.
///
/// Tenants are found by a loose index scan (one probe of `fairlane_jobs_ready` a tenant, at most `limit` open ones,
/// beginning after the one served last), then each gives an equal share: a lone tenant gives everything, and a flood of
/// one tenant costs the others a turn, not the queue. A lane counts only if it has a job this worker may take: one
/// tenant's job of a kind nobody here serves once kept all later tenants waiting. The inner select is *materialised*
/// behind `any(array(..))`: as a plain subselect PostgreSQL can lock far more rows than the limit (200 for a limit of 5,
/// measured by others).
pub async fn claim(
    conn: &mut Conn<'_>,
    request: &ClaimRequest<'_>,
) -> Result<Vec<Result<Claimed, Unreadable>>> {
    let token = Uuid::now_v7();
    let statement = if request.suspects { CLAIM_SUSPECTS } else { CLAIM };
    let mut rows = query(statement)
        .bind(request.queue)
        .bind(request.limit)
        .bind(request.after_tenant)
        .bind(request.kinds)
        .bind(token)
        .bind(request.worker_id)
        .bind(i64::try_from(request.lease.as_millis()).unwrap_or(i64::MAX))
        .fetch_all(conn)
        .await?;
    debug_assert!(rows.len() as i64 <= request.limit, "claimed {} of {}", rows.len(), request.limit);
    // `returning` promises no order.
    rows.sort_by_key(|row| (row.get::<i64>("priority").ok(), row.get::<DateTime<Utc>>("run_at").ok()));
    Ok(rows.iter().filter_map(|row| read(row, token)).collect())
}

/// A damaged row is that job's problem, never the claim's. One without a readable id can't even be failed: it stays
/// under this lease until the rescue parks it.
fn read(row: &Row, token: Uuid) -> Option<Result<Claimed, Unreadable>> {
    match row.get::<Uuid>("id") {
        Ok(id) => {
            Some(read_job(row, id, token).map_err(|why| Unreadable { id, token, why: why.to_string() }))
        }
        Err(why) => {
            tracing::warn!(%why, "a row of fairlane_jobs has no readable id: it is left out");
            None
        }
    }
}

fn read_job(row: &Row, id: Uuid, token: Uuid) -> Result<Claimed> {
    let millis = |column: &str| -> Result<Option<Duration>> {
        let value: Option<i64> = row.get(column)?;
        Ok(value.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default())))
    };
    let count = |column: &str| -> Result<u32> {
        u32::try_from(row.get::<i64>(column)?)
            .map_err(|_| Error::Damaged(format!("column {column} is no count")))
    };
    let cancelled: bool = row.get("cancelled")?;
    Ok(Claimed {
        id,
        token,
        tenant_id: row.get("tenant_id")?,
        tenant: row.get("tenant")?,
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
    })
}

/// Gives up the keys that hold only until a job is started.
pub async fn release_start_keys(conn: &mut Conn<'_>, started: &[Uuid]) -> Result<()> {
    query(sql!(
        "delete from fairlane_unique_keys where scope <> 'idempotency' and job_id in (
            select id from fairlane_jobs where id {in:$1} and unique_mode = 'until_started')"
    ))
    .bind(started)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether there is a suspect that a worker of these queues and kinds may run now: the claim's own conditions.
pub async fn suspects_waiting(db: &Db, queues: &[String], kinds: &[String]) -> Result<bool> {
    let mut tx = db.read().await?;
    let row = query(sql!(
        "select exists (
            select 1 from fairlane_jobs j
            where j.state = 'available' and j.suspect and j.queue {in:$1} and j.kind {in:$2} and j.run_at <= {now}
                and exists (select 1 from fairlane_tenants t where t.id = j.tenant_id and t.paused_at is null)
                and not exists (select 1 from fairlane_queues q where q.name = j.queue and q.paused_at is not null
                    and (q.paused_until is null or q.paused_until > {now}))) as waiting"
    ))
    .bind(queues)
    .bind(kinds)
    .fetch_one(&mut tx.conn())
    .await?;
    row.get("waiting")
}
