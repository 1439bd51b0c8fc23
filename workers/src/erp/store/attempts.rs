//! Each request that carried a delivery, or tried to: `delivery_attempts`; and how deliveries end that left by HTTP.

use chrono::{DateTime, Utc};
use fairlane::Result;
use fairlane::db::{Conn, Row, query};
use fairlane::sql;
use serde::Serialize;

use super::deliveries::{Delivery, Status};
use super::delivery::delivery_columns;

/// A request, after it.
#[derive(Debug, Clone)]
pub struct NewAttempt<'a> {
    /// The delivery.
    pub delivery: i64,
    /// Which attempt at the delivery it belongs to, from 1.
    pub attempt: i64,
    /// Where it went: `sms`, `device:7`, `endpoint:3`.
    pub target: &'a str,
    /// What came of it: sent, retry, failed, suppressed, uncertain.
    pub outcome: &'static str,
    /// The status of HTTP, where there was an answer.
    pub http_status: Option<i64>,
    /// The stable word for what went wrong.
    pub code: Option<&'a str>,
    /// What went wrong, or what the other side said.
    pub error: Option<&'a str>,
    /// How long it took.
    pub took_ms: i64,
}

/// A request as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Its number.
    pub id: i64,
    /// The delivery.
    pub delivery_id: i64,
    /// Which attempt at the delivery it belongs to.
    pub attempt: i64,
    /// Where it went.
    pub target: String,
    /// What came of it.
    pub outcome: String,
    /// The status of HTTP.
    pub http_status: Option<i64>,
    /// The stable word for what went wrong.
    pub code: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: i64,
    /// When it was over.
    #[serde(serialize_with = "fairlane::cli::json::time")]
    pub created_at: DateTime<Utc>,
}

impl Attempt {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            delivery_id: row.get("delivery_id")?,
            attempt: row.get("attempt")?,
            target: row.get("target")?,
            outcome: row.get("outcome")?,
            http_status: row.get("http_status")?,
            code: row.get("code")?,
            error: row.get("error")?,
            took_ms: row.get("took_ms")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Writes a request down.
pub async fn add(conn: &mut Conn<'_>, tenant: i64, new: &NewAttempt<'_>) -> Result<()> {
    query(sql!(
        "insert into delivery_attempts (tenant_id, delivery_id, attempt, target, outcome, http_status, code, error, took_ms,
             created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, {now})"
    ))
    .bind(tenant)
    .bind(new.delivery)
    .bind(new.attempt)
    .bind(new.target)
    .bind(new.outcome)
    .bind(new.http_status)
    .bind(new.code)
    .bind(new.error)
    .bind(new.took_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// The requests of a delivery, in their order.
pub async fn of_delivery(conn: &mut Conn<'_>, tenant: i64, delivery: i64) -> Result<Vec<Attempt>> {
    let rows = query(sql!(
        "select id, delivery_id, attempt, target, outcome, http_status, code, error, took_ms, created_at
         from delivery_attempts where tenant_id = $1 and delivery_id = $2 order by id"
    ))
    .bind(tenant)
    .bind(delivery)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Attempt::read).collect()
}

/// The newest requests to an endpoint of webhooks.
pub async fn of_endpoint(
    conn: &mut Conn<'_>,
    tenant: i64,
    endpoint: i64,
    limit: i64,
) -> Result<Vec<Attempt>> {
    let rows = query(sql!(
        "select a.id, a.delivery_id, a.attempt, a.target, a.outcome, a.http_status, a.code, a.error, a.took_ms, a.created_at
         from webhook_deliveries w
         join delivery_attempts a on a.tenant_id = w.tenant_id and a.delivery_id = w.delivery_id
         where w.tenant_id = $1 and w.endpoint_id = $2 order by a.id desc limit $3"
    ))
    .bind(tenant)
    .bind(endpoint)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Attempt::read).collect()
}

/// The targets that have taken a delivery.
pub async fn taken_by(conn: &mut Conn<'_>, tenant: i64, delivery: i64) -> Result<Vec<String>> {
    let rows = query(sql!(
        "select distinct target from delivery_attempts
         where tenant_id = $1 and delivery_id = $2 and outcome = 'sent'"
    ))
    .bind(tenant)
    .bind(delivery)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("target")).collect()
}

/// Notes by which number the provider knows the message.
pub async fn set_message_id(conn: &mut Conn<'_>, tenant: i64, delivery: i64, message_id: &str) -> Result<()> {
    query(sql!("update notification_deliveries set message_id = $3 where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(delivery)
        .bind(message_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// The newest delivery by a channel that the provider knows by this number.
pub async fn by_message_id(
    conn: &mut Conn<'_>,
    tenant: i64,
    channel: &str,
    message_id: &str,
) -> Result<Option<Delivery>> {
    let row = query(sql!(concat!(
        "select ",
        delivery_columns!(),
        " from notification_deliveries where tenant_id = $1 and message_id = $2 and channel = $3
         order by id desc limit 1 {lock}"
    )))
    .bind(tenant)
    .bind(message_id)
    .bind(channel)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Delivery::read).transpose()
}

/// Notes what the provider said later about a message that it has, or may have; returns whether that was news.
pub async fn report(
    conn: &mut Conn<'_>,
    tenant: i64,
    delivery: i64,
    status: Status,
    why: Option<(&str, &str)>,
) -> Result<bool> {
    let touched = query(sql!(
        "update notification_deliveries set status = $3, code = $4, error = $5, claimed_by = null, claimed_until = null,
             sent_at = case when $6 then coalesce(sent_at, {now}) end, updated_at = {now}
         where tenant_id = $1 and id = $2 and status in ('sending', 'sent', 'uncertain') and status <> $3"
    ))
    .bind(tenant)
    .bind(delivery)
    .bind(status.as_str())
    .bind(why.map(|(code, _)| code))
    .bind(why.map(|(_, words)| words))
    .bind(matches!(status, Status::Sent | Status::Delivered))
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Notes that the provider has taken the message; a report that came before its answer stands. What was called off while it
/// was being handed over is out all the same.
pub async fn mark_taken(conn: &mut Conn<'_>, tenant: i64, delivery: i64, reply: &str) -> Result<()> {
    query(sql!(
        "update notification_deliveries set status = 'sent', sent_at = {now}, reply = $3, code = null, error = null,
             claimed_by = null, claimed_until = null, updated_at = {now}
         where tenant_id = $1 and id = $2
           and (status in ('pending', 'sending') or code in ('campaign_cancelled', 'endpoint_removed'))"
    ))
    .bind(tenant)
    .bind(delivery)
    .bind(reply)
    .execute(conn)
    .await?;
    Ok(())
}

/// Has a delivery sent again from the first attempt on, whatever became of it; returns whether it was over.
pub async fn replay(conn: &mut Conn<'_>, tenant: i64, delivery: i64) -> Result<bool> {
    let touched = query(sql!(
        "update notification_deliveries set status = 'pending', attempts = 0, sent_at = null, code = null, error = null,
             claimed_by = null, claimed_until = null, updated_at = {now}
         where tenant_id = $1 and id = $2 and channel = 'webhook'
           and status in ('sent', 'delivered', 'failed', 'suppressed', 'skipped', 'uncertain')"
    ))
    .bind(tenant)
    .bind(delivery)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}
