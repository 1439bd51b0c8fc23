//! Failed jobs: lists, groups, and their end.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::listing::{Listing, read_all};
use super::usage;
use crate::db::{Conn, Query, Row, Sql, query};
use crate::error::Result;
use crate::sql;

/// Which failed jobs are meant; what is `None` does not narrow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FailedFilter {
    /// One tenant's number.
    pub tenant_id: Option<i64>,
    /// One queue.
    pub queue: Option<String>,
    /// One kind; a listener's name stands for all the events it follows.
    pub kind: Option<String>,
    /// The beginning of an error group's fingerprint.
    pub group: Option<String>,
    /// A part of the error's text, in any case of letters.
    pub error: Option<String>,
    /// Failed at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Failed at this time or earlier.
    pub until: Option<DateTime<Utc>>,
    /// At least so many attempts.
    pub attempts_min: Option<i64>,
    /// At most so many attempts.
    pub attempts_max: Option<i64>,
    /// Only these jobs.
    pub ids: Option<Vec<Uuid>>,
}

/// A failed job, without its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedRow {
    /// Its id.
    pub id: Uuid,
    /// Its tenant's slug.
    pub tenant: String,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Attempts it had.
    pub attempt: i64,
    /// How often it was retried by somebody before.
    pub generation: i64,
    /// The failure's stable word.
    pub code: String,
    /// What went wrong.
    pub error: String,
    /// The group of failures it belongs to.
    pub group: String,
    /// When it was dispatched.
    pub created_at: DateTime<Utc>,
    /// When it failed for good.
    pub failed_at: DateTime<Utc>,
}

/// What failures are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The same error of the same kind.
    Group,
    /// The kind of job.
    Kind,
    /// The tenant.
    Tenant,
}

/// Failed jobs counted together.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedGroup {
    /// The fingerprint, the kind or the tenant's slug.
    pub name: String,
    /// How many jobs.
    pub count: i64,
    /// How many tenants they belong to.
    pub tenants: i64,
    /// One of those tenants.
    pub tenant: String,
    /// How many kinds of job.
    pub kinds: i64,
    /// One of those kinds.
    pub kind: String,
    /// One of the errors.
    pub error: String,
    /// When the first of them failed.
    pub first_at: DateTime<Utc>,
    /// When the last of them failed.
    pub last_at: DateTime<Utc>,
}

/// The filter's conditions: binds `$1` to `$11`, in the order of [`FailedFilter::bind`].
macro_rules! matching {
    () => {
        "($1 is null or f.tenant_id = $1) and ($2 is null or f.queue = $2)
            and ($3 is null or f.kind = $3 or f.kind like $3 || '@%')
            and ($4 is null or f.fingerprint like $4 || '%')
            and ($5 is null or lower(f.error) like $5 escape '!')
            and ($6 is null or f.failed_at >= $6) and ($7 is null or f.failed_at <= $7)
            and ($8 is null or f.attempt >= $8) and ($9 is null or f.attempt <= $9)
            and ($10 or f.id {in:$11})"
    };
}

impl FailedFilter {
    /// Whether it narrows nothing but the tenant and the time at which the set was fixed.
    pub fn is_empty(&self) -> bool {
        Self { tenant_id: None, ..self.clone() } == Self::default()
    }

    pub(super) fn bind(&self, query: Query) -> Query {
        query
            .bind(self.tenant_id)
            .bind(self.queue.clone())
            .bind(self.kind.clone())
            .bind(self.group.clone())
            .bind(self.error.as_deref().map(contains))
            .bind(self.since)
            .bind(self.until)
            .bind(self.attempts_min)
            .bind(self.attempts_max)
            .bind(self.ids.is_none())
            .bind(self.ids.clone().unwrap_or_default())
    }
}

/// A `like` pattern for any text that contains this one.
fn contains(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

pub(super) const LIST: Sql = sql!(concat!(
        "select cast(f.id as text) as key, f.id, (select t.slug from fairlane_tenants t where t.id = f.tenant_id) as tenant,
            f.queue, f.kind, f.attempt, f.generation, f.code, f.error, f.fingerprint, f.created_at, f.failed_at
         from fairlane_failed_jobs f
         where ",
        matching!(),
        " and ($12 is null or (f.failed_at, f.id) < ($12, $13))
         order by f.failed_at desc, f.id desc limit $14"
    ));

/// Failed jobs, the newest failure first, from after a given one on.
pub async fn list(
    conn: &mut Conn<'_>,
    filter: &FailedFilter,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Listing<FailedRow>> {
    let rows = filter
        .bind(query(LIST))
        .bind(after.map(|(at, _)| at))
        .bind(after.map(|(_, id)| id))
        .bind(limit)
        .fetch_all(conn)
        .await?;
    read_all(&rows, limit, read)
}

fn read(row: &Row) -> Result<FailedRow> {
    Ok(FailedRow {
        id: row.get("id")?,
        tenant: row.get("tenant")?,
        queue: row.get("queue")?,
        kind: row.get("kind")?,
        attempt: row.get("attempt")?,
        generation: row.get("generation")?,
        code: row.get("code")?,
        error: row.get("error")?,
        group: row.get("fingerprint")?,
        created_at: row.get("created_at")?,
        failed_at: row.get("failed_at")?,
    })
}

/// How many failed jobs a filter means.
pub async fn count(conn: &mut Conn<'_>, filter: &FailedFilter) -> Result<i64> {
    let statement = sql!(concat!("select count(*) as count from fairlane_failed_jobs f where ", matching!()));
    filter.bind(query(statement)).fetch_one(conn).await?.get("count")
}

/// Failed jobs counted by error group, kind or tenant, the largest count first.
pub async fn groups(
    conn: &mut Conn<'_>,
    filter: &FailedFilter,
    by: GroupBy,
    limit: i64,
) -> Result<Vec<FailedGroup>> {
    macro_rules! counted {
        ($by:literal) => {
            sql!(concat!(
                "select ",
                $by,
                " as name, count(*) as count, count(distinct f.tenant_id) as tenants, min(t.slug) as tenant,
                    count(distinct f.kind) as kinds, min(f.kind) as kind, min(f.error) as error,
                    min(f.failed_at) as first_at, max(f.failed_at) as last_at
                 from fairlane_failed_jobs f join fairlane_tenants t on t.id = f.tenant_id
                 where ",
                matching!(),
                " group by ",
                $by,
                " order by count(*) desc, max(f.failed_at) desc limit $12"
            ))
        };
    }
    let statement = match by {
        GroupBy::Group => counted!("f.fingerprint"),
        GroupBy::Kind => counted!("f.kind"),
        GroupBy::Tenant => counted!("t.slug"),
    };
    let rows = filter.bind(query(statement)).bind(limit).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(FailedGroup {
                name: row.get("name")?,
                count: row.get("count")?,
                tenants: row.get("tenants")?,
                tenant: row.get("tenant")?,
                kinds: row.get("kinds")?,
                kind: row.get("kind")?,
                error: row.get("error")?,
                first_at: row.get("first_at")?,
                last_at: row.get("last_at")?,
            })
        })
        .collect()
}

/// A page of a set that is worked through: its ids, and where the next page begins.
#[derive(Debug, Default)]
pub struct Page {
    /// The ids, locked until the transaction ends.
    pub ids: Vec<Uuid>,
    /// The place after the last of them; `None` when nothing is left.
    pub next: Option<(DateTime<Utc>, Uuid)>,
}

pub(super) const PAGE: Sql = Sql {
    postgres: concat!(
        "select f.id, f.failed_at from fairlane_failed_jobs f where ",
        matching!(),
        " and (f.failed_at, f.id) > ($12, $13) order by f.failed_at, f.id limit $14 for no key update"
    ),
    // A page full of ids that can't be read would end the set.
    sqlite: concat!(
        "select f.id, f.failed_at from fairlane_failed_jobs f where ",
        matching!(),
        " and (f.failed_at, f.id) > ($12, $13) and typeof(f.failed_at) = 'integer' and ",
        readable_id!("f.id"),
        " order by f.failed_at, f.id limit $14"
    ),
};

/// The next jobs of a set, the oldest failure first; rows whose id can't be read are left where they are.
pub async fn lock_page(
    conn: &mut Conn<'_>,
    filter: &FailedFilter,
    after: (DateTime<Utc>, Uuid),
    limit: i64,
) -> Result<Page> {
    let rows = filter.bind(query(PAGE)).bind(after.0).bind(after.1).bind(limit).fetch_all(conn).await?;
    let mut page = Page::default();
    for row in &rows {
        if let (Ok(id), Ok(failed_at)) = (row.get("id"), row.get("failed_at")) {
            page.ids.push(id);
            page.next = Some((failed_at, id));
        }
    }
    if (rows.len() as i64) < limit {
        page.next = None;
    }
    Ok(page)
}

/// Removes failed jobs and their attempts for good; returns how many jobs went. Their tenants' usage stays what it was.
pub async fn forget(conn: &mut Conn<'_>, ids: &[Uuid]) -> Result<u64> {
    query(sql!(
        "delete from fairlane_attempts where job_id in (select id from fairlane_failed_jobs where id {in:$1})"
    ))
    .bind(ids)
    .execute(conn)
    .await?;
    usage::remove_failed(conn, ids).await
}
