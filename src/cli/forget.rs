//! `forget`, `purge`, `flush`.

use std::time::Duration;

use chrono::Utc;
use clap::Args;

use super::args::{Consent, duration};
use super::confirm::confirm;
use super::exit::{Exit, Failure};
use super::filters::{FailureFilters, resolve_ids};
use super::output::{counted, rfc3339};
use super::progress::progress;
use super::session::Session;
use crate::admin::failed::forget as forget_jobs;
use crate::store::failed::{self, FailedFilter};

#[derive(Debug, Args)]
pub(super) struct Forget {
    /// Ids, or the ends of ids
    ids: Vec<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    filters: FailureFilters,
}

#[derive(Debug, Args)]
pub(super) struct Purge {
    /// Failed longer ago than this
    #[arg(long, value_parser = duration, value_name = "LENGTH", required_unless_present = "hours")]
    older_than: Option<Duration>,
    /// The same in hours
    #[arg(long, conflicts_with = "older_than")]
    hours: Option<u32>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Args)]
pub(super) struct Flush {
    /// Only those that failed longer ago than so many hours
    #[arg(long)]
    hours: Option<u32>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn forget(verb: &Forget, session: &Session) -> anyhow::Result<Exit> {
    let (ids, unknown) = resolve_ids(session, &verb.ids).await?;
    let chosen = (!verb.ids.is_empty()).then_some(ids);
    let filter = verb.filters.failed(session, chosen).await?;
    if filter.is_empty() {
        return Err(Failure::usage("which failed jobs? name ids or a filter")
            .hint("all of them: fairlane flush")
            .into());
    }
    for id in &unknown {
        session.out.warn(&format!("Unable to find failed job with ID [{id}]."));
    }
    let target = verb.filters.in_words(session, &verb.ids);
    let done = remove(session, &filter, &target, verb.reason.as_deref(), verb.consent).await?;
    if done == 0 && !verb.ids.is_empty() {
        return Err(Failure::new(
            Exit::NotFound,
            format!("Unable to find failed job with ID [{}].", verb.ids.join(", ")),
        )
        .hint("list them: fairlane failed")
        .into());
    }
    Ok(if unknown.is_empty() { Exit::Done } else { Exit::Partly })
}

pub(super) async fn purge(verb: &Purge, session: &Session) -> anyhow::Result<Exit> {
    let hours = verb.hours.map(|hours| Duration::from_secs(u64::from(hours) * 3600));
    remove_older(session, verb.older_than.or(hours), verb.reason.as_deref(), verb.consent).await
}

pub(super) async fn flush(verb: &Flush, session: &Session) -> anyhow::Result<Exit> {
    let hours = verb.hours.map(|hours| Duration::from_secs(u64::from(hours) * 3600));
    remove_older(session, hours, verb.reason.as_deref(), verb.consent).await
}

async fn remove_older(
    session: &Session,
    age: Option<Duration>,
    reason: Option<&str>,
    consent: Consent,
) -> anyhow::Result<Exit> {
    let age = age.and_then(|age| chrono::Duration::from_std(age).ok());
    let until = age.map(|age| Utc::now() - age);
    let filter = FailedFilter { tenant_id: session.tenant_id().await?, until, ..FailedFilter::default() };
    let mut target = until.map_or("all".to_owned(), |until| format!("until:{}", rfc3339(until)));
    if let Some(tenant) = &session.globals.tenant {
        target.push_str(&format!(" tenant:{tenant}"));
    }
    remove(session, &filter, &target, reason, consent).await?;
    Ok(Exit::Done)
}

/// Removes what the filter means, with consent; returns how many.
async fn remove(
    session: &Session,
    filter: &FailedFilter,
    target: &str,
    reason: Option<&str>,
    consent: Consent,
) -> anyhow::Result<u64> {
    let fairlane = session.fairlane().await?;
    let count = failed::count(&mut fairlane.db().read().await?.conn(), filter).await?;
    if consent.dry_run {
        let result = serde_json::json!({ "dry_run": true, "jobs": count });
        session.out.result(
            &result,
            None,
            &[format!("{} would be removed.", counted(count, "failed job"))],
        )?;
        return Ok(u64::try_from(count).unwrap_or_default());
    }
    if count > 0 {
        confirm(session, consent, &format!("remove {} for good", counted(count, "failed job")))?;
    }
    let bar = progress(session, "Forget", count);
    let operator = session.operator(reason);
    let gone = forget_jobs(fairlane, filter, target, &operator, |gone| bar.set_position(gone)).await?;
    bar.finish_and_clear();
    let result = serde_json::json!({ "forgotten": gone });
    session.out.result(&result, None, &[format!("{} removed.", counted(gone, "failed job"))])?;
    Ok(gone)
}
