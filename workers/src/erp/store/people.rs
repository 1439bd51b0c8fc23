//! Users and what they may do.

use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;

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

/// Whether the tenant has this user and the user is active.
pub async fn is_active(conn: &mut Conn<'_>, tenant: i64, user: i64) -> Result<bool> {
    let row = query(sql!("select active from users where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(user)
        .fetch_optional(conn)
        .await?;
    row.map_or(Ok(false), |row| row.get("active"))
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

/// Gives a role to a user.
pub async fn assign(conn: &mut Conn<'_>, tenant: i64, user: i64, role: i64) -> Result<()> {
    query(sql!(
        "insert into user_roles (tenant_id, user_id, role_id) values ($1, $2, $3) on conflict do nothing"
    ))
    .bind(tenant)
    .bind(user)
    .bind(role)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether the product knows this permission.
pub async fn knows_permission(conn: &mut Conn<'_>, permission: &str) -> Result<bool> {
    let row = query(sql!("select code from permissions where code = $1"))
        .bind(permission)
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

/// The active users who may do something, each once.
pub async fn holders(conn: &mut Conn<'_>, tenant: i64, permission: &str) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "select distinct u.id from users u
         join user_roles ur on ur.tenant_id = u.tenant_id and ur.user_id = u.id
         join role_permissions rp on rp.tenant_id = ur.tenant_id and rp.role_id = ur.role_id
         where u.tenant_id = $1 and rp.permission = $2 and u.active order by u.id"
    ))
    .bind(tenant)
    .bind(permission)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("id")).collect()
}
