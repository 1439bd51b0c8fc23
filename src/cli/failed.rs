//! `failed`, `forget`, `purge`, `flush`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

use super::args::{Consent, Paging, duration};
use super::confirm::confirm;
use super::exit::{Exit, Failure};
use super::filters::{FailureFilters, resolve_ids};
use super::output::{Page, Record, ago, counted, json, rfc3339, short};
use super::session::Session;
use crate::admin::failed::forget as forget_jobs;
use crate::fingerprint::template;
use crate::store::failed::{self, FailedFilter, FailedGroup, FailedRow, GroupBy};

#[derive(Debug, Args)]
pub(super) struct Failed {
    /// Count them by error group, kind or tenant
    #[arg(long, value_enum)]
    by: Option<By>,
    #[command(flatten)]
    filters: FailureFilters,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// The same error of the same kind
    Group,
    /// The kind of job
    Kind,
    /// The tenant
    Tenant,
}

#[derive(Debug, Args)]
pub(super) struct Forget {
    /// Ids, or the ends of ids
    ids: Vec<String>,
    #[command(flatten)]
    filters: FailureFilters,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    consent: Consent,
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

/// A failed job of a list.
#[derive(Debug, Serialize)]
pub(super) struct FailedRecord {
    id: Uuid,
    tenant: String,
    queue: String,
    kind: String,
    attempt: i64,
    generation: i64,
    code: String,
    error: String,
    group: String,
    #[serde(serialize_with = "json::time")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "json::time")]
    failed_at: DateTime<Utc>,
}

impl From<FailedRow> for FailedRecord {
    fn from(row: FailedRow) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant,
            queue: row.queue,
            kind: row.kind,
            attempt: row.attempt,
            generation: row.generation,
            code: row.code,
            error: row.error,
            group: row.group,
            created_at: row.created_at,
            failed_at: row.failed_at,
        }
    }
}

/// The first line of an error, short enough for a table.
pub(super) fn brief(error: &str) -> String {
    const LONGEST: usize = 100;
    let line = error.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

impl Record for FailedRecord {
    const COLUMNS: &'static [&'static str] =
        &["ID", "KIND", "TENANT", "QUEUE", "GROUP", "ATTEMPTS", "FAILED", "ERROR"];

    fn cells(&self) -> Vec<String> {
        vec![
            short(self.id),
            self.kind.clone(),
            self.tenant.clone(),
            self.queue.clone(),
            self.group.clone(),
            self.attempt.to_string(),
            ago(self.failed_at, Utc::now()),
            brief(&self.error),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// Failures counted together.
#[derive(Debug, Serialize)]
struct GroupRecord {
    name: String,
    count: i64,
    tenants: i64,
    tenant: String,
    kinds: i64,
    kind: String,
    error: String,
    #[serde(serialize_with = "json::time")]
    first_failed_at: DateTime<Utc>,
    #[serde(serialize_with = "json::time")]
    last_failed_at: DateTime<Utc>,
}

impl From<FailedGroup> for GroupRecord {
    fn from(group: FailedGroup) -> Self {
        Self {
            name: group.name,
            count: group.count,
            tenants: group.tenants,
            tenant: group.tenant,
            kinds: group.kinds,
            kind: group.kind,
            error: template(&group.error),
            first_failed_at: group.first_at,
            last_failed_at: group.last_at,
        }
    }
}

/// One name, and how many more there are.
fn and_more(name: &str, count: i64) -> String {
    if count > 1 { format!("{name} +{}", count - 1) } else { name.to_owned() }
}

impl Record for GroupRecord {
    const COLUMNS: &'static [&'static str] = &["NAME", "COUNT", "TENANTS", "FIRST", "LAST", "KIND", "ERROR"];

    fn cells(&self) -> Vec<String> {
        let now = Utc::now();
        vec![
            self.name.clone(),
            self.count.to_string(),
            and_more(&self.tenant, self.tenants),
            ago(self.first_failed_at, now),
            ago(self.last_failed_at, now),
            and_more(&self.kind, self.kinds),
            brief(&self.error),
        ]
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

pub(super) async fn list(verb: &Failed, session: &Session) -> anyhow::Result<Exit> {
    let filter = verb.filters.failed(session, None).await?;
    if let Some(by) = verb.by {
        return groups(verb, by, &filter, session).await;
    }
    let after = verb.paging.cursor.as_deref().map(cursor).transpose()?;
    let mut tx = session.fairlane().await?.db().read().await?;
    let listing = failed::list(&mut tx.conn(), &filter, after, verb.paging.limit).await?;
    let last = listing.rows.last().filter(|_| listing.more);
    let next_cursor = last.map(|row| format!("{}/{}", rfc3339(row.failed_at), row.id));
    let rows: Vec<_> = listing.rows.into_iter().map(FailedRecord::from).collect();
    let any = !rows.is_empty();
    session.out.page(&Page { rows, damaged: listing.damaged, next_cursor }, "No failed jobs found.")?;
    if any {
        session.out.remark(
            "look: fairlane show ID   again: fairlane retry ID   what they share: fairlane failed --by group",
        );
    }
    Ok(Exit::Done)
}

async fn groups(verb: &Failed, by: By, filter: &FailedFilter, session: &Session) -> anyhow::Result<Exit> {
    let by = match by {
        By::Group => GroupBy::Group,
        By::Kind => GroupBy::Kind,
        By::Tenant => GroupBy::Tenant,
    };
    let mut tx = session.fairlane().await?.db().read().await?;
    let groups = failed::groups(&mut tx.conn(), filter, by, verb.paging.limit).await?;
    let rows: Vec<_> = groups.into_iter().map(GroupRecord::from).collect();
    session.out.page(&Page::from(rows), "No failed jobs found.")?;
    Ok(Exit::Done)
}

fn cursor(text: &str) -> anyhow::Result<(DateTime<Utc>, Uuid)> {
    let read = || {
        let (at, id) = text.split_once('/')?;
        Some((DateTime::parse_from_rfc3339(at).ok()?.with_timezone(&Utc), Uuid::parse_str(id).ok()?))
    };
    read().ok_or_else(|| {
        Failure::usage(format!("\"{text}\" is no cursor"))
            .hint("take it from the end of the page before")
            .into()
    })
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
    let gone = forget_jobs(fairlane, filter, target, &session.operator(reason), |_| {}).await?;
    let result = serde_json::json!({ "forgotten": gone });
    session.out.result(&result, None, &[format!("{} removed.", counted(gone, "failed job"))])?;
    Ok(gone)
}
