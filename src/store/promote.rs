//! Jobs whose time has come.

use std::time::Duration;

use crate::db::{Conn, query};
use crate::error::Result;
use crate::sql;

/// Jobs promoted in one statement.
const BATCH: i64 = 1000;

/// Whether a job of these queues and kinds becomes due within a while: a retry, a snooze, a job that waits its turn.
pub async fn due_within(
    conn: &mut Conn<'_>,
    queues: &[String],
    kinds: &[String],
    within: Duration,
) -> Result<bool> {
    let row = query(sql!(
        "select exists (select 1 from fairlane_jobs where state in ('scheduled', 'retryable')
            and run_at <= {now} + {ms:$3} and queue {in:$1} and kind {in:$2}) as soon"
    ))
    .bind(queues)
    .bind(kinds)
    .bind(i64::try_from(within.as_millis()).unwrap_or(i64::MAX))
    .fetch_one(conn)
    .await?;
    row.get("soon")
}

/// Makes up to a thousand due jobs available; returns the queues that got work, one entry a job.
pub async fn promote(conn: &mut Conn<'_>) -> Result<Vec<String>> {
    let rows = query(sql!(
        "with due as materialized (
            select id from fairlane_jobs where state in ('scheduled', 'retryable') and run_at <= {now}
            order by run_at limit $1 {skip_locked}
         )
         update fairlane_jobs set state = 'available'
         where id in (select id from due) and state in ('scheduled', 'retryable') and run_at <= {now}
         returning queue"
    ))
    .bind(BATCH)
    .fetch_all(conn)
    .await?;
    // A queue whose name can't be read has no worker to wake; it must not keep the others waiting.
    Ok(rows.iter().filter_map(|row| row.get("queue").ok()).collect())
}
