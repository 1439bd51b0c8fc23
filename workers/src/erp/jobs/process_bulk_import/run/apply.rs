//! Storing rows: all at once, or by halves where the database refuses some.

use fairlane::db::query;
use fairlane::{Result, Transaction, sql};

use super::{ImportRun, is_refusal, refusal_message};
use crate::erp::jobs::process_bulk_import::import_type::{ImportType, RowError, Writing};
use crate::erp::jobs::process_bulk_import::plan::{Applied, PlacedRow};
use crate::erp::jobs::process_bulk_import::row_errors::Outcome;

impl<T: ImportType> ImportRun<T> {
    pub(super) async fn apply_chunk(
        &self,
        tx: &mut Transaction,
        rows: &[&PlacedRow<T::Row>],
        careful: bool,
    ) -> Result<Applied> {
        if careful { self.apply_by_halves(tx, rows).await } else { self.apply(tx, rows).await }
    }

    async fn apply(&self, tx: &mut Transaction, rows: &[&PlacedRow<T::Row>]) -> Result<Applied> {
        if rows.is_empty() {
            return Ok(Applied::default());
        }
        T::apply(self.writing(), tx, rows).await
    }

    fn writing(&self) -> Writing<'_> {
        Writing {
            tenant: &self.tenant,
            scope: self.scope,
            mode: self.mode,
            location: self.location.as_deref(),
            dry: self.dry,
            keep: self.keep,
        }
    }

    /// Halves what the database refuses until single rows are left, in order of the file.
    async fn apply_by_halves(&self, tx: &mut Transaction, rows: &[&PlacedRow<T::Row>]) -> Result<Applied> {
        let mut applied = Applied::default();
        let mut waiting = vec![rows];
        while let Some(rows) = waiting.pop() {
            query(sql!("savepoint import_rows")).execute(&mut tx.conn()).await?;
            match self.apply(tx, rows).await {
                Ok(part) => applied.merge(part),
                Err(error) if is_refusal(&error) => {
                    query(sql!("rollback to savepoint import_rows")).execute(&mut tx.conn()).await?;
                    match rows {
                        [only] => {
                            let error = RowError::row("database", refusal_message(&error));
                            applied.refuse(only.place, Outcome::Failed, error);
                        }
                        _ => {
                            let (first, second) = rows.split_at(rows.len() / 2);
                            waiting.extend([second, first]);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
            query(sql!("release savepoint import_rows")).execute(&mut tx.conn()).await?;
        }
        Ok(applied)
    }
}
