//! The job: page by page, each with its checkpoint in one commit.

use std::time::Duration;

use fairlane::{Context, Error, JobError, JobResult};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::super::changes;
use super::super::import_type::{ImportType, Scope, Writing};
use super::super::log;
use super::super::options::Mode;
use super::super::types::with_import_type;
use super::store::{self, Phase};
use crate::erp::settings::ImportSettings;
use crate::erp::store::reading;

/// Where the next page begins.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) phase: Phase,
    pub(super) after: i64,
    /// Whether this round has undone something that may have been in another's way.
    pub(super) moved: bool,
}

impl Checkpoint {
    /// What follows when a phase has no more pages.
    pub(super) fn next(self) -> Option<Self> {
        let next = |phase| Some(Self { phase, after: 0, moved: false });
        match self.phase {
            Phase::Created => next(Phase::Changed),
            Phase::Changed => next(Phase::Refused),
            Phase::Refused if self.moved => next(Phase::Refused),
            Phase::Refused => None,
        }
    }
}

/// Undoes an import.
pub(super) async fn run<S>(import_id: i64, ctx: &Context<S>, settings: &ImportSettings) -> JobResult {
    let tenant_id = ctx.job().tenant_id;
    let found = {
        let mut tx = reading(&ctx.tenant()).await?;
        log::find(&mut tx.conn(), tenant_id, import_id).await?
    };
    let Some(import) = found else {
        return Err(JobError::discard(format!("import {import_id} does not exist")).code("import_not_found"));
    };
    let scope = Scope { tenant_id, import_id, user_id: import.user_id };
    with_import_type!(
        import.import_type.as_str(),
        T => run_type::<T, S>(scope, ctx, settings).await,
        else Err(JobError::discard(format!("`{}` cannot be undone", import.import_type)).code("unknown_import_type"))
    )
}

async fn run_type<T: ImportType, S>(scope: Scope, ctx: &Context<S>, settings: &ImportSettings) -> JobResult {
    let tenant = ctx.tenant();
    let writing =
        Writing { tenant: &tenant, scope, mode: Mode::Upsert, location: None, dry: false, keep: false };
    let limit = i64::try_from(settings.chunk_rows).unwrap_or(i64::MAX);
    let mut place: Checkpoint = ctx.checkpoint()?.unwrap_or_default();
    loop {
        let mut tx = ctx.begin().await?;
        let page = store::page(&mut tx.conn(), scope, T::ENTITY, place.phase, place.after, limit).await?;
        let Some(last) = page.last() else {
            tx.rollback().await?;
            match place.next() {
                Some(next) => place = next,
                None => break,
            }
            continue;
        };
        let undone = T::undo(writing, &mut tx, &page).await?;
        let conn = &mut tx.conn();
        store::mark(conn, scope, T::ENTITY, &undone).await?;
        let conflicts = undone.iter().filter(|undone| undone.is_conflict()).count();
        let done = undone.len() - conflicts;
        // What was refused before has been counted then; the end counts once more.
        let new_conflicts = if place.phase == Phase::Refused { 0 } else { conflicts };
        store::progress(conn, scope, "processing", done as u64, new_conflicts as u64).await?;
        place = Checkpoint { phase: place.phase, after: last.id, moved: place.moved || done > 0 };
        tx.checkpoint(&place)?;
        tx.commit().await?;
        if ctx.should_yield() {
            return Err(JobError::snooze(Duration::ZERO));
        }
    }
    complete(scope, ctx, settings).await
}

async fn complete<S>(scope: Scope, ctx: &Context<S>, settings: &ImportSettings) -> JobResult {
    prune(ctx, settings).await?;
    let mut tx = ctx.begin().await?;
    store::recount(&mut tx.conn(), scope).await?;
    store::progress(&mut tx.conn(), scope, "completed", 0, 0).await?;
    info!(import_id = scope.import_id, "import undone");
    ctx.complete_in(tx).await
}

/// Forgets what can't be undone any more.
pub(in super::super) async fn prune<S>(ctx: &Context<S>, settings: &ImportSettings) -> Result<(), Error> {
    let mut tx = ctx.begin().await?;
    changes::prune(&mut tx.conn(), ctx.job().tenant_id, settings.undo_days).await?;
    tx.commit().await
}
