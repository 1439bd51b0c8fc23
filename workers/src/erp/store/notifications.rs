//! What is told, and the copies that users see in the application.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::sql;
use fairlane::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// Whose copies `notifications` has, in its column `notifiable_type`.
pub const USER: &str = "User";

/// What is told, to whom it is meant, and about what.
#[derive(Debug, Clone)]
pub struct NewMessage<'a> {
    /// The same for all who are told the same.
    pub key: &'a str,
    /// The kind of message.
    pub kind: &'a str,
    /// What it says.
    pub data: Value,
    /// Those who may do this are told.
    pub permission: Option<&'a str>,
    /// Those who may do it there.
    pub location: Option<i64>,
    /// Users that are told besides.
    pub named: &'a [i64],
    /// What it is about: `invoice` and its number.
    pub subject: Option<(&'a str, i64)>,
}

/// Keeps what is told; what is there under this key stays.
pub async fn insert_message(conn: &mut Conn<'_>, tenant: i64, new: &NewMessage<'_>) -> Result<()> {
    query(sql!(
        "insert into notification_messages (tenant_id, notification_key, type, data, permission, location_id, named_users,
             subject_type, subject_id, created_at)
         values ($1, $2, $3, {json:$4}, $5, $6, {json:$7}, $8, $9, {now})
         on conflict (tenant_id, notification_key) do nothing"
    ))
    .bind(tenant)
    .bind(new.key)
    .bind(new.kind)
    .bind(new.data.clone())
    .bind(new.permission)
    .bind(new.location)
    .bind(Value::from(new.named.to_vec()))
    .bind(new.subject.map(|(kind, _)| kind))
    .bind(new.subject.map(|(_, id)| id))
    .execute(conn)
    .await?;
    Ok(())
}

/// What was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The same for all who were told the same.
    pub key: String,
    /// The kind of message.
    pub kind: String,
    /// What it says.
    pub data: Value,
    /// Those who may do this were told.
    pub permission: Option<String>,
    /// Those who may do it there.
    pub location: Option<i64>,
    /// Users that were told besides.
    pub named: Vec<i64>,
    /// When.
    pub told_at: DateTime<Utc>,
}

/// What was told under this key.
pub async fn message(conn: &mut Conn<'_>, tenant: i64, key: &str) -> Result<Option<Message>> {
    let row = query(sql!(
        "select notification_key, type, data, permission, location_id, named_users, created_at
         from notification_messages where tenant_id = $1 and notification_key = $2"
    ))
    .bind(tenant)
    .bind(key)
    .fetch_optional(conn)
    .await?;
    let read = |row: Row| {
        let named: Value = row.get("named_users")?;
        Ok(Message {
            key: row.get("notification_key")?,
            kind: row.get("type")?,
            data: row.get("data")?,
            permission: row.get("permission")?,
            location: row.get("location_id")?,
            named: serde_json::from_value(named)
                .map_err(|why| Error::Damaged(format!("notification_messages.named_users: {why}")))?,
            told_at: row.get("created_at")?,
        })
    };
    row.map(read).transpose()
}

/// The keys of what was told under this key, or one that goes on behind it with a colon.
pub async fn keys_from(conn: &mut Conn<'_>, tenant: i64, key: &str) -> Result<Vec<String>> {
    let rows = query(sql!(
        "select notification_key from notification_messages
         where tenant_id = $1 and (notification_key = $2 or substr(notification_key, 1, length($2) + 1) = $2 || ':')
         order by notification_key limit 100"
    ))
    .bind(tenant)
    .bind(key)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("notification_key")).collect()
}

/// Stores a user's copy; the same key again stores nothing.
pub async fn insert(
    conn: &mut Conn<'_>,
    tenant: i64,
    user: i64,
    kind: &str,
    data: &Value,
    dedupe_key: &str,
) -> Result<()> {
    query(sql!(
        "insert into notifications (id, tenant_id, type, notifiable_type, notifiable_id, data, dedupe_key,
             created_at, updated_at)
         values ($1, $2, $3, $7, $4, {json:$5}, $6, {now}, {now})
         on conflict (tenant_id, dedupe_key) do nothing"
    ))
    .bind(Uuid::now_v7())
    .bind(tenant)
    .bind(kind)
    .bind(user)
    .bind(data.clone())
    .bind(dedupe_key)
    .bind(USER)
    .execute(conn)
    .await?;
    Ok(())
}

/// A user's copy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stored {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: i64,
    /// The user's address.
    pub user_email: Option<String>,
    /// The kind of notification.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub data: Value,
    /// The key of its delivery.
    pub dedupe_key: String,
    /// When the user read it.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub read_at: Option<DateTime<Utc>>,
    /// When the user was told.
    #[serde(serialize_with = "fairlane::cli::json::time")]
    pub created_at: DateTime<Utc>,
}

/// The newest notifications of a tenant, or of one user.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant: i64,
    user: Option<i64>,
    unread: bool,
    limit: i64,
) -> Result<Vec<Stored>> {
    let rows = query(sql!(
        "select n.id, n.notifiable_id, u.email, n.type, n.data, n.dedupe_key, n.read_at, n.created_at
         from notifications n left join users u on u.tenant_id = n.tenant_id and u.id = n.notifiable_id
         where n.tenant_id = $1 and n.notifiable_type = $5 and ($2 = 0 or n.notifiable_id = $2)
           and ($3 = 0 or n.read_at is null)
         order by n.created_at desc, n.id desc limit $4"
    ))
    .bind(tenant)
    .bind(user.unwrap_or_default())
    .bind(i64::from(unread))
    .bind(limit)
    .bind(USER)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Stored {
            id: row.get("id")?,
            user_id: row.get("notifiable_id")?,
            user_email: row.get("email")?,
            kind: row.get("type")?,
            data: row.get("data")?,
            dedupe_key: row.get("dedupe_key")?,
            read_at: row.get("read_at")?,
            created_at: row.get("created_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The notifications whose id ends with these hexadecimal digits: id and the key of the delivery.
pub async fn by_id_end(conn: &mut Conn<'_>, tenant: i64, digits: &str) -> Result<Vec<(Uuid, String)>> {
    let rows = query(fairlane::db::Sql {
        postgres: "select id, dedupe_key from notifications
            where tenant_id = $1 and replace(id::text, '-', '') like '%' || $2 limit 9",
        sqlite: "select id, dedupe_key from notifications
            where tenant_id = $1 and replace(id, '-', '') like '%' || $2 limit 9",
    })
    .bind(tenant)
    .bind(digits)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("dedupe_key")?))).collect()
}

/// Notes that a notification was read, the first time only.
pub async fn mark_read(conn: &mut Conn<'_>, tenant: i64, id: Uuid) -> Result<bool> {
    let touched = query(sql!(
        "update notifications set read_at = {now}, updated_at = {now}
         where tenant_id = $1 and id = $2 and read_at is null"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Notes that all of a user's, or of the tenant's, were read; returns how many had not been.
pub async fn mark_all_read(conn: &mut Conn<'_>, tenant: i64, user: Option<i64>) -> Result<u64> {
    query(sql!(
        "update notifications set read_at = {now}, updated_at = {now}
         where tenant_id = $1 and notifiable_type = $3 and ($2 = 0 or notifiable_id = $2) and read_at is null"
    ))
    .bind(tenant)
    .bind(user.unwrap_or_default())
    .bind(USER)
    .execute(conn)
    .await
}
