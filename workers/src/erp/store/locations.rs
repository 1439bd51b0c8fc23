//! Locations: warehouses, shops, shelves, and the places goods come from and go to.

use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;

/// A location as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// Its number inside the database.
    pub id: i64,
    /// The code people know it by.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The location it is a part of.
    pub parent_id: Option<i64>,
    /// `internal`, `transit`, `vendor`, `customer` or `loss`.
    pub kind: String,
    /// Whether goods are put there.
    pub active: bool,
}

impl Location {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            code: row.get("code")?,
            name: row.get("name")?,
            parent_id: row.get("parent_id")?,
            kind: row.get("kind")?,
            active: row.get("active")?,
        })
    }
}

/// A location to be added.
#[derive(Debug, Clone)]
pub struct NewLocation {
    /// The code people know it by.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The location it is a part of.
    pub parent_id: Option<i64>,
    /// `internal`, `transit`, `vendor`, `customer` or `loss`.
    pub kind: String,
}

/// Adds a location; `None` when its code is taken.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &NewLocation) -> Result<Option<Location>> {
    let row = query(sql!(
        "insert into locations (tenant_id, code, name, parent_id, kind, created_at, updated_at)
         values ($1, $2, $3, $4, $5, {now}, {now}) on conflict (tenant_id, code) do nothing
         returning id, code, name, parent_id, kind, active"
    ))
    .bind(tenant)
    .bind(new.code.as_str())
    .bind(new.name.as_str())
    .bind(new.parent_id)
    .bind(new.kind.as_str())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Location::read).transpose()
}

/// The location with this code.
pub async fn by_code(conn: &mut Conn<'_>, tenant: i64, code: &str) -> Result<Location> {
    let row = query(sql!(
        "select id, code, name, parent_id, kind, active from locations where tenant_id = $1 and code = $2"
    ))
    .bind(tenant)
    .bind(code)
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| Error::NotFound { what: "location", name: code.to_owned() })?;
    Location::read(&row)
}

/// Where goods are taken from when nobody says: the tenant's oldest active internal location.
pub async fn first(conn: &mut Conn<'_>, tenant: i64) -> Result<Option<Location>> {
    let row = query(sql!(
        "select id, code, name, parent_id, kind, active from locations
         where tenant_id = $1 and kind = 'internal' and active order by id limit 1"
    ))
    .bind(tenant)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Location::read).transpose()
}

/// Locations by code, behind one.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, after: &str, limit: i64) -> Result<Vec<Location>> {
    let rows = query(sql!(
        "select id, code, name, parent_id, kind, active from locations
         where tenant_id = $1 and code > $2 order by code limit $3"
    ))
    .bind(tenant)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Location::read).collect()
}

/// Says whether goods are put there; returns whether there is such a location.
pub async fn set_active(conn: &mut Conn<'_>, tenant: i64, code: &str, active: bool) -> Result<bool> {
    let touched = query(sql!(
        "update locations set active = $3, updated_at = {now} where tenant_id = $1 and code = $2"
    ))
    .bind(tenant)
    .bind(code)
    .bind(active)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}
