//! `fairlane imports list|show|errors|cancel|undo|conflicts`.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, DomainCommand, Exit, Failure, Record, ago};
use futures::future::BoxFuture;
use serde_json::json;

use super::import::{ending, not_read};
use super::import_follow::{find, settle};
use super::import_undo::{conflicts, try_out, undo};
use super::{Limit, reading};
use crate::erp::jobs::process_bulk_import::failed_rows::{FailedRows, FailedRowsError};
use crate::erp::jobs::process_bulk_import::log::{self, ImportLog};
use crate::erp::jobs::process_bulk_import::row_errors::{self, StoredRefusal};
use crate::erp::settings::ImportSettings;

/// `fairlane imports`.
#[derive(Debug)]
pub struct ImportsCommand;

#[derive(Debug, Args)]
struct ImportsArgs {
    #[command(subcommand)]
    verb: Imports,
}

#[derive(Debug, Subcommand)]
enum Imports {
    /// List the newest imports
    List {
        #[command(flatten)]
        limit: Limit,
        /// Go on behind the import of this number, with older ones
        #[arg(long, value_name = "NUMBER")]
        after: Option<i64>,
    },
    /// Show an import: how the file is read, what became of its rows
    Show {
        /// Its number
        id: i64,
    },
    /// List the rows that were refused or left out, or write them as a CSV file
    Errors {
        /// Its number
        id: i64,
        /// Write the rows with their errors here: correct them and import the file
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
        /// Overwrite the file if it exists
        #[arg(long, requires = "csv")]
        force: bool,
        #[command(flatten)]
        limit: Limit,
        /// Go on behind this row
        #[arg(long, default_value_t = 0, value_name = "ROW")]
        after: u64,
    },
    /// Stop an import after the chunk it is at; what was imported is kept
    Cancel {
        /// Its number
        id: i64,
    },
    /// Undo an import: what it created goes, what it changed comes back, what was touched since stays and is listed
    Undo {
        /// Its number
        id: i64,
        /// Say what would happen and store nothing
        #[arg(long, conflicts_with = "follow")]
        dry_run: bool,
        /// Stay until it is done, and end with what became of it
        #[arg(long)]
        follow: bool,
    },
    /// List what was not undone because it was touched since
    Conflicts {
        /// Its number
        id: i64,
        #[command(flatten)]
        limit: Limit,
        /// Go on behind the record of this number
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: i64,
    },
}

impl DomainCommand for ImportsCommand {
    fn command(&self) -> clap::Command {
        ImportsArgs::augment_args(
            clap::Command::new("imports").about("Look at imports and their errors, stop them, undo them"),
        )
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let tenant = env.fairlane.tenant(env.required_tenant()?);
            match ImportsArgs::from_arg_matches(&matches)?.verb {
                Imports::List { limit, after } => list(&tenant, &env, limit, after).await?,
                Imports::Show { id } => show(&tenant, &env, id).await?,
                Imports::Errors { id, csv: Some(path), force, .. } => {
                    write_csv(&tenant, &env, id, &path, force).await?;
                }
                Imports::Errors { id, limit, after, csv: None, .. } => {
                    errors(&tenant, &env, id, limit, after).await?;
                }
                Imports::Cancel { id } => cancel(&tenant, &env, id).await?,
                Imports::Undo { id, dry_run: true, .. } => return try_out(&tenant, &env, id).await,
                Imports::Undo { id, follow, .. } => return undo(&tenant, &env, id, follow).await,
                Imports::Conflicts { id, limit, after } => {
                    conflicts(&tenant, &env, id, limit, after).await?;
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Record for ImportLog {
    const COLUMNS: &'static [&'static str] = &[
        "ID",
        "TYPE",
        "FILE",
        "STATUS",
        "ROWS",
        "CREATED",
        "UPDATED",
        "UNCHANGED",
        "LEFT OUT",
        "REFUSED",
        "AT",
    ];

    fn cells(&self) -> Vec<String> {
        let counts = self.counts;
        vec![
            self.id.to_string(),
            self.import_type.clone(),
            self.file_name.clone(),
            state(self),
            counts.total.to_string(),
            counts.created.to_string(),
            counts.updated.to_string(),
            counts.unchanged.to_string(),
            counts.skipped.to_string(),
            counts.failed.to_string(),
            ago(self.created_at, chrono::Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// What has become of an import for a list: how it ended, or how far it is undone.
fn state(log: &ImportLog) -> String {
    match &log.undo {
        None => log.result.clone().unwrap_or_else(|| log.status.clone()),
        Some(undo) => match (undo.status.as_str(), undo.conflicts) {
            ("completed", 0) => "undone".to_owned(),
            ("completed", left) => format!("undone, {left} left"),
            ("failed", _) => "undoing failed".to_owned(),
            _ => "undoing".to_owned(),
        },
    }
}

impl Record for StoredRefusal {
    const COLUMNS: &'static [&'static str] =
        &["ROW", "LINE", "OUTCOME", "COLUMN", "VALUE", "CODE", "MESSAGE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.record.to_string(),
            self.line.to_string(),
            self.outcome.as_str().to_owned(),
            self.column.clone().unwrap_or_default(),
            self.value.clone().unwrap_or_default(),
            self.code.clone(),
            self.message.clone(),
        ]
    }

    fn id(&self) -> String {
        self.record.to_string()
    }
}

async fn list(tenant: &Tenant, env: &CommandEnv, limit: Limit, after: Option<i64>) -> anyhow::Result<()> {
    settle(tenant).await?;
    let mut tx = reading(tenant).await?;
    let listing = log::list(&mut tx.conn(), tenant.id().await?, after, limit.and_one()).await?;
    let page = limit.page_of(listing).going_on_after();
    env.output.page(&page, "no imports yet; fairlane import FILE --as products starts one")?;
    Ok(())
}

async fn show(tenant: &Tenant, env: &CommandEnv, id: i64) -> anyhow::Result<()> {
    let log = find(tenant, id).await?;
    let mapping: Vec<String> =
        log.mapping.iter().map(|(field, column)| format!("{field} <- {column}")).collect();
    let mut lines = ending(&log, tenant);
    lines.extend([
        match &log.format.sheet {
            Some(of) => {
                format!("file: {}, sheet `{}`, {} bytes as a table", log.file_name, of.sheet, log.file_size)
            }
            None => format!(
                "file: {}, {} bytes, {}, {}",
                log.file_name, log.file_size, log.format.text.encoding, log.format.text.dialect
            ),
        },
        format!("map: {}", mapping.join(", ")),
    ]);
    lines.extend(not_read(&log.format.not_read));
    lines.extend([format!("mode {}, {} of {} bytes read", log.mode, log.read_bytes, log.file_size)]);
    env.output.result(&log, Some(&id.to_string()), &lines)?;
    Ok(())
}

async fn errors(tenant: &Tenant, env: &CommandEnv, id: i64, limit: Limit, after: u64) -> anyhow::Result<()> {
    find(tenant, id).await?;
    let mut tx = reading(tenant).await?;
    let rows = row_errors::list(&mut tx.conn(), tenant.id().await?, id, after, limit.and_one()).await?;
    env.output.page(&limit.page(rows).going_on_after(), "no row was refused")?;
    Ok(())
}

async fn write_csv(
    tenant: &Tenant,
    env: &CommandEnv,
    id: i64,
    path: &Path,
    force: bool,
) -> anyhow::Result<()> {
    let log = find(tenant, id).await?;
    let settings = ImportSettings::read(&env.config)?;
    let failed = FailedRows::open(tenant, &settings, &log).map_err(explain)?;
    let output = std::io::BufWriter::new(make_file(path, force)?);
    let rows = failed.write(output).await.map_err(explain)?;
    let lines = [format!("{rows} rows written to {}; correct them and import the file", path.display())];
    env.output.result(
        &json!({ "import_id": id, "rows": rows, "file": path }),
        Some(&id.to_string()),
        &lines,
    )?;
    Ok(())
}

fn explain(error: FailedRowsError) -> anyhow::Error {
    match error {
        FailedRowsError::File(error) => {
            let failure = Failure::new(Exit::Failed, error.to_string());
            match error.hint() {
                Some(hint) => failure.hint(hint).into(),
                None => failure.into(),
            }
        }
        error => error.into(),
    }
}

/// A new file; one that exists may hold somebody's corrections, and is overwritten only when that is asked for.
fn make_file(path: &Path, overwrite: bool) -> Result<File, Failure> {
    let mut options = File::options();
    let made = match overwrite {
        true => options.write(true).create(true).truncate(true).open(path),
        false => options.write(true).create_new(true).open(path),
    };
    made.map_err(|why| match why.kind() {
        ErrorKind::AlreadyExists => Failure::new(Exit::Refused, format!("{} exists already", path.display()))
            .hint("choose another file with --csv, or overwrite it with --force"),
        _ => Failure::new(Exit::Failed, format!("cannot write {}: {why}", path.display()))
            .hint("choose another file with --csv"),
    })
}

async fn cancel(tenant: &Tenant, env: &CommandEnv, id: i64) -> anyhow::Result<()> {
    let log = find(tenant, id).await?;
    let mut tx = tenant.begin().await?;
    let asked = log::request_cancel(&mut tx.conn(), tenant.id().await?, id).await?;
    tx.commit().await?;
    if !asked {
        let state = log.result.unwrap_or(log.status);
        return Err(Failure::new(Exit::Refused, format!("import {id} is {state} already"))
            .hint(format!("look at it: fairlane imports show {id} -t {}", tenant.slug()))
            .into());
    }
    let lines = [format!("import {id} stops after the chunk it is at; what was imported is kept")];
    env.output.result(
        &json!({ "import_id": id, "cancel_requested": true }),
        Some(&id.to_string()),
        &lines,
    )?;
    Ok(())
}
