//! Deliveries: what becomes of each message, for each recipient and channel.
//!
//! ```text
//! pending --claim--> pending (claimed) --> sending --> sent
//!    ^                    |                   |
//!    |                    +-> failed          +-> uncertain --resolve--> sent, or pending again
//!    |                    +-> suppressed      (nobody knows whether it is out: never sent again unasked)
//!    +---- a retry -------+
//! skipped, delivered: decided when the message was told
//! ```

use std::time::Duration;

use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;
use uuid::Uuid;

use super::delivery::delivery_columns;
pub use super::delivery::{Delivery, Stand, Status};

/// A message on its way to one recipient.
#[derive(Debug, Clone)]
pub struct NewDelivery<'a> {
    /// The same for every attempt at the same message to the same recipient: `inv:12:mail`.
    pub dedupe_key: &'a str,
    /// The same for all who are told the same: `inv:12`.
    pub notification_key: &'a str,
    /// How it goes.
    pub channel: &'a str,
    /// The kind of message.
    pub kind: &'a str,
    /// What it is about: `invoice` and its number.
    pub subject: Option<(&'a str, i64)>,
    /// The user it is for; none where it is for somebody outside.
    pub user: Option<i64>,
    /// The address it goes to now.
    pub recipient: Option<&'a str>,
    /// Where it stands from the beginning.
    pub status: Status,
    /// Why it stands there: a stable word, and words for people.
    pub why: Option<(&'a str, &'a str)>,
    /// What a reader of a bulk mail shows to stop them.
    pub unsubscribe_token: Option<&'a str>,
}

/// Writes a delivery unless it is there; returns its number if it is new.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &NewDelivery<'_>) -> Result<Option<i64>> {
    let row = query(sql!(
        "insert into notification_deliveries (tenant_id, dedupe_key, notification_key, channel, type, subject_type,
             subject_id, user_id, recipient, status, code, error, unsubscribe_token, sent_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
             case when $14 then {now} end, {now}, {now})
         on conflict do nothing returning id"
    ))
    .bind(tenant)
    .bind(new.dedupe_key)
    .bind(new.notification_key)
    .bind(new.channel)
    .bind(new.kind)
    .bind(new.subject.map(|(kind, _)| kind))
    .bind(new.subject.map(|(_, id)| id))
    .bind(new.user)
    .bind(new.recipient)
    .bind(new.status.as_str())
    .bind(new.why.map(|(code, _)| code))
    .bind(new.why.map(|(_, words)| words))
    .bind(new.unsubscribe_token)
    .bind(matches!(new.status, Status::Sent | Status::Delivered))
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("id")).transpose()
}

/// The delivery with this number, locked until the transaction ends.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Delivery>> {
    let row = query(sql!(concat!(
        "select ",
        delivery_columns!(),
        " from notification_deliveries where tenant_id = $1 and id = $2 {lock}"
    )))
    .bind(tenant)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Delivery::read).transpose()
}

/// The delivery with this number.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Delivery>> {
    let row = query(sql!(concat!(
        "select ",
        delivery_columns!(),
        " from notification_deliveries where tenant_id = $1 and id = $2"
    )))
    .bind(tenant)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Delivery::read).transpose()
}

/// The delivery with this key.
pub async fn by_key(conn: &mut Conn<'_>, tenant: i64, dedupe_key: &str) -> Result<Option<Delivery>> {
    let row = query(sql!(concat!(
        "select ",
        delivery_columns!(),
        " from notification_deliveries where tenant_id = $1 and dedupe_key = $2"
    )))
    .bind(tenant)
    .bind(dedupe_key)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Delivery::read).transpose()
}

/// Takes a delivery for a job: nobody else may send it for a while.
pub async fn take(
    conn: &mut Conn<'_>,
    tenant: i64,
    id: i64,
    job: Uuid,
    hold: Duration,
    message_id: &str,
) -> Result<()> {
    query(sql!(
        "update notification_deliveries set status = 'pending', attempts = attempts + 1, claimed_by = $3,
             claimed_until = {now} + {ms:$4}, message_id = $5, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(job)
    .bind(i64::try_from(hold.as_millis()).unwrap_or(i64::MAX))
    .bind(message_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes where a delivery goes.
pub async fn set_recipient(conn: &mut Conn<'_>, tenant: i64, id: i64, recipient: Option<&str>) -> Result<()> {
    query(sql!("update notification_deliveries set recipient = $3 where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .bind(recipient)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that the message is about to be handed over. It touches nothing where another job has taken it since.
pub async fn mark_sending(conn: &mut Conn<'_>, tenant: i64, id: i64, job: Uuid) -> Result<bool> {
    let touched = query(sql!(
        "update notification_deliveries set status = 'sending', updated_at = {now}
         where tenant_id = $1 and id = $2 and claimed_by = $3 and status = 'pending'"
    ))
    .bind(tenant)
    .bind(id)
    .bind(job)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Notes that the message is out, the first time only.
pub async fn mark_sent(conn: &mut Conn<'_>, tenant: i64, id: i64, reply: &str) -> Result<bool> {
    let touched = query(sql!(
        "update notification_deliveries set status = 'sent', sent_at = {now}, reply = $3, code = null, error = null,
             claimed_by = null, claimed_until = null, updated_at = {now}
         where tenant_id = $1 and id = $2 and status <> 'sent'"
    ))
    .bind(tenant)
    .bind(id)
    .bind(reply)
    .execute(conn)
    .await?;
    Ok(touched == 1)
}

/// Notes why the message is not out, or may not be, and lets go of it. What is sent stays sent, and so does what the
/// provider has reported as delivered before its answer was lost.
pub async fn mark(
    conn: &mut Conn<'_>,
    tenant: i64,
    id: i64,
    status: Status,
    code: &str,
    error: &str,
) -> Result<()> {
    query(sql!(
        "update notification_deliveries set status = $3, code = $4, error = $5,
             claimed_by = null, claimed_until = null, updated_at = {now}
         where tenant_id = $1 and id = $2 and status not in ('sent', 'delivered')"
    ))
    .bind(tenant)
    .bind(id)
    .bind(status.as_str())
    .bind(code)
    .bind(error)
    .execute(conn)
    .await?;
    Ok(())
}

/// Has an uncertain delivery sent again, or settles it as sent; returns whether it was uncertain.
pub async fn resolve(conn: &mut Conn<'_>, tenant: i64, id: i64, to: Status) -> Result<bool> {
    let touched = query(sql!(
        "update notification_deliveries set status = $3, sent_at = case when $3 = 'sent' then {now} end,
             code = 'resolved', error = 'an admin said so', updated_at = {now}
         where tenant_id = $1 and id = $2 and status = 'uncertain'"
    ))
    .bind(tenant)
    .bind(id)
    .bind(to.as_str())
    .execute(conn)
    .await?;
    Ok(touched == 1)
}
