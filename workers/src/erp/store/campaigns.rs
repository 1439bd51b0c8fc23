//! Campaigns: what is told to many, to whom, and how far each is.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, Sql, query};
use fairlane::{Error, Result, sql};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::people;
use crate::erp::notifications::{Action, Severity};

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignStatus {
    /// It is written and told to nobody.
    Draft,
    /// It is told later.
    Scheduled,
    /// Its audience is being looked up; the first of it is told already.
    Freezing,
    /// It is being told.
    Sending,
    /// Somebody holds it up.
    Paused,
    /// Somebody has stopped it for good.
    Cancelled,
    /// Everybody has it, or what became of it is on record.
    Done,
}

impl CampaignStatus {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Scheduled,
        Self::Freezing,
        Self::Sending,
        Self::Paused,
        Self::Cancelled,
        Self::Done,
    ];

    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Freezing => "freezing",
            Self::Sending => "sending",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    /// Whether messages of it may go out.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Freezing | Self::Sending)
    }

    /// Whether nothing of it is to come.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Done)
    }
}

/// To whom a campaign is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AudienceRule {
    /// Those who may do this.
    pub permission: Option<String>,
    /// Those who may do it there, or everywhere.
    pub location_id: Option<i64>,
    /// These users alone; with neither it is everybody.
    pub named_users: Option<Vec<i64>>,
}

/// A campaign before it has a number.
#[derive(Debug, Clone)]
pub struct NewCampaignRow<'a> {
    /// `announcement`, `reminder` or `alert`.
    pub kind: &'a str,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, in a few words.
    pub title: &'a str,
    /// What it says.
    pub message: &'a str,
    /// Where its readers can go.
    pub action: Option<&'a Action>,
    /// When what a reminder is about takes place.
    pub due_at: Option<DateTime<Utc>>,
    /// To whom it is meant.
    pub audience: &'a AudienceRule,
    /// By which channels.
    pub channels: &'a [String],
    /// Whether they reach users who have made no choice about them.
    pub reaches_all: bool,
    /// What no other campaign may have for a while.
    pub dedupe_key: Option<&'a str>,
    /// Who wrote it.
    pub created_by: Option<i64>,
}

/// A campaign as stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Campaign {
    /// Its number.
    pub id: i64,
    /// `announcement`, `reminder` or `alert`.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, in a few words.
    pub title: String,
    /// What it says.
    pub message: String,
    /// Where its readers can go.
    pub action: Option<Action>,
    /// When what a reminder is about takes place.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub due_at: Option<DateTime<Utc>>,
    /// To whom it is meant.
    #[serde(flatten)]
    pub rule: AudienceRule,
    /// By which channels.
    pub channels: Vec<String>,
    /// Whether they reach users who have made no choice about them.
    pub reaches_all: bool,
    /// Where it stands.
    pub status: CampaignStatus,
    /// What no other campaign may have for a while.
    pub dedupe_key: Option<String>,
    /// When it is told.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub scheduled_at: Option<DateTime<Utc>>,
    /// Who came later than this user is not told.
    #[serde(skip)]
    pub last_user_id: Option<i64>,
    /// How many users it is for, as far as they were looked up.
    pub audience: i64,
    /// Who wrote it.
    pub created_by: Option<i64>,
    /// When somebody began to look its audience up.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub started_at: Option<DateTime<Utc>>,
    /// When its audience was complete.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub frozen_at: Option<DateTime<Utc>>,
    /// When it was over.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub finished_at: Option<DateTime<Utc>>,
    /// When it was written.
    #[serde(serialize_with = "fairlane::cli::json::time")]
    pub created_at: DateTime<Utc>,
}

impl Campaign {
    /// The key of its message and of all its deliveries.
    pub fn key(&self) -> String {
        message_key(self.id)
    }

    fn read(row: &Row) -> Result<Self> {
        let (status, severity): (String, String) = (row.get("status")?, row.get("severity")?);
        let damaged =
            |what: &str, word: &str| Error::Damaged(format!("\"{word}\" is no {what} of a campaign"));
        let label: Option<String> = row.get("action_label")?;
        let target: Option<String> = row.get("action_target")?;
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            severity: Severity::named(&severity).ok_or_else(|| damaged("severity", &severity))?,
            title: row.get("title")?,
            message: row.get("message")?,
            action: label.zip(target).map(|(label, target)| Action { label, target }),
            due_at: row.get("due_at")?,
            rule: AudienceRule {
                permission: row.get("permission")?,
                location_id: row.get("location_id")?,
                named_users: row
                    .get::<Option<Value>>("named_users")?
                    .map(|ids| parsed(ids, "named_users"))
                    .transpose()?,
            },
            channels: parsed(row.get("channels")?, "channels")?,
            reaches_all: row.get("reaches_all")?,
            status: CampaignStatus::ALL
                .into_iter()
                .find(|known| known.as_str() == status)
                .ok_or_else(|| damaged("status", &status))?,
            dedupe_key: row.get("dedupe_key")?,
            scheduled_at: row.get("scheduled_at")?,
            last_user_id: row.get("last_user_id")?,
            audience: row.get("audience")?,
            created_by: row.get("created_by")?,
            started_at: row.get("started_at")?,
            frozen_at: row.get("frozen_at")?,
            finished_at: row.get("finished_at")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// The key of a campaign's message and of all its deliveries.
pub fn message_key(campaign: i64) -> String {
    format!("campaign:{campaign}")
}

fn parsed<T: DeserializeOwned>(value: Value, column: &str) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|why| Error::Damaged(format!("notification_campaigns.{column}: {why}")))
}

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

/// The next users of an audience behind `after`, up to `upto`, in the order of their numbers.
pub async fn audience_page(
    conn: &mut Conn<'_>,
    tenant: i64,
    rule: &AudienceRule,
    (after, upto): (i64, i64),
    limit: i64,
) -> Result<Vec<i64>> {
    let rows = match (&rule.permission, &rule.named_users) {
        (Some(permission), _) => {
            let places = match rule.location_id {
                Some(location) => people::same_site(conn, tenant, permission, location).await?,
                None => Vec::new(),
            };
            let holders = query(HOLDERS).planned_anew().bind(tenant).bind(after).bind(upto).bind(limit);
            holders.bind(permission.as_str()).bind(places).fetch_all(conn).await?
        }
        (None, Some(named)) => {
            let among = query(AMONG).bind(tenant).bind(after).bind(upto).bind(limit);
            among.bind(named.clone()).fetch_all(conn).await?
        }
        (None, None) => {
            query(EVERYBODY).bind(tenant).bind(after).bind(upto).bind(limit).fetch_all(conn).await?
        }
    };
    rows.iter().map(|row| row.get("id")).collect()
}

const EVERYBODY: Sql = sql!(
    "select u.id from users u where u.tenant_id = $1 and u.active and u.id > $2 and u.id <= $3 order by u.id limit $4"
);
const AMONG: Sql = sql!(
    "select u.id from users u where u.tenant_id = $1 and u.active and u.id > $2 and u.id <= $3 and u.id {in:$5}
     order by u.id limit $4"
);
const HOLDERS: Sql = sql!(
    "select u.id from users u
     where u.tenant_id = $1 and u.active and u.id > $2 and u.id <= $3 and exists (
         select 1 from user_roles ur
         join role_permissions rp on rp.tenant_id = ur.tenant_id and rp.role_id = ur.role_id
         where ur.tenant_id = u.tenant_id and ur.user_id = u.id and rp.permission = $5
           and (ur.location_id is null or ur.location_id {in:$6}))
     order by u.id limit $4"
);

/// What became of a campaign by one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelCount {
    /// The channel.
    pub channel: String,
    /// Where deliveries stand.
    pub status: String,
    /// Why they stand there, where there is a reason.
    pub code: Option<String>,
    /// How many.
    pub deliveries: i64,
}

/// What became of a campaign, counted from its deliveries.
pub async fn counts(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<Vec<ChannelCount>> {
    let rows = query(sql!(
        "select channel, status, code, count(*) as deliveries from notification_deliveries
         where tenant_id = $1 and notification_key = $2
         group by channel, status, code order by channel, status, code"
    ))
    .bind(tenant)
    .bind(message_key(campaign))
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(ChannelCount {
            channel: row.get("channel")?,
            status: row.get("status")?,
            code: row.get("code")?,
            deliveries: row.get("deliveries")?,
        })
    };
    rows.iter().map(read).collect()
}
