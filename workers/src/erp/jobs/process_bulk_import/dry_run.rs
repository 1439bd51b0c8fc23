//! A dry run: the same code with every transaction rolled back, so that nothing is stored and nobody is told.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use fairlane::Tenant;

use super::counts::Counts;
use super::import_type::{ImportType, RowError, Scope};
use super::options::{MaxFailed, Mode};
use super::plan::PlacedRow;
use super::row_errors::{Outcome, Refusal, RowPlace, StoredRefusal};
use super::run::{ImportPlan, ImportRun, RunError, is_refusal};

/// What an import would do.
#[derive(Debug, Clone, Default)]
pub struct DryRun {
    /// What the rows would become.
    pub counts: Counts,
    /// The first rows that would not be stored.
    pub refusals: Vec<StoredRefusal>,
    /// Whether the limit of failed rows would end it early.
    pub gives_up: bool,
}

/// Why a dry run ended early.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// The file or its mapping.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The database.
    #[error(transparent)]
    Database(#[from] fairlane::Error),
}

/// Refusals that a dry run shows.
const SHOWN: usize = 100;

/// Runs an import without storing anything.
///
/// # Errors
/// As the import itself, before or while it reads.
pub async fn run<T: ImportType>(
    tenant: &Tenant,
    path: &std::path::Path,
    plan: &ImportPlan,
    max_failed: Option<MaxFailed>,
) -> Result<DryRun, DryRunError> {
    let scope = Scope { tenant_id: tenant.id().await?, import_id: 0, user_id: None };
    let mut import = ImportRun::<T>::open(tenant.clone(), scope, path, plan, None)?.dry();
    let mut dry = DryRun::default();
    while let Some(chunk) = import.read_chunk().map_err(RunError::from)? {
        let mut tx = tenant.begin().await?;
        let written = match import.write(&mut tx, &chunk, false).await {
            Err(error) if is_refusal(&error) => {
                tx.rollback().await?;
                tx = tenant.begin().await?;
                import.write(&mut tx, &chunk, true).await?
            }
            written => written?,
        };
        tx.rollback().await?;
        let room = SHOWN.saturating_sub(dry.refusals.len());
        dry.refusals.extend(written.refusals.iter().take(room).cloned());
        import.accept(written);
        dry.counts = *import.counts();
        if max_failed.is_some_and(|limit| limit.is_passed(&dry.counts)) {
            dry.gives_up = true;
            break;
        }
    }
    Ok(dry)
}

/// The rows of earlier chunks, which a dry run has rolled back and the database so does not know: a hash of each key,
/// with a hash of the row that had it last. Sixteen bytes a row.
#[derive(Debug, Default)]
pub(super) struct Seen {
    rows: HashMap<u64, u64>,
    hasher: RandomState,
}

/// A row that later chunks may repeat: its place, and the hashes of key and row.
pub(super) type Remembered = (RowPlace, u64, u64);

/// Rows that are new to a dry run, and what the others would become.
pub(super) struct Split<'a, R> {
    pub(super) fresh: Vec<&'a PlacedRow<R>>,
    pub(super) counts: Counts,
    pub(super) refusals: Vec<Refusal>,
    pub(super) remembered: Vec<Remembered>,
}

impl Seen {
    /// Takes out the rows whose key an earlier chunk had and counts what they would become.
    pub(super) fn split<'a, T: ImportType>(
        &self,
        mode: Mode,
        rows: &'a [PlacedRow<T::Row>],
    ) -> Split<'a, T::Row> {
        let (mut fresh, mut remembered) = (Vec::with_capacity(rows.len()), Vec::new());
        let (mut counts, mut refusals) = (Counts::default(), Vec::new());
        let mut changed = HashMap::new();
        for placed in rows {
            let Some(key) = T::row_keys(&placed.row).into_iter().next() else { continue };
            let (key_hash, row_hash) = (self.hash(&key), self.hash(&placed.row));
            remembered.push((placed.place, key_hash, row_hash));
            let Some(before) = self.rows.get(&key_hash) else {
                fresh.push(placed);
                continue;
            };
            counts.total += 1;
            if mode == Mode::Create {
                counts.failed += 1;
                let message =
                    format!("`{}` stands twice in the file; mode create takes the first", key.value);
                let error = RowError::cell("duplicate_key", key.field, &key.value, message);
                refusals.push(Refusal { place: placed.place, outcome: Outcome::Failed, error });
            } else if changed.insert(key_hash, row_hash).unwrap_or(*before) == row_hash {
                counts.unchanged += 1;
            } else {
                counts.updated += 1;
            }
        }
        Split { fresh, counts, refusals, remembered }
    }

    /// Remembers rows that were not refused.
    pub(super) fn remember(&mut self, rows: Vec<Remembered>) {
        self.rows.extend(rows.into_iter().map(|(_, key, row)| (key, row)));
    }

    fn hash(&self, value: &impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }
}
