//! Where webhooks go: `webhook_endpoints`. What signs them, and which delivery goes where, is beside.

mod deliveries;
mod secrets;

use chrono::{DateTime, Utc};
use fairlane::Result;
use fairlane::db::{Conn, Row, query};
use fairlane::sql;
use serde::Serialize;
use serde_json::Value;

use super::preferences::ANY_TYPE;
pub use deliveries::{address, endpoint_of, untaken};
pub use secrets::{Sealed, add_secret, retire_secrets, secrets};

/// An endpoint of webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Its number.
    pub id: i64,
    /// Whose it is; the tenant's where it is none.
    pub user_id: Option<i64>,
    /// Where it is.
    pub url: String,
    /// The types it takes; `*` is every type.
    pub types: Vec<String>,
    /// Since when nothing is sent there.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why nothing is sent there.
    pub disabled_reason: Option<String>,
    /// The first of the failures since its last success.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when it wants to be left alone.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub throttled_until: Option<DateTime<Utc>>,
    /// When it took something last.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub last_success_at: Option<DateTime<Utc>>,
    /// Since when.
    #[serde(serialize_with = "fairlane::cli::json::time")]
    pub created_at: DateTime<Utc>,
}

impl Endpoint {
    fn read(row: &Row) -> Result<Self> {
        let types: Value = row.get("types")?;
        Ok(Self {
            id: row.get("id")?,
            user_id: row.get("user_id")?,
            url: row.get("url")?,
            types: serde_json::from_value(types)
                .map_err(|why| fairlane::Error::Damaged(format!("webhook_endpoints.types: {why}")))?,
            disabled_at: row.get("disabled_at")?,
            disabled_reason: row.get("disabled_reason")?,
            failing_since: row.get("failing_since")?,
            throttled_until: row.get("throttled_until")?,
            last_success_at: row.get("last_success_at")?,
            created_at: row.get("created_at")?,
        })
    }

    /// Whether it takes this type.
    pub fn takes(&self, kind: &str) -> bool {
        self.types.iter().any(|taken| taken == ANY_TYPE || taken == kind)
    }
}

macro_rules! columns {
    () => {
        "id, user_id, url, types, disabled_at, disabled_reason, failing_since, throttled_until, last_success_at, created_at"
    };
}

/// Adds an endpoint; returns its number.
pub async fn add(
    conn: &mut Conn<'_>,
    tenant: i64,
    user: Option<i64>,
    url: &str,
    types: &[String],
) -> Result<i64> {
    query(sql!(
        "insert into webhook_endpoints (tenant_id, user_id, url, types, created_at, updated_at)
         values ($1, $2, $3, {json:$4}, {now}, {now}) returning id"
    ))
    .bind(tenant)
    .bind(user)
    .bind(url)
    .bind(Value::from(types.to_vec()))
    .fetch_one(conn)
    .await?
    .get("id")
}

/// The endpoint with this number.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Endpoint>> {
    let row = query(sql!(concat!(
        "select ",
        columns!(),
        " from webhook_endpoints where tenant_id = $1 and id = $2"
    )))
    .bind(tenant)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Endpoint::read).transpose()
}

/// The endpoint with this number; nobody else changes it until the transaction is over.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Endpoint>> {
    let row = query(sql!(concat!(
        "select ",
        columns!(),
        " from webhook_endpoints where tenant_id = $1 and id = $2 {lock}"
    )))
    .bind(tenant)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Endpoint::read).transpose()
}

/// Endpoints by number, at most `limit`.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<Endpoint>> {
    let rows = query(sql!(concat!(
        "select ",
        columns!(),
        " from webhook_endpoints where tenant_id = $1 order by id limit $2"
    )))
    .bind(tenant)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Endpoint::read).collect()
}

/// The tenant's endpoints, not those of its users.
pub async fn of_tenant(conn: &mut Conn<'_>, tenant: i64) -> Result<Vec<Endpoint>> {
    let rows = query(sql!(concat!(
        "select ",
        columns!(),
        " from webhook_endpoints where tenant_id = $1 and user_id is null order by id"
    )))
    .bind(tenant)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Endpoint::read).collect()
}

/// The endpoints of these users.
pub async fn of_users(conn: &mut Conn<'_>, tenant: i64, users: &[i64]) -> Result<Vec<Endpoint>> {
    let rows = query(sql!(concat!(
        "select ",
        columns!(),
        " from webhook_endpoints where tenant_id = $1 and user_id {in:$2} order by id"
    )))
    .bind(tenant)
    .bind(users.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(Endpoint::read).collect()
}

/// Sends nothing there any more.
pub async fn disable(conn: &mut Conn<'_>, tenant: i64, id: i64, reason: &str) -> Result<()> {
    query(sql!(
        "update webhook_endpoints set disabled_at = {now}, disabled_reason = $3, updated_at = {now}
         where tenant_id = $1 and id = $2 and disabled_at is null"
    ))
    .bind(tenant)
    .bind(id)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(())
}

/// Sends there again, with a clean sheet.
pub async fn enable(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<()> {
    query(sql!(
        "update webhook_endpoints set disabled_at = null, disabled_reason = null, failing_since = null,
             throttled_until = null, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes an endpoint away, with its secrets and with what says which delivery went there. What was on its way there is left
/// out with a reason; returns how many that were.
pub async fn remove(
    conn: &mut Conn<'_>,
    tenant: i64,
    id: i64,
    (status, code, why): (&str, &str, &str),
) -> Result<u64> {
    query(sql!(
        "delete from notification_deferrals where tenant_id = $1 and delivery_id in (
             select w.delivery_id from webhook_deliveries w where w.tenant_id = $1 and w.endpoint_id = $2)"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    let left = query(sql!(
        "update notification_deliveries set status = $3, code = $4, error = $5, claimed_by = null, claimed_until = null,
             updated_at = {now}
         where tenant_id = $1 and status in ('pending', 'deferred') and id in (
             select w.delivery_id from webhook_deliveries w where w.tenant_id = $1 and w.endpoint_id = $2)"
    ))
    .bind(tenant)
    .bind(id)
    .bind(status)
    .bind(code)
    .bind(why)
    .execute(conn)
    .await?;
    query(sql!("delete from webhook_endpoints where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(left)
}

/// Notes that it took something.
pub async fn succeeded(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<()> {
    query(sql!(
        "update webhook_endpoints set last_success_at = {now}, failing_since = null, throttled_until = null,
             updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that it did not take something, and for how long it wants to be left alone.
pub async fn failed(conn: &mut Conn<'_>, tenant: i64, id: i64, alone_ms: Option<i64>) -> Result<()> {
    query(sql!(
        "update webhook_endpoints set failing_since = coalesce(failing_since, {now}),
             throttled_until = case when $3 > 0 then {now} + {ms:$3} else throttled_until end, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(alone_ms.unwrap_or_default())
    .execute(conn)
    .await?;
    Ok(())
}
