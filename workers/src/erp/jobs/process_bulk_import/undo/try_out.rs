//! What undoing an import would come to: the same pages, each rolled back.

use fairlane::Tenant;
use serde::Serialize;

use super::super::import_type::{ImportType, Scope, Undone, Writing};
use super::super::log::ImportLog;
use super::super::options::Mode;
use super::request::{UndoError, check};
use super::store::{self, Phase};
use crate::erp::settings::ImportSettings;

/// Conflicts that a trial shows.
const SHOWN: usize = 100;

/// What undoing an import would come to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UndoTrial {
    /// Records that would go.
    pub deleted: u64,
    /// Records that would come back as they were.
    pub restored: u64,
    /// Movements that would be reversed.
    pub reversed: u64,
    /// Records that would stay as they are.
    pub conflicts: u64,
    /// The first of them, and why.
    pub first_conflicts: Vec<Undone>,
}

/// Tries an undoing out; nothing is stored.
///
/// # Errors
/// When the import cannot be undone.
pub async fn try_out<T: ImportType>(
    tenant: &Tenant,
    settings: &ImportSettings,
    import: &ImportLog,
) -> Result<UndoTrial, UndoError> {
    let scope = Scope { tenant_id: tenant.id().await?, import_id: import.id, user_id: None };
    let writing = Writing { tenant, scope, mode: Mode::Upsert, location: None, dry: true, keep: false };
    let limit = i64::try_from(settings.chunk_rows).unwrap_or(i64::MAX);
    let mut trial = UndoTrial::default();
    for phase in [Phase::Created, Phase::Changed] {
        let mut after = 0;
        loop {
            let mut tx = tenant.begin().await?;
            check(&mut tx.conn(), scope, settings, import).await?;
            let page = store::page(&mut tx.conn(), scope, T::ENTITY, phase, after, limit).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            trial.add(T::undo(writing, &mut tx, &page).await?);
            tx.rollback().await?;
        }
    }
    Ok(trial)
}

impl UndoTrial {
    fn add(&mut self, undone: Vec<Undone>) {
        for undone in undone {
            match undone.outcome {
                "deleted" => self.deleted += 1,
                "restored" => self.restored += 1,
                "reversed" => self.reversed += 1,
                _ => {
                    self.conflicts += 1;
                    if self.first_conflicts.len() < SHOWN {
                        self.first_conflicts.push(undone);
                    }
                }
            }
        }
    }
}
