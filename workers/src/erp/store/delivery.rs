//! One delivery: where it stands, and whether a job may send it.

use chrono::{DateTime, Utc};
use fairlane::Result;
use fairlane::db::Row;
use serde::Serialize;
use uuid::Uuid;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is to be sent.
    Pending,
    /// It is to be sent at a later time.
    Deferred,
    /// It is being handed over at this moment.
    Sending,
    /// The other side has taken it.
    Sent,
    /// The user has it.
    Delivered,
    /// It could not be sent.
    Failed,
    /// Its address takes no mail.
    Suppressed,
    /// The user does not want it, or cannot be reached this way.
    Skipped,
    /// Nobody knows whether it is out.
    Uncertain,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Deferred,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Suppressed,
        Self::Skipped,
        Self::Uncertain,
    ];

    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Deferred => "deferred",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Suppressed => "suppressed",
            Self::Skipped => "skipped",
            Self::Uncertain => "uncertain",
        }
    }

    /// The status with this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What became of a message, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Its number inside the database.
    pub id: i64,
    /// The same for all who are told the same.
    pub notification_key: String,
    /// The same for every attempt.
    pub dedupe_key: String,
    /// How it goes: `in_app`, `mail`.
    pub channel: String,
    /// The kind of message.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about.
    pub subject_type: Option<String>,
    /// Its number.
    pub subject_id: Option<i64>,
    /// The user it is for.
    pub user_id: Option<i64>,
    /// The address of the last attempt.
    pub recipient: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// How often it was tried.
    pub attempts: i64,
    /// The mail's identity.
    pub message_id: Option<String>,
    /// The stable word for the last error, or for why it was not sent.
    pub code: Option<String>,
    /// The last error, or why it was not sent.
    pub error: Option<String>,
    /// When it went out.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was decided that there is one.
    #[serde(serialize_with = "fairlane::cli::json::time")]
    pub created_at: DateTime<Utc>,
    /// What stops bulk mails.
    #[serde(skip)]
    pub unsubscribe_token: Option<String>,
    /// The job that has it.
    #[serde(skip)]
    pub claimed_by: Option<Uuid>,
    /// Whether that job's time is over.
    #[serde(skip)]
    pub claim_over: bool,
}

impl Delivery {
    pub(super) fn read(row: &Row) -> Result<Self> {
        let status: String = row.get("status")?;
        Ok(Self {
            id: row.get("id")?,
            notification_key: row.get("notification_key")?,
            dedupe_key: row.get("dedupe_key")?,
            channel: row.get("channel")?,
            kind: row.get("type")?,
            subject_type: row.get("subject_type")?,
            subject_id: row.get("subject_id")?,
            user_id: row.get("user_id")?,
            recipient: row.get("recipient")?,
            status: Status::named(&status).ok_or_else(|| {
                fairlane::Error::Damaged(format!("\"{status}\" is no status of a delivery"))
            })?,
            attempts: row.get("attempts")?,
            message_id: row.get("message_id")?,
            code: row.get("code")?,
            error: row.get("error")?,
            sent_at: row.get("sent_at")?,
            created_at: row.get("created_at")?,
            unsubscribe_token: row.get("unsubscribe_token")?,
            claimed_by: row.get("claimed_by")?,
            claim_over: row.get("claim_over")?,
        })
    }
}

/// The columns of a delivery, for statements that read whole ones.
macro_rules! delivery_columns {
    () => {
        "id, notification_key, dedupe_key, channel, type, subject_type, subject_id, user_id, recipient, status, attempts,
             message_id, code, error, sent_at, created_at, unsubscribe_token, claimed_by,
             coalesce(claimed_until < {now}, true) as claim_over"
    };
}
pub(super) use delivery_columns;

/// Whether a job may send a message now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Yes.
    Free,
    /// Another job is at it.
    Busy,
    /// There is nothing left to do.
    Over,
    /// Somebody began to hand it over and is gone: nobody knows.
    LeftSending,
}

impl Delivery {
    /// How it stands for a job that comes to send it. The job itself had it before: that run is over, or can write no
    /// more.
    pub fn stand(&self, job: Uuid) -> Stand {
        let elsewhere = self.claimed_by.is_some_and(|holder| holder != job) && !self.claim_over;
        match self.status {
            Status::Sent | Status::Delivered | Status::Skipped | Status::Uncertain => Stand::Over,
            _ if elsewhere => Stand::Busy,
            Status::Sending => Stand::LeftSending,
            Status::Pending | Status::Deferred | Status::Failed | Status::Suppressed => Stand::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(status: Status, claimed_by: Option<Uuid>, claim_over: bool) -> Delivery {
        Delivery {
            id: 1,
            notification_key: "inv:1".into(),
            dedupe_key: "inv:1:mail".into(),
            channel: "mail".into(),
            kind: "Invoice".into(),
            subject_type: None,
            subject_id: None,
            user_id: None,
            recipient: None,
            status,
            attempts: 0,
            message_id: None,
            code: None,
            error: None,
            sent_at: None,
            created_at: Utc::now(),
            unsubscribe_token: None,
            claimed_by,
            claim_over,
        }
    }

    #[test]
    fn what_somebody_began_to_hand_over_is_taken_by_nobody_and_known_to_be_left_once_they_are_gone() {
        let (job, other) = (Uuid::now_v7(), Uuid::now_v7());
        let stand = |status, by, over| delivery(status, by, over).stand(job);
        assert_eq!(stand(Status::Sending, Some(other), false), Stand::Busy);
        assert_eq!(stand(Status::Sending, Some(other), true), Stand::LeftSending);
        assert_eq!(stand(Status::Sending, Some(job), false), Stand::LeftSending);
        assert_eq!(stand(Status::Pending, Some(other), false), Stand::Busy);
        assert_eq!(stand(Status::Pending, Some(other), true), Stand::Free);
        assert_eq!(stand(Status::Uncertain, None, true), Stand::Over);
        assert_eq!(stand(Status::Failed, None, true), Stand::Free);
    }
}
