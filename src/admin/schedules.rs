//! Schedules: add, remove, pause, resume, run now.

use uuid::Uuid;

use super::{Deed, Operator};
use crate::client::{Dispatch, Dispatched, Fairlane, check_payload_size, encode_payload};
use crate::cron;
use crate::error::{Error, Result};
use crate::policy::Policy;
use crate::store::job_lists;
use crate::store::schedules::{self, ScheduleRow};

/// A schedule as somebody asks for it.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    /// Its name, unique in the tenant.
    pub name: String,
    /// The cron expression.
    pub cron: String,
    /// The IANA time zone it is read in.
    pub timezone: String,
    /// The kind of the jobs it queues.
    pub kind: String,
    /// Their payload.
    pub payload: serde_json::Value,
    /// Their queue.
    pub queue: String,
    /// Their priority.
    pub priority: i32,
    /// What becomes of ticks that nobody was there for: skip, once or all.
    pub missed: String,
}

/// Adds a schedule, or changes the one of the same name.
pub async fn put(
    fairlane: &Fairlane,
    tenant: &str,
    new: NewSchedule,
    operator: &Operator,
) -> Result<ScheduleRow> {
    let tenant_id = fairlane.tenant(tenant).id().await?;
    let zone = cron::zone(&new.timezone)?;
    let limits = fairlane.settings().payload;
    check_payload_size(&new.kind, &encode_payload(&new.kind, &new.payload, limits)?, limits.bytes)?;
    let mut tx = fairlane.db().begin().await?;
    let now = job_lists::now(&mut tx.conn()).await?;
    let row = ScheduleRow {
        id: Uuid::now_v7(),
        tenant_id,
        tenant: tenant.to_owned(),
        next_tick_at: cron::next_tick(&new.cron, zone, now)?,
        name: new.name,
        cron: new.cron,
        timezone: new.timezone,
        kind: new.kind,
        payload: new.payload,
        queue: new.queue,
        priority: i64::from(new.priority),
        missed: new.missed,
        paused_at: None,
        last_tick_at: None,
        last_job_id: None,
    };
    schedules::tick_job(&row, row.next_tick_at)?.validate()?;
    schedules::put(&mut tx.conn(), &row).await?;
    record(&mut tx, &row, "schedule.put", operator).await?;
    tx.commit().await?;
    Ok(row)
}

/// One tenant's schedule by name.
pub async fn find(fairlane: &Fairlane, tenant: &str, name: &str) -> Result<ScheduleRow> {
    let tenant_id = fairlane.tenant(tenant).id().await?;
    let mut tx = fairlane.db().read().await?;
    let all = schedules::list(&mut tx.conn(), Some(tenant_id)).await?;
    let found = all.rows.into_iter().find(|schedule| schedule.name == name);
    found.ok_or_else(|| Error::NotFound { what: "schedule", name: name.to_owned() })
}

/// Removes a schedule.
pub async fn remove(fairlane: &Fairlane, tenant: &str, name: &str, operator: &Operator) -> Result<()> {
    let row = find(fairlane, tenant, name).await?;
    let mut tx = fairlane.db().begin().await?;
    schedules::remove(&mut tx.conn(), row.tenant_id, name).await?;
    record(&mut tx, &row, "schedule.remove", operator).await?;
    tx.commit().await
}

/// Stops or starts a schedule; one that starts again goes on with the next tick from now.
pub async fn set_paused(
    fairlane: &Fairlane,
    tenant: &str,
    name: &str,
    paused: bool,
    operator: &Operator,
) -> Result<()> {
    let row = find(fairlane, tenant, name).await?;
    let mut tx = fairlane.db().begin().await?;
    let now = job_lists::now(&mut tx.conn()).await?;
    let next = cron::next_tick(&row.cron, cron::zone(&row.timezone)?, now)?;
    schedules::set_paused(&mut tx.conn(), row.tenant_id, name, paused, next).await?;
    let action = if paused { "schedule.pause" } else { "schedule.resume" };
    record(&mut tx, &row, action, operator).await?;
    tx.commit().await
}

/// Queues a job of a schedule now, beside its ticks.
pub async fn run_now(
    fairlane: &Fairlane,
    tenant: &str,
    name: &str,
    operator: &Operator,
) -> Result<Dispatched> {
    let row = find(fairlane, tenant, name).await?;
    let policy = Policy { priority: i32::try_from(row.priority).unwrap_or(5), ..Policy::DEFAULT };
    let dispatched = Dispatch::untyped(fairlane.tenant(tenant), &row.kind, &policy, &row.payload)
        .queue(row.queue.clone())
        .await?;
    let mut tx = fairlane.db().begin().await?;
    record(&mut tx, &row, "schedule.run", operator).await?;
    tx.commit().await?;
    Ok(dispatched)
}

async fn record(tx: &mut crate::db::Tx, row: &ScheduleRow, action: &str, operator: &Operator) -> Result<()> {
    let deed = Deed { tenant_id: Some(row.tenant_id), action, target: &row.name, affected: 1, detail: None };
    operator.record(&mut tx.conn(), deed).await
}
