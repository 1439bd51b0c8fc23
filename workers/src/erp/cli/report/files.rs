//! The files of reports: a link that opens one, a copy of one, and their end.

use std::path::{Path, PathBuf};

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Exit, Failure, printable, rfc3339};
use serde_json::json;

use super::super::reading;
use super::{follow, state};
use crate::erp::reports::links::{LinkKey, target};
use crate::erp::reports::storage::{ReportFiles, Stored};
use crate::erp::reports::{ReportError, ReportSettings};
use crate::erp::services::reports as service;
use crate::erp::settings::MailSettings;
use crate::erp::store::now;
use crate::erp::store::reports::Report as Row;

pub(super) async fn link(id: i64, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let settings = ReportSettings::read(&env.config)?;
    let report = follow::find(tenant, id).await?;
    stored(&report)?;
    let mut tx = reading(tenant).await?;
    let mut until = now(&mut tx.conn()).await? + chrono::Duration::days(settings.link_days);
    if let Some(end) = report.expires_at {
        until = until.min(end);
    }
    let token = LinkKey::load(&settings)?.sign(tenant.id().await?, id, until)?;
    let app = MailSettings::read(&env.config)?.app_url;
    let link = match app.is_empty() {
        true => token,
        false => format!("{}/{}", app.trim_end_matches('/'), target(&token)),
    };
    let result = json!({ "report_id": id, "link": link, "until": rfc3339(until) });
    Ok(env.output.result(
        &result,
        Some(&link),
        &[link.clone(), format!("opens it until {}", rfc3339(until))],
    )?)
}

pub(super) async fn open(
    link: &str,
    out: Option<&Path>,
    force: bool,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let settings = ReportSettings::read(&env.config)?;
    let tenant_id = tenant.id().await?;
    let now = now(&mut reading(tenant).await?.conn()).await?;
    let id = LinkKey::load(&settings)?.open(tenant_id, link, now)?;
    let report = follow::find(tenant, id).await?;
    let name = PathBuf::from(report.file_name.as_deref().unwrap_or("report"));
    let out = out.unwrap_or(&name);
    refuse_place(out, force)?;
    copy(&report, out, tenant, env).await?;
    let line = printable(&format!("{} is written.", out.display()));
    Ok(env.output.result(&report, Some(&id.to_string()), &[line])?)
}

/// Refuses a place for a file before anything is made for it: one that is taken, or in a folder that is not there.
pub(super) fn refuse_place(out: &Path, force: bool) -> anyhow::Result<()> {
    let folder = folder_of(out);
    if !folder.is_dir() {
        return Err(Failure::new(
            Exit::Refused,
            format!("{}: there is no folder {}", out.display(), folder.display()),
        )
        .hint("make it, or name another place")
        .into());
    }
    if out.exists() && !force {
        return Err(Failure::new(Exit::Refused, format!("{} exists", out.display()))
            .hint("--force overwrites it")
            .into());
    }
    Ok(())
}

fn folder_of(out: &Path) -> &Path {
    out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The file of a report, if it has one.
fn stored(report: &Row) -> anyhow::Result<Stored> {
    match (&report.file_key, &report.sha256, report.bytes) {
        (Some(key), Some(sha256), Some(bytes)) => {
            let bytes = u64::try_from(bytes).unwrap_or_default();
            Ok(Stored { key: key.clone(), sha256: sha256.clone(), bytes })
        }
        _ => Err(Failure::new(
            Exit::Refused,
            format!("report {} has no file: it is {}", report.id, state(report)),
        )
        .hint("make it again: fairlane erp report run ...")
        .into()),
    }
}

/// Writes the file of a report beside its place first, so that what is there is whole.
pub(super) async fn copy(report: &Row, out: &Path, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let settings = ReportSettings::read(&env.config)?;
    let file = stored(report)?;
    let unwritable = |why: std::io::Error| Failure::new(Exit::Failed, format!("{}: {why}", out.display()));
    let mut part = tempfile::NamedTempFile::new_in(folder_of(out)).map_err(unwritable)?;
    let files = ReportFiles::open(&settings).map_err(failure)?;
    files.copy(tenant.slug(), &file, part.as_file_mut()).await.map_err(failure)?;
    part.persist(out).map_err(|why| unwritable(why.error))?;
    Ok(())
}

fn failure(error: ReportError) -> anyhow::Error {
    match error {
        ReportError::Database(error) => error.into(),
        error => Failure::new(Exit::Failed, error.to_string()).into(),
    }
}

pub(super) async fn delete(id: i64, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let settings = ReportSettings::read(&env.config)?;
    let mut tx = tenant.begin().await?;
    let report = service::delete(&mut tx, tenant, id).await?;
    tx.commit().await?;
    if let Some(key) = &report.file_key {
        let files = ReportFiles::open(&settings).map_err(failure)?;
        files.remove(tenant.slug(), key).await.map_err(failure)?;
    }
    Ok(env.output.result(&report, Some(&id.to_string()), &[format!("Report {id} is deleted.")])?)
}
