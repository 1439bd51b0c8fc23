//! Asking for an import to be undone: refused where that cannot be, else entered and dispatched in one transaction.

use fairlane::Tenant;
use uuid::Uuid;

use super::super::import_type::Scope;
use super::super::log::{self, ImportLog};
use super::{UndoBulkImport, store};
use crate::erp::settings::ImportSettings;

/// Why an import cannot be undone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// It is still under way.
    #[error("import {import_id} is {status}; cancel it first, or wait for its end")]
    NotEnded {
        /// The import.
        import_id: i64,
        /// How far it is.
        status: String,
    },
    /// It is being undone.
    #[error("import {import_id} is being undone already")]
    UnderWay {
        /// The import.
        import_id: i64,
    },
    /// It was undone.
    #[error("import {import_id} is undone already")]
    Undone {
        /// The import.
        import_id: i64,
    },
    /// It changed nothing.
    #[error("import {import_id} has created and changed nothing")]
    Nothing {
        /// The import.
        import_id: i64,
    },
    /// What was there before is not kept any more.
    #[error("what was there before import {import_id} is not kept any more: import.undo_days is {days}")]
    TooOld {
        /// The import.
        import_id: i64,
        /// How long it is kept.
        days: i64,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] fairlane::Error),
}

impl UndoError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotEnded { .. } => "import_not_ended",
            Self::UnderWay { .. } => "undo_under_way",
            Self::Undone { .. } => "undone_already",
            Self::Nothing { .. } => "nothing_to_undo",
            Self::TooOld { .. } => "pre_images_gone",
            Self::Database(error) => error.code(),
        }
    }
}

/// Dispatches the job that undoes an import; what stayed in an earlier undoing is tried once more.
///
/// # Errors
/// When it cannot be undone; then nothing was changed.
pub async fn request(
    tenant: &Tenant,
    settings: &ImportSettings,
    import: &ImportLog,
) -> Result<Uuid, UndoError> {
    let scope = Scope { tenant_id: tenant.id().await?, import_id: import.id, user_id: None };
    let mut tx = tenant.begin().await?;
    // Of two that ask at once the second one sees the first one's wish.
    log::lock(&mut tx.conn(), scope).await?;
    check(&mut tx.conn(), scope, settings, import).await?;
    let job = UndoBulkImport { import_id: import.id, import_type: import.import_type.clone() };
    let job = tenant.dispatch(job).in_tx(&mut tx).await?;
    store::enter(&mut tx.conn(), scope, job.id).await?;
    tx.commit().await?;
    Ok(job.id)
}

/// Whether an import can be undone.
pub(super) async fn check(
    conn: &mut fairlane::db::Conn<'_>,
    scope: Scope,
    settings: &ImportSettings,
    import: &ImportLog,
) -> Result<(), UndoError> {
    let import_id = import.id;
    let standing = store::standing(conn, scope, settings.undo_days).await?;
    let undo = import.undo.as_ref();
    if !matches!(import.status.as_str(), "completed" | "failed") {
        return Err(UndoError::NotEnded { import_id, status: import.status.clone() });
    }
    if standing.job_is_live {
        return Err(UndoError::UnderWay { import_id });
    }
    if undo.is_some_and(|undo| undo.status == "completed" && undo.conflicts == 0) {
        return Err(UndoError::Undone { import_id });
    }
    if import.counts.created + import.counts.updated == 0 {
        return Err(UndoError::Nothing { import_id });
    }
    if standing.too_old || !standing.kept {
        return Err(UndoError::TooOld { import_id, days: settings.undo_days });
    }
    Ok(())
}
