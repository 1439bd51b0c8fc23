//! Worker processes: who is there, and a graceful restart.

use uuid::Uuid;

use super::{Deed, Operator};
use crate::client::Fairlane;
use crate::error::Result;
use crate::store::workers;

/// Which processes are meant; empty means all of them.
#[derive(Debug, Clone, Default)]
pub struct WorkerFilter {
    /// By their name.
    pub name: Option<String>,
    /// By the machine.
    pub host: Option<String>,
    /// By a queue they serve.
    pub queue: Option<String>,
}

/// Asks processes to finish what they run and stop; their process manager starts them again. Returns whom.
pub async fn restart(fairlane: &Fairlane, filter: &WorkerFilter, operator: &Operator) -> Result<Vec<Uuid>> {
    let mut tx = fairlane.db().begin().await?;
    let asked = workers::request_stop(
        &mut tx.conn(),
        filter.name.as_deref(),
        filter.host.as_deref(),
        filter.queue.as_deref(),
    )
    .await?;
    let target = [("name", &filter.name), ("host", &filter.host), ("queue", &filter.queue)]
        .into_iter()
        .filter_map(|(what, value)| value.as_ref().map(|value| format!("{what}:{value}")))
        .collect::<Vec<_>>()
        .join(" ");
    let target = if target.is_empty() { "all" } else { &target };
    let affected = asked.len() as u64;
    operator
        .record(
            &mut tx.conn(),
            Deed { tenant_id: None, action: "worker.restart", target, affected, detail: None },
        )
        .await?;
    tx.commit().await?;
    Ok(asked)
}
