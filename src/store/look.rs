//! One look at the queues: which lanes have work, and what else wants doing. It takes nothing and locks nothing.
//!
//! It is all that an idle worker asks the database, in one statement.
//!
//! A look through all lanes ([`look`]) reads every dead row in front of each lane's head. While a snapshot that somebody
//! holds keeps them from being removed, that grows without end: beside 350,000 dead rows a look took 0.7 to 1.5 s, every
//! second. A worker then looks through all of them seldom, and in between at what is new ([`look_at_recent`]).

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::db::{Conn, Row, Sql, query};
use crate::error::Result;
use crate::fair::Key;

/// The first job of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneHead {
    /// The queue.
    pub queue: String,
    /// The tenant's number.
    pub tenant_id: i64,
    /// The job's place.
    pub key: Key,
    /// Its kind.
    pub kind: String,
    /// Whether it shares a concurrency key with others.
    pub keyed: bool,
    /// Whether neither tenant nor queue is paused.
    pub open: bool,
}

/// What a look found.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Lanes with ready jobs, in the order of queue and tenant.
    pub heads: Vec<LaneHead>,
    /// Whether a job has become due that is not available yet.
    pub due: bool,
    /// How long until the next one becomes due.
    pub next_due: Option<Duration>,
    /// Whether a lease has run out.
    pub expired: bool,
    /// Whether a suspect waits, which must run alone.
    pub suspects: bool,
    /// Whether a schedule is to tick.
    pub tick: bool,
    /// Whether jobs were set aside until their key is free.
    pub aside: bool,
    /// When somebody last changed a tenant or a limit.
    pub changed_at: Option<DateTime<Utc>>,
}

/// Everything but the heads; the two databases differ only in how a time becomes milliseconds, and in that on SQLite a hand
/// may have written anything into a time: texts come after all numbers.
macro_rules! chores {
    ($due_ms:literal, $expired:expr, $readable:literal) => {
        concat!(
            "select exists (select 1 from fairlane_jobs where state in ('scheduled', 'retryable') and run_at <= {now}) as due,
                (select ",
            $due_ms,
            " from fairlane_jobs where state in ('scheduled', 'retryable')) as next_due_ms,
                ",
            $expired,
            " as expired,
                exists (select 1 from fairlane_jobs where state = 'available' and suspect) as suspects,
                exists (select 1 from fairlane_jobs where state = 'suspended' and concurrency_key is not null) as aside,
                exists (select 1 from fairlane_schedules where paused_at is null and next_tick_at <= {now}) as tick,
                (select max(changed_at) from fairlane_tenants",
            $readable,
            ") as tenants_changed_at,
                (select max(changed_at) from fairlane_limits",
            $readable,
            ") as limits_changed_at"
        )
    };
}

/// A page of lanes with their heads by a loose index scan, one probe a lane, and the chores beside it. On SQLite the probe
/// finds the head's id, for it has no lateral joins, and says its place as `>=` and the tenant's number plus one:
///
/// * for `>` with part of an index SQLite begins at the rows that are equal and reads past them, so each probe read the lane
///   before it to its end (20 ms behind 200,000 jobs, two or three a second of which are all the time that looks may take: the wait
///   of a quiet tenant beside a noisy one was 290 ms in the middle);
/// * it takes the column of another table for the bound of an index only without its affinity, which a sum has not: else
///   each probe read the queue from its start (2 s).
///
/// With statistics it would rather sort the whole table for the first head, because it does not count with the limit.
const LOOK: Sql = Sql {
    postgres: concat!(
        "with recursive heads as (
            (select queue, tenant_id, priority, run_at, id, kind, concurrency_key is not null as keyed from fairlane_jobs
             where state = 'available' and not suspect and (queue, tenant_id) > ($1, $2)
             order by queue, tenant_id, priority, run_at, id limit 1)
            union all
            select next.* from heads h cross join lateral (
                select queue, tenant_id, priority, run_at, id, kind, concurrency_key is not null as keyed from fairlane_jobs
                where state = 'available' and not suspect and (queue, tenant_id) > (h.queue, h.tenant_id)
                order by queue, tenant_id, priority, run_at, id limit 1) next
         ), page as (select * from heads limit $3), chores as (",
        chores!(
            "(extract(epoch from min(run_at) - {now}) * 1000)::bigint",
            "exists (select 1 from fairlane_jobs where state = 'executing' and lease_until < {now})",
            ""
        ),
        ") select c.*, h.*, not exists (select 1 from fairlane_tenants t where t.id = h.tenant_id and t.paused_at is not null)
                and not exists (select 1 from fairlane_queues q where q.name = h.queue and q.paused_at is not null
                    and (q.paused_until is null or q.paused_until > {now})) as open
           from chores c left join page h on true"
    ),
    sqlite: concat!(
        "with recursive heads as (
            select * from (select queue, tenant_id, priority, run_at, id, kind, concurrency_key is not null as keyed
             from fairlane_jobs indexed by fairlane_jobs_ready
             where state = 'available' and not suspect and (queue, tenant_id) >= ($1, $2 + 1)
             order by queue, tenant_id, priority, run_at, id limit 1)
            union all
            select n.queue, n.tenant_id, n.priority, n.run_at, n.id, n.kind, n.concurrency_key is not null
            from heads h join fairlane_jobs n on n.id = (
                select j.id from fairlane_jobs j indexed by fairlane_jobs_ready
                where j.state = 'available' and not j.suspect and (j.queue, j.tenant_id) >= (h.queue, h.tenant_id + 1)
                order by j.queue, j.tenant_id, j.priority, j.run_at, j.id limit 1)
            limit $3
         ), chores as (",
        chores!(
            "(min(run_at) - {now}) / 1000",
            "(exists (select 1 from fairlane_jobs where state = 'executing' and lease_until < {now})
                or exists (select 1 from fairlane_jobs where state = 'executing' and lease_until >= ''))",
            " where changed_at < ''"
        ),
        ") select c.*, h.*, not exists (select 1 from fairlane_tenants t where t.id = h.tenant_id and t.paused_at is not null)
                and not exists (select 1 from fairlane_queues q where q.name = h.queue and q.paused_at is not null
                    and (q.paused_until is null or q.paused_until > {now})) as open
           from chores c left join heads h on true"
    ),
};

/// Looks at up to `most` lanes behind the one given; an empty queue and 0 begin at the first.
pub async fn look(conn: &mut Conn<'_>, after: (&str, i64), most: i64) -> Result<Look> {
    let rows = query(LOOK).bind(after.0).bind(after.1).bind(most).fetch_all(conn).await?;
    Ok(read(&rows))
}

fn read(rows: &[Row]) -> Look {
    let heads = rows.iter().filter_map(|row| head(row, row.get("open").ok()?)).collect();
    Look { heads, ..rows.first().map(chores).unwrap_or_default() }
}

/// Ids begin with the time at which they were made (UUIDv7), so the newest jobs are an end of the primary key, whatever lies
/// dead before them. The states are filtered outside: as a condition of the scan they would let the planner take the index
/// of the ready jobs, from its dead end. Leases: only those that ran out within the same time.
const RECENT: Sql = Sql {
    postgres: concat!(
        "with newest as materialized (
            select queue, tenant_id, priority, run_at, id, kind, concurrency_key is not null as keyed, state, suspect
            from fairlane_jobs
            where id > (lpad(to_hex((extract(epoch from {now} - {ms:$1}) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
            order by id desc limit $2
         ), heads as (
            select distinct on (queue, tenant_id) queue, tenant_id, priority, run_at, id, kind, keyed from newest
            where state = 'available' and not suspect
            order by queue, tenant_id, priority, run_at, id
         ), chores as (",
        chores!(
            "(extract(epoch from min(run_at) - {now}) * 1000)::bigint",
            "exists (select 1 from fairlane_jobs
                where state = 'executing' and lease_until < {now} and lease_until > {now} - {ms:$1})",
            ""
        ),
        ") select c.*, h.*, not exists (select 1 from fairlane_tenants t where t.id = h.tenant_id and t.paused_at is not null)
                and not exists (select 1 from fairlane_queues q where q.name = h.queue and q.paused_at is not null
                    and (q.paused_until is null or q.paused_until > {now})) as open
           from chores c left join heads h on true"
    ),
    sqlite: concat!(
        "with heads as (
            select queue, tenant_id, priority, run_at, id, kind, keyed from (
                select queue, tenant_id, priority, run_at, id, kind, concurrency_key is not null as keyed,
                    row_number() over (partition by queue, tenant_id order by priority, run_at, id) as place
                from (select * from fairlane_jobs
                    where id > (select substr(start, 1, 8) || '-' || substr(start, 9, 4)
                        from (select printf('%012x', ({now} - {ms:$1}) / 1000) as start))
                    order by id desc limit $2)
                where state = 'available' and not suspect)
            where place = 1
         ), chores as (",
        chores!(
            "(min(run_at) - {now}) / 1000",
            "(exists (select 1 from fairlane_jobs
                where state = 'executing' and lease_until < {now} and lease_until > {now} - {ms:$1})
                or exists (select 1 from fairlane_jobs where state = 'executing' and lease_until >= ''))",
            " where changed_at < ''"
        ),
        ") select c.*, h.*, not exists (select 1 from fairlane_tenants t where t.id = h.tenant_id and t.paused_at is not null)
                and not exists (select 1 from fairlane_queues q where q.name = h.queue and q.paused_at is not null
                    and (q.paused_until is null or q.paused_until > {now})) as open
           from chores c left join heads h on true"
    ),
};

/// Looks at jobs made within the last `window`, at most the `most` newest of them: the heads are those of their lanes
/// among these jobs. Whoever made them may have a clock that is wrong by less than the window.
pub async fn look_at_recent(conn: &mut Conn<'_>, window: Duration, most: i64) -> Result<Look> {
    let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let rows = query(RECENT).bind(window).bind(most).fetch_all(conn).await?;
    Ok(read(&rows))
}

/// A chore that can't be read is taken for wanted, or for not known: a damaged row somewhere must not keep the queue from
/// being looked at. Whoever does the chore names the row.
fn chores(row: &Row) -> Look {
    let changes: [Option<DateTime<Utc>>; 2] =
        ["tenants_changed_at", "limits_changed_at"].map(|column| row.get(column).unwrap_or_default());
    let millis: Option<i64> = row.get("next_due_ms").unwrap_or_default();
    let wanted = |column: &str| row.get(column).unwrap_or(true);
    Look {
        heads: Vec::new(),
        due: wanted("due"),
        next_due: millis.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default())),
        expired: wanted("expired"),
        suspects: wanted("suspects"),
        tick: wanted("tick"),
        aside: wanted("aside"),
        changed_at: changes.into_iter().flatten().max(),
    }
}

/// A head that can't be read hides no other: its lane is asked from the start, and the claim names what is damaged.
pub(super) fn head(row: &Row, open: bool) -> Option<LaneHead> {
    let queue: String = row.get::<Option<String>>("queue").ok()??;
    let tenant_id = row.get("tenant_id").ok()?;
    let place = || -> Result<Key> {
        let run_at: DateTime<Utc> = row.get("run_at")?;
        Ok(Key { priority: row.get("priority")?, run_at: run_at.timestamp_micros(), id: row.get("id")? })
    };
    let kind = row.get("kind").unwrap_or_default();
    let keyed = row.get("keyed").unwrap_or_default();
    let key = place().unwrap_or(Key::START);
    Some(LaneHead { queue, tenant_id, key, kind, keyed, open })
}
