//! Users and what they may do.

use fairlane::db::{Conn, Row, query};
use fairlane::sql;
use fairlane::{Error, Result};
use serde::Serialize;

use super::stock::sites;

/// A user as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Its number inside the database.
    pub id: i64,
    /// The user's name.
    pub name: String,
    /// Where the user's mails go.
    pub email: Option<String>,
    /// Whether the user is still with us.
    pub active: bool,
}

impl User {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            email: row.get("email")?,
            active: row.get("active")?,
        })
    }

    /// How lists name the user: by address, else by name.
    pub fn label(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.name)
    }
}

/// Adds a user; returns its number.
pub async fn add_user(conn: &mut Conn<'_>, tenant: i64, name: &str, email: Option<&str>) -> Result<i64> {
    query(sql!("insert into users (tenant_id, name, email) values ($1, $2, $3) returning id"))
        .bind(tenant)
        .bind(name)
        .bind(email)
        .fetch_one(conn)
        .await?
        .get("id")
}

/// The user with this address, whatever its case.
pub async fn find_by_email(conn: &mut Conn<'_>, tenant: i64, email: &str) -> Result<Option<i64>> {
    let row = query(sql!("select id from users where tenant_id = $1 and lower(email) = lower($2)"))
        .bind(tenant)
        .bind(email)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.get("id")).transpose()
}

/// The user with this number.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, user: i64) -> Result<Option<User>> {
    let row = query(sql!("select id, name, email, active from users where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(user)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(User::read).transpose()
}

/// The user that a person means: by address, or by number.
pub async fn named(conn: &mut Conn<'_>, tenant: i64, who: &str) -> Result<User> {
    let id = match find_by_email(conn, tenant, who).await? {
        Some(id) => Some(id),
        None => who.parse().ok(),
    };
    let user = match id {
        Some(id) => find(conn, tenant, id).await?,
        None => None,
    };
    user.ok_or_else(|| Error::NotFound { what: "user", name: who.to_owned() })
}

/// Users by number, at most `limit`, after `after`.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, after: i64, limit: i64) -> Result<Vec<User>> {
    let rows = query(sql!(
        "select id, name, email, active from users where tenant_id = $1 and id > $2 order by id limit $3"
    ))
    .bind(tenant)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(User::read).collect()
}

/// Lets a user in, or out: who has left is told nothing any more.
pub async fn set_active(conn: &mut Conn<'_>, tenant: i64, user: i64, active: bool) -> Result<()> {
    query(sql!("update users set active = $3, updated_at = {now} where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(user)
        .bind(active)
        .execute(conn)
        .await?;
    Ok(())
}

/// Changes where a user's mails go.
pub async fn set_email(conn: &mut Conn<'_>, tenant: i64, user: i64, email: &str) -> Result<()> {
    query(sql!("update users set email = $3, updated_at = {now} where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(user)
        .bind(email)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether the tenant has this user and the user is active.
pub async fn is_active(conn: &mut Conn<'_>, tenant: i64, user: i64) -> Result<bool> {
    Ok(find(conn, tenant, user).await?.is_some_and(|user| user.active))
}

/// The role of this name, made when missing.
pub async fn ensure_role(conn: &mut Conn<'_>, tenant: i64, name: &str) -> Result<i64> {
    query(sql!(
        "insert into roles (tenant_id, name) values ($1, $2)
         on conflict (tenant_id, name) do update set name = excluded.name returning id"
    ))
    .bind(tenant)
    .bind(name)
    .fetch_one(conn)
    .await?
    .get("id")
}

/// Lets a role do something.
pub async fn grant(conn: &mut Conn<'_>, tenant: i64, role: i64, permission: &str) -> Result<()> {
    query(sql!(
        "insert into role_permissions (tenant_id, role_id, permission) values ($1, $2, $3) on conflict do nothing"
    ))
    .bind(tenant)
    .bind(role)
    .bind(permission)
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a role to a user: for one location, or everywhere.
pub async fn assign(
    conn: &mut Conn<'_>,
    tenant: i64,
    user: i64,
    role: i64,
    location: Option<i64>,
) -> Result<()> {
    query(sql!(
        "insert into user_roles (tenant_id, user_id, role_id, location_id) values ($1, $2, $3, $4)
         on conflict do nothing"
    ))
    .bind(tenant)
    .bind(user)
    .bind(role)
    .bind(location)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the role of a permission from a user, for one location or where it was given everywhere; returns whether the user
/// had it.
pub async fn unassign(
    conn: &mut Conn<'_>,
    tenant: i64,
    user: i64,
    role: &str,
    location: Option<i64>,
) -> Result<bool> {
    let touched = query(sql!(
        "delete from user_roles where tenant_id = $1 and user_id = $2 and coalesce(location_id, 0) = $4
           and role_id in (select id from roles where tenant_id = $1 and name = $3)"
    ))
    .bind(tenant)
    .bind(user)
    .bind(role)
    .bind(location.unwrap_or_default())
    .execute(conn)
    .await?;
    Ok(touched > 0)
}

/// What a user may do, with the code of where; an empty one is everywhere.
pub async fn held(conn: &mut Conn<'_>, tenant: i64, user: i64) -> Result<Vec<(String, String)>> {
    let rows = query(sql!(
        "select distinct rp.permission, coalesce(l.code, '') as code from user_roles ur
         join role_permissions rp on rp.tenant_id = ur.tenant_id and rp.role_id = ur.role_id
         left join locations l on l.tenant_id = ur.tenant_id and l.id = ur.location_id
         where ur.tenant_id = $1 and ur.user_id = $2 order by 1, 2"
    ))
    .bind(tenant)
    .bind(user)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("permission")?, row.get("code")?))).collect()
}

/// Whether the product knows this permission.
pub async fn knows_permission(conn: &mut Conn<'_>, permission: &str) -> Result<bool> {
    let row = query(sql!("select code from permissions where code = $1"))
        .bind(permission)
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

/// The permissions of the product and what they are for.
pub async fn permissions(conn: &mut Conn<'_>) -> Result<Vec<(String, String)>> {
    let rows = query(sql!("select code, description from permissions order by code")).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.get("code")?, row.get("description")?))).collect()
}

/// The active users who may do something, each once: everywhere, or at this location or another of its site. Without a
/// location those who may do it somewhere only do not count.
pub async fn holders(
    conn: &mut Conn<'_>,
    tenant: i64,
    permission: &str,
    location: Option<i64>,
) -> Result<Vec<User>> {
    let places = match location {
        Some(location) => same_site(conn, tenant, permission, location).await?,
        None => Vec::new(),
    };
    let rows = query(sql!(
        "select u.id, u.name, u.email, u.active from users u
         where u.tenant_id = $1 and u.active and exists (
             select 1 from user_roles ur
             join role_permissions rp on rp.tenant_id = ur.tenant_id and rp.role_id = ur.role_id
             where ur.tenant_id = u.tenant_id and ur.user_id = u.id and rp.permission = $2
               and (ur.location_id is null or ur.location_id {in:$3}))
         order by u.id"
    ))
    .bind(tenant)
    .bind(permission)
    .bind(places)
    .fetch_all(conn)
    .await?;
    rows.iter().map(User::read).collect()
}

/// The places for which somebody may do this, of those in the site of a location.
pub(crate) async fn same_site(
    conn: &mut Conn<'_>,
    tenant: i64,
    permission: &str,
    location: i64,
) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "select distinct ur.location_id from user_roles ur
         join role_permissions rp on rp.tenant_id = ur.tenant_id and rp.role_id = ur.role_id
         where ur.tenant_id = $1 and rp.permission = $2 and ur.location_id is not null"
    ))
    .bind(tenant)
    .bind(permission)
    .fetch_all(conn)
    .await?;
    let mut places = rows.iter().map(|row| row.get("location_id")).collect::<Result<Vec<i64>>>()?;
    if places.iter().all(|place| *place == location) {
        return Ok(places);
    }
    let mut asked = places.clone();
    asked.push(location);
    let sites = sites::of(conn, tenant, &asked).await?;
    places.retain(|place| {
        *place == location || (sites.contains_key(place) && sites.get(place) == sites.get(&location))
    });
    Ok(places)
}

/// The active ones of these users.
pub async fn active_among(conn: &mut Conn<'_>, tenant: i64, users: &[i64]) -> Result<Vec<User>> {
    let rows = query(sql!(
        "select id, name, email, active from users where tenant_id = $1 and active and id {in:$2} order by id"
    ))
    .bind(tenant)
    .bind(users.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(User::read).collect()
}

/// These users, whether they are active or not.
pub async fn among(conn: &mut Conn<'_>, tenant: i64, users: &[i64]) -> Result<Vec<User>> {
    let rows = query(sql!(
        "select id, name, email, active from users where tenant_id = $1 and id {in:$2} order by id"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(users.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(User::read).collect()
}

/// Where a user may do something: codes of locations; an empty one is everywhere.
pub async fn places(
    conn: &mut Conn<'_>,
    tenant: i64,
    user: i64,
    permission: &str,
) -> Result<Vec<(Option<i64>, String)>> {
    let rows = query(sql!(
        "select distinct ur.location_id, coalesce(l.code, '') as code from user_roles ur
         join role_permissions rp on rp.tenant_id = ur.tenant_id and rp.role_id = ur.role_id
         left join locations l on l.tenant_id = ur.tenant_id and l.id = ur.location_id
         where ur.tenant_id = $1 and ur.user_id = $2 and rp.permission = $3 order by 2"
    ))
    .bind(tenant)
    .bind(user)
    .bind(permission)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("location_id")?, row.get("code")?))).collect()
}

/// The number of the location with this code.
pub async fn location_id(conn: &mut Conn<'_>, tenant: i64, code: &str) -> Result<i64> {
    query(sql!("select id from locations where tenant_id = $1 and code = $2"))
        .bind(tenant)
        .bind(code)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::NotFound { what: "location", name: code.to_owned() })?
        .get("id")
}

/// The code of the location with this number.
pub async fn location_code(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<String>> {
    let row = query(sql!("select code from locations where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.get("code")).transpose()
}
