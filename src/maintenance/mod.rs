//! What keeps the queue going beside running jobs. Every worker does all of it; no leader is needed, because each step
//! is one statement that restates its whole precondition.

mod aside;
mod prune;
mod rescue;
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::store;
use crate::worker::{Process, VitalTasks, tell_scheduler};

pub use schedules::{MissedTicks, plan_ticks};

/// Starts the loops.
pub(crate) fn start(process: &Arc<Process>, vital: &mut VitalTasks) {
    vital.spawn("promotion of due jobs", promote_loop(process.clone()));
    vital.spawn("rescue", rescue::run(process.clone()));
    vital.spawn("sweep of jobs that wait for a key", aside::run(process.clone()));
    vital.spawn("pruning", prune::run(process.clone()));
    vital.spawn("scheduler", schedules::run(process.clone()));
}

async fn promote_loop(process: Arc<Process>) {
    loop {
        process.chores.promote.notified().await;
        // A failure is the claim loop's to report; the next round does what this one did not.
        let _ = promote_due(&process).await;
    }
}

/// Makes due jobs available and wakes this process for them.
pub(crate) async fn promote_due(process: &Process) -> Result<()> {
    loop {
        let mut tx = process.db.single().await?;
        let promoted = store::promote::promote(&mut tx.conn()).await?;
        tx.commit().await?;
        if promoted.queues.is_empty() {
            return Ok(());
        }
        tell_scheduler(process, &promoted.jobs);
        process.work.notify_one();
        process.fairlane.wake_queues(promoted.queues);
    }
}

/// Spreads the loops of many workers over time.
fn jittered(every: Duration) -> Duration {
    every.mul_f64(0.8 + 0.4 * fastrand::f64())
}
