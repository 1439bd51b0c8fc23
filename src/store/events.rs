//! Publishing: one event row and one job row for each subscription, in one transaction.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::jobs::{self, NewJob};
use crate::client::Hint;
use crate::db::{Conn, Db, Dialect, Row, Sql, query};
use crate::error::{Error, Result};
use crate::event::Aggregate;
use crate::listener::listener_job_kind;
use crate::sql;

/// Most characters of an event's source, actor, aggregate and trace.
const LONGEST_TEXT: usize = 200;

/// An event before it is stored.
#[derive(Debug)]
pub struct NewEvent {
    pub(crate) id: Uuid,
    pub(crate) tenant_id: i64,
    pub(crate) name: String,
    pub(crate) version: i32,
    pub(crate) payload: Box<RawValue>,
    pub(crate) source: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) aggregate: Option<Aggregate>,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) trace: Option<String>,
}

impl Default for NewEvent {
    fn default() -> Self {
        Self {
            id: Uuid::nil(),
            tenant_id: 0,
            name: String::new(),
            version: 1,
            payload: RawValue::NULL.to_owned(),
            source: None,
            actor: None,
            aggregate: None,
            correlation_id: None,
            causation_id: None,
            trace: None,
        }
    }
}

impl NewEvent {
    /// Refuses what the database would refuse later, when the caller's transaction is lost with it.
    pub(crate) fn validate(&self) -> Result<()> {
        let aggregate = self.aggregate.as_ref();
        let texts = [
            ("source", self.source.as_deref()),
            ("actor", self.actor.as_deref()),
            ("aggregate type", aggregate.map(|it| it.kind)),
            ("aggregate id", aggregate.map(|it| it.id.as_str())),
            ("trace", self.trace.as_deref()),
        ];
        for (what, text) in texts.into_iter().filter_map(|(what, text)| Some((what, text?))) {
            if text.chars().any(char::is_control) || text.chars().count() > LONGEST_TEXT {
                return Err(Error::Invalid {
                    what: format!("the {what} of {}", self.name),
                    why: format!("it must have at most {LONGEST_TEXT} characters, all of them printable"),
                });
            }
        }
        Ok(())
    }
}

/// What publishing an event led to.
#[derive(Debug, Default)]
pub struct Fanned {
    /// Listener jobs queued.
    pub jobs: u64,
    /// The event was stored before; nothing was queued.
    pub duplicate: bool,
    /// Where they wait.
    pub(crate) hints: BTreeSet<Hint>,
}

/// Stores an event and queues its listener jobs; the same id again does nothing.
pub async fn publish(conn: &mut Conn<'_>, event: &NewEvent) -> Result<Fanned> {
    jobs::confine(conn, event.tenant_id)?;
    match conn.dialect() {
        Dialect::Postgres => publish_in_one_statement(conn, event).await,
        Dialect::Sqlite => publish_step_by_step(conn, event).await,
    }
}

/// Event, subscriptions and jobs in one round trip. The tenant's setting travels in it: the insert reads from
/// `setting`, so the policies see it. Job ids are made from event and listener, as [`listener_job_id`] makes them: a repeated
/// fan-out, whichever way it goes, finds them taken.
async fn publish_in_one_statement(conn: &mut Conn<'_>, event: &NewEvent) -> Result<Fanned> {
    let statement = sql!(
        "with setting as materialized (
            select set_config('fairlane.tenant_id', $2::text, true)
         ), event as (
            insert into fairlane_events (id, tenant_id, name, version, payload, source, actor, aggregate_type,
                aggregate_id, aggregate_version, correlation_id, causation_id, trace, priority, occurred_at)
            select $1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10, $11, $12, $13, 5, {now} from setting
            on conflict do nothing
            returning id
         ), fanned as (
            insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id,
                max_attempts, correlation_id, causation_id, trace, created_at)
            select (substr(replace(event.id::text, '-', ''), 1, 12) || '7' || substr(h.hash, 2, 3)
                    || translate(substr(h.hash, 5, 1), '0123456789abcdef', '89ab89ab89ab89ab')
                    || substr(h.hash, 6, 15))::uuid,
                $2, s.queue, s.listener || '@' || s.event_name, s.priority, 'available', {now}, 'null', event.id,
                s.max_attempts, coalesce($11, event.id), event.id, $13, {now}
            from event
            join fairlane_subscriptions s on s.event_name = $3
            cross join lateral (
                select encode(sha256(uuid_send(event.id) || convert_to(s.listener, 'UTF8')), 'hex') as hash) h
            on conflict do nothing
            returning queue, priority
         )
         select (select count(*) from event) as stored, count(*) as jobs,
            string_agg(distinct queue || ':' || $2 || ':' || priority, ',') as lanes from fanned"
    );
    let row = bind_event(query(statement), event).fetch_one(conn).await?;
    if row.get::<i64>("stored")? == 0 {
        return stored_before(conn, event).await;
    }
    let lanes: Option<String> = row.get("lanes")?;
    Ok(Fanned {
        jobs: u64::try_from(row.get::<i64>("jobs")?).unwrap_or_default(),
        duplicate: false,
        hints: lanes.iter().flat_map(|lanes| Hint::decode_all(lanes)).collect(),
    })
}

async fn publish_step_by_step(conn: &mut Conn<'_>, event: &NewEvent) -> Result<Fanned> {
    let statement = sql!(
        "insert into fairlane_events (id, tenant_id, name, version, payload, source, actor, aggregate_type,
            aggregate_id, aggregate_version, correlation_id, causation_id, trace, priority, occurred_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 5, {now})
         on conflict do nothing"
    );
    if bind_event(query(statement), event).execute(conn).await? == 0 {
        return stored_before(conn, event).await;
    }
    let subscriptions = query(sql!(
        "select listener, queue, priority, max_attempts from fairlane_subscriptions
         where event_name = $1 order by listener"
    ))
    .bind(event.name.as_str())
    .fetch_all(conn)
    .await?;
    let jobs = subscriptions.iter().map(|row| listener_job(event, row)).collect::<Result<Vec<_>>>()?;
    jobs::insert(conn, &jobs).await?;
    Ok(Fanned { jobs: jobs.len() as u64, duplicate: false, hints: jobs.iter().map(hint).collect() })
}

fn bind_event(query: crate::db::Query, event: &NewEvent) -> crate::db::Query {
    let aggregate = event.aggregate.as_ref();
    query
        .bind(event.id)
        .bind(event.tenant_id)
        .bind(event.name.as_str())
        .bind(event.version)
        .bind(event.payload.get())
        .bind(event.source.clone())
        .bind(event.actor.clone())
        .bind(aggregate.map(|it| it.kind))
        .bind(aggregate.map(|it| it.id.clone()))
        .bind(aggregate.and_then(|it| it.version))
        .bind(event.correlation_id)
        .bind(event.causation_id)
        .bind(event.trace.clone())
}

fn hint(job: &NewJob) -> Hint {
    Hint::lane(job.queue.as_str(), job.tenant_id, i64::from(job.priority))
}

fn listener_job(event: &NewEvent, row: &Row) -> Result<NewJob> {
    let listener: String = row.get("listener")?;
    Ok(NewJob {
        id: listener_job_id(event.id, &listener),
        tenant_id: event.tenant_id,
        queue: row.get("queue")?,
        kind: listener_job_kind(&listener, &event.name),
        priority: row.get("priority")?,
        event_id: Some(event.id),
        max_attempts: row.get("max_attempts")?,
        correlation_id: Some(event.correlation_id.unwrap_or(event.id)),
        causation_id: Some(event.id),
        trace: event.trace.clone(),
        ..NewJob::default()
    })
}

/// An id made from event and listener, with the event's time in front so that it sorts like any UUIDv7.
fn listener_job_id(event: Uuid, listener: &str) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(event.as_bytes());
    hash.update(listener.as_bytes());
    let digest = hash.finalize();
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&event.as_bytes()[..6]);
    bytes[6..].copy_from_slice(&digest[..10]);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Uuid::from_bytes(bytes)
}

/// The id was taken: by this very event (fine, a repeat), or by another one (a mistake).
async fn stored_before(conn: &mut Conn<'_>, event: &NewEvent) -> Result<Fanned> {
    // The setting travels in the statement: outside a transaction the one of the insert is gone.
    let known = query(Sql {
        postgres: "with setting as materialized (select set_config('fairlane.tenant_id', $2::text, true) as tenant)
             select e.name from setting cross join lateral (
                select name from fairlane_events where id = $1 and tenant_id = setting.tenant::bigint offset 0) e",
        sqlite: "select name from fairlane_events where id = $1 and tenant_id = $2",
    })
    .bind(event.id)
    .bind(event.tenant_id)
    .fetch_optional(conn)
    .await?;
    match known {
        Some(row) if row.get::<String>("name")? == event.name => {
            Ok(Fanned { duplicate: true, ..Fanned::default() })
        }
        _ => Err(Error::IdReused { what: "event", id: event.id }),
    }
}

/// One event of many, as the statement reads it.
#[derive(Serialize)]
struct EventLine<'a> {
    id: Uuid,
    name: &'a str,
    version: i32,
    payload: &'a RawValue,
    aggregate_type: Option<&'a str>,
    aggregate_id: Option<&'a str>,
    aggregate_version: Option<i64>,
}

impl<'a> From<&'a NewEvent> for EventLine<'a> {
    fn from(event: &'a NewEvent) -> Self {
        let aggregate = event.aggregate.as_ref();
        Self {
            id: event.id,
            name: &event.name,
            version: event.version,
            payload: &event.payload,
            aggregate_type: aggregate.map(|it| it.kind),
            aggregate_id: aggregate.map(|it| it.id.as_str()),
            aggregate_version: aggregate.and_then(|it| it.version),
        }
    }
}

/// Stores many events of one tenant at once, each with its listener jobs: for imports and other bulk work. Events that
/// are stored already are left alone.
///
/// One bind, a JSON array, so a chunk is two statements whatever its size. Not an array a column: SQLite joins those
/// by comparing every element with every other.
pub async fn publish_all(conn: &mut Conn<'_>, events: &[NewEvent]) -> Result<u64> {
    let Some(first) = events.first() else { return Ok(0) };
    jobs::confine(conn, first.tenant_id)?;
    let lines: Vec<EventLine<'_>> = events.iter().map(EventLine::from).collect();
    let lines = serde_json::to_string(&lines)
        .map_err(|why| Error::Invalid { what: "an event".into(), why: why.to_string() })?;
    let statement = Sql {
        postgres: "with setting as materialized (select set_config('fairlane.tenant_id', $1::text, true))
             insert into fairlane_events (id, tenant_id, name, version, payload, source, actor, aggregate_type,
                aggregate_id, aggregate_version, correlation_id, causation_id, priority, occurred_at)
             select e.id, $1, e.name, e.version, coalesce(e.payload, 'null'), $2, $3, e.aggregate_type, e.aggregate_id,
                e.aggregate_version, $4, $5, 5, {now}
             from setting, jsonb_to_recordset($6::jsonb) as e(id uuid, name text, version integer, payload jsonb,
                aggregate_type text, aggregate_id text, aggregate_version bigint)
             on conflict do nothing
             returning id",
        sqlite: "insert into fairlane_events (id, tenant_id, name, version, payload, source, actor, aggregate_type,
                aggregate_id, aggregate_version, correlation_id, causation_id, priority, occurred_at)
             select value ->> 'id', $1, value ->> 'name', value ->> 'version', value -> 'payload', $2, $3,
                value ->> 'aggregate_type', value ->> 'aggregate_id', value ->> 'aggregate_version', $4, $5, 5, {now}
             from jsonb_each($6)
             where true
             on conflict do nothing
             returning id",
    };
    let rows = query(statement)
        .bind(first.tenant_id)
        .bind(first.source.clone())
        .bind(first.actor.clone())
        .bind(first.correlation_id)
        .bind(first.causation_id)
        .bind(lines)
        .fetch_all(conn)
        .await?;
    let stored: HashSet<Uuid> = rows.iter().map(|row| row.get("id")).collect::<Result<_>>()?;
    let (new, known): (Vec<&NewEvent>, Vec<&NewEvent>) =
        events.iter().partition(|event| stored.contains(&event.id));
    for event in known {
        stored_before(conn, event).await?;
    }
    fan_out_all(conn, &new).await
}

async fn fan_out_all(conn: &mut Conn<'_>, events: &[&NewEvent]) -> Result<u64> {
    let names: BTreeSet<&str> = events.iter().map(|event| event.name.as_str()).collect();
    let subscriptions = query(sql!(
        "select event_name, listener, queue, priority, max_attempts from fairlane_subscriptions
         where event_name {in:$1} order by event_name, listener"
    ))
    .bind(names.into_iter().collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let mut rows = Vec::new();
    for subscription in &subscriptions {
        let name: String = subscription.get("event_name")?;
        for event in events.iter().filter(|event| event.name == name) {
            rows.push(listener_job(event, subscription)?);
        }
    }
    jobs::insert(conn, &rows).await?;
    if let Some(wakes) = &mut conn.wakes {
        wakes.extend(rows.iter().map(hint));
    }
    Ok(rows.len() as u64)
}

/// Payloads of events, for the listener jobs that were just claimed. One that can't be read is left out: it is the
/// problem of that event's jobs, which fail as undecodable, and of no others.
pub(crate) async fn payloads(db: &Db, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>> {
    let mut tx = db.read().await?;
    let rows = query(Sql {
        postgres: "select id, payload::text as payload from fairlane_events where id = any($1)",
        sqlite: "select id, payload from fairlane_events where id in (select value from json_each($1))",
    })
    .bind(ids)
    .fetch_all(&mut tx.conn())
    .await?;
    Ok(rows.iter().filter_map(|row| Some((row.get("id").ok()?, row.get("payload").ok()?))).collect())
}
