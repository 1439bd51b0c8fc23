//! Fields that both sides have changed, and a person decides about.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;
use serde_json::Value;

use super::Of;

/// A field that both sides have changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conflict {
    /// Its number.
    pub id: i64,
    /// Of which connection.
    pub connection_id: i64,
    /// That connection's name.
    pub connection: String,
    /// `products` ...
    pub entity: String,
    /// The record's id there.
    pub external_id: String,
    /// The field.
    pub field: String,
    /// What it is here.
    pub local_value: Option<Value>,
    /// What it is there.
    pub remote_value: Option<Value>,
    /// `open`, or whose value was taken: `local`, `remote`.
    pub status: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

macro_rules! conflicts {
    ($rest:literal) => {
        sql!(concat!(
            "select f.id, f.connection_id, c.name as connection, f.entity, f.external_id, f.field, f.local_value,
                f.remote_value, f.status, f.created_at
             from sync_conflicts f join sync_connections c on c.tenant_id = f.tenant_id and c.id = f.connection_id
             where f.tenant_id = $1 and ",
            $rest
        ))
    };
}

fn read(row: &Row) -> Result<Conflict> {
    Ok(Conflict {
        id: row.get("id")?,
        connection_id: row.get("connection_id")?,
        connection: row.get("connection")?,
        entity: row.get("entity")?,
        external_id: row.get("external_id")?,
        field: row.get("field")?,
        local_value: row.get("local_value")?,
        remote_value: row.get("remote_value")?,
        status: row.get("status")?,
        created_at: row.get("created_at")?,
    })
}

/// Notes a conflict, or what it is about now; whether it is new.
pub async fn open(
    conn: &mut Conn<'_>,
    of: Of,
    external_id: &str,
    field: &str,
    values: (&Value, &Value),
) -> Result<bool> {
    let there = query(sql!(
        "update sync_conflicts set local_value = {json:$6}, remote_value = {json:$7}
         where tenant_id = $1 and connection_id = $2 and entity = $3 and external_id = $4 and field = $5
             and status = 'open'"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(external_id)
    .bind(field)
    .bind(values.0.clone())
    .bind(values.1.clone())
    .execute(conn)
    .await?;
    if there > 0 {
        return Ok(false);
    }
    query(sql!(
        "insert into sync_conflicts (tenant_id, connection_id, entity, external_id, field, local_value, remote_value,
            created_at)
         values ($1, $2, $3, $4, $5, {json:$6}, {json:$7}, {now})"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(external_id)
    .bind(field)
    .bind(values.0.clone())
    .bind(values.1.clone())
    .execute(conn)
    .await?;
    Ok(true)
}

/// Conflicts, oldest first; the decided ones too when asked for.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, all: bool, limit: i64) -> Result<Vec<Conflict>> {
    let rows = query(conflicts!("($2 or f.status = 'open') order by f.id limit $3"))
        .bind(tenant)
        .bind(all)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

/// A conflict.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Conflict> {
    let row = query(conflicts!("f.id = $2")).bind(tenant).bind(id).fetch_optional(conn).await?;
    read(&row.ok_or_else(|| Error::NotFound { what: "conflict", name: id.to_string() })?)
}

/// Notes whose value was taken; whether the conflict was open.
pub async fn decide(conn: &mut Conn<'_>, tenant: i64, id: i64, whose: &str) -> Result<bool> {
    let decided = query(sql!(
        "update sync_conflicts set status = $3, resolved_at = {now}
         where tenant_id = $1 and id = $2 and status = 'open'"
    ))
    .bind(tenant)
    .bind(id)
    .bind(whose)
    .execute(conn)
    .await?;
    Ok(decided == 1)
}

/// Whether somebody has to decide about a record.
pub async fn is_open(conn: &mut Conn<'_>, of: Of, external_id: &str) -> Result<bool> {
    let row = query(sql!(
        "select exists (select 1 from sync_conflicts where tenant_id = $1 and connection_id = $2 and entity = $3
            and external_id = $4 and status = 'open') as there"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(external_id)
    .fetch_one(conn)
    .await?;
    row.get("there")
}
