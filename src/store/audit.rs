//! What people did: append-only, written in the transaction of what they did.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::listing::{Listing, read_all};
use crate::db::{Conn, query};
use crate::error::Result;
use crate::sql;

/// An entry of the audit.
#[derive(Debug, Clone)]
pub struct AuditEntry<'a> {
    /// The tenant it concerns, if it is one.
    pub tenant_id: Option<i64>,
    /// Who did it.
    pub actor: &'a str,
    /// What: `job.retry`, `queue.pause` ...
    pub action: &'a str,
    /// To what: an id, a queue, a filter in words.
    pub target: &'a str,
    /// How many rows it touched.
    pub affected: i64,
    /// Why, if they said so.
    pub reason: Option<&'a str>,
    /// More for machines.
    pub detail: Option<serde_json::Value>,
}

/// Writes an entry.
pub async fn record(conn: &mut Conn<'_>, entry: &AuditEntry<'_>) -> Result<()> {
    query(sql!(
        "insert into fairlane_audit (id, tenant_id, at, actor, action, target, affected, reason, detail)
         values ($1, $2, {now}, $3, $4, $5, $6, $7, $8)"
    ))
    .bind(Uuid::now_v7())
    .bind(entry.tenant_id)
    .bind(entry.actor)
    .bind(entry.action)
    .bind(entry.target)
    .bind(entry.affected)
    .bind(entry.reason)
    .bind(entry.detail.clone())
    .execute(conn)
    .await?;
    Ok(())
}

/// A retry by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub actor: String,
    /// Why, if they said so.
    pub reason: Option<String>,
}

/// The retries by hand of a job that was dispatched at this time, in order.
pub async fn retries(conn: &mut Conn<'_>, job: Uuid, dispatched: DateTime<Utc>) -> Result<Listing<Retry>> {
    let rows = query(sql!(
        "select cast(id as text) as key, at, actor, reason from fairlane_audit
         where at >= $2 and action = 'job.retry' and cast(detail as text) like '%\"' || $1 || '\"%' order by at, id"
    ))
    .bind(job.to_string())
    .bind(dispatched)
    .fetch_all(conn)
    .await?;
    read_all(&rows, i64::MAX, |row| {
        Ok(Retry { at: row.get("at")?, actor: row.get("actor")?, reason: row.get("reason")? })
    })
}
