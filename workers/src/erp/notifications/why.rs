//! Who got what, who did not, and why: from the rows that were written when it was told, and, for those without one, from
//! what they may do now.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use fairlane::cli::{Page, PageEnd};
use fairlane::db::Conn;
use fairlane::{Error, Result};
use serde::Serialize;
use uuid::Uuid;

use super::plan::NOT_ASKED_FOR;
use super::{Note, channels};
use crate::erp::campaigns::topic_of;
use crate::erp::store::deliveries::{Delivery, Status};
use crate::erp::store::notifications::{self, Message};
use crate::erp::store::people::{self, User};
use crate::erp::store::stock::sites;
use crate::erp::store::{deliveries, delivery_lists, preferences};

/// What a line rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A row that was written when it was told, or sent.
    Stored,
    /// What is true now: nothing was written about this user.
    Present,
}

/// One user or outsider, and what became of it by one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The delivery's number, where there is one.
    pub delivery_id: Option<i64>,
    /// The user.
    pub user_id: Option<i64>,
    /// The user's address or name; the address of somebody outside.
    pub who: String,
    /// The channel; none where nothing was written.
    pub channel: Option<String>,
    /// Where it stands; none where nothing was written.
    pub status: Option<Status>,
    /// The stable word for the reason.
    pub code: Option<String>,
    /// The reason.
    pub why: String,
    /// What this rests on.
    pub basis: Basis,
}

/// A notification, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Its key.
    pub key: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says, in a few words.
    pub title: Option<String>,
    /// How much it matters.
    pub severity: Option<&'static str>,
    /// Those who may do this were told.
    pub permission: Option<String>,
    /// Those who may do it there: the location's code.
    pub location: Option<String>,
    /// When it was told.
    #[serde(serialize_with = "fairlane::cli::json::time_option")]
    pub told_at: Option<DateTime<Utc>>,
    /// Who got it and who did not.
    pub people: Vec<Line>,
    /// Whether there are more users, whom it was not told: `--after` goes on.
    pub page: PageEnd,
}

/// Explains the notification with this key; of one user alone where one is named.
///
/// About many users nothing was written. They are looked at in the order of their numbers, `limit` behind `after`; what was
/// written is in the first page.
pub async fn explain(
    conn: &mut Conn<'_>,
    tenant: i64,
    key: &str,
    only: Option<&User>,
    (after, limit): (i64, u32),
) -> Result<Explanation> {
    let message = notifications::message(conn, tenant, key).await?;
    let mut rows = delivery_lists::of_notification(conn, tenant, key).await?;
    if message.is_none() && rows.is_empty() {
        return Err(Error::NotFound { what: "notification", name: key.to_owned() });
    }
    let kind = message.as_ref().map(|m| m.kind.clone()).or_else(|| rows.first().map(|row| row.kind.clone()));
    rows.retain(|row| only.is_none_or(|user| row.user_id == Some(user.id)));
    let mut people = Vec::new();
    for row in rows.iter().filter(|_| after == 0) {
        people.push(stored(conn, tenant, row).await?);
    }
    if let (Some(message), Some(user)) = (&message, only.filter(|_| after == 0 && !rows.is_empty())) {
        people.extend(silent(conn, tenant, message, user, &rows).await?);
    }
    let told: BTreeSet<i64> = rows.iter().filter_map(|row| row.user_id).collect();
    let mut page = PageEnd::default();
    if let Some(message) = message.as_ref().filter(|message| is_for_users(message)) {
        let others = match only {
            Some(user) => Page::from(vec![user.clone()]),
            None => users_behind(conn, tenant, after, limit).await?,
        };
        for user in others.rows.iter().filter(|user| !told.contains(&user.id)) {
            people.push(present(conn, tenant, message, user).await?);
        }
        page = others.end();
    }
    let location = match message.as_ref().and_then(|message| message.location) {
        Some(id) => people::location_code(conn, tenant, id).await?,
        None => None,
    };
    let note = message.as_ref().and_then(|m| serde_json::from_value::<Note>(m.data.clone()).ok());
    Ok(Explanation {
        key: key.to_owned(),
        kind: kind.unwrap_or_default(),
        title: note.as_ref().map(|note| note.title.clone()),
        severity: note.as_ref().map(|note| note.severity.as_str()),
        permission: message.as_ref().and_then(|message| message.permission.clone()),
        location,
        told_at: message.map(|message| message.told_at),
        people,
        page,
    })
}

async fn users_behind(conn: &mut Conn<'_>, tenant: i64, after: i64, limit: u32) -> Result<Page<User>> {
    let users = people::list(conn, tenant, after, i64::from(limit) + 1).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Page::up_to(users, limit).going_on_after_the(|last| last.id.to_string()))
}

/// The keys of what a person means: a key and all that begin with it (`inv:12` tells the customer, `inv:12:generated`
/// finance), the number of a delivery, the id of a user's copy or its last digits.
pub async fn keys_of(conn: &mut Conn<'_>, tenant: i64, text: &str) -> Result<Vec<String>> {
    let keys = notifications::keys_from(conn, tenant, text).await?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    if let Some(delivery) = deliveries::by_key(conn, tenant, text).await? {
        return Ok(vec![delivery.notification_key]);
    }
    if let Ok(id) = text.parse::<i64>()
        && let Some(delivery) = deliveries::find(conn, tenant, id).await?
    {
        return Ok(vec![delivery.notification_key]);
    }
    let (_, dedupe_key) = copy_named(conn, tenant, text).await?;
    let delivery = deliveries::by_key(conn, tenant, &dedupe_key).await?;
    Ok(vec![delivery.map_or(dedupe_key, |delivery| delivery.notification_key)])
}

/// The copy that a person means by its id or the last digits of it, and the key of its delivery.
pub async fn copy_named(conn: &mut Conn<'_>, tenant: i64, text: &str) -> Result<(Uuid, String)> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    let missing = || Error::NotFound { what: "notification", name: text.to_owned() };
    if digits.len() < 4 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(missing());
    }
    let mut found = notifications::by_id_end(conn, tenant, &digits).await?;
    match found.len() {
        0 | 1 => found.pop().ok_or_else(missing),
        count => Err(Error::Ambiguous {
            what: "notification",
            name: text.to_owned(),
            count: i64::try_from(count).unwrap_or(i64::MAX),
        }),
    }
}

/// A letter to somebody outside has no readers among users.
fn is_for_users(message: &Message) -> bool {
    message.permission.is_some() || !message.named.is_empty()
}

async fn stored(conn: &mut Conn<'_>, tenant: i64, row: &Delivery) -> Result<Line> {
    let user = match row.user_id {
        Some(user) => people::find(conn, tenant, user).await?,
        None => None,
    };
    let outside = || row.recipient.clone().unwrap_or_else(|| "nobody".into());
    let why = match (row.status, &row.error) {
        (Status::Sent | Status::Delivered, None) => "told".to_owned(),
        (Status::Pending, None) => "on its way: where a worker runs it is sent".to_owned(),
        (Status::Sending, None) => "being handed over".to_owned(),
        (_, error) => error.clone().unwrap_or_default(),
    };
    Ok(Line {
        delivery_id: Some(row.id),
        user_id: row.user_id,
        who: user.map_or_else(outside, |user| user.label().to_owned()),
        channel: Some(row.channel.clone()),
        status: Some(row.status),
        code: row.code.clone(),
        why,
        basis: Basis::Stored,
    })
}

/// The channels by which nothing was written about a user who was told: nobody has asked for them then, or they are newer.
async fn silent(
    conn: &mut Conn<'_>,
    tenant: i64,
    message: &Message,
    user: &User,
    rows: &[Delivery],
) -> Result<Vec<Line>> {
    let choices = preferences::of_user(conn, tenant, user.id).await?;
    let quiet = channels().into_iter().filter(|channel| channel.is_quiet());
    let lines =
        quiet.filter(|channel| !rows.iter().any(|row| row.channel == channel.name())).map(|channel| {
            let name = channel.name();
            let wants =
                preferences::choice(&choices, topic_of(message), name).is_some_and(|choice| choice.enabled);
            let (code, why) = match wants {
                true => (
                    "not_then",
                    format!("the user wants it by {name} now, and had not asked for it when it was told"),
                ),
                false => (NOT_ASKED_FOR, format!("nobody is told by {name} who has not asked for it")),
            };
            Line {
                delivery_id: None,
                user_id: Some(user.id),
                who: user.label().to_owned(),
                channel: Some(name.to_owned()),
                status: None,
                code: Some(code.to_owned()),
                why,
                basis: Basis::Present,
            }
        });
    Ok(lines.collect())
}

async fn present(conn: &mut Conn<'_>, tenant: i64, message: &Message, user: &User) -> Result<Line> {
    let places = match &message.permission {
        Some(permission) => {
            let places = people::places(conn, tenant, user.id, permission).await?;
            at_message(conn, tenant, message, places).await?
        }
        None => Vec::new(),
    };
    let (code, why) = reason(message, user, &places);
    Ok(Line {
        delivery_id: None,
        user_id: Some(user.id),
        who: user.label().to_owned(),
        channel: None,
        status: None,
        code: Some(code.to_owned()),
        why,
        basis: Basis::Present,
    })
}

/// The places of a user, with those that are of the message's site as the message's own.
async fn at_message(
    conn: &mut Conn<'_>,
    tenant: i64,
    message: &Message,
    places: Vec<(Option<i64>, String)>,
) -> Result<Vec<(Option<i64>, String)>> {
    let Some(here) = message.location else { return Ok(places) };
    let mut asked: Vec<i64> = places.iter().filter_map(|(place, _)| *place).collect();
    asked.push(here);
    let sites = sites::of(conn, tenant, &asked).await?;
    let same = |place: i64| sites.contains_key(&place) && sites.get(&place) == sites.get(&here);
    let moved = |(place, code): (Option<i64>, String)| match place {
        Some(place) if same(place) => (Some(here), code),
        place => (place, code),
    };
    Ok(places.into_iter().map(moved).collect())
}

/// Why a user without a row was not told, as far as what is true now says it.
fn reason(message: &Message, user: &User, places: &[(Option<i64>, String)]) -> (&'static str, String) {
    if !user.active {
        return ("inactive", "the user is inactive".into());
    }
    let Some(permission) = &message.permission else {
        return ("not_addressed", "it was for other users".into());
    };
    if places.is_empty() {
        return ("no_permission", format!("the user has no permission {permission}"));
    }
    let there = |place: &Option<i64>| place.is_none() || *place == message.location;
    if places.iter().any(|(place, _)| there(place)) {
        let why = format!(
            "the user may be told now, but could not when it was told (no permission {permission}, or inactive)"
        );
        return ("not_then", why);
    }
    let codes: Vec<&str> = places.iter().map(|(_, code)| code.as_str()).collect();
    ("other_location", format!("the user has {permission} at {} alone", codes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_told_is_told_why_by_what_is_true_now() {
        let message = Message {
            key: "low:1".into(),
            kind: "LowStockNotification".into(),
            data: serde_json::Value::Null,
            permission: Some("inventory.alerts".into()),
            location: Some(7),
            named: Vec::new(),
            told_at: Utc::now(),
        };
        let user = |active| User { id: 1, name: "Ana".into(), email: None, active };
        let place = |id: Option<i64>, code: &str| vec![(id, code.to_owned())];
        let code = |active, places: &[(Option<i64>, String)]| reason(&message, &user(active), places).0;
        assert_eq!(code(false, &place(None, "")), "inactive");
        assert_eq!(code(true, &[]), "no_permission");
        assert_eq!(code(true, &place(Some(8), "NORTH")), "other_location");
        assert!(reason(&message, &user(true), &place(Some(8), "NORTH")).1.contains("at NORTH alone"));
        assert_eq!(code(true, &place(Some(7), "MAIN")), "not_then");
        assert_eq!(code(true, &place(None, "")), "not_then");
    }
}
