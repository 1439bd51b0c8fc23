//! The log of runs.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::store::listing::{Listing, read_all};
use fairlane::{Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;
use uuid::Uuid;

use crate::erp::store::stock::plain;
use crate::erp::valuation::{Method, Scope};

/// What a run is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRun {
    /// The code of the product; all of them without.
    pub product: Option<String>,
    /// The code of a location: the products that moved there, and what they are worth there.
    pub location: Option<String>,
    /// The value at the end of this day, told and not kept.
    pub as_of: Option<NaiveDate>,
    /// Another method than the products' own.
    pub method: Option<Method>,
    /// What a pool is.
    pub scope: Scope,
    /// Who may have values of closed books changed, and wants to.
    pub forced_by: Option<i64>,
    /// Who asks for it, and is told how it ends; that is known by the job alone.
    pub asked_by: Option<i64>,
}

/// A run as its log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// pending, processing, completed, failed or cancelled.
    pub status: String,
    /// What a pool is.
    pub scope: Scope,
    /// The method, where it is not the products' own.
    pub method: Option<Method>,
    /// The code of the product; all without.
    pub product: Option<String>,
    /// The code of the location.
    pub location: Option<String>,
    /// The day, where it is not about now.
    pub as_of: Option<NaiveDate>,
    /// Who has values of closed books changed.
    pub forced_by: Option<i64>,
    /// The job that does it.
    pub job_id: Option<Uuid>,
    /// How many products there are.
    pub products: i64,
    /// How many of them are done, the refused ones too.
    pub done: i64,
    /// How many were refused.
    pub refused: i64,
    /// How many movements were replayed.
    pub movements: i64,
    /// What the products that are done were worth before.
    pub old_value: Decimal,
    /// What they are worth.
    pub new_value: Decimal,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was completed.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it failed or was cancelled.
    pub failed_at: Option<DateTime<Utc>>,
}

impl Run {
    /// Whether nothing more will come of it.
    pub fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "pending" | "processing")
    }

    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            status: row.get("status")?,
            scope: row.get::<String>("scope")?.parse()?,
            method: row.get::<Option<String>>("method")?.map(|word| word.parse()).transpose()?,
            product: row.get("product")?,
            location: row.get("location")?,
            as_of: row.get("as_of")?,
            forced_by: row.get("forced_by")?,
            job_id: row.get("job_id")?,
            products: row.get("products")?,
            done: row.get("done")?,
            refused: row.get("refused")?,
            movements: row.get("movements")?,
            old_value: plain(row.get("old_value")?),
            new_value: plain(row.get("new_value")?),
            error: row.get("error_message")?,
            created_at: row.get("created_at")?,
            started_at: row.get("started_at")?,
            completed_at: row.get("completed_at")?,
            failed_at: row.get("failed_at")?,
        })
    }
}

macro_rules! columns {
    () => {
        "id, cast(id as text) as key, status, scope, method, product, location, as_of, forced_by, job_id, products, done,
         refused, movements, old_value, new_value, error_message, created_at, started_at, completed_at, failed_at"
    };
}

/// Enters a run; returns its number.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &NewRun, job: Uuid) -> Result<i64> {
    query(sql!(
        "insert into valuation_runs (tenant_id, scope, method, product, location, as_of, forced_by, job_id, created_at,
            updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, {now}, {now}) returning id"
    ))
    .bind(tenant)
    .bind(new.scope.as_str())
    .bind(new.method.map(Method::as_str))
    .bind(new.product.clone())
    .bind(new.location.clone())
    .bind(new.as_of)
    .bind(new.forced_by)
    .bind(job)
    .fetch_one(conn)
    .await?
    .get("id")
}

/// One run; `None` where the tenant has none of that number.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, run: i64) -> Result<Option<Run>> {
    let statement =
        sql!(concat!("select ", columns!(), " from valuation_runs where tenant_id = $1 and id = $2"));
    let row = query(statement).bind(tenant).bind(run).fetch_optional(conn).await?;
    row.as_ref().map(Run::read).transpose()
}

/// The run a job does.
pub async fn of_job(conn: &mut Conn<'_>, tenant: i64, job: Uuid) -> Result<Option<Run>> {
    let statement = sql!(concat!(
        "select ",
        columns!(),
        " from valuation_runs where tenant_id = $1 and job_id = $2 order by id desc limit 1"
    ));
    let row = query(statement).bind(tenant).bind(job).fetch_optional(conn).await?;
    row.as_ref().map(Run::read).transpose()
}

/// The newest runs.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Listing<Run>> {
    let statement = sql!(concat!(
        "select ",
        columns!(),
        " from valuation_runs where tenant_id = $1 order by id desc limit $2"
    ));
    let rows = query(statement).bind(tenant).bind(limit).fetch_all(conn).await?;
    read_all(&rows, limit, Run::read)
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Products that are done, the refused ones too.
    pub done: i64,
    /// Products that were refused.
    pub refused: i64,
    /// Movements that were replayed.
    pub movements: i64,
    /// What the products were worth before.
    pub old_value: Decimal,
    /// What they are worth.
    pub new_value: Decimal,
}

/// Notes that a run has begun, and with how many products; one that goes on keeps its time.
pub async fn start(conn: &mut Conn<'_>, tenant: i64, run: i64, products: i64) -> Result<()> {
    query(sql!(
        "update valuation_runs set status = 'processing', started_at = coalesce(started_at, {now}), products = $3,
            failed_at = null, error_message = null, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(run)
    .bind(products)
    .execute(conn)
    .await
    .map(drop)
}

/// Notes how far a run is.
pub async fn progress(conn: &mut Conn<'_>, tenant: i64, run: i64, tally: Tally) -> Result<()> {
    query(sql!(
        "update valuation_runs set done = $3, refused = $4, movements = $5, old_value = $6, new_value = $7,
            updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(run)
    .bind(tally.done)
    .bind(tally.refused)
    .bind(tally.movements)
    .bind(tally.old_value)
    .bind(tally.new_value)
    .execute(conn)
    .await
    .map(drop)
}

/// Notes the end of a run.
pub async fn finish(
    conn: &mut Conn<'_>,
    tenant: i64,
    run: i64,
    status: &str,
    error: Option<&str>,
) -> Result<()> {
    query(sql!(
        "update valuation_runs set status = $3, error_message = $4, updated_at = {now},
            completed_at = case when $3 = 'completed' then {now} end,
            failed_at = case when $3 = 'completed' then null else {now} end
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(run)
    .bind(status)
    .bind(error)
    .execute(conn)
    .await
    .map(drop)
}

/// Whether there are runs whose job is gone from the queue: cancelled while it waited, or forgotten. One that has failed a
/// moment ago has its own hook, which says why.
pub async fn has_orphans(conn: &mut Conn<'_>, tenant: i64) -> Result<bool> {
    query(sql!(
        "select exists (select 1 from valuation_runs r
             where r.tenant_id = $1 and r.status in ('pending', 'processing')
               and not exists (select 1 from fairlane_jobs j where j.id = r.job_id)
               and not exists (select 1 from fairlane_failed_jobs f where f.id = r.job_id
                   and f.failed_at > {now} - {ms:10000})) as found"
    ))
    .bind(tenant)
    .fetch_one(conn)
    .await?
    .get("found")
}

/// Ends them: as failed where the job has, and its hook was lost with its worker.
pub async fn settle_orphans(conn: &mut Conn<'_>, tenant: i64) -> Result<()> {
    query(sql!(
        "update valuation_runs set
            status = case when exists (select 1 from fairlane_failed_jobs f where f.id = valuation_runs.job_id)
                then 'failed' else 'cancelled' end,
            error_message = coalesce(
                (select f.error from fairlane_failed_jobs f where f.id = valuation_runs.job_id), 'its job is gone'),
            failed_at = {now}, updated_at = {now}
         where tenant_id = $1 and status in ('pending', 'processing')
           and not exists (select 1 from fairlane_jobs j where j.id = valuation_runs.job_id)
           and not exists (select 1 from fairlane_failed_jobs f where f.id = valuation_runs.job_id
               and f.failed_at > {now} - {ms:10000})"
    ))
    .bind(tenant)
    .execute(conn)
    .await
    .map(drop)
}

/// Whether a job was cancelled in the queue.
pub async fn is_cancelled(conn: &mut Conn<'_>, tenant: i64, job: Uuid) -> Result<bool> {
    let row = query(sql!(
        "select cancel_requested_at is not null as cancelled from fairlane_jobs where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(job)
    .fetch_optional(conn)
    .await?;
    row.map_or(Ok(false), |row| row.get("cancelled"))
}
