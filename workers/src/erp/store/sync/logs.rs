//! The log of runs, and the records that could not be taken over.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, Sql, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;
use uuid::Uuid;

use super::Of;
use crate::erp::sync::connection::Direction;

/// What a run has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Requests sent, tokens and failures included.
    pub requests: i64,
    /// Pages taken over.
    pub pages: i64,
    /// Records on them, or records told of.
    pub records: i64,
    /// New here, or there.
    pub created: i64,
    /// Changed here, or there.
    pub changed: i64,
    /// The same as before.
    pub unchanged: i64,
    /// Not taken over, with a reason.
    pub refused: i64,
    /// Fields a person has to decide about.
    pub disputed: i64,
    /// Gone there, made inactive here.
    pub deleted: i64,
}

/// A run as its log has it.
#[derive(Debug, Clone, Serialize)]
pub struct SyncLog {
    /// Its number.
    pub id: i64,
    /// What was exchanged.
    pub sync_type: String,
    /// With which connection.
    pub connection: Option<String>,
    /// `pull` or `push`.
    pub direction: String,
    /// Whether everything was asked for, not only what has changed.
    pub is_full: bool,
    /// `pending`, `processing`, `completed` or `failed`.
    pub status: String,
    /// The job that does it.
    pub job_id: Option<Uuid>,
    /// What it has come to.
    #[serde(flatten)]
    pub counts: Counts,
    /// Why it failed, as a word.
    pub error_code: Option<String>,
    /// Why it failed, or what is wrong although it did not.
    pub error_message: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was done.
    pub synced_at: Option<DateTime<Utc>>,
    /// When it failed.
    pub failed_at: Option<DateTime<Utc>>,
}

macro_rules! logs {
    ($rest:literal) => {
        sql!(concat!(
            "select l.id, l.sync_type, c.name as connection, l.direction, l.is_full, l.status, l.job_id, l.requests, l.pages,
                l.records, l.created, l.changed, l.unchanged, l.refused, l.disputed, l.deleted, l.error_code,
                l.error_message, l.created_at, l.started_at, l.synced_at, l.failed_at
             from sync_logs l left join sync_connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
             where l.tenant_id = $1 and ",
            $rest
        ))
    };
}

impl SyncLog {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            sync_type: row.get("sync_type")?,
            connection: row.get("connection")?,
            direction: row.get("direction")?,
            is_full: row.get("is_full")?,
            status: row.get("status")?,
            job_id: row.get("job_id")?,
            counts: Counts {
                requests: row.get("requests")?,
                pages: row.get("pages")?,
                records: row.get("records")?,
                created: row.get("created")?,
                changed: row.get("changed")?,
                unchanged: row.get("unchanged")?,
                refused: row.get("refused")?,
                disputed: row.get("disputed")?,
                deleted: row.get("deleted")?,
            },
            error_code: row.get("error_code")?,
            error_message: row.get("error_message")?,
            created_at: row.get("created_at")?,
            started_at: row.get("started_at")?,
            synced_at: row.get("synced_at")?,
            failed_at: row.get("failed_at")?,
        })
    }
}

/// Enters a run that was asked for.
pub async fn insert(conn: &mut Conn<'_>, of: Of, direction: Direction, is_full: bool) -> Result<i64> {
    query(sql!(
        "insert into sync_logs (tenant_id, connection_id, sync_type, direction, is_full, created_at, updated_at)
         values ($1, $2, $3, $4, $5, {now}, {now}) returning id"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(direction.as_str())
    .bind(is_full)
    .fetch_one(conn)
    .await?
    .get("id")
}

/// Names the job of a run.
pub async fn set_job(conn: &mut Conn<'_>, tenant: i64, id: i64, job: Uuid) -> Result<()> {
    query(sql!("update sync_logs set job_id = $3 where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .bind(job)
        .execute(conn)
        .await?;
    Ok(())
}

/// The run of a job.
pub async fn of_job(conn: &mut Conn<'_>, tenant: i64, job: Uuid) -> Result<Option<i64>> {
    let row =
        query(sql!("select id from sync_logs where tenant_id = $1 and job_id = $2 order by id desc limit 1"))
            .bind(tenant)
            .bind(job)
            .fetch_optional(conn)
            .await?;
    row.map(|row| row.get("id")).transpose()
}

/// Notes that a run has begun, or goes on; whether there is one.
pub async fn start(conn: &mut Conn<'_>, tenant: i64, id: i64, job: Uuid) -> Result<bool> {
    let started = query(sql!(
        "update sync_logs set status = 'processing', job_id = $3, started_at = coalesce(started_at, {now}),
            error_code = null, error_message = null, failed_at = null, updated_at = {now}
         where tenant_id = $1 and id = $2 and status <> 'completed'"
    ))
    .bind(tenant)
    .bind(id)
    .bind(job)
    .execute(conn)
    .await?;
    Ok(started == 1)
}

/// Adds to what a run has come to.
pub async fn add(conn: &mut Conn<'_>, tenant: i64, id: i64, more: &Counts) -> Result<()> {
    query(sql!(
        "update sync_logs set requests = requests + $3, pages = pages + $4, records = records + $5, created = created + $6,
            changed = changed + $7, unchanged = unchanged + $8, refused = refused + $9, disputed = disputed + $10,
            deleted = deleted + $11, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(more.requests)
    .bind(more.pages)
    .bind(more.records)
    .bind(more.created)
    .bind(more.changed)
    .bind(more.unchanged)
    .bind(more.refused)
    .bind(more.disputed)
    .bind(more.deleted)
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a run; with a remark when something is to be said although it is done.
pub async fn complete(conn: &mut Conn<'_>, tenant: i64, id: i64, remark: Option<&str>) -> Result<()> {
    query(sql!(
        "update sync_logs set status = 'completed', synced_at = {now}, error_message = $3, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(remark)
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a run that has failed; whether it was not over before.
pub async fn fail(conn: &mut Conn<'_>, tenant: i64, id: i64, code: &str, why: &str) -> Result<bool> {
    let failed = query(sql!(
        "update sync_logs set status = 'failed', failed_at = {now}, error_code = $3, error_message = $4, updated_at = {now}
         where tenant_id = $1 and id = $2 and status in ('pending', 'processing')"
    ))
    .bind(tenant)
    .bind(id)
    .bind(code)
    .bind(why)
    .execute(conn)
    .await?;
    Ok(failed == 1)
}

/// Whether there are runs whose job is gone. One that has failed a moment ago has its own hook, which says why.
pub async fn has_orphans(conn: &mut Conn<'_>, tenant: i64) -> Result<bool> {
    let row = query(sql!(
        "select exists (select 1 from sync_logs
            where tenant_id = $1 and status in ('pending', 'processing') and job_id is not null
                and not exists (select 1 from fairlane_jobs j where j.tenant_id = $1 and j.id = sync_logs.job_id)
                and not exists (select 1 from fairlane_failed_jobs f where f.tenant_id = $1 and f.id = sync_logs.job_id
                    and f.failed_at > {now} - {ms:10000})) as there"
    ))
    .bind(tenant)
    .fetch_one(conn)
    .await?;
    row.get("there")
}

/// Ends the runs whose job is gone: it was cancelled in the queue or removed, or has failed and its hook was lost with its
/// worker.
pub async fn settle_orphans(conn: &mut Conn<'_>, tenant: i64) -> Result<u64> {
    query(sql!(
        "update sync_logs set status = 'failed', failed_at = {now},
            error_code = coalesce(
                (select f.code from fairlane_failed_jobs f where f.tenant_id = $1 and f.id = sync_logs.job_id), 'cancelled'),
            error_message = coalesce(
                (select f.error from fairlane_failed_jobs f where f.tenant_id = $1 and f.id = sync_logs.job_id),
                'its job is not in the queue any more: it was cancelled'), updated_at = {now}
         where tenant_id = $1 and status in ('pending', 'processing') and job_id is not null
             and not exists (select 1 from fairlane_jobs j where j.tenant_id = $1 and j.id = sync_logs.job_id)
             and not exists (select 1 from fairlane_failed_jobs f where f.tenant_id = $1 and f.id = sync_logs.job_id
                and f.failed_at > {now} - {ms:10000})"
    ))
    .bind(tenant)
    .execute(conn)
    .await
}

/// A run.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<SyncLog> {
    let row = query(logs!("l.id = $2")).bind(tenant).bind(id).fetch_optional(conn).await?;
    let row = row.ok_or_else(|| Error::NotFound { what: "sync run", name: id.to_string() })?;
    SyncLog::read(&row)
}

/// The newest runs.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<SyncLog>> {
    const NEWEST: Sql = logs!("l.connection_id is not null order by l.id desc limit $2");
    let rows = query(NEWEST).bind(tenant).bind(limit).fetch_all(conn).await?;
    rows.iter().map(SyncLog::read).collect()
}

/// A record that could not be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordFailure {
    /// Its id there.
    pub external_id: String,
    /// Why, as a word.
    pub code: String,
    /// Why.
    pub message: String,
    /// The run that met it last.
    pub run: i64,
}

/// Notes why a record could not be taken over.
pub async fn refuse(conn: &mut Conn<'_>, of: Of, failure: &RecordFailure) -> Result<()> {
    query(sql!(
        "insert into sync_failures (tenant_id, connection_id, entity, external_id, run, code, message, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, {now})
         on conflict (tenant_id, connection_id, entity, external_id) do update
            set run = excluded.run, code = excluded.code, message = excluded.message, updated_at = excluded.updated_at"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(failure.external_id.as_str())
    .bind(failure.run)
    .bind(failure.code.as_str())
    .bind(failure.message.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets why these could not be taken over: they were.
pub async fn forgive(conn: &mut Conn<'_>, of: Of, external_ids: &[String]) -> Result<()> {
    query(sql!(
        "delete from sync_failures
         where tenant_id = $1 and connection_id = $2 and entity = $3 and external_id {in:$4}"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(external_ids)
    .execute(conn)
    .await?;
    Ok(())
}

/// The records of a run that could not be taken over, and were not since; those behind an id there, where one is named.
pub async fn failures(
    conn: &mut Conn<'_>,
    tenant: i64,
    run: i64,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<RecordFailure>> {
    let rows = query(sql!(
        "select external_id, code, message, run from sync_failures where tenant_id = $1 and run = $2
            and (cast($4 as text) is null or external_id > $4)
         order by external_id limit $3"
    ))
    .bind(tenant)
    .bind(run)
    .bind(limit)
    .bind(after)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(RecordFailure {
            external_id: row.get("external_id")?,
            code: row.get("code")?,
            message: row.get("message")?,
            run: row.get("run")?,
        })
    };
    rows.iter().map(read).collect()
}
