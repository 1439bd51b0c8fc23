//! Jobs whose time has come.

use crate::db::{Conn, query};
use crate::error::Result;
use crate::sql;

/// Jobs promoted in one statement.
const BATCH: i64 = 1000;

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
