//! The refused rows of an import as a CSV file: read again from the stored file, with the reason in front.

use std::fs::File;
use std::io::Write;

use fairlane::Tenant;

use super::files::{FileError, ImportFiles};
use super::log::ImportLog;
use super::row_errors::{self, StoredRefusal};
use super::tabular::{FailedRow, FailedRowsWriter, Limits, Position, Row, RowReader, TabularError};
use crate::erp::settings::ImportSettings;
use crate::erp::store::reading;

/// Refusals read from the database at a time.
const PAGE: i64 = 1000;

/// Why the failed rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FailedRowsError {
    /// The stored file is gone or lies elsewhere.
    #[error(transparent)]
    File(#[from] FileError),
    /// The stored file cannot be read.
    #[error(transparent)]
    Table(#[from] TabularError),
    /// The output cannot be written.
    #[error("the failed rows cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] fairlane::Error),
}

/// The rows of an import that were not stored, ready to be written.
#[derive(Debug)]
pub struct FailedRows<'a> {
    tenant: &'a Tenant,
    import_id: i64,
    reader: RowReader<File>,
}

impl<'a> FailedRows<'a> {
    /// Opens the stored file: before the output is made, which would be empty without it.
    ///
    /// # Errors
    /// When the stored file is gone or cannot be read.
    pub fn open(
        tenant: &'a Tenant,
        settings: &ImportSettings,
        import: &ImportLog,
    ) -> Result<Self, FailedRowsError> {
        let path = ImportFiles::new(&settings.folder).find(tenant.slug(), &import.file_path)?;
        let file = File::open(&path).map_err(TabularError::from)?;
        let limits = Limits { max_bytes: None, max_rows: None, ..Limits::default() };
        let reader = RowReader::open(file, &import.format.text, limits)?;
        Ok(Self { tenant, import_id: import.id, reader })
    }

    /// Writes them; returns how many.
    ///
    /// # Errors
    /// When the stored file or the output fails.
    pub async fn write<W: Write + Send>(mut self, output: W) -> Result<u64, FailedRowsError> {
        let tenant_id = self.tenant.id().await?;
        let mut writer = FailedRowsWriter::new(output, self.reader.header())?;
        let mut row = Row::default();
        let (mut written, mut after) = (0, 0);
        loop {
            let page = {
                let mut tx = reading(self.tenant).await?;
                row_errors::list(&mut tx.conn(), tenant_id, self.import_id, after, PAGE).await?
            };
            let Some(last) = page.last() else { break };
            after = last.record;
            for refusal in &page {
                self.reader.seek(place_of(refusal))?;
                if self.reader.read(&mut row)? {
                    writer.write(&failed_row(refusal, &row))?;
                    written += 1;
                }
            }
        }
        writer.finish()?.flush()?;
        Ok(written)
    }
}

fn failed_row<'a>(refusal: &'a StoredRefusal, row: &'a Row) -> FailedRow<'a> {
    FailedRow {
        line: refusal.line,
        column: refusal.column.as_deref(),
        code: &refusal.code,
        message: &refusal.message,
        fields: &row.fields,
        has_cells: row.problem.as_ref().is_none_or(|problem| problem.code.has_cells()),
    }
}

fn place_of(refusal: &StoredRefusal) -> Position {
    Position {
        byte_offset: refusal.byte_offset,
        record: refusal.record.saturating_sub(1),
        line: refusal.line,
        blank: 0,
    }
}
