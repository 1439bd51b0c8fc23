//! Jobs that are executing somewhere: for whoever stops when nothing is left to do.

use std::time::Duration;

use crate::db::{Conn, query};
use crate::error::Result;
use crate::sql;

/// Jobs of some queues and kinds that are executing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// All of them.
    pub executing: i64,
    /// Those that nobody runs any more: they come back to their queue when their lease has run out.
    pub lost: i64,
}

/// Counts them. A job is lost when its lease has run out, or when its worker has stopped, or was not seen for most of a
/// lease: a living one is seen with every heartbeat, of which a lease has three. `lease` is for workers that did not say
/// how long theirs are.
pub async fn held(conn: &mut Conn<'_>, queues: &[String], kinds: &[String], lease: Duration) -> Result<Held> {
    let row = query(sql!(
        "select count(*) as executing, coalesce(sum(case when j.lease_until < {now} or not exists (
                select 1 from fairlane_workers w where w.id = j.worker_id and w.state <> 'stopped'
                    and w.seen_at > {now} - {ms:coalesce(w.lease_ms, $3) * 3 / 4}) then 1 else 0 end), 0) as lost
         from fairlane_jobs j where j.state = 'executing' and j.queue {in:$1} and j.kind {in:$2}"
    ))
    .bind(queues)
    .bind(kinds)
    .bind(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 4))
    .fetch_one(conn)
    .await?;
    Ok(Held { executing: row.get("executing")?, lost: row.get("lost")? })
}
