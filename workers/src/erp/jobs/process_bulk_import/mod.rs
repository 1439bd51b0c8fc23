//! `ProcessBulkImport`: files of rows into the ERP's tables.
//!
//! ```text
//! submit      file looked at (tabular/), mapped, stored (files), entered (log), job dispatched: one transaction
//! job         takes its turn, opens the file behind its checkpoint, goes through it chunk by chunk
//! run           read_chunk: rows -> typed rows or errors (import_type, products)
//!               write: stored records with the same keys -> plan -> update, insert, events, errors, log
//!               commit with the checkpoint; a refused chunk is halved down to its bad rows
//! keyed       what a chunk of records with keys writes; changes keeps what was there before, undo brings it back
//! failed_rows refused rows read again from the file, with the reason, as a CSV that can be imported again
//! dry_run     the same with every transaction rolled back
//! ```
//! What differs between products, customers, vendors and an inventory is in one implementation of
//! [`import_type::ImportType`] each.

mod cells;
pub mod changes;
pub mod counts;
pub mod customers;
pub mod dry_run;
pub mod failed_rows;
pub mod files;
pub mod import_type;
pub mod inventory;
mod job;
mod keyed;
pub mod log;
pub mod mapping;
pub mod options;
pub mod party;
pub mod plan;
pub mod products;
mod record_type;
pub mod row_errors;
pub mod run;
pub mod submit;
pub mod tabular;
mod telling;
pub mod types;
pub mod undo;
pub mod vendors;
pub mod workbook;

use std::time::Duration;

use fairlane::{Context, Failure, Job, JobResult, Policy};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::erp::Erp;

/// Imports a file row by row; bad rows are reported, good rows are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessBulkImport {
    /// The import, in `import_logs`.
    pub import_id: i64,
    /// What it imports: a tenant's imports of a type run one after the other, in the order in which they were handed in.
    #[serde(default)]
    pub import_type: String,
}

impl Job for ProcessBulkImport {
    const KIND: &'static str = "erp.process_bulk_import";
    const POLICY: Policy = Policy::LOW.attempts(3).timeout(Duration::from_secs(600));
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        job::run(self.import_id, &ctx, &ctx.state.import).await
    }

    fn concurrency_key(&self) -> Option<String> {
        (!self.import_type.is_empty()).then(|| format!("import:{}", self.import_type))
    }

    async fn failed(self, failure: Failure, ctx: Context<Erp>) {
        if let Err(error) = job::mark_failed(&ctx.tenant(), self.import_id, &failure).await {
            warn!(%error, import_id = self.import_id, "the log of this import could not be brought up to date");
        }
    }
}
