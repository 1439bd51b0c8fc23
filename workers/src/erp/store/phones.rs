//! Numbers to which text messages go: `users.phone`, in E.164.

use std::collections::BTreeMap;

use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;

/// Changes where a user's text messages go; nothing takes the number away.
pub async fn set(conn: &mut Conn<'_>, tenant: i64, user: i64, phone: Option<&str>) -> Result<()> {
    query(sql!("update users set phone = $3, updated_at = {now} where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(user)
        .bind(phone)
        .execute(conn)
        .await?;
    Ok(())
}

/// A user's number.
pub async fn of_user(conn: &mut Conn<'_>, tenant: i64, user: i64) -> Result<Option<String>> {
    Ok(of_users(conn, tenant, &[user]).await?.remove(&user))
}

/// The numbers of those of these users who have one.
pub async fn of_users(conn: &mut Conn<'_>, tenant: i64, users: &[i64]) -> Result<BTreeMap<i64, String>> {
    let rows =
        query(sql!("select id, phone from users where tenant_id = $1 and id {in:$2} and phone is not null"))
            .bind(tenant)
            .bind(users.to_vec())
            .fetch_all(conn)
            .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("phone")?))).collect()
}
