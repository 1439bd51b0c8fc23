//! Which channels users want, and which addresses take no mail.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fairlane::Result;
use fairlane::db::{Conn, Row, query};
use fairlane::sql;
use serde::Serialize;

/// Stands for all types that have no preference of their own.
pub const ANY_TYPE: &str = "*";
/// Campaigns of alerts, as something to have enough of by itself: the alerts of the house go on.
pub const ALERT_CAMPAIGN: &str = "AlertCampaign";

/// The type whose choice counts where this one has none; what is for all types stands behind both.
fn wider(kind: &str) -> &str {
    if kind == ALERT_CAMPAIGN { "AlertNotification" } else { ANY_TYPE }
}

/// A user's choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preference {
    /// The type of notification, or `*`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The channel.
    pub channel: String,
    /// Whether the user wants it.
    pub enabled: bool,
}

impl Preference {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self { kind: row.get("type")?, channel: row.get("channel")?, enabled: row.get("enabled")? })
    }
}

/// What a user says about a channel for one type: the choice for the type, else for the wider one, else that for all.
pub fn choice<'p>(preferences: &'p [Preference], kind: &str, channel: &str) -> Option<&'p Preference> {
    let of = |kind: &str| preferences.iter().find(|p| p.kind == kind && p.channel == channel);
    of(kind).or_else(|| of(wider(kind))).or_else(|| of(ANY_TYPE))
}

/// The choices of a user.
pub async fn of_user(conn: &mut Conn<'_>, tenant: i64, user: i64) -> Result<Vec<Preference>> {
    let rows = query(sql!(
        "select type, channel, enabled from notification_preferences where tenant_id = $1 and user_id = $2
         order by type, channel"
    ))
    .bind(tenant)
    .bind(user)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Preference::read).collect()
}

/// The choices of these users that concern one type.
pub async fn of_users(
    conn: &mut Conn<'_>,
    tenant: i64,
    users: &[i64],
    kind: &str,
) -> Result<BTreeMap<i64, Vec<Preference>>> {
    let rows = query(sql!(
        "select user_id, type, channel, enabled from notification_preferences
         where tenant_id = $1 and user_id {in:$2} and (type = $3 or type = $4 or type = '*')"
    ))
    .bind(tenant)
    .bind(users.to_vec())
    .bind(kind)
    .bind(wider(kind))
    .fetch_all(conn)
    .await?;
    let mut choices: BTreeMap<i64, Vec<Preference>> = BTreeMap::new();
    for row in &rows {
        choices.entry(row.get("user_id")?).or_default().push(Preference::read(row)?);
    }
    Ok(choices)
}

/// Keeps a user's choice.
pub async fn set(
    conn: &mut Conn<'_>,
    tenant: i64,
    user: i64,
    kind: &str,
    channel: &str,
    enabled: bool,
) -> Result<()> {
    query(sql!(
        "insert into notification_preferences (tenant_id, user_id, type, channel, enabled, updated_at)
         values ($1, $2, $3, $4, $5, {now})
         on conflict (tenant_id, user_id, type, channel)
         do update set enabled = excluded.enabled, updated_at = excluded.updated_at"
    ))
    .bind(tenant)
    .bind(user)
    .bind(kind)
    .bind(channel)
    .bind(enabled)
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a user's choice: the default counts again. Returns whether there was one.
pub async fn clear(conn: &mut Conn<'_>, tenant: i64, user: i64, kind: &str, channel: &str) -> Result<bool> {
    let gone = query(sql!(
        "delete from notification_preferences
         where tenant_id = $1 and user_id = $2 and type = $3 and channel = $4"
    ))
    .bind(tenant)
    .bind(user)
    .bind(kind)
    .bind(channel)
    .execute(conn)
    .await?;
    Ok(gone > 0)
}

/// An address that a mail server has refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suppression {
    /// The address, in lower case.
    pub address: String,
    /// What the mail server said.
    pub reason: String,
    /// The delivery that was refused.
    pub delivery_id: Option<i64>,
    /// Since when.
    #[serde(serialize_with = "fairlane::cli::json::time")]
    pub created_at: DateTime<Utc>,
}

impl Suppression {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            address: row.get("address")?,
            reason: row.get("reason")?,
            delivery_id: row.get("delivery_id")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Notes that an address takes no mail.
pub async fn suppress(
    conn: &mut Conn<'_>,
    tenant: i64,
    address: &str,
    reason: &str,
    delivery: impl Into<Option<i64>>,
) -> Result<()> {
    let delivery: Option<i64> = delivery.into();
    query(sql!(
        "insert into mail_suppressions (tenant_id, address, reason, delivery_id, created_at)
         values ($1, $2, $3, $4, {now}) on conflict (tenant_id, address) do nothing"
    ))
    .bind(tenant)
    .bind(address.to_lowercase())
    .bind(reason)
    .bind(delivery)
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of these addresses that take no mail.
pub async fn suppressed(
    conn: &mut Conn<'_>,
    tenant: i64,
    addresses: &[String],
) -> Result<BTreeMap<String, Suppression>> {
    let addresses: Vec<String> = addresses.iter().map(|address| address.to_lowercase()).collect();
    let rows = query(sql!(
        "select address, reason, delivery_id, created_at from mail_suppressions
         where tenant_id = $1 and address {in:$2}"
    ))
    .bind(tenant)
    .bind(addresses)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Suppression::read(row).map(|one| (one.address.clone(), one))).collect()
}

/// The addresses that take no mail, the latest first.
pub async fn list_suppressed(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<Suppression>> {
    let rows = query(sql!(
        "select address, reason, delivery_id, created_at from mail_suppressions
         where tenant_id = $1 order by created_at desc, address limit $2"
    ))
    .bind(tenant)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Suppression::read).collect()
}

/// Lets mails go to an address again; returns whether they did not.
pub async fn lift(conn: &mut Conn<'_>, tenant: i64, address: &str) -> Result<bool> {
    let gone = query(sql!("delete from mail_suppressions where tenant_id = $1 and address = $2"))
        .bind(tenant)
        .bind(address.trim().to_lowercase())
        .execute(conn)
        .await?;
    Ok(gone > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_for_a_type_goes_before_the_one_for_all() {
        let of = |kind: &str, enabled| Preference { kind: kind.into(), channel: "mail".into(), enabled };
        let preferences = [of("*", true), of("AlertNotification", false)];
        let wants = |kind| choice(&preferences, kind, "mail").map(|p| p.enabled);
        assert_eq!((wants("AlertNotification"), wants("ReminderNotification")), (Some(false), Some(true)));
        assert_eq!(choice(&preferences, "AlertNotification", "in_app"), None);
    }

    #[test]
    fn who_has_enough_of_campaigns_of_alerts_has_not_enough_of_alerts_and_the_other_way_round_both_stop() {
        let of = |kind: &str, enabled| Preference { kind: kind.into(), channel: "mail".into(), enabled };
        let wants = |own: &[Preference], kind| choice(own, kind, "mail").map(|p| p.enabled);
        let enough = [of("*", true), of(ALERT_CAMPAIGN, false)];
        assert_eq!(wants(&enough, ALERT_CAMPAIGN), Some(false));
        assert_eq!(wants(&enough, "AlertNotification"), Some(true));
        let none = [of("AlertNotification", false)];
        assert_eq!(
            (wants(&none, ALERT_CAMPAIGN), wants(&none, "AlertNotification")),
            (Some(false), Some(false))
        );
    }
}
