//! `retry`.

use clap::Args;
use serde_json::json;

use super::exit::{Exit, Failure};
use super::filters::{FailureFilters, resolve_ids};
use super::output::counted;
use super::progress::progress;
use super::session::Session;
use crate::admin::failed::{Retried, retry as retry_jobs};
use crate::store::failed::{self, FailedFilter};

#[derive(Debug, Args)]
pub(super) struct Retry {
    /// Ids or the ends of ids; `all` for everything (of the tenant, with -t)
    ids: Vec<String>,
    /// Only say what would be retried
    #[arg(long)]
    dry_run: bool,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    filters: FailureFilters,
}

pub(super) async fn retry(verb: &Retry, session: &Session) -> anyhow::Result<Exit> {
    let all = verb.ids.iter().any(|id| id == "all");
    if all && verb.ids.len() > 1 {
        return Err(Failure::usage("either all, or ids").into());
    }
    let typed: &[String] = if all { &[] } else { &verb.ids };
    let (ids, unknown) = resolve_ids(session, typed).await?;
    let chosen = (!typed.is_empty()).then_some(ids);
    let filter = verb.filters.failed(session, chosen).await?;
    if filter.is_empty() && !all {
        return Err(Failure::usage("which failed jobs? name ids, a filter, or all")
            .hint("all of them: fairlane retry all   of one tenant: fairlane retry all -t SLUG")
            .into());
    }
    let fairlane = session.fairlane().await?;
    let count = failed::count(&mut fairlane.db().read().await?.conn(), &filter).await?;
    let missing = missing(session, &filter, typed, unknown).await?;
    for id in &missing {
        session.out.warn(&format!("Unable to find failed job with ID [{id}]."));
    }
    if count == 0 {
        return nothing(session, typed, missing);
    }
    if verb.dry_run {
        let result = json!({ "dry_run": true, "jobs": count, "not_found": missing });
        session.out.result(
            &result,
            None,
            &[format!("{} would be retried.", counted(count, "failed job"))],
        )?;
        return Ok(Exit::Done);
    }
    let target = verb.filters.in_words(session, typed);
    let bar = progress(session, "Retry", count);
    let operator = session.operator(verb.reason.as_deref());
    let done =
        retry_jobs(fairlane, &filter, &target, &operator, |so_far| bar.set_position(so_far.retried)).await?;
    bar.finish_and_clear();
    report(session, &done, &missing)
}

/// Ids that were typed but mean no failed job: unknown ones, and jobs that are not failed.
async fn missing(
    session: &Session,
    filter: &FailedFilter,
    typed: &[String],
    unknown: Vec<String>,
) -> anyhow::Result<Vec<String>> {
    let Some(ids) = &filter.ids else { return Ok(Vec::new()) };
    let mut missing = unknown.clone();
    let known = typed.iter().filter(|text| !unknown.contains(text));
    let mut tx = session.fairlane().await?.db().read().await?;
    for (text, id) in known.zip(ids) {
        let one =
            FailedFilter { ids: Some(vec![*id]), tenant_id: filter.tenant_id, ..FailedFilter::default() };
        if failed::count(&mut tx.conn(), &one).await? == 0 {
            missing.push(text.clone());
        }
    }
    Ok(missing)
}

fn nothing(session: &Session, typed: &[String], missing: Vec<String>) -> anyhow::Result<Exit> {
    if !missing.is_empty() && missing.len() == typed.len() {
        let hint = "list them: fairlane failed";
        return Err(Failure::new(Exit::NotFound, "No retryable jobs found.").hint(hint).into());
    }
    let result = json!({ "retried": 0, "key_taken": [], "refused": [], "not_found": missing });
    session.out.result(&result, None, &["No retryable jobs found.".into()])?;
    Ok(Exit::Done)
}

fn report(session: &Session, done: &Retried, missing: &[String]) -> anyhow::Result<Exit> {
    let taken: Vec<_> = done
        .taken
        .iter()
        .map(|taken| json!({ "id": taken.id, "unique_key": taken.key, "held_by": taken.holder }))
        .collect();
    let refused: Vec<_> = done.refusals.iter().map(|(id, why)| json!({ "id": id, "error": why })).collect();
    let result = json!({
        "retried": done.retried, "key_taken": taken, "key_taken_count": done.key_taken, "refused": refused,
        "refused_count": done.refused, "not_found": missing,
    });
    let mut lines = vec![format!("{} put back into the queue.", counted(done.retried, "failed job"))];
    if done.key_taken > 0 {
        lines.push(format!("{} stay failed: another job holds their unique key:", done.key_taken));
        lines.extend(done.taken.iter().map(|taken| {
            let holder = taken.holder.map_or("?".to_owned(), |holder| holder.to_string());
            format!("  {}  key {}  held by {holder}", taken.id, super::printable(&taken.key))
        }));
    }
    if done.refused > 0 {
        lines.push(format!("{} stay failed: their rows are damaged:", done.refused));
        lines.extend(done.refusals.iter().map(|(id, why)| format!("  {id}  {}", super::printable(why))));
    }
    session.out.result(&result, None, &lines)?;
    let left = done.key_taken + done.refused;
    Ok(match (left, done.retried, missing.is_empty()) {
        (0, _, true) => Exit::Done,
        (1.., 0, _) => Exit::Refused,
        _ => Exit::Partly,
    })
}
