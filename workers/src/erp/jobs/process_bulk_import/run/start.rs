//! What a run is told before its first row, and why it cannot start.

use fairlane::{Result, Tenant};

use crate::erp::jobs::process_bulk_import::mapping::{Mapping, MappingError};
use crate::erp::jobs::process_bulk_import::options::{Duplicates, Mode};
use crate::erp::jobs::process_bulk_import::tabular::value::ValueSettings;
use crate::erp::jobs::process_bulk_import::tabular::{Format, Limits, TabularError};
use crate::erp::store::{locations, reading};

/// What an import has to know before its first row.
#[derive(Debug, Clone)]
pub struct ImportPlan {
    /// Which rows are wanted.
    pub mode: Mode,
    /// Field to column.
    pub mapping: Mapping,
    /// How the file is written.
    pub format: Format,
    /// How its cells are read.
    pub values: ValueSettings,
    /// What is refused to go beyond.
    pub limits: Limits,
    /// Rows of one transaction.
    pub chunk_rows: usize,
    /// What becomes of a row whose key an earlier row of the file has.
    pub duplicates: Duplicates,
    /// Where the stock is that names no location.
    pub location: Option<String>,
    /// Whether what was there before is kept, so that the import can be undone.
    pub keep: bool,
}

impl ImportPlan {
    /// Names the location of stock that names none, where nobody said it: the tenant's first. Rows are compared by it before
    /// the database is asked for any.
    pub(in super::super) async fn placed(mut self, tenant: &Tenant, tenant_id: i64) -> Result<Self> {
        if self.location.is_none() {
            let mut tx = reading(tenant).await?;
            self.location = locations::first(&mut tx.conn(), tenant_id).await?.map(|first| first.code);
        }
        Ok(self)
    }
}

/// Why a run cannot start, or go on reading.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] TabularError),
    /// The mapping does not fit the file.
    #[error(transparent)]
    Mapping(#[from] MappingError),
}

impl RunError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Mapping(error) => error.code(),
        }
    }
}
