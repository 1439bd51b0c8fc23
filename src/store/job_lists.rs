//! Jobs wherever they have got to (live, history, failed), for people.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::listing::{Listing, read_all};
use crate::db::{Conn, Query, Row, Sql, query};
use crate::error::Result;
use crate::sql;
use crate::state::JobState;

/// Which jobs are meant; what is `None` does not narrow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// One tenant's number.
    pub tenant_id: Option<i64>,
    /// One queue.
    pub queue: Option<String>,
    /// One kind; a listener's name stands for all the events it follows.
    pub kind: Option<String>,
    /// Dispatched at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Dispatched at this time or earlier.
    pub until: Option<DateTime<Utc>>,
    /// At least so many attempts.
    pub attempts_min: Option<i64>,
    /// At most so many attempts.
    pub attempts_max: Option<i64>,
    /// Only these jobs.
    pub ids: Option<Vec<Uuid>>,
    /// Only these states; empty means all.
    pub states: Vec<JobState>,
}

/// The filter's conditions but for the state: binds `$1` to `$9`; the states are `$10`.
macro_rules! matching {
    () => {
        "($1 is null or tenant_id = $1) and ($2 is null or queue = $2)
            and ($3 is null or kind = $3 or kind like $3 || '@%')
            and ($4 is null or created_at >= $4) and ($5 is null or created_at <= $5)
            and ($6 is null or attempt >= $6) and ($7 is null or attempt <= $7)
            and ($8 or id {in:$9})"
    };
}
pub(super) use matching;

impl JobFilter {
    /// Whether it narrows nothing but the tenant.
    pub fn is_empty(&self) -> bool {
        Self { tenant_id: None, ..self.clone() } == Self::default()
    }

    pub(super) fn bind(&self, query: Query) -> Query {
        let states = if self.states.is_empty() { &JobState::ALL[..] } else { &self.states };
        query
            .bind(self.tenant_id)
            .bind(self.queue.clone())
            .bind(self.kind.clone())
            .bind(self.since)
            .bind(self.until)
            .bind(self.attempts_min)
            .bind(self.attempts_max)
            .bind(self.ids.is_none())
            .bind(self.ids.clone().unwrap_or_default())
            .bind(states.iter().map(|state| state.as_str()).collect::<Vec<_>>())
    }
}

/// A job, without its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// Its id.
    pub id: Uuid,
    /// Its tenant's slug.
    pub tenant: String,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Where it stands.
    pub state: String,
    /// 0 first, 9 last.
    pub priority: i64,
    /// Attempts so far.
    pub attempt: i64,
    /// When it may run, where it waits.
    pub run_at: Option<DateTime<Utc>>,
    /// When it was dispatched.
    pub created_at: DateTime<Utc>,
    /// When its last attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was completed, cancelled or failed.
    pub finished_at: Option<DateTime<Utc>>,
    /// What it has done of its work.
    pub progress_done: Option<i64>,
    /// How much work it has.
    pub progress_total: Option<i64>,
}

pub(super) const LIST: Sql = sql!(concat!(
        "select cast(jobs.id as text) as key, jobs.*,
            (select t.slug from fairlane_tenants t where t.id = jobs.tenant_id) as tenant
         from (
            select * from (
                select id, tenant_id, queue, kind, state, priority, attempt, run_at, created_at, started_at,
                    cast(null as timestamptz) as finished_at, progress_done, progress_total
                from fairlane_jobs where ",
        matching!(),
        " and state {in:$10} and ($11 is null or id < $11) order by id desc limit $12) live
            union all
            select * from (
                select id, tenant_id, queue, kind, state, priority, attempt, cast(null as timestamptz), created_at,
                    started_at, finished_at, progress_done, progress_total
                from fairlane_job_history where ",
        matching!(),
        " and state {in:$10} and ($11 is null or id < $11) order by id desc limit $12) past
            union all
            select * from (
                select id, tenant_id, queue, kind, 'discarded', priority, attempt, cast(null as timestamptz),
                    created_at, cast(null as timestamptz), failed_at, progress_done, progress_total
                from fairlane_failed_jobs where ",
        matching!(),
        " and 'discarded' {in:$10} and ($11 is null or id < $11) order by id desc limit $12) failed
         ) jobs
         order by jobs.id desc limit $12"
    ));

/// Jobs of all states, the newest first, from after a given one on.
///
/// Each table is read along its primary key and no further than the page.
pub async fn list(
    conn: &mut Conn<'_>,
    filter: &JobFilter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Listing<JobRow>> {
    let rows = filter.bind(query(LIST)).bind(after).bind(limit).fetch_all(conn).await?;
    read_all(&rows, limit, read)
}

fn read(row: &Row) -> Result<JobRow> {
    Ok(JobRow {
        id: row.get("id")?,
        tenant: row.get("tenant")?,
        queue: row.get("queue")?,
        kind: row.get("kind")?,
        state: row.get("state")?,
        priority: row.get("priority")?,
        attempt: row.get("attempt")?,
        run_at: row.get("run_at")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        progress_done: row.get("progress_done")?,
        progress_total: row.get("progress_total")?,
    })
}

/// How many live jobs a filter means.
pub async fn count_live(conn: &mut Conn<'_>, filter: &JobFilter) -> Result<i64> {
    let statement = sql!(concat!(
        "select count(*) as count from fairlane_jobs where ",
        matching!(),
        " and state {in:$10}"
    ));
    filter.bind(query(statement)).fetch_one(conn).await?.get("count")
}

/// Ids of jobs that end with these hexadecimal digits, three at most: more than one is ambiguous already.
pub async fn ids_by_suffix(conn: &mut Conn<'_>, tenant_id: Option<i64>, suffix: &str) -> Result<Vec<Uuid>> {
    let rows = query(sql!(
        "select id from (
            select id, tenant_id from fairlane_jobs union all select id, tenant_id from fairlane_failed_jobs
            union all select id, tenant_id from fairlane_job_history) jobs
         where ($1 is null or tenant_id = $1) and replace(cast(id as text), '-', '') like '%' || $2
         limit 3"
    ))
    .bind(tenant_id)
    .bind(suffix)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Everything about one job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobDetail {
    /// What lists show.
    pub job: JobRow,
    /// Its payload as JSON text; for listener jobs the event's.
    pub payload: String,
    /// The event it brings to a listener.
    pub event_id: Option<Uuid>,
    /// Every start, never given back.
    pub runs: i64,
    /// How often somebody retried it after it had failed.
    pub generation: i64,
    /// Most attempts, where the dispatch said so.
    pub max_attempts: Option<i64>,
    /// Its unique key.
    pub unique_key: Option<String>,
    /// The key it shares with jobs that may not all run at the same time.
    pub concurrency_key: Option<String>,
    /// Ties together what one first cause led to.
    pub correlation_id: Option<Uuid>,
    /// The event or job that caused it.
    pub causation_id: Option<Uuid>,
    /// The worker that has or had it.
    pub worker_id: Option<Uuid>,
    /// Until when its worker owns it.
    pub lease_until: Option<DateTime<Utc>>,
    /// When somebody asked for its cancellation.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// The failure's stable word.
    pub code: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// The group of failures it belongs to.
    pub group: Option<String>,
}

/// One job, wherever it has got to.
pub async fn find(conn: &mut Conn<'_>, tenant_id: Option<i64>, id: Uuid) -> Result<Option<JobDetail>> {
    let row = query(sql!(
        "select jobs.*, (select t.slug from fairlane_tenants t where t.id = jobs.tenant_id) as tenant,
            (select cast(e.payload as text) from fairlane_events e where e.id = jobs.event_id) as event_payload
         from (
            select id, tenant_id, queue, kind, state, priority, attempt, run_at, created_at, started_at,
                cast(null as timestamptz) as finished_at, progress_done, progress_total, cast(payload as text) as payload,
                event_id, runs, generation, max_attempts, unique_key, concurrency_key, correlation_id, causation_id,
                worker_id, lease_until, cancel_requested_at, cancel_reason as reason, cast(null as text) as code,
                cast(null as text) as error, cast(null as text) as fingerprint
            from fairlane_jobs where id = $1
            union all
            select id, tenant_id, queue, kind, state, priority, attempt, cast(null as timestamptz), created_at, started_at,
                finished_at, progress_done, progress_total, cast(payload as text), event_id, runs, generation, null,
                null, null, correlation_id, causation_id, worker_id, null, null, reason, null, null, null
            from fairlane_job_history where id = $1
            union all
            select id, tenant_id, queue, kind, 'discarded', priority, attempt, cast(null as timestamptz), created_at, null,
                failed_at, progress_done, progress_total, cast(payload as text), event_id, runs, generation,
                max_attempts, unique_key, concurrency_key, correlation_id, causation_id, null, null, null, null, code, error, fingerprint
            from fairlane_failed_jobs where id = $1
         ) jobs
         where $2 is null or jobs.tenant_id = $2"
    ))
    .bind(id)
    .bind(tenant_id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| read_detail(&row)).transpose()
}

fn read_detail(row: &Row) -> Result<JobDetail> {
    let job = read(row)?;
    let event_payload: Option<String> = row.get("event_payload")?;
    Ok(JobDetail {
        payload: match event_payload {
            Some(payload) => payload,
            None => row.get::<Option<String>>("payload")?.unwrap_or_default(),
        },
        job,
        event_id: row.get("event_id")?,
        runs: row.get("runs")?,
        generation: row.get("generation")?,
        max_attempts: row.get("max_attempts")?,
        unique_key: row.get("unique_key")?,
        concurrency_key: row.get("concurrency_key")?,
        correlation_id: row.get("correlation_id")?,
        causation_id: row.get("causation_id")?,
        worker_id: row.get("worker_id")?,
        lease_until: row.get("lease_until")?,
        cancel_requested_at: row.get("cancel_requested_at")?,
        reason: row.get("reason")?,
        code: row.get("code")?,
        error: row.get("error")?,
        group: row.get("fingerprint")?,
    })
}

/// One attempt that did not succeed.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// Which start of the job it was.
    pub run: i64,
    /// Which attempt it counted as.
    pub attempt: i64,
    /// After how many retries by somebody.
    pub generation: i64,
    /// The worker.
    pub worker_id: Option<Uuid>,
    /// When it started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// What followed: `retried`, `failed` ...
    pub outcome: String,
    /// The failure's stable word.
    pub code: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// The attempts of a job whose errors are kept, in order.
pub async fn attempts(conn: &mut Conn<'_>, job: Uuid) -> Result<Listing<AttemptRow>> {
    let rows = query(sql!(
        "select cast(run as text) as key, run, attempt, generation, worker_id, started_at, finished_at, outcome, code,
            error
         from fairlane_attempts where job_id = $1 order by run"
    ))
    .bind(job)
    .fetch_all(conn)
    .await?;
    read_all(&rows, i64::MAX, |row| {
        Ok(AttemptRow {
            run: row.get("run")?,
            attempt: row.get("attempt")?,
            generation: row.get("generation")?,
            worker_id: row.get("worker_id")?,
            started_at: row.get("started_at")?,
            finished_at: row.get("finished_at")?,
            outcome: row.get("outcome")?,
            code: row.get("code")?,
            error: row.get("error")?,
        })
    })
}

/// The database's time: the fixed end of a set that is worked through.
pub async fn now(conn: &mut Conn<'_>) -> Result<DateTime<Utc>> {
    query(sql!("select {now} as now")).fetch_one(conn).await?.get("now")
}
