//! One import from its first row to its last, a chunk at a time.
//!
//! [`ImportRun::read_chunk`] reads and validates rows, in memory. [`ImportRun::write`] puts them into a transaction:
//! what is new, what changed, their events, the errors and the log. The caller adds the checkpoint, commits, and then
//! says so with [`ImportRun::accept`]; a run that was dropped before that has left nothing.

mod apply;
mod refusal;
mod start;

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use fairlane::{Result, Tenant, Transaction};

use super::counts::{Checkpoint, Counts};
use super::dry_run::{Remembered, Seen};
use super::import_type::{Cells, ImportType, Reading, RowError, Scope};
use super::log;
use super::mapping::Columns;
use super::options::{Duplicates, Mode};
use super::plan::PlacedRow;
use super::row_errors::{self, Outcome, Refusal, RowPlace, StoredRefusal};
use super::tabular::value::ValueSettings;
use super::tabular::{Row, RowReader, TabularError};

pub use refusal::is_refusal;
pub(super) use refusal::refusal_message;
pub use start::{ImportPlan, RunError};

/// A chunk ends with this many bytes of the file, however few rows they are: memory stays flat.
const CHUNK_BYTES: u64 = 4 << 20;

/// An import under way.
pub struct ImportRun<T: ImportType> {
    tenant: Tenant,
    scope: Scope,
    mode: Mode,
    columns: Columns,
    values: ValueSettings,
    chunk_rows: usize,
    reader: RowReader<File>,
    row: Row,
    done: Checkpoint<T::Memory>,
    location: Option<String>,
    keep: bool,
    /// Nothing may be stored but the records, which are rolled back.
    dry: bool,
    /// The keys of earlier chunks, where they are not in the database or a second row of a key is refused.
    seen: Option<Seen>,
}

/// Rows that were read together and are written together.
pub struct Chunk<T: ImportType> {
    rows: Vec<PlacedRow<T::Row>>,
    refusals: Vec<Refusal>,
    after: Checkpoint<T::Memory>,
}

/// What a chunk became, once its transaction is committed.
pub struct Written<T: ImportType> {
    /// The state behind it: the checkpoint.
    pub checkpoint: Checkpoint<T::Memory>,
    /// The rows of it that were not stored.
    pub refusals: Vec<StoredRefusal>,
    /// Whether somebody wants the import to stop.
    pub cancel_requested: bool,
    remembered: Vec<Remembered>,
}

impl<T: ImportType> ImportRun<T> {
    /// Opens a file for an import, at its beginning or behind a checkpoint.
    ///
    /// # Errors
    /// When the file cannot be read, or the mapping does not fit it.
    pub fn open(
        tenant: Tenant,
        scope: Scope,
        path: &Path,
        plan: &ImportPlan,
        from: Option<Checkpoint<T::Memory>>,
    ) -> std::result::Result<Self, RunError> {
        let file = File::open(path).map_err(TabularError::from)?;
        let done = from.unwrap_or_default();
        let reader = match done.position {
            Some(position) => RowReader::resume(file, &plan.format, plan.limits, position)?,
            None => RowReader::open(file, &plan.format, plan.limits)?,
        };
        let may_create = plan.mode != Mode::Update;
        let columns = Columns::resolve::<T>(&plan.mapping, reader.header(), may_create)?;
        let refuses = plan.duplicates == Duplicates::Error;
        let seen = refuses.then(|| Seen::new(plan.duplicates, plan.location.clone()));
        Ok(Self {
            tenant,
            scope,
            mode: plan.mode,
            columns,
            values: plan.values,
            chunk_rows: plan.chunk_rows.max(1),
            reader,
            row: Row::default(),
            done,
            location: plan.location.clone(),
            keep: plan.keep,
            dry: false,
            seen,
        })
    }

    pub(super) fn dry(mut self) -> Self {
        self.dry = true;
        let location = &self.location;
        self.seen.get_or_insert_with(|| Seen::new(Duplicates::default(), location.clone()));
        self
    }

    /// Whether the keys of the rows before the checkpoint have to be read again.
    pub(super) fn needs_seen(&self) -> bool {
        self.seen.is_some() && self.done.position.is_some()
    }

    /// Reads the rows before the checkpoint again, for their keys; `refused` are the rows that were not stored.
    pub(super) fn see_again(
        &mut self,
        path: &Path,
        plan: &ImportPlan,
        refused: &HashSet<u64>,
    ) -> std::result::Result<(), RunError> {
        let end = self.done.counts.total;
        let mut before = Self::open(self.tenant.clone(), self.scope, path, plan, None)?;
        while before.done.counts.total < end {
            before.chunk_rows =
                usize::try_from(end - before.done.counts.total).unwrap_or(1).min(self.chunk_rows);
            let Some(chunk) = before.read_chunk()? else { break };
            if let Some(seen) = &mut self.seen {
                let rows = chunk.rows.iter().filter(|row| !refused.contains(&row.place.record));
                seen.remember(rows.filter_map(|row| seen.hashes::<T>(self.mode, row)).collect());
            }
            before.done = chunk.after;
            before.done.counts.total += chunk.rows.len() as u64;
        }
        Ok(())
    }

    /// What the rows committed so far became.
    pub fn counts(&self) -> &Counts {
        &self.done.counts
    }

    /// How much of the file has been committed.
    pub fn read_bytes(&self) -> u64 {
        self.done.position.map_or(0, |position| position.byte_offset)
    }

    /// Reads the next rows; `None` at the end of the file.
    ///
    /// # Errors
    /// What makes the rest of the file unreadable: the row limit, the disk.
    pub fn read_chunk(&mut self) -> std::result::Result<Option<Chunk<T>>, TabularError> {
        let start = self.reader.position();
        let mut chunk = Chunk::<T> { rows: Vec::new(), refusals: Vec::new(), after: self.done.clone() };
        let mut read = 0;
        while read < self.chunk_rows
            && self.reader.position().byte_offset - start.byte_offset < CHUNK_BYTES
            && self.reader.read(&mut self.row)?
        {
            read += 1;
            self.take_row(&mut chunk);
        }
        let position = self.reader.position();
        if read == 0 && position == start {
            return Ok(None);
        }
        chunk.after.counts.blank = position.blank;
        chunk.after.position = Some(position);
        Ok(Some(chunk))
    }

    fn take_row(&self, chunk: &mut Chunk<T>) {
        let row = &self.row;
        let place = RowPlace { record: row.number, line: row.line, byte_offset: row.byte_offset };
        let refused = match &row.problem {
            Some(problem) => Err(RowError::row(problem.code.as_str(), problem.to_string())),
            None => {
                let cells = Cells { record: &row.fields, columns: &self.columns, values: &self.values };
                cells.check_errors().and_then(|()| T::read(&cells, &mut chunk.after.memory))
            }
        };
        let (outcome, error) = match refused {
            Ok(Reading::Row(row)) => return chunk.rows.push(PlacedRow { place, row }),
            Ok(Reading::Skip(code, why)) => (Outcome::Skipped, RowError::row(code, why)),
            Err(error) => (Outcome::Failed, error),
        };
        chunk.after.counts.total += 1;
        match outcome {
            Outcome::Failed => chunk.after.counts.failed += 1,
            Outcome::Skipped => chunk.after.counts.skipped += 1,
        }
        chunk.refusals.push(Refusal { place, outcome, error });
    }

    /// Writes a chunk into a transaction: records, events, errors, log. With `careful`, rows that the database refuses
    /// are found by halving and become failed rows; without, a refusal is an error and the transaction is lost.
    ///
    /// # Errors
    /// Of the database; see [`is_refusal`].
    pub async fn write(&self, tx: &mut Transaction, chunk: &Chunk<T>, careful: bool) -> Result<Written<T>> {
        let mut remembered = Vec::new();
        let mut applied = match &self.seen {
            Some(seen) => {
                let split = seen.split::<T>(self.mode, &chunk.rows);
                remembered = split.remembered;
                let mut applied = split.applied;
                applied.merge(self.apply_chunk(tx, &split.fresh, careful).await?);
                applied
            }
            None => self.apply_chunk(tx, &chunk.rows.iter().collect::<Vec<_>>(), careful).await?,
        };
        // A refused row is not stored, so a later one with its key is the first.
        let refused: HashSet<u64> = applied.refusals.iter().map(|refusal| refusal.place.record).collect();
        remembered.retain(|(place, ..)| !refused.contains(&place.record));
        applied.refusals.extend(chunk.refusals.iter().cloned());
        applied.refusals.sort_by_key(|refusal| refusal.place.record);
        let mut checkpoint = chunk.after.clone();
        checkpoint.counts.add(&applied.counts);
        let refusals: Vec<_> = applied.refusals.iter().map(|refusal| self.stored(refusal)).collect();
        let mut cancel_requested = false;
        if !self.dry {
            let conn = &mut tx.conn();
            let read = checkpoint.position.map_or(0, |position| position.byte_offset);
            row_errors::insert(conn, self.scope, &refusals).await?;
            cancel_requested = log::progress(conn, self.scope, &checkpoint.counts, read).await?;
        }
        Ok(Written { checkpoint, refusals, cancel_requested, remembered })
    }

    /// Says that a written chunk is committed.
    pub fn accept(&mut self, written: Written<T>) {
        self.done = written.checkpoint;
        if let Some(seen) = &mut self.seen {
            seen.remember(written.remembered);
        }
    }

    fn stored(&self, refusal: &Refusal) -> StoredRefusal {
        let column = refusal.error.field.and_then(|field| self.columns.of(field));
        let names = self.reader.header().names();
        StoredRefusal::new(refusal, column.and_then(|at| names.get(at)).map(String::as_str))
    }
}
