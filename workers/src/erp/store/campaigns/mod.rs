//! Campaigns: what is told to many, to whom, and how far each is.

mod row;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, query};
use fairlane::{Result, sql};
use serde_json::Value;

pub use super::campaign_audience::{AudienceRule, ChannelCount, audience_page, counts, waits};
pub use row::{Campaign, CampaignStatus, NewCampaignRow, message_key, of_key};

macro_rules! columns {
    () => {
        "select id, kind, severity, title, message, action_label, action_target, due_at, permission, location_id,
            named_users, channels, reaches_all, status, dedupe_key, scheduled_at, last_user_id, audience, created_by,
            started_at, frozen_at, finished_at, created_at
         from notification_campaigns where tenant_id = $1"
    };
}

/// Enters a campaign; returns its number.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &NewCampaignRow<'_>) -> Result<i64> {
    query(sql!(
        "insert into notification_campaigns (tenant_id, kind, severity, title, message, action_label, action_target,
            due_at, permission, location_id, named_users, channels, reaches_all, dedupe_key, created_by, created_at,
            updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, {json:$11}, {json:$12}, $13, $14, $15, {now}, {now})
         returning id"
    ))
    .bind(tenant)
    .bind(new.kind)
    .bind(new.severity.as_str())
    .bind(new.title)
    .bind(new.message)
    .bind(new.action.map(|action| action.label.as_str()))
    .bind(new.action.map(|action| action.target.as_str()))
    .bind(new.due_at)
    .bind(new.audience.permission.as_deref())
    .bind(new.audience.location_id)
    .bind(new.audience.named_users.clone().map(Value::from))
    .bind(Value::from(new.channels.to_vec()))
    .bind(new.reaches_all)
    .bind(new.dedupe_key)
    .bind(new.created_by)
    .fetch_one(conn)
    .await?
    .get("id")
}

/// The campaign with this number.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Campaign>> {
    let row =
        query(sql!(concat!(columns!(), " and id = $2"))).bind(tenant).bind(id).fetch_optional(conn).await?;
    row.as_ref().map(Campaign::read).transpose()
}

/// The campaign with this number, locked until the transaction ends: who holds it up, or ends with it, goes one by one.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Campaign>> {
    let row = query(sql!(concat!(columns!(), " and id = $2 {lock}")))
        .bind(tenant)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(Campaign::read).transpose()
}

/// The newest campaigns.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<Campaign>> {
    let rows = query(sql!(concat!(columns!(), " order by id desc limit $2")))
        .bind(tenant)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(Campaign::read).collect()
}

/// Takes a key for a campaign until a time, unless another one has it: then that one's number and until when.
pub async fn take_key(
    conn: &mut Conn<'_>,
    tenant: i64,
    campaign: i64,
    key: &str,
    window_ms: i64,
) -> Result<Option<(i64, DateTime<Utc>)>> {
    let taken = query(sql!(
        "insert into campaign_keys (tenant_id, dedupe_key, campaign_id, held_until) values ($1, $2, $3, {now} + {ms:$4})
         on conflict (tenant_id, dedupe_key)
         do update set campaign_id = excluded.campaign_id, held_until = excluded.held_until
         where campaign_keys.held_until <= {now}
         returning campaign_id"
    ))
    .bind(tenant)
    .bind(key)
    .bind(campaign)
    .bind(window_ms)
    .fetch_optional(conn)
    .await?;
    if taken.is_some() {
        return Ok(None);
    }
    let row = query(sql!(
        "select campaign_id, held_until from campaign_keys where tenant_id = $1 and dedupe_key = $2"
    ))
    .bind(tenant)
    .bind(key)
    .fetch_one(conn)
    .await?;
    Ok(Some((row.get("campaign_id")?, row.get("held_until")?)))
}

/// Lets others have a campaign's key.
pub async fn free_key(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<()> {
    query(sql!("delete from campaign_keys where tenant_id = $1 and campaign_id = $2"))
        .bind(tenant)
        .bind(campaign)
        .execute(conn)
        .await?;
    Ok(())
}

/// Says where a campaign stands now.
pub async fn set_status(conn: &mut Conn<'_>, tenant: i64, id: i64, status: CampaignStatus) -> Result<()> {
    query(sql!(
        "update notification_campaigns set status = $3, updated_at = {now},
            finished_at = case when $4 then {now} end
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(status.as_str())
    .bind(status.is_over())
    .execute(conn)
    .await?;
    Ok(())
}

/// Says when a campaign is told.
pub async fn schedule(conn: &mut Conn<'_>, tenant: i64, id: i64, at: DateTime<Utc>) -> Result<()> {
    query(sql!(
        "update notification_campaigns set status = 'scheduled', scheduled_at = $3, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Begins to look an audience up; the first time it is said who is the last of it.
pub async fn begin_freezing(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<()> {
    query(sql!(
        "update notification_campaigns set status = 'freezing', started_at = coalesce(started_at, {now}),
            last_user_id = coalesce(last_user_id,
                (select coalesce(max(u.id), 0) from users u where u.tenant_id = $1)),
            updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts users that were looked up.
pub async fn add_audience(conn: &mut Conn<'_>, tenant: i64, id: i64, users: i64) -> Result<()> {
    query(sql!(
        "update notification_campaigns set audience = audience + $3, updated_at = {now} where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(users)
    .execute(conn)
    .await?;
    Ok(())
}

/// The audience is complete.
pub async fn set_frozen(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<()> {
    query(sql!(
        "update notification_campaigns set status = 'sending', frozen_at = {now}, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}
