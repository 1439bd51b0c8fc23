//! `failed`.

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

use super::args::Paging;
use super::exit::{Exit, Failure};
use super::filters::FailureFilters;
use super::output::{Page, Record, ago, json, rfc3339, short};
use super::session::Session;
use crate::fingerprint::template;
use crate::store::failed::{self, FailedFilter, FailedGroup, FailedRow, GroupBy};

#[derive(Debug, Args)]
pub(super) struct Failed {
    /// Count them by error group, kind or tenant
    #[arg(long, value_enum)]
    by: Option<By>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    filters: FailureFilters,
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
    session
        .out
        .page(&Page { rows, damaged: listing.damaged, next_cursor, more: None }, "No failed jobs found.")?;
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
    let groups = failed::groups(&mut tx.conn(), filter, by, verb.paging.limit + 1).await?;
    let rows: Vec<_> = groups.into_iter().map(GroupRecord::from).collect();
    let limit = usize::try_from(verb.paging.limit).unwrap_or(usize::MAX);
    session.out.page(&Page::up_to(rows, limit), "No failed jobs found.")?;
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
