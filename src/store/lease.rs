//! Leases of running jobs: renewed by the heartbeat, held by the fence of every commit.

use std::time::Duration;

use uuid::Uuid;

use crate::context::Run;
use crate::db::{Conn, Dialect, Row, Sql, Value, query};
use crate::error::{Error, Result};
use crate::sql;

/// A job this process still owns, as the heartbeat found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The job.
    pub id: Uuid,
    /// The fence.
    pub token: Uuid,
    /// Set when somebody asked for its cancellation.
    pub cancel_reason: Option<String>,
}

/// Renews the leases of a process in one statement; returns the jobs it still owns. What is missing was lost.
///
/// A row that is locked by its own handler's commit is skipped, not waited for: that commit renews the lease itself.
pub async fn renew(conn: &mut Conn<'_>, leases: &[(Uuid, Uuid)], lease: Duration) -> Result<Vec<Held>> {
    // In pairs: all jobs of one claim share its token, so lists of ids and of tokens would let an old lease pass. On
    // PostgreSQL without `state = 'executing'`, for which it would take the index of all leases (see complete::complete).
    let ids: Vec<Uuid> = leases.iter().map(|(id, _)| *id).collect();
    let fences: Value = match conn.dialect() {
        Dialect::Postgres => leases.iter().map(|(_, token)| *token).collect::<Vec<_>>().into(),
        Dialect::Sqlite => {
            leases.iter().map(|(id, token)| format!("{id} {token}")).collect::<Vec<_>>().into()
        }
    };
    query(Sql {
        postgres: "with mine as materialized (
                select id from fairlane_jobs
                where id = any($1) and ((id, token) in (select * from unnest($1::uuid[], $2::uuid[]))) is true
                for no key update skip locked)
             update fairlane_jobs j set lease_until = {now} + {ms:$3} where j.id = any(array(select id from mine))",
        sqlite: "update fairlane_jobs set lease_until = {now} + {ms:$3}
             where id in (select value from json_each($1)) and state = 'executing'
                and (id || ' ' || token) in (select value from json_each($2))",
    })
    .bind(ids.clone())
    .bind(fences.clone())
    .bind(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
    .execute(conn)
    .await?;
    let rows = query(Sql {
        postgres:
            "select id, token, cancel_requested_at is not null as cancelled, cancel_reason from fairlane_jobs
             where id = any($1) and ((id, token) in (select * from unnest($1::uuid[], $2::uuid[]))) is true",
        sqlite:
            "select id, token, cancel_requested_at is not null as cancelled, cancel_reason from fairlane_jobs
             where id in (select value from json_each($1)) and state = 'executing'
                and (id || ' ' || token) in (select value from json_each($2))",
    })
    .bind(ids)
    .bind(fences)
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().filter_map(held).collect())
}

/// One damaged row must not cost the others their leases: a reason that can't be read is none, a fence is no fence.
fn held(row: &Row) -> Option<Held> {
    let cancelled = row.get("cancelled").unwrap_or_default();
    let reason = row.get::<Option<String>>("cancel_reason").ok().flatten();
    Some(Held {
        id: row.get("id").ok()?,
        token: row.get("token").ok()?,
        cancel_reason: bool::then(cancelled, || reason.unwrap_or_default()),
    })
}

/// The fence of a handler's commit: locks the job by `(id, token)`, renews its lease and stores checkpoint and progress.
///
/// # Errors
/// [`Error::LeaseLost`] when this run does not own the job any more; the caller rolls back.
pub(crate) async fn hold(
    conn: &mut Conn<'_>,
    run: &Run,
    checkpoint: Option<&serde_json::Value>,
    progress: Option<(u64, Option<u64>)>,
) -> Result<()> {
    let as_int = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    // A committed checkpoint is progress: crashes before it do not count against the job.
    let held = query(sql!(
        "update fairlane_jobs set lease_until = {now} + {ms:$3}, checkpoint = coalesce($4, checkpoint),
            progress_done = coalesce($5, progress_done), progress_total = coalesce($6, progress_total),
            crashes = case when $4 is null then crashes else 0 end
         where id = $1 and token = $2 and state = 'executing'"
    ))
    .bind(run.job.id)
    .bind(run.token)
    .bind(i64::try_from(run.lease.as_millis()).unwrap_or(i64::MAX))
    .bind(checkpoint.cloned())
    .bind(progress.map(|(done, _)| as_int(done)))
    .bind(progress.and_then(|(_, total)| total).map(as_int))
    .execute(conn)
    .await?;
    if held == 1 { Ok(()) } else { Err(Error::LeaseLost { job: run.job.id }) }
}
