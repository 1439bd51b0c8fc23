//! Undoing an import: what it created goes, what it changed comes back, and what was touched since stays and is listed.
//!
//! ```text
//! request   may it be undone? entered into the log, job dispatched: one transaction
//! job       page by page: first what is new, then what was changed, then once more what was in each other's way;
//!           each page is one transaction with its events, its marks and the checkpoint
//! records   one page of records with keys; an inventory reverses its movements instead (inventory/undo)
//! try_out   the same in one transaction that is rolled back
//! ```

mod job;
mod records;
mod request;
pub mod store;
mod try_out;

use std::time::Duration;

use fairlane::{Context, Failure, Job, JobResult, Policy};
use serde::{Deserialize, Serialize};
use tracing::warn;

pub(super) use job::prune;
pub(super) use records::records;
pub use request::{UndoError, request};
pub use try_out::{UndoTrial, try_out};

use crate::erp::Erp;

/// Undoes an import; what was changed since is listed and left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoBulkImport {
    /// The import, in `import_logs`.
    pub import_id: i64,
    /// What it imported: it takes its turn among the imports of this type.
    pub import_type: String,
}

impl Job for UndoBulkImport {
    const KIND: &'static str = "erp.undo_bulk_import";
    const POLICY: Policy = Policy::LOW.attempts(3).timeout(Duration::from_secs(600));
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        job::run(self.import_id, &ctx, &ctx.state.import).await
    }

    fn concurrency_key(&self) -> Option<String> {
        Some(format!("import:{}", self.import_type))
    }

    async fn failed(self, failure: Failure, ctx: Context<Erp>) {
        if let Err(error) = store::mark_failed(&ctx.tenant(), self.import_id, &failure.message).await {
            warn!(%error, import_id = self.import_id, "the log of this undoing could not be brought up to date");
        }
    }
}
