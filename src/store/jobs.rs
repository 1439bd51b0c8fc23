//! Queueing jobs, and the keys that keep them single.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::client::Unique;
use crate::db::{Conn, Dialect, Sql, query};
use crate::error::{Error, Result};
use crate::sql;
use crate::store::single::insert_unless_it_exists;

/// Unique and idempotency keys hold a day unless a job says otherwise.
const KEY_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A job before it is stored. Serialises to the JSON from which the insert reads its rows.
#[derive(Debug, Clone, Serialize)]
pub struct NewJob {
    pub(crate) id: Uuid,
    pub(crate) tenant_id: i64,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) priority: i32,
    pub(crate) delay_ms: i64,
    pub(crate) at_us: Option<i64>,
    pub(crate) payload: Box<RawValue>,
    pub(crate) event_id: Option<Uuid>,
    pub(crate) max_attempts: Option<i64>,
    pub(crate) timeout_ms: Option<i64>,
    pub(crate) retry_until_us: Option<i64>,
    pub(crate) unique_key: Option<String>,
    pub(crate) unique_mode: Option<&'static str>,
    pub(crate) unique_for_ms: Option<i64>,
    pub(crate) concurrency_key: Option<String>,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) trace: Option<String>,
}

impl Default for NewJob {
    fn default() -> Self {
        Self {
            id: Uuid::nil(),
            tenant_id: 0,
            queue: String::new(),
            kind: String::new(),
            priority: 5,
            delay_ms: 0,
            at_us: None,
            payload: RawValue::NULL.to_owned(),
            event_id: None,
            max_attempts: None,
            timeout_ms: None,
            retry_until_us: None,
            unique_key: None,
            unique_mode: None,
            unique_for_ms: None,
            concurrency_key: None,
            correlation_id: None,
            causation_id: None,
            trace: None,
        }
    }
}

impl NewJob {
    /// Refuses what the database would refuse later and less clearly.
    pub(crate) fn validate(&self) -> Result<()> {
        let invalid = |what: &str, why: &str| {
            Err(Error::Invalid { what: format!("the {what} of {}", self.kind), why: why.into() })
        };
        if !(0..=9).contains(&self.priority) {
            return invalid("priority", &format!("{} is not between 0 (first) and 9 (last)", self.priority));
        }
        let names = [("queue", Some(&self.queue)), ("unique key", self.unique_key.as_ref())];
        let names = names.into_iter().chain([("concurrency key", self.concurrency_key.as_ref())]);
        for (what, name) in names.filter_map(|(what, name)| Some((what, name?))) {
            if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
                return invalid(what, "it must have 1 to 200 printable characters");
            }
        }
        if self.queue.contains(',') || self.queue.contains(char::is_whitespace) {
            return invalid("queue", "a queue's name has no commas and no blanks");
        }
        if self.max_attempts.is_some_and(|attempts| i32::try_from(attempts).is_err()) {
            return invalid("number of attempts", "it must be at most 2147483647; 0 means no limit");
        }
        Ok(())
    }

    pub(crate) fn set_unique(&mut self, key: &str, mode: Unique) {
        self.unique_key = Some(key.to_owned());
        (self.unique_mode, self.unique_for_ms) = match mode {
            Unique::UntilDone => (Some("until_done"), None),
            Unique::UntilStarted => (Some("until_started"), None),
            Unique::For(period) => {
                (Some("for_period"), Some(i64::try_from(period.as_millis()).unwrap_or(i64::MAX)))
            }
        };
    }
}

/// A key that a job wants to hold.
#[derive(Debug, Clone)]
pub struct KeyHold {
    scope: String,
    key: String,
    life: Duration,
}

/// The scope of idempotency keys; the scope of a unique key is the job's kind.
const IDEMPOTENCY: &str = "idempotency";

impl KeyHold {
    pub(crate) fn idempotency(key: String) -> Self {
        Self { scope: IDEMPOTENCY.into(), key, life: KEY_LIFE }
    }

    /// Refuses what could not be stored, or would not be found again.
    pub(crate) fn validate(&self, kind: &str) -> Result<()> {
        if self.key.is_empty() || self.key.len() > 200 || self.key.chars().any(char::is_control) {
            let what = if self.scope == IDEMPOTENCY { "idempotency key" } else { "unique key" };
            return Err(Error::Invalid {
                what: format!("the {what} of {kind}"),
                why: "it must have 1 to 200 printable characters".into(),
            });
        }
        Ok(())
    }

    pub(crate) fn unique(kind: &str, key: String, mode: Unique) -> Self {
        let life = if let Unique::For(period) = mode { period } else { KEY_LIFE };
        Self { scope: format!("unique:{kind}"), key, life }
    }
}

/// Whether an insert stored a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Yes.
    New,
    /// No: this job was there before.
    Before(Uuid),
}

/// A transaction confined to one tenant takes rows of that tenant only: said here, before row-level security would.
pub(crate) fn confine(conn: &Conn<'_>, tenant_id: i64) -> Result<()> {
    match conn.tenant {
        Some(own) if own != tenant_id => Err(Error::Refused {
            what: "a write for another tenant".into(),
            why: "this transaction is confined to its own tenant; use fairlane.begin() for several".into(),
        }),
        _ => Ok(()),
    }
}

/// Queues jobs of one tenant in one statement; ids that exist are left alone. Returns how many were stored.
///
/// One bind, a JSON array, on both databases. On PostgreSQL the tenant's setting travels in the statement, so that it
/// stays one round trip under row-level security.
///
/// The conflict names no column: `(tenant_id, id)` is unique as well, and of two inserts that meet the second would
/// have stumbled over that index with an error.
pub async fn insert(conn: &mut Conn<'_>, jobs: &[NewJob]) -> Result<u64> {
    let Some(first) = jobs.first() else { return Ok(0) };
    confine(conn, first.tenant_id)?;
    let rows = serde_json::to_string(jobs)
        .map_err(|why| Error::Invalid { what: "a job".into(), why: why.to_string() })?;
    let statement = Sql {
        postgres: "with setting as materialized (select set_config('fairlane.tenant_id', $2::text, true)),
             given as (
                select r.*, coalesce('epoch'::timestamptz + r.at_us * interval '1 microsecond',
                    {now} + r.delay_ms * interval '1 millisecond') as due
                from setting, jsonb_to_recordset($1::jsonb) as r(id uuid, tenant_id bigint, queue text, kind text,
                    priority integer, delay_ms bigint, at_us bigint, payload jsonb, event_id uuid, max_attempts integer,
                    timeout_ms bigint, retry_until_us bigint, unique_key text, unique_mode text, unique_for_ms bigint,
                    concurrency_key text, correlation_id uuid, causation_id uuid, trace text))
             insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id,
                max_attempts, timeout_ms, retry_until, unique_key, unique_mode, unique_for_ms, concurrency_key,
                correlation_id, causation_id, trace, created_at)
             select id, tenant_id, queue, kind, priority,
                case when due > {now} then 'scheduled' else 'available' end, due, coalesce(payload, 'null'), event_id,
                max_attempts, timeout_ms, 'epoch'::timestamptz + retry_until_us * interval '1 microsecond', unique_key,
                unique_mode, unique_for_ms, concurrency_key, correlation_id, causation_id, trace, {now}
             from given
             on conflict do nothing",
        sqlite: "with given as (
                select value as r, coalesce(value ->> 'at_us', {now} + (value ->> 'delay_ms') * 1000) as due
                from jsonb_each($1) where $2 is not null)
             insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id,
                max_attempts, timeout_ms, retry_until, unique_key, unique_mode, unique_for_ms, concurrency_key,
                correlation_id, causation_id, trace, created_at)
             select r ->> 'id', r ->> 'tenant_id', r ->> 'queue', r ->> 'kind', r ->> 'priority',
                case when due > {now} then 'scheduled' else 'available' end, due, r -> 'payload', r ->> 'event_id',
                r ->> 'max_attempts', r ->> 'timeout_ms', r ->> 'retry_until_us', r ->> 'unique_key',
                r ->> 'unique_mode', r ->> 'unique_for_ms', r ->> 'concurrency_key', r ->> 'correlation_id',
                r ->> 'causation_id', r ->> 'trace', {now}
             from given
             where true
             on conflict do nothing",
    };
    query(statement).bind(rows).bind(first.tenant_id).execute(conn).await
}

/// Queues one job unless its id or one of its keys is taken. Runs in a transaction; several statements.
pub async fn insert_once(conn: &mut Conn<'_>, job: &NewJob, holds: &[KeyHold]) -> Result<Stored> {
    set_tenant(conn, job.tenant_id).await?;
    if let Some(kind) = known_kind(conn, job).await? {
        return if kind == job.kind {
            Ok(Stored::Before(job.id))
        } else {
            Err(Error::IdReused { what: "job", id: job.id })
        };
    }
    for hold in holds {
        let holder = take_key(conn, job.tenant_id, hold, job.id).await?;
        if holder != job.id {
            release_keys(conn, job).await?;
            return Ok(Stored::Before(holder));
        }
    }
    if insert_unless_it_exists(conn, job).await? {
        return Ok(Stored::New);
    }
    // Between the look and the insert another transaction stored the same id, or another tenant has it.
    release_keys(conn, job).await?;
    match known_kind(conn, job).await? {
        Some(kind) if kind == job.kind => Ok(Stored::Before(job.id)),
        _ => Err(Error::IdReused { what: "job", id: job.id }),
    }
}

/// The job that a repeated dispatch gave before: the one with its id, or the one that holds a key of its.
pub(crate) async fn stored_before(
    conn: &mut Conn<'_>,
    job: &NewJob,
    holds: &[KeyHold],
) -> Result<Option<Uuid>> {
    set_tenant(conn, job.tenant_id).await?;
    if known_kind(conn, job).await?.is_some_and(|kind| kind == job.kind) {
        return Ok(Some(job.id));
    }
    for hold in holds {
        let row = query(sql!(
            "select job_id from fairlane_unique_keys
             where tenant_id = $1 and scope = $2 and key = $3 and expires_at > {now}"
        ))
        .bind(job.tenant_id)
        .bind(hold.scope.as_str())
        .bind(hold.key.as_str())
        .fetch_optional(conn)
        .await?;
        if let Some(row) = row {
            return row.get("job_id").map(Some);
        }
    }
    Ok(None)
}

/// Sets the tenant for the rest of the transaction, where row-level security wants it.
pub(crate) async fn set_tenant(conn: &mut Conn<'_>, tenant_id: i64) -> Result<()> {
    confine(conn, tenant_id)?;
    if conn.dialect() == Dialect::Postgres && conn.tenant.is_none() {
        query(sql!("select set_config('fairlane.tenant_id', $1::text, true)"))
            .bind(tenant_id)
            .fetch_one(conn)
            .await?;
    }
    Ok(())
}

/// The kind of the job that has this id already, wherever it has got to.
async fn known_kind(conn: &mut Conn<'_>, job: &NewJob) -> Result<Option<String>> {
    let row = query(sql!(
        "select kind from fairlane_jobs where id = $1 and tenant_id = $2
         union all select kind from fairlane_job_history where id = $1 and tenant_id = $2
         union all select kind from fairlane_failed_jobs where id = $1 and tenant_id = $2"
    ))
    .bind(job.id)
    .bind(job.tenant_id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("kind")).transpose()
}

/// Takes a key if it is free or expired; returns who holds it then. The row is the lock: two dispatches with the same
/// key wait for each other's commit here, so one of them always wins.
pub(crate) async fn take_key(conn: &mut Conn<'_>, tenant_id: i64, hold: &KeyHold, job: Uuid) -> Result<Uuid> {
    loop {
        let taken = query(sql!(
            "insert into fairlane_unique_keys (tenant_id, scope, key, job_id, expires_at)
             values ($1, $2, $3, $4, {now} + {ms:$5})
             on conflict (tenant_id, scope, key) do update
             set job_id = excluded.job_id, expires_at = excluded.expires_at
             where fairlane_unique_keys.expires_at <= {now}
             returning job_id"
        ))
        .bind(tenant_id)
        .bind(hold.scope.as_str())
        .bind(hold.key.as_str())
        .bind(job)
        .bind(i64::try_from(hold.life.as_millis()).unwrap_or(i64::MAX))
        .fetch_optional(conn)
        .await?;
        if let Some(row) = taken {
            return row.get("job_id");
        }
        let holder = query(sql!(
            "select job_id from fairlane_unique_keys where tenant_id = $1 and scope = $2 and key = $3"
        ))
        .bind(tenant_id)
        .bind(hold.scope.as_str())
        .bind(hold.key.as_str())
        .fetch_optional(conn)
        .await?;
        if let Some(row) = holder {
            return row.get("job_id");
        }
        // Between the two statements the holder let go: a job that has started, or is done. The key is to be had again.
    }
}

/// Gives back the keys of a job that was not stored after all.
async fn release_keys(conn: &mut Conn<'_>, job: &NewJob) -> Result<()> {
    // The tenant's only: the id may be another tenant's job, which keeps its keys.
    query(sql!("delete from fairlane_unique_keys where job_id = $1 and tenant_id = $2"))
        .bind(job.id)
        .bind(job.tenant_id)
        .execute(conn)
        .await?;
    Ok(())
}
