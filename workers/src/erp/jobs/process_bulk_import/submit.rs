//! Handing in a file: looked at, checked, stored, entered into the log, its job dispatched; all or nothing.

use std::path::Path;

use fairlane::{Tenant, Transaction};
use uuid::Uuid;

use super::ProcessBulkImport;
use super::files::{FileError, ImportFiles, check_regular};
use super::import_type::{Field, ImportType};
use super::log::{self, FileFormat, NewImport};
use super::mapping::{self, Columns, Mapping, MappingError};
use super::options::{Duplicates, ImportOptions, Mode};
use super::run::ImportPlan;
use super::tabular::date::{DateFormat, DateOrder, detect_date_order};
use super::tabular::number::detect_decimal_mark;
use super::tabular::value::ValueSettings;
use super::tabular::{Limits, RowReader, Sniffed, TabularError, sniff_file, sniff_sheet};
use super::workbook::{Table, UnpackLimits, table_of};
use crate::erp::settings::ImportSettings;

/// Rows by which the decimal mark of a file is judged.
const SAMPLED_ROWS: usize = 1000;

/// A file and what is to become of it.
#[derive(Debug, Clone)]
pub struct Submission<'a> {
    /// The file.
    pub path: &'a Path,
    /// Which rows are wanted.
    pub mode: Mode,
    /// Field to column, as far as names do not tell.
    pub mapping: Mapping,
    /// A ready-made mapping.
    pub preset: Option<String>,
    /// The rest.
    pub options: ImportOptions,
    /// Whether a file that was imported before is taken again.
    pub again: bool,
    /// Who hands it in.
    pub user_id: Option<i64>,
}

/// What was found out about a file before its first row.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// How the file is written.
    pub sniffed: Sniffed,
    /// How its cells are read.
    pub values: ValueSettings,
    /// Field to column.
    pub mapping: Mapping,
    /// The file's columns that go into no field.
    pub not_read: Vec<String>,
    /// The sheet as a table, where the file is a workbook.
    pub table: Option<Table>,
}

/// An import that was handed in.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// Its number.
    pub import_id: i64,
    /// The job that will do it.
    pub job_id: Uuid,
    /// What was found out.
    pub inspected: Inspected,
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No such type of import.
    #[error("`{given}` cannot be imported; there are: {}", .known.join(", "))]
    UnknownType {
        /// The name as given.
        given: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// The type has no such mode.
    #[error("{import_type} have no mode {mode}; use {}", .known.join(" or "))]
    UnknownMode {
        /// The type.
        import_type: &'static str,
        /// The mode as given.
        mode: &'static str,
        /// The modes it has.
        known: Vec<&'static str>,
    },
    /// A sheet is named of a file that has none.
    #[error("--sheet is for workbooks, and this file is none")]
    NoWorkbook,
    /// The file cannot be read.
    #[error(transparent)]
    Table(#[from] TabularError),
    /// The mapping does not fit it.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// It cannot be stored.
    #[error(transparent)]
    File(#[from] FileError),
    /// It was imported before, or is about to be.
    #[error(
        "the same file with the same mapping is import {import_id}, {state}; --again imports it once more"
    )]
    Repeated {
        /// The import.
        import_id: i64,
        /// What became of it.
        state: String,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] fairlane::Error),
}

impl SubmitError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownType { .. } => "unknown_import_type",
            Self::UnknownMode { .. } => "unknown_mode",
            Self::NoWorkbook => "no_workbook",
            Self::Table(error) => error.code(),
            Self::Mapping(error) => error.code(),
            Self::File(error) => error.code(),
            Self::Repeated { .. } => "imported_before",
            Self::Database(error) => error.code(),
        }
    }
}

/// Looks at a file: encoding, dialect, mapping, decimal mark. Reads its beginning only.
///
/// # Errors
/// When it cannot be read or the mapping does not fit.
pub fn inspect<T: ImportType>(
    settings: &ImportSettings,
    submission: &Submission<'_>,
) -> Result<Inspected, SubmitError> {
    check_regular(submission.path)?;
    if !T::MODES.contains(&submission.mode) {
        return Err(SubmitError::UnknownMode {
            import_type: T::NAME,
            mode: submission.mode.as_str(),
            known: T::MODES.iter().map(|mode| mode.as_str()).collect(),
        });
    }
    let found = std::fs::metadata(submission.path).map_err(TabularError::from)?.len();
    if found > settings.max_bytes {
        return Err(TabularError::TooManyBytes { found, limit: settings.max_bytes }.into());
    }
    let limits_unpacked = UnpackLimits { max_bytes: settings.max_unpacked, max_rows: settings.max_rows };
    let table = table_of(submission.path, submission.options.sheet.as_deref(), limits_unpacked)?;
    let sniffed = match &table {
        Some(table) => {
            Sniffed { sheet: Some(table.of.clone()), ..sniff_sheet(table.path(), &submission.options.file)? }
        }
        None if submission.options.sheet.is_some() => return Err(SubmitError::NoWorkbook),
        None => sniff_file(submission.path, &submission.options.file)?,
    };
    let path = table.as_ref().map_or(submission.path, Table::path);
    let file = std::fs::File::open(path).map_err(TabularError::from)?;
    let mut reader = RowReader::open(file, &sniffed.format(), table_limits(settings, table.is_some()))?;
    let preset = submission.preset.as_deref();
    let mapping = mapping::complete::<T>(&submission.mapping, preset, reader.header())?;
    let may_create = submission.mode != Mode::Update;
    let columns = Columns::resolve::<T>(&mapping, reader.header(), may_create)?;
    let values = ValueSettings {
        decimal_mark: match submission.options.decimal_mark {
            Some(mark) => Some(mark),
            None => sampled_mark(&mut reader, &columns, T::FIELDS)?,
        },
        date_format: match submission.options.date_format {
            Some(format) => Some(format),
            None => sampled_order(&mut reader, &columns, T::FIELDS)?.map(DateFormat::from),
        },
    };
    let not_read = columns.not_read(reader.header());
    Ok(Inspected { sniffed, values, mapping, not_read, table })
}

/// The decimal mark the first rows agree on. Where they do not, each number has to speak for itself.
fn sampled_mark(
    reader: &mut RowReader<std::fs::File>,
    columns: &Columns,
    fields: &[Field],
) -> Result<Option<super::tabular::number::DecimalMark>, TabularError> {
    let cells = reader.sample_columns(&columns.numbers(fields), SAMPLED_ROWS)?;
    Ok(detect_decimal_mark(cells.iter().flatten().map(String::as_str)).unwrap_or_default())
}

/// The order of day and month that the first rows agree on. Where they do not, each date has to speak for itself.
fn sampled_order(
    reader: &mut RowReader<std::fs::File>,
    columns: &Columns,
    fields: &[Field],
) -> Result<Option<DateOrder>, TabularError> {
    let columns = columns.dates(fields);
    if columns.is_empty() {
        return Ok(None);
    }
    let cells = reader.sample_columns(&columns, SAMPLED_ROWS)?;
    Ok(detect_date_order(cells.iter().flatten().map(String::as_str)).unwrap_or_default())
}

/// The same for a sheet as a table: what a workbook holds is limited where it is unpacked.
pub(super) fn table_limits(settings: &ImportSettings, is_sheet: bool) -> Limits {
    let max_bytes = if is_sheet { settings.max_unpacked } else { settings.max_bytes };
    Limits { max_bytes: Some(max_bytes), ..limits(settings) }
}

/// What files may not go beyond.
pub(super) fn limits(settings: &ImportSettings) -> Limits {
    Limits { max_bytes: Some(settings.max_bytes), max_rows: Some(settings.max_rows), ..Limits::default() }
}

impl Inspected {
    /// The file to be read: the sheet as a table, where `given` is a workbook.
    pub fn path<'a>(&'a self, given: &'a Path) -> &'a Path {
        self.table.as_ref().map_or(given, Table::path)
    }

    /// What a run of this file needs.
    pub fn plan(&self, settings: &ImportSettings, mode: Mode) -> ImportPlan {
        ImportPlan {
            mode,
            mapping: self.mapping.clone(),
            format: self.sniffed.format(),
            values: self.values,
            limits: table_limits(settings, self.table.is_some()),
            chunk_rows: settings.chunk_rows,
            duplicates: Duplicates::default(),
            location: None,
            keep: false,
        }
    }
}

/// Hands a file in.
///
/// # Errors
/// When it cannot be read, does not fit, or was imported before; then nothing was stored.
pub async fn submit<T: ImportType>(
    tenant: &Tenant,
    settings: &ImportSettings,
    submission: &Submission<'_>,
) -> Result<Submitted, SubmitError> {
    let inspected = inspect::<T>(settings, submission)?;
    let tenant_id = tenant.id().await?;
    let files = ImportFiles::new(&settings.folder);
    let limits = table_limits(settings, inspected.table.is_some());
    let max_bytes = limits.max_bytes.unwrap_or(u64::MAX);
    let (slug, source) = (tenant.slug().to_owned(), inspected.path(submission.path).to_owned());
    let taking = files.clone();
    let stored = tokio::task::spawn_blocking(move || taking.take_in(&slug, &source, max_bytes))
        .await
        .map_err(|why| fairlane::Error::Unreachable(why.to_string()))??;
    let file_name = submission.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let format = FileFormat {
        bom: inspected.sniffed.bom,
        text: inspected.sniffed.format(),
        values: inspected.values,
        sheet: inspected.sniffed.sheet.clone(),
        not_read: inspected.not_read.clone(),
    };
    let import = NewImport {
        tenant_id,
        user_id: submission.user_id,
        import_type: T::NAME,
        file_path: &stored.path,
        file_name: &file_name,
        file_size: stored.size,
        sha256: &stored.sha256,
        mode: submission.mode,
        mapping: &inspected.mapping,
        options: &submission.options,
        format: &format,
    };
    match enter(tenant, &import, submission.again).await {
        Ok((import_id, job_id)) => Ok(Submitted { import_id, job_id, inspected }),
        Err(error) => {
            files.remove(tenant.slug(), &stored.path);
            Err(error)
        }
    }
}

async fn enter(tenant: &Tenant, import: &NewImport<'_>, again: bool) -> Result<(i64, Uuid), SubmitError> {
    let mut tx = tenant.begin().await?;
    if !again {
        refuse_repeated(&mut tx, import).await?;
    }
    let import_id = log::insert(&mut tx.conn(), import).await?;
    let job = ProcessBulkImport { import_id, import_type: import.import_type.to_owned() };
    let job = tenant.dispatch(job).in_tx(&mut tx).await?;
    log::set_job(&mut tx.conn(), import.tenant_id, import_id, job.id).await?;
    tx.commit().await?;
    Ok((import_id, job.id))
}

async fn refuse_repeated(tx: &mut Transaction, import: &NewImport<'_>) -> Result<(), SubmitError> {
    // An import whose job was cancelled in the queue is no reason to refuse its file.
    log::settle_orphans(&mut tx.conn(), import.tenant_id).await?;
    let same_bytes = log::with_contents(&mut tx.conn(), import.tenant_id, import.sha256).await?;
    let repeated = same_bytes.into_iter().find(|before| {
        before.import_type == import.import_type
            && before.mapping == *import.mapping
            && before.mode == import.mode.as_str()
            && before.status != "failed"
            // What was undone may be done once more.
            && before.undo.is_none()
    });
    match repeated {
        Some(before) => {
            Err(SubmitError::Repeated { import_id: before.id, state: before.result.unwrap_or(before.status) })
        }
        None => Ok(()),
    }
}
