//! The job: takes its turn, goes through the file chunk by chunk, ends the log.

use std::time::Duration;

use fairlane::db::query;
use fairlane::{Context, Error, Failure, JobError, JobResult, Tenant, Transaction, sql};
use tracing::{info, warn};

use super::counts::Checkpoint;
use super::files::{FileError, ImportFiles};
use super::import_type::{ImportType, Scope};
use super::log::{self, ImportLog, ImportResult};
use super::options::Mode;
use super::run::{Chunk, ImportPlan, ImportRun, RunError, Written, is_refusal};
use super::submit::table_limits;
use super::tabular::TabularError;
use super::types::with_import_type;
use super::{row_errors, telling, undo};
use crate::erp::settings::ImportSettings;
use crate::erp::store::reading;

/// How long an import waits for another one of its tenant and type that is to be tried again, or whose job has no key: the
/// queue itself lets those with a key in one after the other.
const TURN: Duration = Duration::from_secs(2);

/// Why an import ends before the end of its file.
enum End {
    /// For good: by code and in words.
    GiveUp(String, String),
    /// Somebody stopped it.
    Cancelled,
    /// The worker stops; another goes on.
    Interrupted,
    /// Something that may heal.
    Retry(JobError),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Retry(error.into())
    }
}

impl From<RunError> for End {
    fn from(error: RunError) -> Self {
        match &error {
            // A disk that fails may be mounted again; a file that is not there will not come back by itself.
            RunError::File(TabularError::Io(source)) if source.kind() != std::io::ErrorKind::NotFound => {
                Self::Retry(JobError::retry(&error).code("file_unreadable"))
            }
            RunError::File(TabularError::Io(_)) => Self::GiveUp("file_missing".into(), error.to_string()),
            _ => Self::GiveUp(error.code().into(), error.to_string()),
        }
    }
}

/// Runs an import.
pub(super) async fn run<S>(import_id: i64, ctx: &Context<S>, settings: &ImportSettings) -> JobResult {
    let tenant_id = ctx.job().tenant_id;
    let found = {
        let mut tx = reading(&ctx.tenant()).await?;
        log::find(&mut tx.conn(), tenant_id, import_id).await?
    };
    let Some(import) = found else {
        return Err(JobError::discard(format!("import {import_id} does not exist")).code("import_not_found"));
    };
    if import.status == "completed" {
        info!(import_id, "this import is completed already");
        return Ok(());
    }
    if import.result.as_deref() == Some(ImportResult::Cancelled.as_str()) {
        return Err(JobError::cancel("the import was cancelled"));
    }
    with_import_type!(
        import.import_type.as_str(),
        T => run_type::<T, S>(&import, ctx, settings).await,
        else Err(JobError::discard(format!("`{}` cannot be imported", import.import_type)).code("unknown_import_type"))
    )
}

async fn run_type<T: ImportType, S>(
    import: &ImportLog,
    ctx: &Context<S>,
    settings: &ImportSettings,
) -> JobResult {
    let scope = Scope { tenant_id: ctx.job().tenant_id, import_id: import.id, user_id: import.user_id };
    let checkpoint: Option<Checkpoint<T::Memory>> = ctx.checkpoint()?;
    if !take_turn(ctx, scope, T::NAME, checkpoint.is_some()).await? {
        return Err(JobError::snooze(TURN));
    }
    match go_through::<T, S>(import, scope, checkpoint, ctx, settings).await {
        Ok(run) => complete(&run, scope, ctx, settings).await,
        Err(End::Interrupted) => Err(JobError::snooze(Duration::ZERO)),
        Err(End::Retry(error)) => Err(error),
        Err(End::Cancelled) => {
            finish(ctx, scope, ImportResult::Cancelled, None).await?;
            Err(JobError::cancel("the import was cancelled"))
        }
        Err(End::GiveUp(code, message)) => {
            finish(ctx, scope, ImportResult::Failed, Some((&code, &message))).await?;
            Err(JobError::discard(message).code(code))
        }
    }
}

/// One import of a type at a time for each tenant. The queue sees to it; this is the fence for jobs that were queued by hand
/// or before they had a key, and for those that lose their place because they are tried again.
async fn take_turn<S>(
    ctx: &Context<S>,
    scope: Scope,
    import_type: &str,
    resumes: bool,
) -> Result<bool, JobError> {
    let mut tx = ctx.begin().await?;
    match log::start(&mut tx.conn(), scope, import_type, ctx.job().id).await {
        Ok(true) => {
            if !resumes {
                log::forget_errors(&mut tx.conn(), scope).await?;
            }
            tx.commit().await?;
            Ok(true)
        }
        Ok(false) => Ok(false),
        // Another one took it between the look and the write: the index saw it.
        Err(error) if is_refusal(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The error with what to do next: who reads it looks at a failed job.
fn explain(error: &FileError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

async fn go_through<T: ImportType, S>(
    import: &ImportLog,
    scope: Scope,
    checkpoint: Option<Checkpoint<T::Memory>>,
    ctx: &Context<S>,
    settings: &ImportSettings,
) -> Result<ImportRun<T>, End> {
    let give_up = |code: &str, why: String| End::GiveUp(code.to_owned(), why);
    let path = ImportFiles::new(&settings.folder)
        .find(&ctx.job().tenant, &import.file_path)
        .map_err(|error| give_up(error.code(), explain(&error)))?;
    let plan = ImportPlan {
        mode: import.mode.parse::<Mode>().map_err(|why| give_up("damaged_row", why))?,
        mapping: import.mapping.clone(),
        format: import.format.text.clone(),
        values: import.format.values,
        limits: table_limits(settings, import.format.text.sheet),
        chunk_rows: settings.chunk_rows,
        duplicates: import.options.duplicates,
        location: import.options.location.clone(),
        keep: settings.undo_days > 0,
    };
    let plan = plan.placed(&ctx.tenant(), scope.tenant_id).await?;
    let mut run = ImportRun::<T>::open(ctx.tenant(), scope, &path, &plan, checkpoint)?;
    if import.cancel_requested {
        return Err(End::Cancelled);
    }
    if run.needs_seen() {
        let mut tx = reading(&ctx.tenant()).await?;
        let refused = row_errors::records(&mut tx.conn(), scope).await?;
        drop(tx);
        run.see_again(&path, &plan, &refused)?;
    }
    while let Some(chunk) = run.read_chunk().map_err(RunError::from)? {
        let written = write(ctx, &run, &chunk).await?;
        let cancelled = written.cancel_requested;
        run.accept(written);
        if let Some(limit) = import.options.max_failed.filter(|limit| limit.is_passed(run.counts())) {
            let counts = run.counts();
            let message = format!(
                "{} of {} rows failed, the limit is {limit}; what was imported before is kept",
                counts.failed, counts.total
            );
            return Err(give_up("too_many_failures", message));
        }
        if cancelled || cancelled_in_queue(ctx).await? {
            return Err(End::Cancelled);
        }
        if ctx.should_yield() {
            return Err(End::Interrupted);
        }
    }
    Ok(run)
}

/// Writes a chunk: all of it at once, or, when the database refuses a row of it, again and carefully.
async fn write<T: ImportType, S>(
    ctx: &Context<S>,
    run: &ImportRun<T>,
    chunk: &Chunk<T>,
) -> Result<Written<T>, Error> {
    let mut tx = ctx.begin().await?;
    let written = match run.write(&mut tx, chunk, false).await {
        Err(error) if is_refusal(&error) => {
            warn!(%error, "the database refused a row of this chunk; looking for it");
            tx.rollback().await?;
            tx = ctx.begin().await?;
            run.write(&mut tx, chunk, true).await?
        }
        written => written?,
    };
    tx.checkpoint(&written.checkpoint)?;
    tx.progress(written.checkpoint.counts.total, None);
    tx.commit().await?;
    Ok(written)
}

/// Whether the job was cancelled in the queue, which the log has to say too. Asked only when something wants it to stop.
async fn cancelled_in_queue<S>(ctx: &Context<S>) -> Result<bool, Error> {
    if !ctx.should_yield() {
        return Ok(false);
    }
    let mut tx = ctx.fairlane().db().read().await?;
    let row = query(sql!(
        "select cancel_requested_at is not null as cancelled from fairlane_jobs where tenant_id = $1 and id = $2"
    ))
    .bind(ctx.job().tenant_id)
    .bind(ctx.job().id)
    .fetch_optional(&mut tx.conn())
    .await?;
    row.map_or(Ok(false), |row| row.get("cancelled"))
}

async fn complete<T: ImportType, S>(
    run: &ImportRun<T>,
    scope: Scope,
    ctx: &Context<S>,
    settings: &ImportSettings,
) -> JobResult {
    let counts = run.counts();
    if !counts.add_up() {
        let message = format!("the counts do not add up: {counts:?}; please report this");
        finish(ctx, scope, ImportResult::Failed, Some(("counts_do_not_add_up", &message))).await?;
        return Err(JobError::discard(message).code("counts_do_not_add_up"));
    }
    let result = match counts.failed {
        0 => ImportResult::Completed,
        _ => ImportResult::CompletedWithErrors,
    };
    undo::prune(ctx, settings).await?;
    let mut tx = ctx.begin().await?;
    log::progress(&mut tx.conn(), scope, counts, run.read_bytes()).await?;
    log::finish(&mut tx.conn(), scope, result, None).await?;
    telling::completed(&mut tx, &ctx.tenant(), scope, *counts).await?;
    info!(import_id = scope.import_id, total = counts.total, failed = counts.failed, "import completed");
    ctx.complete_in(tx).await
}

async fn finish<S>(
    ctx: &Context<S>,
    scope: Scope,
    result: ImportResult,
    failure: Option<(&str, &str)>,
) -> Result<(), Error> {
    let mut tx = ctx.begin().await?;
    log::finish(&mut tx.conn(), scope, result, failure).await?;
    if let Some((_, message)) = failure {
        telling::failed(&mut tx, &ctx.tenant(), scope, message).await?;
    }
    tx.commit().await
}

/// Marks the import of a job that has failed for good, and tells it.
pub(super) async fn mark_failed(tenant: &Tenant, import_id: i64, failure: &Failure) -> Result<(), Error> {
    let tenant_id = tenant.id().await?;
    let mut tx: Transaction = tenant.begin().await?;
    let scope = Scope { tenant_id, import_id, user_id: None };
    if log::mark_failed(&mut tx.conn(), scope, &failure.code, &failure.message).await? {
        let user_id = log::find(&mut tx.conn(), tenant_id, import_id).await?.and_then(|log| log.user_id);
        telling::failed(&mut tx, tenant, Scope { user_id, ..scope }, &failure.message).await?;
    }
    tx.commit().await
}
