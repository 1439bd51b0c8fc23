//! `fairlane imports undo|conflicts`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Exit, Failure, Record};
use serde_json::json;

use super::import::ending;
use super::import_follow::find;
use super::{Limit, reading};
use crate::erp::jobs::process_bulk_import::log::ImportLog;
use crate::erp::jobs::process_bulk_import::types::{IMPORT_TYPES, with_import_type};
use crate::erp::jobs::process_bulk_import::undo::store::{self, Conflict};
use crate::erp::jobs::process_bulk_import::undo::{self, UndoError};
use crate::erp::settings::ImportSettings;

/// How often the log is read.
const POLL: Duration = Duration::from_millis(200);
/// How long an undoing may wait before its watcher says that it needs a worker.
const PATIENCE: Duration = Duration::from_secs(3);

impl Record for Conflict {
    const COLUMNS: &'static [&'static str] = &["ENTITY", "NUMBER", "NAME", "CODE", "WHY IT STAYS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.entity.clone(),
            self.entity_id.to_string(),
            self.label.clone().unwrap_or_default(),
            self.code.clone(),
            self.message.clone(),
        ]
    }

    fn id(&self) -> String {
        self.entity_id.to_string()
    }
}

pub(super) async fn undo(
    tenant: &Tenant,
    env: &CommandEnv,
    id: i64,
    follow: bool,
) -> anyhow::Result<ExitCode> {
    let import = find(tenant, id).await?;
    let settings = ImportSettings::read(&env.config)?;
    let job = undo::request(tenant, &settings, &import).await.map_err(|error| explain(error, tenant, id))?;
    if !follow {
        let lines = [format!(
            "import {id} will be undone; follow it: fairlane imports show {id} -t {}",
            tenant.slug()
        )];
        env.output.result(&json!({ "import_id": id, "job_id": job }), Some(&id.to_string()), &lines)?;
        return Ok(Exit::Done.into());
    }
    let log = watch(tenant, env, id).await?;
    let mut lines = ending(&log, tenant);
    if log.undo.as_ref().is_some_and(|undo| undo.conflicts > 0) {
        lines.push(format!("what stays: fairlane imports conflicts {id} -t {}", tenant.slug()));
    }
    env.output.result(&log, Some(&id.to_string()), &lines)?;
    Ok(match &log.undo {
        Some(undo) if undo.status != "completed" => Exit::Failed,
        Some(undo) if undo.conflicts > 0 => Exit::Partly,
        _ => Exit::Done,
    }
    .into())
}

async fn watch(tenant: &Tenant, env: &CommandEnv, id: i64) -> anyhow::Result<ImportLog> {
    let (began, mut warned) = (Instant::now(), false);
    loop {
        let log = find(tenant, id).await?;
        let status = log.undo.as_ref().map(|undo| undo.status.as_str());
        if matches!(status, Some("completed" | "failed")) {
            return Ok(log);
        }
        if status == Some("pending") && !warned && began.elapsed() > PATIENCE {
            warned = true;
            env.output.warn("it still waits for a worker; is one running? fairlane work --queue low");
        }
        tokio::time::sleep(POLL).await;
    }
}

pub(super) async fn try_out(tenant: &Tenant, env: &CommandEnv, id: i64) -> anyhow::Result<ExitCode> {
    let import = find(tenant, id).await?;
    let settings = ImportSettings::read(&env.config)?;
    let name = import.import_type.as_str();
    let trial = with_import_type!(
        name,
        T => undo::try_out::<T>(tenant, &settings, &import).await.map_err(|error| explain(error, tenant, id))?,
        else return Err(Failure::usage(format!("`{name}` cannot be undone"))
            .hint(format!("there are: {}", IMPORT_TYPES.join(", ")))
            .into())
    );
    let mut lines: Vec<String> = trial
        .first_conflicts
        .iter()
        .map(|stays| {
            let label = stays.label.clone().unwrap_or_else(|| stays.id.to_string());
            let (why, code) = (stays.message.as_deref().unwrap_or_default(), stays.code.unwrap_or_default());
            format!("  {label}: {why} ({code})")
        })
        .collect();
    lines.push(format!(
        "nothing was changed; it would be: {} taken away, {} as before, {} reversed, {} left because they were touched since",
        trial.deleted, trial.restored, trial.reversed, trial.conflicts
    ));
    env.output.result(&trial, Some(&id.to_string()), &lines)?;
    Ok(if trial.conflicts > 0 { Exit::Partly } else { Exit::Done }.into())
}

pub(super) async fn conflicts(
    tenant: &Tenant,
    env: &CommandEnv,
    id: i64,
    limit: Limit,
    after: i64,
) -> anyhow::Result<()> {
    find(tenant, id).await?;
    let mut tx = reading(tenant).await?;
    let rows = store::conflicts(&mut tx.conn(), tenant.id().await?, id, after, limit.and_one()).await?;
    env.output.page(&limit.page(rows).going_on_after(), "nothing was left as it is")?;
    Ok(())
}

fn explain(error: UndoError, tenant: &Tenant, id: i64) -> anyhow::Error {
    match error {
        UndoError::Database(error) => error.into(),
        error => Failure::new(Exit::Refused, error.to_string())
            .hint(format!("look at it: fairlane imports show {id} -t {}", tenant.slug()))
            .into(),
    }
}
