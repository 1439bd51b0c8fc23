//! Errors of single attempts: the first and the last of each job.

use uuid::Uuid;

use super::settle::Fence;
use crate::db::{Conn, Sql, query};
use crate::error::Result;
use crate::outcome::Failure;
use crate::sql;

/// Attempt errors kept from a job's beginning, and as many from its end.
pub(super) const ERRORS_KEPT: i64 = 10;

/// Writes an attempt's error; keeps the first ten and the last ten of a job.
pub(super) async fn record_attempt(
    conn: &mut Conn<'_>,
    fence: Fence,
    outcome: &str,
    failure: &Failure,
) -> Result<()> {
    let recorded = query(sql!(
        "insert into fairlane_attempts (job_id, run, tenant_id, attempt, generation, worker_id, started_at, finished_at,
            outcome, code, error)
         select id, runs, tenant_id, attempt, generation, worker_id, started_at, {now}, $3, $4, $5
         from fairlane_jobs where id = $1 and token = $2 and state = 'executing'
         on conflict (job_id, run) do nothing"
    ))
    .bind(fence.id)
    .bind(fence.token)
    .bind(outcome)
    .bind(storable_code(&failure.code))
    .bind(storable(&failure.message))
    .execute(conn)
    .await?;
    if recorded == 1 { forget_middle_attempts(conn, fence.id).await } else { Ok(()) }
}

/// Keeps the first ten and the last ten attempts of a job.
pub(super) async fn forget_middle_attempts(conn: &mut Conn<'_>, job: Uuid) -> Result<()> {
    query(Sql {
        postgres: "delete from fairlane_attempts where job_id = $1 and run in (
            select run from fairlane_attempts where job_id = $1 order by run
            offset $2 limit greatest(0, (select count(*) from fairlane_attempts where job_id = $1) - 2 * $2))",
        sqlite: "delete from fairlane_attempts where job_id = $1 and run in (
            select run from fairlane_attempts where job_id = $1 order by run
            limit max(0, (select count(*) from fairlane_attempts where job_id = $1) - 2 * $2) offset $2)",
    })
    .bind(job)
    .bind(ERRORS_KEPT)
    .execute(conn)
    .await?;
    Ok(())
}

/// Error texts come from anywhere: without the NUL that PostgreSQL refuses, and not without end.
pub(super) fn storable(text: &str) -> String {
    const LONGEST: usize = 8000;
    without_nul(text, LONGEST)
}

/// Codes are a handler's own words, so they may hold anything that a message may.
pub(super) fn storable_code(code: &str) -> String {
    const LONGEST: usize = 100;
    without_nul(code, LONGEST)
}

fn without_nul(text: &str, longest: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(longest).collect()
}
