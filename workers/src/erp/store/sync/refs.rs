//! The same thing on both sides.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use serde_json::Value;

use super::Of;
use crate::erp::sync::record::Fields;

/// What is known of a thing of the other side.
#[derive(Debug, Clone, PartialEq)]
pub struct Ref {
    /// Its id there.
    pub external_id: String,
    /// Ours; levels have none.
    pub internal_id: Option<i64>,
    /// Another name of it there.
    pub alias: Option<String>,
    /// The fingerprint of what both had when they last agreed.
    pub content_hash: String,
    /// That itself.
    pub base: Fields,
    /// Our version then.
    pub local_version: Option<i64>,
    /// When it was changed there, as far as we know.
    pub remote_updated_at: Option<DateTime<Utc>>,
    /// Since when it is missing there.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Ref {
    fn read(row: &Row) -> Result<Self> {
        let base: Value = row.get("base")?;
        Ok(Self {
            external_id: row.get("external_id")?,
            internal_id: row.get("internal_id")?,
            alias: row.get("alias")?,
            content_hash: row.get("content_hash")?,
            base: serde_json::from_value(base)
                .map_err(|why| Error::Damaged(format!("column external_refs.base: {why}")))?,
            local_version: row.get("local_version")?,
            remote_updated_at: row.get("remote_updated_at")?,
            deleted_at: row.get("deleted_at")?,
        })
    }
}

/// Those of these ids that are known, by id.
pub async fn known(conn: &mut Conn<'_>, of: Of, external_ids: &[String]) -> Result<BTreeMap<String, Ref>> {
    let rows = query(sql!(
        "select external_id, internal_id, alias, content_hash, base, local_version, remote_updated_at, deleted_at
         from external_refs
         where tenant_id = $1 and connection_id = $2 and entity = $3 and external_id {in:$4}"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(external_ids)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ref::read(row).map(|known| (known.external_id.clone(), known))).collect()
}

/// What is known of one of our things.
pub async fn of_internal(conn: &mut Conn<'_>, of: Of, internal_id: i64) -> Result<Option<Ref>> {
    let row = query(sql!(
        "select external_id, internal_id, alias, content_hash, base, local_version, remote_updated_at, deleted_at
         from external_refs
         where tenant_id = $1 and connection_id = $2 and entity = $3 and internal_id = $4"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(internal_id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Ref::read).transpose()
}

/// Our thing that has this id there, or this other name.
pub async fn internal_of(conn: &mut Conn<'_>, of: Of, name: &str) -> Result<Option<i64>> {
    let row = query(sql!(
        "select internal_id from external_refs
         where tenant_id = $1 and connection_id = $2 and entity = $3 and (external_id = $4 or alias = $4)
             and internal_id is not null
         order by case when external_id = $4 then 0 else 1 end limit 1"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(name)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("internal_id")).transpose()
}

/// The levels that are known by these names, each with the name: of one place there may be several, as a lot each.
pub async fn levels(conn: &mut Conn<'_>, of: Of, names: &[String]) -> Result<Vec<(String, Ref)>> {
    let rows = query(sql!(
        "select external_id, internal_id, alias, content_hash, base, local_version, remote_updated_at, deleted_at
         from external_refs
         where tenant_id = $1 and connection_id = $2 and entity = $3 and alias {in:$4} and deleted_at is null"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(names)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("alias")?, Ref::read(row)?))).collect()
}

/// Forgets all that is known of an entity, and how far it was read: the next run takes it over anew.
pub async fn forget(conn: &mut Conn<'_>, of: Of) -> Result<()> {
    for gone in [
        sql!("delete from external_refs where tenant_id = $1 and connection_id = $2 and entity = $3"),
        sql!("delete from sync_cursors where tenant_id = $1 and connection_id = $2 and entity = $3"),
    ] {
        query(gone).bind(of.tenant).bind(of.connection).bind(of.entity.as_str()).execute(conn).await?;
    }
    Ok(())
}

/// Stores what is known of a thing.
pub async fn save(conn: &mut Conn<'_>, of: Of, known: &Ref, seen_run: Option<i64>) -> Result<()> {
    let base = serde_json::to_value(&known.base)
        .map_err(|why| Error::Invalid { what: "a record".into(), why: why.to_string() })?;
    query(sql!(
        "insert into external_refs (tenant_id, connection_id, entity, external_id, internal_id, alias, content_hash, base,
            local_version, remote_updated_at, seen_run, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, {json:$8}, $9, $10, $11, {now})
         on conflict (tenant_id, connection_id, entity, external_id) do update
            set internal_id = excluded.internal_id, alias = excluded.alias, content_hash = excluded.content_hash,
                base = excluded.base, local_version = excluded.local_version,
                remote_updated_at = excluded.remote_updated_at,
                seen_run = coalesce(excluded.seen_run, external_refs.seen_run), deleted_at = null,
                updated_at = excluded.updated_at"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(known.external_id.as_str())
    .bind(known.internal_id)
    .bind(known.alias.as_deref())
    .bind(known.content_hash.as_str())
    .bind(base)
    .bind(known.local_version)
    .bind(known.remote_updated_at)
    .bind(seen_run)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a full run has met these.
pub async fn mark_seen(conn: &mut Conn<'_>, of: Of, external_ids: &[String], run: i64) -> Result<()> {
    query(sql!(
        "update external_refs set seen_run = $5
         where tenant_id = $1 and connection_id = $2 and entity = $3 and external_id {in:$4}"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(external_ids)
    .bind(run)
    .execute(conn)
    .await?;
    Ok(())
}

/// The full run before this one that has met anything; 0 where there was none.
pub async fn run_before(conn: &mut Conn<'_>, of: Of, run: i64) -> Result<i64> {
    let row = query(sql!(
        "select coalesce(max(seen_run), 0) as run from external_refs
         where tenant_id = $1 and connection_id = $2 and entity = $3 and seen_run < $4"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(run)
    .fetch_one(conn)
    .await?;
    row.get("run")
}

/// How many are known, and how many of them no full run has met since this one.
pub async fn missing_share(conn: &mut Conn<'_>, of: Of, run: i64) -> Result<(i64, i64)> {
    let row = query(sql!(
        "select count(*) as known, coalesce(sum(case when coalesce(seen_run, 0) < $4 then 1 else 0 end), 0) as missing
         from external_refs
         where tenant_id = $1 and connection_id = $2 and entity = $3 and deleted_at is null"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(run)
    .fetch_one(conn)
    .await?;
    Ok((row.get("known")?, row.get("missing")?))
}

/// Some that no full run has met since this one: their ids there and here.
pub async fn missing(
    conn: &mut Conn<'_>,
    of: Of,
    run: i64,
    limit: i64,
) -> Result<Vec<(String, Option<i64>)>> {
    let rows = query(sql!(
        "select external_id, internal_id from external_refs
         where tenant_id = $1 and connection_id = $2 and entity = $3 and deleted_at is null
             and coalesce(seen_run, 0) < $4
         order by external_id limit $5"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(run)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("external_id")?, row.get("internal_id")?))).collect()
}

/// Notes that one is missing there. Its fingerprint goes: when it comes back, that is a change.
pub async fn bury(conn: &mut Conn<'_>, of: Of, external_id: &str, local_version: Option<i64>) -> Result<()> {
    query(sql!(
        "update external_refs set deleted_at = {now}, content_hash = '', local_version = coalesce($5, local_version),
            updated_at = {now}
         where tenant_id = $1 and connection_id = $2 and entity = $3 and external_id = $4"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(external_id)
    .bind(local_version)
    .execute(conn)
    .await?;
    Ok(())
}
