//! Dispatching jobs.

use std::collections::BTreeSet;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::admission::Wish;
use super::{Hint, Tenant, Wake, encode_payload};
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::store::alike::insert_alike;
use crate::store::jobs::{self, KeyHold, NewJob};
use crate::store::single::insert_new;
use crate::{Job, Policy};

/// Rows of `dispatch_all` that travel in one statement.
const ROWS_PER_STATEMENT: usize = 2000;

/// A job on its way into the queue: set what differs from its policy, then `.await` it or put it `.in_tx(&mut tx)`.
#[derive(Debug)]
#[must_use = "nothing is queued until it is awaited or put into a transaction"]
pub struct Dispatch {
    tenant: Tenant,
    job: Result<NewJob>,
    unique: Option<(String, Unique)>,
    idempotency_key: Option<String>,
    own_id: bool,
}

/// How long a unique key holds: until then another dispatch with the key returns the job that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unique {
    /// Until the job is completed, cancelled or failed for good (a day at the longest).
    UntilDone,
    /// Until a worker starts it: at most one waits, while another may run.
    UntilStarted,
    /// For this long from the dispatch on, whatever becomes of the job.
    For(Duration),
}

/// What became of a dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatched {
    /// The job's id: the new job's, or that of the one that has the key already.
    pub id: Uuid,
    /// Whether the job was there before: nothing was queued.
    pub duplicate: bool,
    /// Fire it after the commit of your own `sqlx` transaction, for workers to start at once.
    pub wake: Wake,
}

impl Dispatch {
    pub(super) fn new<J: Job>(tenant: Tenant, job: J) -> Self {
        let payload = encode_payload(J::KIND, &job, tenant.fairlane.settings().payload);
        let new =
            payload.map(|payload| new_job(&tenant, J::KIND, &J::POLICY, payload, job.concurrency_key()));
        let unique = job.unique_key().map(|key| (key, Unique::UntilDone));
        Self { tenant, job: new, unique, idempotency_key: None, own_id: false }
    }

    /// A job whose kind is known by name only, for tools; the payload is checked like any other.
    pub(crate) fn untyped(tenant: Tenant, kind: &str, policy: &Policy, payload: &serde_json::Value) -> Self {
        let payload = encode_payload(kind, payload, tenant.fairlane.settings().payload);
        let new = payload.map(|payload| new_job(&tenant, kind, policy, payload, None));
        Self { tenant, job: new, unique: None, idempotency_key: None, own_id: false }
    }

    /// Runs it no sooner than after this long.
    pub fn delay(self, delay: Duration) -> Self {
        self.set(|job| job.delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
    }

    /// Runs it no sooner than at this time.
    pub fn at(self, at: DateTime<Utc>) -> Self {
        self.set(|job| job.at_us = Some(at.timestamp_micros()))
    }

    /// Puts it into another queue than its policy's.
    pub fn queue(self, queue: impl Into<String>) -> Self {
        let queue = queue.into();
        self.set(|job| job.queue = queue)
    }

    /// 0 goes first, 9 last, among this tenant's jobs of the queue.
    pub fn priority(self, priority: i32) -> Self {
        self.set(|job| job.priority = priority)
    }

    /// How many attempts before it fails for good; 0 for no limit.
    pub fn attempts(self, attempts: u32) -> Self {
        self.set(|job| job.max_attempts = Some(i64::from(attempts)))
    }

    /// The longest time between two signs of progress.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|job| job.timeout_ms = i64::try_from(timeout.as_millis()).ok())
    }

    /// Retries until this time, however many attempts that makes.
    pub fn retry_until(self, until: DateTime<Utc>) -> Self {
        self.set(|job| job.retry_until_us = Some(until.timestamp_micros()))
    }

    /// At most one job of this kind with this key, for as long as the mode says.
    pub fn unique(mut self, key: impl Into<String>, mode: Unique) -> Self {
        self.unique = Some((key.into(), mode));
        self
    }

    /// Makes the dispatch repeatable: within a day the same key gives the same job, whatever became of it.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// An id made by the caller (UUIDv7): the same id again queues nothing, also after the job is done.
    pub fn id(mut self, id: Uuid) -> Self {
        self.own_id = true;
        self.set(|job| job.id = id)
    }

    /// Queues it as part of the caller's transaction: an `sqlx` one, or Fairlane's own.
    pub async fn in_tx<'c>(self, tx: impl Into<Conn<'c>>) -> Result<Dispatched> {
        let mut conn = self.tenant.fairlane.adopt(tx.into());
        let dispatched = self.insert(&mut conn).await?;
        if let Some(wakes) = &mut conn.wakes {
            wakes.extend(dispatched.wake.hints().cloned());
        }
        Ok(dispatched)
    }

    async fn insert(self, conn: &mut Conn<'_>) -> Result<Dispatched> {
        let Self { tenant, job, unique, idempotency_key, own_id } = self;
        let mut job = job?;
        let mut holds = Vec::new();
        if let Some(key) = idempotency_key {
            holds.push(KeyHold::idempotency(key));
        }
        if let Some((key, mode)) = unique {
            job.set_unique(&key, mode);
            holds.push(KeyHold::unique(&job.kind, key, mode));
        }
        job.validate()?;
        holds.iter().try_for_each(|hold| hold.validate(&job.kind))?;
        let tenant_id = tenant.fairlane.tenant_id_on(&tenant.slug, conn).await?;
        job.tenant_id = tenant_id;
        let admission = tenant.fairlane.admission(&tenant.slug, tenant_id, conn).await?;
        admission.check_payload(&job.kind, &job.payload, Some(&job.queue))?;
        if admission.may_refuse(&job.queue) {
            // A dispatch that is repeated queues nothing: no limit has a say in it.
            if (own_id || !holds.is_empty())
                && let Some(id) = jobs::stored_before(conn, &job, &holds).await?
            {
                return Ok(Dispatched { id, duplicate: true, wake: Wake::none() });
            }
            let by_a_job = tenant.origin.causation_id.is_some();
            admission.admit(&tenant.fairlane, conn, Wish { queue: &job.queue, jobs: 1, by_a_job }).await?;
        }
        let hint = |job: &NewJob| {
            Hint::lane(job.queue.as_str(), tenant_id, i64::from(job.priority))
                .keyed(job.concurrency_key.is_some())
        };
        let wake = |job: &NewJob| tenant.fairlane.waker().wake_for(BTreeSet::from([hint(job)]));
        let stored = if holds.is_empty() && !own_id {
            insert_new(conn, &job).await?;
            jobs::Stored::New
        } else {
            jobs::insert_once(conn, &job, &holds).await?
        };
        Ok(match stored {
            jobs::Stored::New => Dispatched { id: job.id, duplicate: false, wake: wake(&job) },
            jobs::Stored::Before(id) => Dispatched { id, duplicate: true, wake: Wake::none() },
        })
    }

    async fn send(self) -> Result<Dispatched> {
        let db = self.tenant.fairlane.db().clone();
        // Keys take several statements; a plain job is one, which is its own transaction.
        let single = self.unique.is_none() && self.idempotency_key.is_none() && !self.own_id;
        // The tenant is looked up before the writer is taken, for it needs a connection too.
        self.tenant.id().await?;
        let mut tx = if single { db.single().await? } else { db.begin().await? };
        let mut dispatched = self.insert(&mut tx.conn()).await?;
        tx.commit().await?;
        std::mem::replace(&mut dispatched.wake, Wake::none()).fire();
        Ok(dispatched)
    }

    fn set(mut self, change: impl FnOnce(&mut NewJob)) -> Self {
        if let Ok(job) = &mut self.job {
            change(job);
        }
        self
    }
}

impl IntoFuture for Dispatch {
    type Output = Result<Dispatched>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Dispatched>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A row for a job, with its kind's policy and the configuration's overrides applied.
fn new_job(
    tenant: &Tenant,
    kind: &str,
    policy: &Policy,
    payload: Box<RawValue>,
    concurrency_key: Option<String>,
) -> NewJob {
    let settings = tenant.fairlane.settings();
    let changed = settings.kinds.get(kind).cloned().unwrap_or_default();
    let queue = changed.queue.unwrap_or_else(|| match &settings.default_queue {
        Some(other) if policy.queue == Policy::DEFAULT.queue => other.clone(),
        _ => policy.queue.to_owned(),
    });
    NewJob {
        id: Uuid::now_v7(),
        queue,
        kind: kind.to_owned(),
        priority: changed.priority.unwrap_or(policy.priority),
        payload,
        retry_until_us: policy.retry_for.map(|period| {
            (Utc::now() + chrono::Duration::from_std(period).unwrap_or(chrono::Duration::days(36_500)))
                .timestamp_micros()
        }),
        concurrency_key,
        correlation_id: tenant.origin.correlation_id,
        causation_id: tenant.origin.causation_id,
        trace: tenant.origin.trace.clone(),
        ..NewJob::default()
    }
}

pub(super) async fn dispatch_all<J: Job>(tenant: &Tenant, jobs: impl IntoIterator<Item = J>) -> Result<u64> {
    let tenant_id = tenant.id().await?;
    let limits = tenant.fairlane.settings().payload;
    let mut rows = Vec::new();
    for job in jobs {
        if job.unique_key().is_some() {
            return Err(Error::Refused {
                what: format!("dispatch_all of {}", J::KIND),
                why: "its jobs have unique keys; dispatch them one by one, in one transaction".into(),
            });
        }
        let payload = encode_payload(J::KIND, &job, limits)?;
        let mut row = new_job(tenant, J::KIND, &J::POLICY, payload, job.concurrency_key());
        row.tenant_id = tenant_id;
        row.validate()?;
        rows.push(row);
    }
    let Some(first) = rows.first() else { return Ok(0) };
    let mut tx = tenant.begin().await?;
    let admission = tenant.fairlane.admission(&tenant.slug, tenant_id, &mut tx.conn()).await?;
    rows.iter().try_for_each(|row| admission.check_payload(J::KIND, &row.payload, Some(&row.queue)))?;
    if admission.may_refuse(&first.queue) {
        let by_a_job = tenant.origin.causation_id.is_some();
        // One kind, so one queue.
        let wish = Wish { queue: &first.queue, jobs: rows.len() as u64, by_a_job };
        admission.admit(&tenant.fairlane, &mut tx.conn(), wish).await?;
    }
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        insert_alike(&mut tx.conn(), chunk).await?;
    }
    let keyed = rows.iter().any(|row| row.concurrency_key.is_some());
    let hint = |row: &NewJob| Hint::lane(row.queue.as_str(), tenant_id, i64::from(row.priority)).keyed(keyed);
    let hints = rows.first().map(hint).into_iter().collect();
    tx.commit().await?;
    tenant.fairlane.wake(hints);
    Ok(rows.len() as u64)
}
