//! Scanners: jobs that look every day for what nobody tells of, on schedules in the tenant's time zone.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use fairlane::db::Conn;
use fairlane::store::audit::{self, AuditEntry};
use fairlane::store::schedules::{self, ScheduleRow};
use fairlane::{Error, Job, Result, Tenant, Transaction, cron};
use serde_json::json;
use uuid::Uuid;

use crate::erp::jobs::{RemoveOldReports, ScanOverdueInvoices};
use crate::erp::store::{now, profiles};

/// A scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanner {
    /// The name of its schedule.
    pub name: &'static str,
    /// The kind of its jobs; their payload is `{}`.
    pub kind: &'static str,
    /// When it runs, in the tenant's zone, unless somebody changed that.
    pub cron: &'static str,
    /// What it looks for.
    pub finds: &'static str,
}

/// All scanners.
pub const SCANNERS: [Scanner; 3] = [
    Scanner {
        name: "scan-overdue-invoices",
        kind: ScanOverdueInvoices::KIND,
        cron: "0 6 * * *",
        finds: "invoices 1, 7 and 30 days after their last day to pay",
    },
    Scanner {
        name: "scan-expiring-stock",
        kind: "erp.scan_expiring_stock",
        cron: "30 5 * * *",
        finds: "batches that expire in 90, 30 and 7 days, or today",
    },
    Scanner {
        name: "remove-old-reports",
        kind: RemoveOldReports::KIND,
        cron: "15 4 * * *",
        finds: "files of reports that were kept long enough",
    },
];

/// The scanner whose schedule has this name.
pub fn named(name: &str) -> Result<&'static Scanner> {
    let found = SCANNERS.iter().find(|scanner| scanner.name == name);
    found.ok_or_else(|| Error::NotFound { what: "scanner", name: name.to_owned() })
}

/// Makes the schedules that are missing and moves those that are there into the tenant's zone. A time that somebody has
/// changed stays, and what was turned off stays off.
pub async fn ensure(tx: &mut Transaction, tenant: &Tenant) -> Result<()> {
    let tenant_id = tenant.id().await?;
    let conn = &mut tx.conn();
    let zone = profiles::find(conn, tenant_id).await?.timezone;
    let there = schedules::list(conn, Some(tenant_id)).await?.rows;
    let now = now(conn).await?;
    for scanner in &SCANNERS {
        let before = there.iter().find(|row| row.name == scanner.name);
        if before.is_some_and(|row| row.timezone == zone.name()) {
            continue;
        }
        let row = match before {
            Some(row) => moved(row.clone(), zone, now)?,
            None => fresh(scanner, tenant, tenant_id, zone, now)?,
        };
        schedules::put(conn, &row).await?;
    }
    Ok(())
}

/// As [`ensure`], where the tenant has no scanner at all: with its first order, lot or report there is something to look for.
pub(crate) async fn ensure_first(tx: &mut Transaction, tenant: &Tenant) -> Result<()> {
    let tenant_id = tenant.id().await?;
    match stored(&mut tx.conn(), tenant_id).await?.is_empty() {
        true => ensure(tx, tenant).await,
        false => Ok(()),
    }
}

/// Turns scanners on or off; `only` names one. What is turned on and has no schedule gets one.
pub async fn switch(
    tx: &mut Transaction,
    tenant: &Tenant,
    only: Option<&str>,
    on: bool,
    actor: &str,
) -> Result<()> {
    let tenant_id = tenant.id().await?;
    let only = only.map(named).transpose()?;
    ensure(tx, tenant).await?;
    let conn = &mut tx.conn();
    let now = now(conn).await?;
    for row in stored(conn, tenant_id).await? {
        if only.is_some_and(|only| only.name != row.name) || row.paused_at.is_none() == on {
            continue;
        }
        let next = cron::next_tick(&row.cron, cron::zone(&row.timezone)?, now)?;
        schedules::set_paused(conn, tenant_id, &row.name, !on, next).await?;
        let entry = AuditEntry {
            tenant_id: Some(tenant_id),
            actor,
            action: if on { "schedule.resume" } else { "schedule.pause" },
            target: &row.name,
            affected: 1,
            reason: None,
            detail: None,
        };
        audit::record(conn, &entry).await?;
    }
    Ok(())
}

/// The scanners' schedules, in the order of [`SCANNERS`].
pub async fn stored(conn: &mut Conn<'_>, tenant_id: i64) -> Result<Vec<ScheduleRow>> {
    let there = schedules::list(conn, Some(tenant_id)).await?.rows;
    let of = |scanner: &Scanner| there.iter().find(|row| row.name == scanner.name).cloned();
    Ok(SCANNERS.iter().filter_map(of).collect())
}

fn fresh(
    scanner: &Scanner,
    tenant: &Tenant,
    tenant_id: i64,
    zone: Tz,
    now: DateTime<Utc>,
) -> Result<ScheduleRow> {
    Ok(ScheduleRow {
        id: Uuid::now_v7(),
        tenant_id,
        tenant: tenant.slug().to_owned(),
        name: scanner.name.to_owned(),
        cron: scanner.cron.to_owned(),
        timezone: zone.name().to_owned(),
        kind: scanner.kind.to_owned(),
        payload: json!({}),
        queue: ScanOverdueInvoices::POLICY.queue.to_owned(),
        priority: i64::from(ScanOverdueInvoices::POLICY.priority),
        missed: "once".to_owned(),
        paused_at: None,
        next_tick_at: cron::next_tick(scanner.cron, zone, now)?,
        last_tick_at: None,
        last_job_id: None,
    })
}

/// The schedule in another zone; a tick that is due is not lost by it.
fn moved(mut row: ScheduleRow, zone: Tz, now: DateTime<Utc>) -> Result<ScheduleRow> {
    row.timezone = zone.name().to_owned();
    if row.next_tick_at > now {
        row.next_tick_at = cron::next_tick(&row.cron, zone, now)?;
    }
    Ok(row)
}
