//! Schedules: cron rows. The clock is the database's; the guarantee is the compare-and-set on `next_tick_at`.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::jobs::{self, NewJob};
use super::listing::{Listing, read_all};
use crate::db::{Conn, Row, query};
use crate::error::{Error, Result};
use crate::sql;

/// A schedule as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleRow {
    /// Its id.
    pub id: Uuid,
    /// Its tenant's number.
    pub tenant_id: i64,
    /// Its tenant's slug.
    pub tenant: String,
    /// Its name, unique in the tenant.
    pub name: String,
    /// The cron expression.
    pub cron: String,
    /// The IANA time zone the expression is read in.
    pub timezone: String,
    /// The kind of the jobs it queues.
    pub kind: String,
    /// Their payload.
    pub payload: serde_json::Value,
    /// Their queue.
    pub queue: String,
    /// Their priority.
    pub priority: i64,
    /// What becomes of ticks that nobody was there for: skip, once or all.
    pub missed: String,
    /// Since when it rests.
    pub paused_at: Option<DateTime<Utc>>,
    /// The nominal time of the next tick.
    pub next_tick_at: DateTime<Utc>,
    /// The nominal time of the last tick.
    pub last_tick_at: Option<DateTime<Utc>>,
    /// The job of the last tick.
    pub last_job_id: Option<Uuid>,
}

impl ScheduleRow {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            tenant_id: row.get("tenant_id")?,
            tenant: row.get("tenant")?,
            name: row.get("name")?,
            cron: row.get("cron")?,
            timezone: row.get("timezone")?,
            kind: row.get("kind")?,
            payload: row.get("payload")?,
            queue: row.get("queue")?,
            priority: row.get("priority")?,
            missed: row.get("missed")?,
            paused_at: row.get("paused_at")?,
            next_tick_at: row.get("next_tick_at")?,
            last_tick_at: row.get("last_tick_at")?,
            last_job_id: row.get("last_job_id")?,
        })
    }
}

/// Adds a schedule, or changes the one of the same name.
pub async fn put(conn: &mut Conn<'_>, schedule: &ScheduleRow) -> Result<()> {
    jobs::set_tenant(conn, schedule.tenant_id).await?;
    query(sql!(
        "insert into fairlane_schedules (id, tenant_id, name, cron, timezone, kind, payload, queue, priority, missed,
            next_tick_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (tenant_id, name) do update set cron = excluded.cron, timezone = excluded.timezone,
            kind = excluded.kind, payload = excluded.payload, queue = excluded.queue, priority = excluded.priority,
            missed = excluded.missed, next_tick_at = excluded.next_tick_at"
    ))
    .bind(schedule.id)
    .bind(schedule.tenant_id)
    .bind(schedule.name.as_str())
    .bind(schedule.cron.as_str())
    .bind(schedule.timezone.as_str())
    .bind(schedule.kind.as_str())
    .bind(schedule.payload.clone())
    .bind(schedule.queue.as_str())
    .bind(schedule.priority)
    .bind(schedule.missed.as_str())
    .bind(schedule.next_tick_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Schedules by tenant and name; all of them, or one tenant's.
pub async fn list(conn: &mut Conn<'_>, tenant_id: Option<i64>) -> Result<Listing<ScheduleRow>> {
    let rows = query(sql!(
        "select cast(s.id as text) as key, s.id, s.tenant_id, t.slug as tenant, s.name, s.cron, s.timezone, s.kind,
            s.payload, s.queue, s.priority, s.missed, s.paused_at, s.next_tick_at, s.last_tick_at, s.last_job_id
         from fairlane_schedules s left join fairlane_tenants t on t.id = s.tenant_id
         where $1 is null or s.tenant_id = $1
         order by t.slug, s.name"
    ))
    .bind(tenant_id)
    .fetch_all(conn)
    .await?;
    read_all(&rows, i64::MAX, ScheduleRow::read)
}

/// Schedules whose tick is due, with the database's time; not those of a tenant that is drained, whose ticks are missed
/// like those for which no worker was there. All of them: behind a limit, those that can't fire would
/// stand in the way of those that can.
pub async fn due(conn: &mut Conn<'_>) -> Result<(DateTime<Utc>, Listing<ScheduleRow>)> {
    let now = query(sql!("select {now} as now")).fetch_one(conn).await?.get("now")?;
    let rows = query(sql!(
        "select cast(s.id as text) as key, s.id, s.tenant_id, t.slug as tenant, s.name, s.cron, s.timezone, s.kind,
            s.payload, s.queue, s.priority, s.missed, s.paused_at, s.next_tick_at, s.last_tick_at, s.last_job_id
         from fairlane_schedules s left join fairlane_tenants t on t.id = s.tenant_id
         where s.paused_at is null and t.draining_at is null and s.next_tick_at <= {now}
         order by s.next_tick_at"
    ))
    .fetch_all(conn)
    .await?;
    Ok((now, read_all(&rows, i64::MAX, ScheduleRow::read)?))
}

/// Moves a schedule on from the tick it stands at and queues the jobs of the ticks that fire, in one transaction.
///
/// The update names the tick it saw: of any number of schedulers one moves on, the others touch no row and queue
/// nothing. The job ids are made from schedule and nominal time besides, so a tick can't have two jobs.
pub async fn advance(
    conn: &mut Conn<'_>,
    schedule: &ScheduleRow,
    fire: &[DateTime<Utc>],
    next: DateTime<Utc>,
) -> Result<bool> {
    let jobs: Vec<NewJob> = fire.iter().map(|tick| tick_job(schedule, *tick)).collect::<Result<_>>()?;
    let moved = query(sql!(
        "update fairlane_schedules set next_tick_at = $3, last_tick_at = coalesce($4, last_tick_at),
            last_job_id = coalesce($5, last_job_id)
         where id = $1 and next_tick_at = $2 and paused_at is null"
    ))
    .bind(schedule.id)
    .bind(schedule.next_tick_at)
    .bind(next)
    .bind(fire.last().copied())
    .bind(jobs.last().map(|job| job.id))
    .execute(conn)
    .await?;
    if moved == 1 {
        jobs::insert(conn, &jobs).await?;
    }
    Ok(moved == 1)
}

/// The job of one tick; its id is made from schedule and nominal time.
pub(crate) fn tick_job(schedule: &ScheduleRow, tick: DateTime<Utc>) -> Result<NewJob> {
    let payload = serde_json::value::to_raw_value(&schedule.payload)
        .map_err(|why| Error::Damaged(format!("payload of schedule {}: {why}", schedule.name)))?;
    Ok(NewJob {
        id: Uuid::new_v5(&schedule.id, &tick.timestamp_micros().to_be_bytes()),
        tenant_id: schedule.tenant_id,
        queue: schedule.queue.clone(),
        kind: schedule.kind.clone(),
        priority: i32::try_from(schedule.priority).unwrap_or(5),
        payload,
        ..NewJob::default()
    })
}

/// Stops or starts a schedule; a schedule that starts again does so at `next`. Returns whether it exists.
pub async fn set_paused(
    conn: &mut Conn<'_>,
    tenant_id: i64,
    name: &str,
    paused: bool,
    next: DateTime<Utc>,
) -> Result<bool> {
    let touched = query(sql!(
        "update fairlane_schedules set paused_at = case when $3 then coalesce(paused_at, {now}) end,
            next_tick_at = case when $3 then next_tick_at else $4 end
         where tenant_id = $1 and name = $2"
    ))
    .bind(tenant_id)
    .bind(name)
    .bind(paused)
    .bind(next)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Removes a schedule; returns whether it existed.
pub async fn remove(conn: &mut Conn<'_>, tenant_id: i64, name: &str) -> Result<bool> {
    let touched = query(sql!("delete from fairlane_schedules where tenant_id = $1 and name = $2"))
        .bind(tenant_id)
        .bind(name)
        .execute(conn)
        .await?;
    Ok(touched == 1)
}
