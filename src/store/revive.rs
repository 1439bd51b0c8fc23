//! The way of failed jobs back into their queues.

use uuid::Uuid;

use crate::db::{Conn, Sql, query};
use crate::error::Result;
use crate::sql;
use crate::store::usage;

/// A failed job that stayed where it is, because another one holds its unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTaken {
    /// The failed job.
    pub id: Uuid,
    /// Its unique key.
    pub key: String,
    /// Who holds it.
    pub holder: Option<Uuid>,
}

/// What a batch of retries did.
#[derive(Debug, Default)]
pub struct Revived {
    /// Jobs that wait in their queue again.
    pub ids: Vec<Uuid>,
    /// Their queues.
    pub queues: Vec<String>,
    /// Jobs that stayed failed.
    pub taken: Vec<KeyTaken>,
}

/// Puts failed jobs back into their queues under their old ids: attempts from zero, one generation on, unique keys
/// taken again. The failure and its worker time stay in the tenant's usage; the job's time counts from zero. Of several with the same free key the oldest gets it; who finds it held stays failed.
pub async fn revive(conn: &mut Conn<'_>, ids: &[Uuid]) -> Result<Revived> {
    take_keys_again(conn, ids).await?;
    let rows = query(sql!(
        "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id, attempt, runs,
            generation, max_attempts, timeout_ms, crashes, suspect, unique_key, unique_mode, unique_for_ms,
            concurrency_key, correlation_id, causation_id, trace, progress_done, progress_total, checkpoint, created_at)
         select f.id, f.tenant_id, f.queue, f.kind, f.priority, 'available', {now}, f.payload, f.event_id, 0, f.runs,
            f.generation + 1, f.max_attempts, f.timeout_ms, 0, f.crashes > 0, f.unique_key, f.unique_mode,
            f.unique_for_ms, f.concurrency_key, f.correlation_id, f.causation_id, f.trace, f.progress_done,
            f.progress_total, f.checkpoint, f.created_at
         from fairlane_failed_jobs f
         where f.id {in:$1} and (f.unique_key is null or exists (
            select 1 from fairlane_unique_keys k where k.tenant_id = f.tenant_id and k.scope = 'unique:' || f.kind
                and k.key = f.unique_key and k.job_id = f.id))
         on conflict do nothing
         returning id, queue"
    ))
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut revived = Revived::default();
    for row in &rows {
        revived.ids.push(row.get("id")?);
        revived.queues.push(row.get("queue")?);
    }
    usage::remove_failed(conn, &revived.ids).await?;
    if revived.ids.len() < ids.len() {
        revived.taken = keys_taken(conn, ids).await?;
    }
    Ok(revived)
}

/// One row a key: a statement may not touch the row it has just written (PostgreSQL refuses it).
async fn take_keys_again(conn: &mut Conn<'_>, ids: &[Uuid]) -> Result<()> {
    query(Sql {
        postgres: "insert into fairlane_unique_keys (tenant_id, scope, key, job_id, expires_at)
            select tenant_id, 'unique:' || kind, unique_key, id,
                {now} + coalesce(unique_for_ms, 86400000) * interval '1 millisecond'
            from (select f.*, row_number() over (partition by tenant_id, kind, unique_key order by failed_at, id) as place
                from fairlane_failed_jobs f where f.id = any($1) and f.unique_key is not null) first
            where place = 1
            on conflict (tenant_id, scope, key) do update
            set job_id = excluded.job_id, expires_at = excluded.expires_at
            where fairlane_unique_keys.expires_at <= {now} or fairlane_unique_keys.job_id = excluded.job_id",
        sqlite: "insert into fairlane_unique_keys (tenant_id, scope, key, job_id, expires_at)
            select tenant_id, 'unique:' || kind, unique_key, id, {now} + coalesce(unique_for_ms, 86400000) * 1000
            from (select f.*, row_number() over (partition by tenant_id, kind, unique_key order by failed_at, id) as place
                from fairlane_failed_jobs f
                where f.id in (select value from json_each($1)) and f.unique_key is not null)
            where place = 1
            on conflict (tenant_id, scope, key) do update
            set job_id = excluded.job_id, expires_at = excluded.expires_at
            where fairlane_unique_keys.expires_at <= {now} or fairlane_unique_keys.job_id = excluded.job_id",
    })
    .bind(ids)
    .execute(conn)
    .await?;
    Ok(())
}

async fn keys_taken(conn: &mut Conn<'_>, ids: &[Uuid]) -> Result<Vec<KeyTaken>> {
    let rows = query(sql!(
        "select f.id, f.unique_key, k.job_id from fairlane_failed_jobs f
         left join fairlane_unique_keys k on k.tenant_id = f.tenant_id and k.scope = 'unique:' || f.kind
            and k.key = f.unique_key
         where f.id {in:$1} and f.unique_key is not null
         order by f.failed_at, f.id"
    ))
    .bind(ids)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(KeyTaken { id: row.get("id")?, key: row.get("unique_key")?, holder: row.get("job_id")? })
        })
        .collect()
}
