//! Queues: pause, resume, and whether they are over a limit.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Deed, Operator};
use crate::client::Fairlane;
use crate::error::Result;
use crate::store::queues::{self, QueueRow};

/// Stops a queue from starting jobs, for good or until a time. Running jobs finish.
pub async fn pause(
    fairlane: &Fairlane,
    queue: &str,
    until: Option<DateTime<Utc>>,
    operator: &Operator,
) -> Result<()> {
    let mut tx = fairlane.db().begin().await?;
    queues::pause(&mut tx.conn(), queue, until, &operator.actor, operator.reason.as_deref()).await?;
    let detail = until.map(|until| serde_json::json!({ "until": until.to_rfc3339() }));
    let deed = Deed { tenant_id: None, action: "queue.pause", target: queue, affected: 1, detail };
    operator.record(&mut tx.conn(), deed).await?;
    tx.commit().await
}

/// Lets a queue start jobs again; returns whether it was paused.
pub async fn resume(fairlane: &Fairlane, queue: &str, operator: &Operator) -> Result<bool> {
    let mut tx = fairlane.db().begin().await?;
    let resumed = queues::resume(&mut tx.conn(), queue).await?;
    if resumed {
        let deed = Deed { tenant_id: None, action: "queue.resume", target: queue, affected: 1, detail: None };
        operator.record(&mut tx.conn(), deed).await?;
    }
    tx.commit().await?;
    fairlane.wake_queues([queue.to_owned()]);
    Ok(resumed)
}

/// What a queue may hold before somebody should look.
#[derive(Debug, Clone, Copy)]
pub struct Threshold {
    /// Most waiting jobs.
    pub max_waiting: i64,
    /// Longest time that a ready job may have waited.
    pub max_age: Option<Duration>,
}

impl Threshold {
    /// Whether a queue is over it.
    pub fn is_breached(&self, queue: &QueueRow, now: DateTime<Utc>) -> bool {
        let too_old = |limit: Duration| {
            queue.oldest_ready_at.is_some_and(|at| (now - at).to_std().is_ok_and(|age| age > limit))
        };
        queue.waiting() > self.max_waiting || self.max_age.is_some_and(too_old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_over_its_threshold_by_depth_or_by_age() {
        let now = Utc::now();
        let queue = QueueRow {
            ready: 3,
            scheduled: 2,
            oldest_ready_at: Some(now - chrono::Duration::seconds(90)),
            ..QueueRow::empty("high")
        };
        let breached = |max_waiting, max_age: Option<u64>| {
            Threshold { max_waiting, max_age: max_age.map(Duration::from_secs) }.is_breached(&queue, now)
        };
        assert!(breached(4, None));
        assert!(!breached(5, None));
        assert!(breached(1000, Some(60)));
        assert!(!breached(1000, Some(120)));
    }
}
