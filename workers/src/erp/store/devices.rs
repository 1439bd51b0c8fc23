//! Devices that take push messages: `user_devices`.

use std::fmt;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;

/// How push messages reach a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// An app, by Firebase Cloud Messaging.
    Fcm,
    /// A browser, by its push service.
    Webpush,
}

impl Platform {
    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fcm => "fcm",
            Self::Webpush => "webpush",
        }
    }
}

/// A device of a user.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// How it is reached.
    pub platform: Platform,
    /// What a person calls it.
    pub label: Option<String>,
    /// Since when.
    #[serde(serialize_with = "fairlane::cli::json::time")]
    pub created_at: DateTime<Utc>,
    /// Who has this can send messages to the device.
    #[serde(skip)]
    pub token: String,
    /// The public key of a browser's subscription, in base64url.
    #[serde(skip)]
    pub p256dh: Option<String>,
    /// The secret of a browser's subscription, in base64url.
    #[serde(skip)]
    pub auth: Option<String>,
}

/// Token and keys are nobody's to read.
impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, user_id, platform, .. } = self;
        f.debug_struct("Device")
            .field("id", id)
            .field("user_id", user_id)
            .field("platform", platform)
            .finish_non_exhaustive()
    }
}

impl Device {
    fn read(row: &Row) -> Result<Self> {
        let platform: String = row.get("platform")?;
        Ok(Self {
            id: row.get("id")?,
            user_id: row.get("user_id")?,
            platform: match platform.as_str() {
                "fcm" => Platform::Fcm,
                "webpush" => Platform::Webpush,
                other => return Err(Error::Damaged(format!("\"{other}\" is no platform of a device"))),
            },
            label: row.get("label")?,
            created_at: row.get("created_at")?,
            token: row.get("token")?,
            p256dh: row.get("p256dh")?,
            auth: row.get("auth")?,
        })
    }
}

/// A device that is to be added.
#[derive(Clone)]
pub struct NewDevice<'a> {
    /// Whose it is.
    pub user: i64,
    /// How it is reached.
    pub platform: Platform,
    /// What FCM calls the app on it, or the address of the subscription.
    pub token: &'a str,
    /// The subscription's public key and secret.
    pub keys: Option<(&'a str, &'a str)>,
    /// What a person calls it.
    pub label: Option<&'a str>,
}

impl fmt::Debug for NewDevice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDevice").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Adds a device; one that is there already belongs to this user from now on: somebody else has logged in on it.
pub async fn add(conn: &mut Conn<'_>, tenant: i64, new: &NewDevice<'_>) -> Result<i64> {
    query(sql!(
        "insert into user_devices (tenant_id, user_id, platform, token, p256dh, auth, label, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, {now})
         on conflict (tenant_id, token) do update set user_id = excluded.user_id, platform = excluded.platform,
             p256dh = excluded.p256dh, auth = excluded.auth, label = excluded.label
         returning id"
    ))
    .bind(tenant)
    .bind(new.user)
    .bind(new.platform.as_str())
    .bind(new.token)
    .bind(new.keys.map(|keys| keys.0))
    .bind(new.keys.map(|keys| keys.1))
    .bind(new.label)
    .fetch_one(conn)
    .await?
    .get("id")
}

/// The devices of a user.
pub async fn of_user(conn: &mut Conn<'_>, tenant: i64, user: i64) -> Result<Vec<Device>> {
    let rows = query(sql!(
        "select id, user_id, platform, token, p256dh, auth, label, created_at from user_devices
         where tenant_id = $1 and user_id = $2 order by id"
    ))
    .bind(tenant)
    .bind(user)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Device::read).collect()
}

/// How many devices each of these users has, who has one.
pub async fn counts(conn: &mut Conn<'_>, tenant: i64, users: &[i64]) -> Result<Vec<(i64, i64)>> {
    let rows = query(sql!(
        "select user_id, count(*) as n from user_devices where tenant_id = $1 and user_id {in:$2}
         group by user_id"
    ))
    .bind(tenant)
    .bind(users.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("user_id")?, row.get("n")?))).collect()
}

/// Forgets a device; returns whether it was there.
pub async fn remove(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<bool> {
    let gone = query(sql!("delete from user_devices where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(gone == 1)
}
