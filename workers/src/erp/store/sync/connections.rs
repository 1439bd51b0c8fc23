//! Connections to other systems.

use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use serde_json::Value;

use crate::erp::sync::connection::{Connection, ConnectionSettings};

fn read(row: &Row) -> Result<Connection> {
    let word = |column: &str| row.get::<String>(column);
    let damaged = |why: Error| Error::Damaged(format!("sync_connections: {why}"));
    let settings: Value = row.get("settings")?;
    let settings: ConnectionSettings = serde_json::from_value(settings)
        .map_err(|why| Error::Damaged(format!("column sync_connections.settings: {why}")))?;
    Ok(Connection {
        id: row.get("id")?,
        name: word("name")?,
        dialect: word("dialect")?.parse().map_err(damaged)?,
        base_url: word("base_url")?,
        auth: word("auth")?.parse().map_err(damaged)?,
        sealed: row.get("secret")?,
        settings,
        active: row.get("active")?,
    })
}

fn settings_json(connection: &Connection) -> Result<Value> {
    serde_json::to_value(&connection.settings)
        .map_err(|why| Error::Invalid { what: "the connection's settings".into(), why: why.to_string() })
}

/// Adds a connection without its secret; `None` when the name is taken.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &Connection) -> Result<Option<i64>> {
    let row = query(sql!(
        "insert into sync_connections (tenant_id, name, dialect, base_url, auth, settings, active, created_at, updated_at)
         values ($1, $2, $3, $4, $5, {json:$6}, $7, {now}, {now})
         on conflict (tenant_id, name) do nothing returning id"
    ))
    .bind(tenant)
    .bind(new.name.as_str())
    .bind(new.dialect.as_str())
    .bind(new.base_url.as_str())
    .bind(new.auth.as_str())
    .bind(settings_json(new)?)
    .bind(new.active)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("id")).transpose()
}

/// Stores what may change of a connection, its secret too.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, connection: &Connection) -> Result<()> {
    query(sql!(
        "update sync_connections set base_url = $3, auth = $4, secret = $5, settings = {json:$6}, active = $7,
            updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(connection.id)
    .bind(connection.base_url.as_str())
    .bind(connection.auth.as_str())
    .bind(connection.sealed.as_deref())
    .bind(settings_json(connection)?)
    .bind(connection.active)
    .execute(conn)
    .await?;
    Ok(())
}

/// The connection with this name.
pub async fn by_name(conn: &mut Conn<'_>, tenant: i64, name: &str) -> Result<Connection> {
    let row = query(sql!(
        "select id, name, dialect, base_url, auth, secret, settings, active from sync_connections
         where tenant_id = $1 and name = $2"
    ))
    .bind(tenant)
    .bind(name)
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| Error::NotFound { what: "connection", name: name.to_owned() })?;
    read(&row)
}

/// The connection with this number; `None` when it was removed.
pub async fn by_id(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Connection>> {
    let row = query(sql!(
        "select id, name, dialect, base_url, auth, secret, settings, active from sync_connections
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read).transpose()
}

/// All connections by name.
pub async fn list(conn: &mut Conn<'_>, tenant: i64) -> Result<Vec<Connection>> {
    let rows = query(sql!(
        "select id, name, dialect, base_url, auth, secret, settings, active from sync_connections
         where tenant_id = $1 order by name"
    ))
    .bind(tenant)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// Removes a connection with everything that is known of the other side; what was taken over stays.
pub async fn delete(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<()> {
    query(sql!("delete from sync_connections where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}
