//! Tenants.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, RwLock};

use chrono::{DateTime, Utc};

use super::listing::{Listing, read_all};
use crate::db::{Conn, Db, Dialect, Row, query};
use crate::error::{Error, Result};
use crate::sql;

/// Weights in between these: with one far above, a tenant's virtual time would stand still and the others wait for ever.
const WEIGHTS: std::ops::RangeInclusive<f64> = 0.001..=1000.0;

/// A tenant as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantRow {
    /// Its number, the `tenant_id` of every row.
    pub id: i64,
    /// The name code and people use.
    pub slug: String,
    /// The name on pages.
    pub name: String,
    /// Its share of worker time, relative to the others.
    pub weight: f64,
    /// Since when none of its jobs start.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why.
    pub pause_reason: Option<String>,
    /// Since when it takes no new jobs.
    pub draining_at: Option<DateTime<Utc>>,
    /// Why.
    pub drain_reason: Option<String>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

impl TenantRow {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            slug: row.get("slug")?,
            name: row.get("name")?,
            weight: row.get("weight")?,
            paused_at: row.get("paused_at")?,
            pause_reason: row.get("pause_reason")?,
            draining_at: row.get("draining_at")?,
            drain_reason: row.get("drain_reason")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// The number of a slug, on a connection of the client's own.
pub async fn lookup(db: &Db, slug: &str) -> Result<Option<i64>> {
    // On PostgreSQL the policy wants a setting, which needs a transaction; on SQLite a reader waits for nobody.
    let mut tx = match db.dialect() {
        Dialect::Postgres => db.begin().await?,
        Dialect::Sqlite => db.read().await?,
    };
    find(&mut tx.conn(), slug).await
}

/// The number of a slug.
pub async fn find(conn: &mut Conn<'_>, slug: &str) -> Result<Option<i64>> {
    if conn.dialect() == Dialect::Postgres {
        query(sql!("select set_config('fairlane.tenant_slug', $1, true)")).bind(slug).fetch_one(conn).await?;
    }
    let row = query(sql!("select id from fairlane_tenants where slug = $1"))
        .bind(slug)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.get("id")).transpose()
}

/// The numbers of slugs, of those that exist.
pub(crate) async fn numbers(
    conn: &mut Conn<'_>,
    slugs: impl Iterator<Item = String>,
) -> Result<Vec<(i64, String)>> {
    let slugs: Vec<String> = slugs.collect();
    if slugs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query(sql!("select id, slug from fairlane_tenants where slug {in:$1}"))
        .bind(slugs)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("slug")?))).collect()
}

/// The slugs that a worker has met. They never change.
#[derive(Debug, Default)]
pub struct TenantNames {
    known: RwLock<HashMap<i64, Arc<str>>>,
}

impl TenantNames {
    /// Asks for those of these tenants that are not known yet. A claim that looked up the slug of each row took a tenth
    /// longer.
    pub async fn learn(&self, conn: &mut Conn<'_>, tenants: BTreeSet<i64>) -> Result<()> {
        let unknown: Vec<i64> = {
            let known = self.known.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            tenants.into_iter().filter(|tenant| !known.contains_key(tenant)).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = query(sql!("select id, slug from fairlane_tenants where id {in:$1}"))
            .bind(unknown)
            .fetch_all(conn)
            .await?;
        let mut known = self.known.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        for row in &rows {
            known.insert(row.get("id")?, row.get::<String>("slug")?.into());
        }
        Ok(())
    }

    /// A tenant's slug, if it was learnt.
    pub fn of(&self, tenant: i64) -> Option<Arc<str>> {
        self.known.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&tenant).cloned()
    }
}

/// Adds a tenant; returns its number. The slug is its name in code, on the command line and in URLs.
pub async fn add(conn: &mut Conn<'_>, slug: &str, name: &str) -> Result<i64> {
    check_slug(slug)?;
    let row = query(sql!(
        "insert into fairlane_tenants (slug, name) values ($1, $2) on conflict (slug) do nothing returning id"
    ))
    .bind(slug)
    .bind(name)
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| Error::Refused { what: format!("tenant \"{slug}\""), why: "it exists already".into() })?;
    row.get("id")
}

/// All tenants by slug.
pub async fn list(conn: &mut Conn<'_>) -> Result<Listing<TenantRow>> {
    let rows = query(sql!(
        "select slug as key, id, slug, name, weight, paused_at, pause_reason, draining_at, drain_reason, created_at
         from fairlane_tenants order by slug"
    ))
    .fetch_all(conn)
    .await?;
    read_all(&rows, i64::MAX, TenantRow::read)
}

fn check_slug(slug: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let first_is_plain = slug.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if slug.len() <= 63 && first_is_plain && slug.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::Invalid {
        what: format!("tenant \"{slug}\""),
        why: "a slug has 1 to 63 of a-z, 0-9, - and _, and begins with a letter or digit".into(),
    })
}

/// Stops all jobs of a tenant from starting, or lets them start again; returns whether that changed anything.
pub async fn set_paused(conn: &mut Conn<'_>, id: i64, paused: bool, reason: Option<&str>) -> Result<bool> {
    let touched = query(sql!(
        "update fairlane_tenants set paused_at = case when $2 then {now} end, pause_reason = $3, changed_at = {now}
         where id = $1 and (paused_at is null) = $2"
    ))
    .bind(id)
    .bind(paused)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Lets a tenant take no new jobs, or take them again; returns whether that changed anything. It is a mark of the tenant's
/// own row and no limit of zero, so that its limits are what they were when the drain is over.
pub async fn set_draining(
    conn: &mut Conn<'_>,
    id: i64,
    draining: bool,
    reason: Option<&str>,
) -> Result<bool> {
    let touched = query(sql!(
        "update fairlane_tenants set draining_at = case when $2 then {now} end, drain_reason = $3, changed_at = {now}
         where id = $1 and (draining_at is null) = $2"
    ))
    .bind(id)
    .bind(draining)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Sets a tenant's share of worker time, relative to the others.
pub async fn set_weight(conn: &mut Conn<'_>, id: i64, weight: f64) -> Result<()> {
    if !WEIGHTS.contains(&weight) {
        return Err(Error::Invalid {
            what: format!("weight {weight}"),
            why: format!("a weight is from {} to {}", WEIGHTS.start(), WEIGHTS.end()),
        });
    }
    query(sql!("update fairlane_tenants set weight = $2, changed_at = {now} where id = $1"))
        .bind(id)
        .bind(weight)
        .execute(conn)
        .await?;
    Ok(())
}
