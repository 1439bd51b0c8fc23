//! What administrators do, one module per noun. CLI and pages call the same functions; each is audited.
//!
//! | module | operations |
//! |---|---|
//! | [`failed`] | retry, forget |
//! | [`ids`] | which job or event a short id means |
//! | [`jobs`] | why is it waiting, cancel, clear a queue |
//! | [`queues`] | pause, resume, over a limit |
//! | [`tenants`] | add, weigh, limit, pause, drain, resume |
//! | [`schedules`] | add, remove, pause, resume, run now |
//! | [`workers`] | restart |
//!
//! Operations on many jobs fix their set at the start and work through it in transactions of [`BATCH`] jobs, so that
//! memory and locks stay bounded, and jobs that fail meanwhile are not swept in.

pub mod failed;
pub mod ids;
pub mod jobs;
pub mod queues;
pub mod schedules;
pub mod tenants;
pub mod workers;

use crate::db::Conn;
use crate::error::Result;
use crate::store::audit::{self, AuditEntry};

/// Jobs of one transaction.
pub const BATCH: i64 = 1000;

/// Who does something, and why.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The person or program, for the audit.
    pub actor: String,
    /// Why they do it.
    pub reason: Option<String>,
}

/// What an audited operation touched.
struct Deed<'a> {
    tenant_id: Option<i64>,
    action: &'a str,
    target: &'a str,
    affected: u64,
    detail: Option<serde_json::Value>,
}

impl Operator {
    /// Writes an entry in the transaction of the deed itself.
    async fn record(&self, conn: &mut Conn<'_>, deed: Deed<'_>) -> Result<()> {
        let entry = AuditEntry {
            tenant_id: deed.tenant_id,
            actor: &self.actor,
            action: deed.action,
            target: deed.target,
            affected: i64::try_from(deed.affected).unwrap_or(i64::MAX),
            reason: self.reason.as_deref(),
            detail: deed.detail,
        };
        audit::record(conn, &entry).await
    }
}
