//! Notifications as users see them in the application.

use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;
use serde_json::Value;
use uuid::Uuid;

/// Stores a notification for a user; the same key again stores nothing. Returns whether it is new.
pub async fn insert(
    conn: &mut Conn<'_>,
    tenant: i64,
    user: i64,
    kind: &str,
    data: &Value,
    dedupe_key: &str,
) -> Result<bool> {
    let stored = query(sql!(
        "insert into notifications (id, tenant_id, type, notifiable_type, notifiable_id, data, dedupe_key,
             created_at, updated_at)
         values ($1, $2, $3, 'User', $4, {json:$5}, $6, {now}, {now})
         on conflict (tenant_id, dedupe_key) do nothing"
    ))
    .bind(Uuid::now_v7())
    .bind(tenant)
    .bind(kind)
    .bind(user)
    .bind(data.clone())
    .bind(dedupe_key)
    .execute(conn)
    .await?;
    Ok(stored == 1)
}
