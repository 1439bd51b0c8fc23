//! Deliveries: what leaves the house, one row per message and recipient.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::sql;
use fairlane::{Error, Result};
use serde::Serialize;
use uuid::Uuid;

/// A message on its way to one recipient.
#[derive(Debug, Clone)]
pub struct NewDelivery<'a> {
    /// The same for every attempt at the same message to the same recipient: `inv:12:mail`.
    pub dedupe_key: &'a str,
    /// The kind of message.
    pub kind: &'a str,
    /// What it is about: `invoice` ...
    pub subject_type: &'a str,
    /// Its number.
    pub subject_id: i64,
    /// The address it goes to now.
    pub recipient: Option<&'a str>,
    /// The mail's identity, the same for every attempt.
    pub message_id: &'a str,
}

/// Whether this job may send the message now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Yes, and nobody else may for a while.
    Granted,
    /// It was sent before.
    Sent,
    /// Another job is sending it.
    Busy,
}

/// Writes the row unless it is there, and takes it for `job`: two deliveries of one event send one message.
pub async fn claim(
    conn: &mut Conn<'_>,
    tenant: i64,
    job: Uuid,
    hold: Duration,
    new: &NewDelivery<'_>,
) -> Result<Claim> {
    query(sql!(
        "insert into notification_deliveries (tenant_id, dedupe_key, channel, type, subject_type, subject_id, message_id)
         values ($1, $2, 'mail', $3, $4, $5, $6) on conflict (tenant_id, dedupe_key) do nothing"
    ))
    .bind(tenant)
    .bind(new.dedupe_key)
    .bind(new.kind)
    .bind(new.subject_type)
    .bind(new.subject_id)
    .bind(new.message_id)
    .execute(conn)
    .await?;
    let taken = query(sql!(
        "update notification_deliveries set status = 'pending', attempts = attempts + 1, recipient = $4,
             claimed_by = $3, claimed_until = {now} + {ms:$5}, updated_at = {now}
         where tenant_id = $1 and dedupe_key = $2 and status <> 'sent'
           and (claimed_by is null or claimed_by = $3 or claimed_until < {now})"
    ))
    .bind(tenant)
    .bind(new.dedupe_key)
    .bind(job)
    .bind(new.recipient)
    .bind(i64::try_from(hold.as_millis()).unwrap_or(i64::MAX))
    .execute(conn)
    .await?;
    if taken == 1 {
        return Ok(Claim::Granted);
    }
    let (status, _) = status(conn, tenant, new.dedupe_key).await?;
    Ok(if status == "sent" { Claim::Sent } else { Claim::Busy })
}

/// What became of a message, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// How it goes: `mail`.
    pub channel: String,
    /// The address of the last attempt.
    pub recipient: Option<String>,
    /// `pending`, `sent`, `failed` or `suppressed`.
    pub status: String,
    /// How often it was tried.
    pub attempts: i64,
    /// The mail's identity.
    pub message_id: String,
    /// The stable word for the last error.
    pub code: Option<String>,
    /// The last error.
    pub error: Option<String>,
    /// When it went out.
    pub sent_at: Option<DateTime<Utc>>,
}

/// The messages about something: `invoice` and its number.
pub async fn about(conn: &mut Conn<'_>, tenant: i64, subject: &str, id: i64) -> Result<Vec<Delivery>> {
    let rows = query(sql!(
        "select channel, recipient, status, attempts, message_id, code, error, sent_at from notification_deliveries
         where tenant_id = $1 and subject_type = $2 and subject_id = $3 order by id"
    ))
    .bind(tenant)
    .bind(subject)
    .bind(id)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Delivery {
            channel: row.get("channel")?,
            recipient: row.get("recipient")?,
            status: row.get("status")?,
            attempts: row.get("attempts")?,
            message_id: row.get("message_id")?,
            code: row.get("code")?,
            error: row.get("error")?,
            sent_at: row.get("sent_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The status of a delivery and the code of its last error.
pub async fn status(conn: &mut Conn<'_>, tenant: i64, key: &str) -> Result<(String, Option<String>)> {
    let row = query(sql!(
        "select status, code from notification_deliveries where tenant_id = $1 and dedupe_key = $2"
    ))
    .bind(tenant)
    .bind(key)
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| Error::NotFound { what: "delivery", name: key.to_owned() })?;
    Ok((row.get("status")?, row.get("code")?))
}

/// Notes that the message is out, the first time only.
pub async fn mark_sent(conn: &mut Conn<'_>, tenant: i64, key: &str, reply: &str) -> Result<bool> {
    let touched = query(sql!(
        "update notification_deliveries set status = 'sent', sent_at = {now}, reply = $3, code = null, error = null,
             claimed_by = null, claimed_until = null, updated_at = {now}
         where tenant_id = $1 and dedupe_key = $2 and status <> 'sent'"
    ))
    .bind(tenant)
    .bind(key)
    .bind(reply)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Notes why an attempt did not send the message, and lets others try: `pending`, `failed` or `suppressed`.
pub async fn mark_unsent(
    conn: &mut Conn<'_>,
    tenant: i64,
    key: &str,
    status: &str,
    code: &str,
    error: &str,
) -> Result<()> {
    query(sql!(
        "update notification_deliveries set status = $3, code = $4, error = $5,
             claimed_by = null, claimed_until = null, updated_at = {now}
         where tenant_id = $1 and dedupe_key = $2 and status <> 'sent'"
    ))
    .bind(tenant)
    .bind(key)
    .bind(status)
    .bind(code)
    .bind(error)
    .execute(conn)
    .await?;
    Ok(())
}
