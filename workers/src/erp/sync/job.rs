//! The job: one entity of one connection, in one direction.

use std::time::Duration;

use fairlane::db::query;
use fairlane::{
    Context, Dispatched, Error, Failure, Job, JobResult, Policy, Result, Tenant, Transaction, sql,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::connection::{Connection, Direction, Entity};
use super::pull;
use crate::erp::Erp;
use crate::erp::notifications::{AlertNotification, Audience, notify_audience};
use crate::erp::services::active_user;
use crate::erp::store::sync::logs::Counts;
use crate::erp::store::sync::{Of, connections, logs};

/// Who is told when an exchange fails for good.
pub const SYNC_ALERTS: &str = "sync.alerts";

/// Exchanges one entity with another system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncExternalData {
    /// With whom.
    pub connection_id: i64,
    /// What.
    pub entity: Entity,
    /// Which way.
    pub direction: Direction,
    /// Whether everything is asked for, not only what has changed.
    #[serde(default)]
    pub full: bool,
    /// The run's number in the log.
    pub run: i64,
    /// The user who asked for it, and is told how it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<i64>,
}

impl Job for SyncExternalData {
    const KIND: &'static str = "erp.sync_external_data";
    const POLICY: Policy = Policy::LOW.attempts(10).timeout(Duration::from_secs(600)).long();
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        Box::pin(pull::run(&self, &ctx)).await
    }

    async fn failed(self, failure: Failure, ctx: Context<Erp>) {
        if let Err(why) = give_up(&self, &failure, &ctx.tenant()).await {
            tracing::error!(error = %why, run = self.run, "the log of this exchange could not be brought up to date");
        }
    }

    /// One run of a list at a time: two would be at the same cursor.
    fn unique_key(&self) -> Option<String> {
        Some(format!("sync:{}:{}:{}", self.connection_id, self.entity, self.direction))
    }

    /// One after the other for each connection: levels and orders come after their products and customers.
    fn concurrency_key(&self) -> Option<String> {
        Some(format!("sync:{}", self.connection_id))
    }
}

/// Says in the log that a run has failed, and tells those who can do something about it.
async fn give_up(job: &SyncExternalData, failure: &Failure, tenant: &Tenant) -> Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    logs::fail(&mut tx.conn(), id, job.run, &failure.code, &failure.message).await?;
    let name = match connections::by_id(&mut tx.conn(), id, job.connection_id).await? {
        Some(connection) => connection.name,
        None => format!("connection {}", job.connection_id),
    };
    let alert = AlertNotification::warning(
        format!("The exchange of {} with {name} has failed", job.entity),
        format!(
            "{}. Look at it: fairlane erp sync log show {} -t {}",
            failure.message,
            job.run,
            tenant.slug()
        ),
        json!({ "run": job.run, "connection": name, "entity": job.entity, "direction": job.direction }),
    );
    let audience = Audience::holders(SYNC_ALERTS).and(job.asked_by);
    notify_audience(&mut tx, tenant, &audience, &alert, &format!("sync:{}", job.run)).await?;
    tx.commit().await
}

/// Tells who asked for a run that it is done; part of the transaction that ends it. Runs by the clock tell nobody.
pub(super) async fn tell_end(
    tx: &mut Transaction,
    tenant: &Tenant,
    run: i64,
    (connection, asked_by): (&str, Option<i64>),
) -> Result<()> {
    let Some(user) = asked_by else { return Ok(()) };
    let log = logs::find(&mut tx.conn(), tenant.id().await?, run).await?;
    let Counts { records, created, changed, refused, disputed, .. } = log.counts;
    let is_whole = refused == 0 && disputed == 0;
    let mut message = format!("{records} records: {created} new, {changed} changed.");
    if !is_whole {
        message.push_str(&format!(
            " {refused} were refused and {disputed} fields are disputed. Look: fairlane erp sync log show {run} -t {}",
            tenant.slug()
        ));
    }
    let note = AlertNotification::done(
        is_whole,
        format!("The exchange of {} with {connection} is done", log.sync_type),
        message,
        json!({ "run": run, "connection": connection, "records": records, "created": created, "changed": changed,
            "refused": refused, "disputed": disputed }),
    );
    let audience = Audience::user(user).about("sync", run);
    notify_audience(tx, tenant, &audience, &note, &format!("sync:{run}:done")).await?;
    Ok(())
}

/// A run that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Requested {
    /// Its number in the log; none where the one that waits or runs is known by its job alone.
    pub run: Option<i64>,
    /// Its job.
    pub job_id: Uuid,
    /// Whether it was there before: nothing was queued.
    pub duplicate: bool,
}

/// Asks for a run, in the caller's transaction. While one of the same list waits or runs, that one is returned.
///
/// # Errors
/// When the connection does not describe the entity, or is switched off.
pub async fn request(
    tx: &mut Transaction,
    tenant: &Tenant,
    connection: &Connection,
    wanted: (Entity, Direction, bool),
) -> Result<Requested> {
    request_by(tx, tenant, connection, wanted, None).await
}

/// As [`request`], by a user who is told how it ends.
///
/// # Errors
/// Those of [`request`], and when there is no such user.
pub async fn request_by(
    tx: &mut Transaction,
    tenant: &Tenant,
    connection: &Connection,
    (entity, direction, full): (Entity, Direction, bool),
    asked_by: Option<i64>,
) -> Result<Requested> {
    let id = tenant.id().await?;
    active_user(&mut tx.conn(), id, asked_by).await?;
    connection.description()?.entity(entity)?;
    if !connection.active {
        return Err(Error::Refused {
            what: format!("exchanging {entity} with {}", connection.name),
            why: format!(
                "the connection is switched off; switch it on: fairlane erp sync connection set {} --active true",
                connection.name
            ),
        });
    }
    logs::settle_orphans(&mut tx.conn(), id).await?;
    query(sql!("savepoint sync_request")).execute(&mut tx.conn()).await?;
    let of = Of { tenant: id, connection: connection.id, entity };
    let run = logs::insert(&mut tx.conn(), of, direction, full).await?;
    let job = SyncExternalData { connection_id: connection.id, entity, direction, full, run, asked_by };
    let Dispatched { id: job_id, duplicate, .. } = tenant.dispatch(job).in_tx(&mut *tx).await?;
    if duplicate {
        query(sql!("rollback to savepoint sync_request")).execute(&mut tx.conn()).await?;
    } else {
        logs::set_job(&mut tx.conn(), id, run, job_id).await?;
    }
    query(sql!("release savepoint sync_request")).execute(&mut tx.conn()).await?;
    let run = if duplicate { logs::of_job(&mut tx.conn(), id, job_id).await? } else { Some(run) };
    Ok(Requested { run, job_id, duplicate })
}
