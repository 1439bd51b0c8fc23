//! What tenants have used: worker time, jobs and failures by the UTC day on which the jobs finished.
//!
//! It is counted from the rows of finished jobs. When those go, their sums are kept by the statement (on SQLite by the
//! transaction) that removes them, so that usage never changes because a row goes. Every run counts for the day on which
//! its job finished; the runs of jobs that have not finished stand apart.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::listing::{Listing, read_all};
use crate::db::{Conn, Dialect, Row, query};
use crate::error::Result;
use crate::sql;

/// What a tenant used on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Its slug.
    pub tenant: String,
    /// The UTC day, `YYYY-MM-DD`; `None` for jobs that have not finished.
    pub day: Option<String>,
    /// Worker time in milliseconds, of all runs that are over.
    pub worked_ms: i64,
    /// Jobs that finished: completed, cancelled or failed. One that failed, was retried and finished again counts twice.
    pub jobs: i64,
    /// Jobs that failed for good.
    pub failures: i64,
}

/// Usage by tenant and day from a day on, and of jobs that have not finished; of all tenants or of one.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant_id: Option<i64>,
    from: DateTime<Utc>,
) -> Result<Listing<UsageRow>> {
    let rows = query(sql!(
        "select t.slug as key, t.slug as tenant, used.day, cast(sum(used.worked_ms) as bigint) as worked_ms,
            cast(sum(used.jobs) as bigint) as jobs, cast(sum(used.failures) as bigint) as failures
         from (
            select tenant_id, day, worked_ms, jobs, failures from fairlane_usage
            where day >= $3 and ($1 is null or tenant_id = $1)
            union all
            select tenant_id, {day:finished_at}, worked_ms, 1, 0 from fairlane_job_history
            where finished_at >= $2 and ($1 is null or tenant_id = $1)
            union all
            select tenant_id, {day:failed_at}, worked_ms, 1, 1 from fairlane_failed_jobs
            where failed_at >= $2 and ($1 is null or tenant_id = $1)
            union all
            select tenant_id, null, worked_ms, 0, 0 from fairlane_jobs
            where worked_ms > 0 and ($1 is null or tenant_id = $1)) used
         join fairlane_tenants t on t.id = used.tenant_id
         group by t.slug, used.day
         order by t.slug, used.day is null, used.day"
    ))
    .bind(tenant_id)
    .bind(from)
    .bind(from.format("%Y-%m-%d").to_string())
    .fetch_all(conn)
    .await?;
    read_all(&rows, i64::MAX, read)
}

fn read(row: &Row) -> Result<UsageRow> {
    Ok(UsageRow {
        tenant: row.get("tenant")?,
        day: row.get("day")?,
        worked_ms: row.get("worked_ms")?,
        jobs: row.get("jobs")?,
        failures: row.get("failures")?,
    })
}

/// A table of finished jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finished {
    /// Completed and cancelled jobs.
    History,
    /// Failed jobs.
    Failed,
}

/// Adds sums to those that are kept. In the order of the key, so that two who do it never wait for each other in a ring.
macro_rules! keep {
    ($rows:expr) => {
        concat!(
            "insert into fairlane_usage (tenant_id, day, queue, worked_ms, jobs, failures)
             select tenant_id, day, queue, sum(worked_ms), count(*), sum(failed) from (",
            $rows,
            ") finished group by tenant_id, day, queue order by tenant_id, day, queue
             on conflict (tenant_id, day, queue) do update set worked_ms = fairlane_usage.worked_ms + excluded.worked_ms,
                jobs = fairlane_usage.jobs + excluded.jobs, failures = fairlane_usage.failures + excluded.failures"
        )
    };
}

/// PostgreSQL: removes rows and keeps their sums.
macro_rules! remove {
    ($table:literal, $at:literal, $failed:literal, $which:literal) => {
        concat!(
            "with gone as (delete from ",
            $table,
            " where ",
            $which,
            " returning tenant_id, {day:",
            $at,
            "} as day, queue, worked_ms, ",
            $failed,
            " as failed), kept as (",
            keep!("select * from gone"),
            ") select count(*) as gone from gone"
        )
    };
}

/// SQLite: keeps the sums of rows by their places. What a hand has damaged counts for the first of days, or not at all.
macro_rules! keep_at {
    ($table:literal, $at:literal, $failed:literal) => {
        keep!(concat!(
            "select tenant_id, coalesce({day:",
            $at,
            "}, '1970-01-01') as day, queue, worked_ms, ",
            $failed,
            " as failed from ",
            $table,
            " where rowid in (select value from json_each($1)) and tenant_id in (select id from fairlane_tenants)"
        ))
    };
}

/// The statements of one table.
struct Statements {
    remove_older: &'static str,
    places_older: &'static str,
    keep: &'static str,
    remove: &'static str,
}

impl Finished {
    fn statements(self) -> Statements {
        match self {
            Self::History => Statements {
                remove_older: remove!(
                    "fairlane_job_history",
                    "finished_at",
                    "0",
                    "id in (select id from fairlane_job_history where finished_at < {now} - {ms:$1}
                        order by finished_at, id limit $2)"
                ),
                places_older:
                    "select rowid as place from fairlane_job_history where finished_at < {now} - {ms:$1}
                    order by finished_at, id limit $2",
                keep: keep_at!("fairlane_job_history", "finished_at", "0"),
                remove: "delete from fairlane_job_history where rowid in (select value from json_each($1))",
            },
            Self::Failed => Statements {
                remove_older: remove!(
                    "fairlane_failed_jobs",
                    "failed_at",
                    "1",
                    "id in (select id from fairlane_failed_jobs where failed_at < {now} - {ms:$1}
                        order by failed_at, id limit $2)"
                ),
                places_older:
                    "select rowid as place from fairlane_failed_jobs where failed_at < {now} - {ms:$1}
                    order by failed_at, id limit $2",
                keep: keep_at!("fairlane_failed_jobs", "failed_at", "1"),
                remove: "delete from fairlane_failed_jobs where rowid in (select value from json_each($1))",
            },
        }
    }
}

/// Removes finished jobs older than so many milliseconds, at most so many, and keeps their sums; returns how many went.
pub(super) async fn remove_older(
    conn: &mut Conn<'_>,
    finished: Finished,
    age_ms: i64,
    limit: i64,
) -> Result<u64> {
    let statements = finished.statements();
    match conn.dialect() {
        Dialect::Postgres => {
            let remove = sql!(statements.remove_older);
            gone(query(remove).bind(age_ms).bind(limit).fetch_one(conn).await?)
        }
        Dialect::Sqlite => {
            let places =
                query(sql!(statements.places_older)).bind(age_ms).bind(limit).fetch_all(conn).await?;
            remove_at(conn, finished, &places).await
        }
    }
}

/// Removes failed jobs and keeps their sums; returns how many went.
pub(super) async fn remove_failed(conn: &mut Conn<'_>, ids: &[Uuid]) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    match conn.dialect() {
        Dialect::Postgres => {
            let remove = sql!(remove!("fairlane_failed_jobs", "failed_at", "1", "id = any($1)"));
            gone(query(remove).bind(ids).fetch_one(conn).await?)
        }
        Dialect::Sqlite => {
            let places = query(sql!("select rowid as place from fairlane_failed_jobs where id {in:$1}"))
                .bind(ids)
                .fetch_all(conn)
                .await?;
            remove_at(conn, Finished::Failed, &places).await
        }
    }
}

fn gone(row: Row) -> Result<u64> {
    Ok(u64::try_from(row.get::<i64>("gone")?).unwrap_or_default())
}

/// SQLite has no statement that removes rows and adds them up: their places are looked up once, and both go by them.
async fn remove_at(conn: &mut Conn<'_>, finished: Finished, places: &[Row]) -> Result<u64> {
    let places: Vec<i64> = places.iter().map(|row| row.get("place")).collect::<Result<_>>()?;
    if places.is_empty() {
        return Ok(0);
    }
    let statements = finished.statements();
    query(sql!(statements.keep)).bind(places.clone()).execute(conn).await?;
    query(sql!(statements.remove)).bind(places).execute(conn).await
}
