//! Jobs whose time has come.

use crate::db::{Conn, query};
use crate::error::Result;
use crate::sql;
use crate::store::look::{self, LaneHead};

/// Jobs promoted in one statement.
const BATCH: i64 = 1000;

/// What was made available.
#[derive(Debug, Clone, Default)]
pub struct Promoted {
    /// The queues that got work, one entry a job.
    pub queues: Vec<String>,
    /// The jobs' places. They became due earlier than jobs that were claimed meanwhile: a worker that goes on from where it
    /// was would not see them.
    pub jobs: Vec<LaneHead>,
}

/// Makes up to a thousand due jobs available.
pub async fn promote(conn: &mut Conn<'_>) -> Result<Promoted> {
    let rows = query(sql!(
        "with due as materialized (
            select id from fairlane_jobs where state in ('scheduled', 'retryable') and run_at <= {now}
            order by run_at limit $1 {skip_locked}
         )
         update fairlane_jobs set state = 'available'
         where id in (select id from due) and state in ('scheduled', 'retryable') and run_at <= {now}
         returning queue, tenant_id, priority, run_at, id, kind, concurrency_key is not null as keyed"
    ))
    .bind(BATCH)
    .fetch_all(conn)
    .await?;
    Ok(Promoted {
        // A queue whose name can't be read has no worker to wake; it must not keep the others waiting.
        queues: rows.iter().filter_map(|row| row.get("queue").ok()).collect(),
        jobs: rows.iter().filter_map(|row| look::head(row, true)).collect(),
    })
}
