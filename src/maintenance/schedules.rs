//! Cron: each due tick of each schedule becomes one job.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::{info, warn};

use crate::cron;
use crate::error::{Error, Result};
use crate::store::schedules::{self, ScheduleRow};
use crate::worker::Process;

/// Most ticks made up for at once; older ones are left out, so that a minutely schedule that slept for a month does not
/// flood its queue.
const MOST_MISSED: usize = 100;
/// A tick this late is still on time: workers look every second.
const ON_TIME: chrono::Duration = chrono::Duration::seconds(30);

/// What becomes of ticks that no worker was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissedTicks {
    /// They are left out.
    Skip,
    /// One job for all of them, with the latest nominal time.
    Once,
    /// One job each, at most the latest hundred.
    All,
}

impl FromStr for MissedTicks {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "skip" => Ok(Self::Skip),
            "once" => Ok(Self::Once),
            "all" => Ok(Self::All),
            _ => Err(format!("\"{word}\" is no policy for missed ticks; there are: skip, once, all")),
        }
    }
}

/// Fires due ticks until the process ends.
pub(super) async fn run(process: Arc<Process>) {
    let mut named = HashSet::new();
    loop {
        process.chores.tick.notified().await;
        if let Err(error) = fire_due(&process, &mut named).await {
            warn!(code = error.code(), %error, "looking for due schedules failed");
        }
    }
}

/// Damaged schedules are named once, not every second.
async fn fire_due(process: &Process, named: &mut HashSet<String>) -> Result<()> {
    let (now, due) = schedules::due(&mut process.db.read().await?.conn()).await?;
    for damaged in due.damaged {
        if named.insert(damaged.id.clone()) {
            warn!(
                schedule = damaged.id,
                why = damaged.why,
                "a schedule can't be read and does not fire; mend its row"
            );
        }
    }
    for schedule in due.rows {
        // One bad schedule must not keep the others from firing.
        if let Err(error) = fire(process, &schedule, now).await {
            warn!(schedule = schedule.name, tenant = schedule.tenant, %error, "the schedule could not fire");
        }
    }
    Ok(())
}

async fn fire(process: &Process, schedule: &ScheduleRow, now: DateTime<Utc>) -> Result<()> {
    let missed: MissedTicks = schedule.missed.parse().map_err(Error::Damaged)?;
    let zone = cron::zone(&schedule.timezone)?;
    let plan = plan_ticks(&schedule.cron, zone, schedule.next_tick_at, now, missed)?;
    let mut tx = process.db.begin().await?;
    let moved = schedules::advance(&mut tx.conn(), schedule, &plan.fire, plan.next).await?;
    tx.commit().await?;
    if moved && !plan.fire.is_empty() {
        info!(schedule = schedule.name, tenant = schedule.tenant, jobs = plan.fire.len(), "schedule fired");
        process.fairlane.wake_queues([schedule.queue.clone()]);
    }
    Ok(())
}

/// The ticks that fire now, and the one after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickPlan {
    /// Nominal times that become jobs, oldest first.
    pub fire: Vec<DateTime<Utc>>,
    /// Where the schedule stands then.
    pub next: DateTime<Utc>,
}

/// What a schedule that stands at `due` does at `now`: pure, the same in every scheduler.
///
/// # Errors
/// A cron expression that is wrong or never fires again.
pub fn plan_ticks(
    expression: &str,
    zone: chrono_tz::Tz,
    due: DateTime<Utc>,
    now: DateTime<Utc>,
    missed: MissedTicks,
) -> Result<TickPlan> {
    if due > now {
        return Ok(TickPlan { fire: Vec::new(), next: due });
    }
    let mut ticks = std::collections::VecDeque::from([due]);
    let mut next = cron::next_tick(expression, zone, due)?;
    while next <= now {
        ticks.push_back(next);
        if ticks.len() > MOST_MISSED {
            ticks.pop_front();
        }
        next = cron::next_tick(expression, zone, next)?;
    }
    let latest = ticks.back().copied().unwrap_or(due);
    let fire = match missed {
        MissedTicks::All => ticks.into(),
        MissedTicks::Once => vec![latest],
        MissedTicks::Skip if now - latest <= ON_TIME => vec![latest],
        MissedTicks::Skip => Vec::new(),
    };
    Ok(TickPlan { fire, next })
}
