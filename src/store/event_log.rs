//! Events that were published, and what their listeners did, for people.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::listing::{Listing, read_all};
use crate::db::{Conn, Row, Sql, query};
use crate::error::Result;
use crate::sql;

/// Which events are meant; what is `None` does not narrow.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// One tenant's number.
    pub tenant_id: Option<i64>,
    /// One name.
    pub name: Option<String>,
    /// Happened at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Happened at this time or earlier.
    pub until: Option<DateTime<Utc>>,
}

/// An event, without its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Its id.
    pub id: Uuid,
    /// Its tenant's slug.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// The version of its payload's shape.
    pub version: i64,
    /// What it is about, and which.
    pub aggregate_type: Option<String>,
    /// The id of what it is about.
    pub aggregate_id: Option<String>,
    /// Who caused it.
    pub actor: Option<String>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

/// An event with everything stored about it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDetail {
    /// What lists show.
    pub event: EventRow,
    /// Its payload as JSON text.
    pub payload: String,
    /// The program that published it.
    pub source: Option<String>,
    /// Ties together what one first cause led to.
    pub correlation_id: Option<Uuid>,
    /// The event or job that caused it.
    pub causation_id: Option<Uuid>,
    /// W3C trace context.
    pub trace: Option<String>,
}

/// What became of an event at one listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The listener.
    pub listener: String,
    /// Its job.
    pub job_id: Option<Uuid>,
    /// The job's state; `None` where no job is left and the listener has no run on record.
    pub state: Option<String>,
    /// When it was done, cancelled or failed.
    pub finished_at: Option<DateTime<Utc>>,
    /// What went wrong.
    pub error: Option<String>,
}

pub(super) const LIST: Sql = sql!(
        "select cast(e.id as text) as key, e.id, (select t.slug from fairlane_tenants t where t.id = e.tenant_id) as tenant,
            e.name, e.version, e.aggregate_type, e.aggregate_id, e.actor, e.occurred_at
         from fairlane_events e
         where ($1 is null or e.tenant_id = $1) and ($2 is null or e.name = $2)
            and ($3 is null or e.occurred_at >= $3) and ($4 is null or e.occurred_at <= $4)
            and ($5 is null or e.id < $5)
         order by e.id desc limit $6"
);

/// Events, the newest first, from after a given one on.
pub async fn list(
    conn: &mut Conn<'_>,
    filter: &EventFilter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Listing<EventRow>> {
    let rows = query(LIST)
        .bind(filter.tenant_id)
        .bind(filter.name.clone())
        .bind(filter.since)
        .bind(filter.until)
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    read_all(&rows, limit, read)
}

fn read(row: &Row) -> Result<EventRow> {
    Ok(EventRow {
        id: row.get("id")?,
        tenant: row.get("tenant")?,
        name: row.get("name")?,
        version: row.get("version")?,
        aggregate_type: row.get("aggregate_type")?,
        aggregate_id: row.get("aggregate_id")?,
        actor: row.get("actor")?,
        occurred_at: row.get("occurred_at")?,
    })
}

/// Ids of events that end with these hexadecimal digits, three at most.
pub async fn ids_by_suffix(conn: &mut Conn<'_>, tenant_id: Option<i64>, suffix: &str) -> Result<Vec<Uuid>> {
    let rows = query(sql!(
        "select id from fairlane_events
         where ($1 is null or tenant_id = $1) and replace(cast(id as text), '-', '') like '%' || $2 limit 3"
    ))
    .bind(tenant_id)
    .bind(suffix)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// One event.
pub async fn find(conn: &mut Conn<'_>, tenant_id: Option<i64>, id: Uuid) -> Result<Option<EventDetail>> {
    let row = query(sql!(
        "select e.id, (select t.slug from fairlane_tenants t where t.id = e.tenant_id) as tenant, e.name, e.version,
            e.aggregate_type, e.aggregate_id, e.actor, e.occurred_at, cast(e.payload as text) as payload, e.source,
            e.correlation_id, e.causation_id, e.trace
         from fairlane_events e where e.id = $1 and ($2 is null or e.tenant_id = $2)"
    ))
    .bind(id)
    .bind(tenant_id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(EventDetail {
            event: read(&row)?,
            payload: row.get("payload")?,
            source: row.get("source")?,
            correlation_id: row.get("correlation_id")?,
            causation_id: row.get("causation_id")?,
            trace: row.get("trace")?,
        })
    })
    .transpose()
}

/// What became of an event at every listener that follows it now or got a job of it.
pub async fn deliveries(conn: &mut Conn<'_>, event: &EventDetail) -> Result<Vec<Delivery>> {
    let rows = query(sql!(
        "with jobs as (
            select kind, id, state, cast(null as timestamptz) as finished_at, cast(null as text) as error
            from fairlane_jobs where event_id = $1
            union all
            select kind, id, state, finished_at, reason from fairlane_job_history where event_id = $1
            union all
            select kind, id, 'discarded', failed_at, error from fairlane_failed_jobs where event_id = $1
         ), listeners as (
            select kind from jobs
            union select listener || '@' || event_name from fairlane_subscriptions where event_name = $2
            union select listener from fairlane_listener_runs where event_id = $1
         )
         select l.kind, coalesce(j.id, r.job_id) as job_id,
            coalesce(j.state, case when r.job_id is not null then 'completed' end) as state,
            coalesce(j.finished_at, r.finished_at) as finished_at, j.error
         from listeners l
         left join jobs j on j.kind = l.kind
         left join fairlane_listener_runs r on r.event_id = $1 and r.listener = l.kind
         order by l.kind"
    ))
    .bind(event.event.id)
    .bind(event.event.name.as_str())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let kind: String = row.get("kind")?;
            Ok(Delivery {
                listener: kind.split('@').next().unwrap_or(&kind).to_owned(),
                job_id: row.get("job_id")?,
                state: row.get("state")?,
                finished_at: row.get("finished_at")?,
                error: row.get("error")?,
            })
        })
        .collect()
}
