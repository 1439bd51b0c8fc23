//! A campaign as it is written and as it is stored.

use chrono::{DateTime, Utc};
use fairlane::db::Row;
use fairlane::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::erp::notifications::{Action, Severity};
use crate::erp::store::campaign_audience::AudienceRule;

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

    pub(super) fn read(row: &Row) -> Result<Self> {
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

/// The campaign whose key this is.
pub fn of_key(key: &str) -> Option<i64> {
    key.strip_prefix("campaign:")?.parse().ok()
}

fn parsed<T: DeserializeOwned>(value: Value, column: &str) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|why| Error::Damaged(format!("notification_campaigns.{column}: {why}")))
}
