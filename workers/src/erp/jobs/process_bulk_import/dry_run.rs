//! A dry run: the same code with every transaction rolled back, so that nothing is stored and nobody is told.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use fairlane::Tenant;

use super::counts::Counts;
use super::import_type::{ImportType, RowError, Scope};
use super::options::{Duplicates, MaxFailed, Mode};
use super::plan::{Applied, PlacedRow};
use super::row_errors::{Outcome, RowPlace, StoredRefusal};
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
    let plan = plan.clone().placed(tenant, scope.tenant_id).await?;
    let mut import = ImportRun::<T>::open(tenant.clone(), scope, path, &plan, None)?.dry();
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

/// The rows of earlier chunks, where the database does not tell: a dry run has rolled them back, and a second row of a key
/// may have to be refused. A hash of each key, with a hash of the row that had it last: sixteen bytes a row.
#[derive(Debug, Default)]
pub(super) struct Seen {
    rows: HashMap<u64, u64>,
    hasher: RandomState,
    duplicates: Duplicates,
    /// Where the stock is that names no location: two rows of one place are one.
    location: Option<String>,
}

/// A row that later ones may repeat: its place, and the hashes of key and row.
pub(super) type Remembered = (RowPlace, u64, u64);

/// Rows that are new, and what the others would become.
pub(super) struct Split<'a, R> {
    pub(super) fresh: Vec<&'a PlacedRow<R>>,
    pub(super) applied: Applied,
    pub(super) remembered: Vec<Remembered>,
}

impl Seen {
    pub(super) fn new(duplicates: Duplicates, location: Option<String>) -> Self {
        Self { duplicates, location, ..Self::default() }
    }

    /// What is remembered of a row.
    pub(super) fn hashes<T: ImportType>(&self, mode: Mode, placed: &PlacedRow<T::Row>) -> Option<Remembered> {
        let key = T::identity(&placed.row, mode, self.location.as_deref())?;
        Some((placed.place, self.hash(&key), self.hash(&placed.row)))
    }

    /// Takes out the rows whose key an earlier one had and counts what they would become.
    pub(super) fn split<'a, T: ImportType>(
        &self,
        mode: Mode,
        rows: &'a [PlacedRow<T::Row>],
    ) -> Split<'a, T::Row> {
        let mut split = Split {
            fresh: Vec::with_capacity(rows.len()),
            applied: Applied::default(),
            remembered: Vec::new(),
        };
        let mut changed = HashMap::new();
        for placed in rows {
            let Some((place, key_hash, row_hash)) = self.hashes::<T>(mode, placed) else {
                split.fresh.push(placed);
                continue;
            };
            let refuses = self.duplicates == Duplicates::Error;
            let before = match self.rows.get(&key_hash) {
                Some(before) => Some(*before),
                // In one chunk only refusing tells: what is not refused is the plan's business.
                None if refuses => changed.get(&key_hash).copied(),
                None => None,
            };
            let Some(before) = before else {
                changed.insert(key_hash, row_hash);
                split.remembered.push((place, key_hash, row_hash));
                split.fresh.push(placed);
                continue;
            };
            if refuses || mode == Mode::Create {
                let error = self.repeated::<T>(mode, &placed.row);
                split.applied.refuse(place, Outcome::Failed, error);
                continue;
            }
            split.remembered.push((place, key_hash, row_hash));
            split.applied.counts.total += 1;
            if changed.insert(key_hash, row_hash).unwrap_or(before) == row_hash {
                split.applied.counts.unchanged += 1;
            } else {
                split.applied.counts.updated += 1;
            }
        }
        split
    }

    /// Remembers rows that were not refused.
    pub(super) fn remember(&mut self, rows: Vec<Remembered>) {
        self.rows.extend(rows.into_iter().map(|(_, key, row)| (key, row)));
    }

    fn repeated<T: ImportType>(&self, mode: Mode, row: &T::Row) -> RowError {
        let Some(key) = T::identity(row, mode, self.location.as_deref()) else {
            return RowError::row("duplicate_key", "stands twice");
        };
        let refuses = self.duplicates == Duplicates::Error;
        let why = if refuses { "duplicates are errors" } else { "mode create takes the first" };
        let message = format!("`{}` stands twice in the file; {why}", key.value);
        RowError::cell("duplicate_key", key.field, &key.value, message)
    }

    fn hash(&self, value: &impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }
}
