//! Queueing many jobs that are alike: `dispatch_all`.

use super::jobs::{self, NewJob, confine};
use crate::db::{Conn, Dialect, query};
use crate::error::Result;
use crate::sql;

/// Queues jobs of one tenant and kind, to run now, which differ in id, payload and concurrency key alone; ids that exist
/// are left alone. Returns how many were stored.
///
/// Three arrays, and everything they share once: as one JSON document with all columns of each row (what a single dispatch
/// sends) 100,000 jobs took twice as long. SQLite has no arrays and reads its JSON in place.
pub async fn insert_alike(conn: &mut Conn<'_>, jobs: &[NewJob]) -> Result<u64> {
    let Some(first) = jobs.first() else { return Ok(0) };
    if conn.dialect() == Dialect::Sqlite {
        return jobs::insert(conn, jobs).await;
    }
    confine(conn, first.tenant_id)?;
    query(sql!(
        "with setting as materialized (select set_config('fairlane.tenant_id', $1::text, true))
         insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, retry_until,
            concurrency_key, correlation_id, causation_id, trace, created_at)
         select u.id, $1, $2, $3, $4, 'available', {now}, u.payload::jsonb,
            'epoch'::timestamptz + $5 * interval '1 microsecond', u.concurrency_key, $6, $7, $8, {now}
         from setting, unnest($9::uuid[], $10::text[], $11::text[]) as u(id, payload, concurrency_key)
         on conflict do nothing"
    ))
    .bind(first.tenant_id)
    .bind(first.queue.as_str())
    .bind(first.kind.as_str())
    .bind(first.priority)
    .bind(first.retry_until_us)
    .bind(first.correlation_id)
    .bind(first.causation_id)
    .bind(first.trace.clone())
    .bind(jobs.iter().map(|job| job.id).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.payload.get().to_owned()).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.concurrency_key.clone()).collect::<Vec<_>>())
    .execute(conn)
    .await
}
