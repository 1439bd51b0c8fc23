//! What undoing an import would come to: the same pages in one transaction, so that each sees what the ones before it have
//! moved out of its way; rolled back at the end.

use std::collections::BTreeMap;

use fairlane::Tenant;
use serde::Serialize;

use super::super::import_type::{ImportType, Scope, Undone, Writing};
use super::super::log::ImportLog;
use super::super::options::Mode;
use super::job::Checkpoint;
use super::request::{UndoError, check};
use super::store;
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
    // What the database refuses waits for its second round.
    let mut refused = BTreeMap::new();
    let mut place = Checkpoint::default();
    let mut tx = tenant.begin().await?;
    check(&mut tx.conn(), scope, settings, import).await?;
    store::forget_conflicts(&mut tx.conn(), scope).await?;
    loop {
        let page = store::page(&mut tx.conn(), scope, T::ENTITY, place.phase, place.after, limit).await?;
        let Some(last) = page.last() else {
            match place.next() {
                Some(next) => place = next,
                None => break,
            }
            continue;
        };
        let undone = T::undo(writing, &mut tx, &page).await?;
        store::mark(&mut tx.conn(), scope, T::ENTITY, &undone).await?;
        let moved = undone.iter().any(|undone| !undone.is_conflict());
        place = Checkpoint { after: last.id, moved: place.moved || moved, ..place };
        for undone in undone {
            refused.remove(&undone.id);
            match undone.code {
                Some("refused") => drop(refused.insert(undone.id, undone)),
                _ => trial.add(undone),
            }
        }
    }
    tx.rollback().await?;
    refused.into_values().for_each(|undone| trial.add(undone));
    Ok(trial)
}

impl UndoTrial {
    fn add(&mut self, undone: Undone) {
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
