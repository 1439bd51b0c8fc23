//! Users: what they may do, what they want to be told, and by which channel.

use fairlane::{Error, Result, Tenant, Transaction};

use super::one_line;
use crate::erp::campaigns::topic;
use crate::erp::mail::check_address;
use crate::erp::notifications::{Kind, channels};
use crate::erp::sms::normalise;
use crate::erp::store::people::{self, User};
use crate::erp::store::preferences::{self, ALERT_CAMPAIGN, ANY_TYPE};
use crate::erp::store::{delivery_lists, phones};

/// Makes sure that a user with this address exists and may do these things everywhere; returns the user's number.
///
/// Repeating it changes nothing. The permissions are given through a role named after them.
pub async fn ensure(
    tx: &mut Transaction,
    tenant: &Tenant,
    name: &str,
    email: &str,
    permissions: &[&str],
) -> Result<i64> {
    ensure_at(tx, tenant, name, email, permissions, None).await
}

/// As [`ensure`]; with a location the permissions are given there alone.
pub async fn ensure_at(
    tx: &mut Transaction,
    tenant: &Tenant,
    name: &str,
    email: &str,
    permissions: &[&str],
    location: Option<i64>,
) -> Result<i64> {
    let id = tenant.id().await?;
    let name = one_line("the user's name", name, 200)?;
    let email = checked_address(&format!("user {name}"), email)?;
    let conn = &mut tx.conn();
    let user = match people::find_by_email(conn, id, &email).await? {
        Some(user) => user,
        None => people::add_user(conn, id, &name, Some(&email)).await?,
    };
    for permission in permissions {
        if !people::knows_permission(conn, permission).await? {
            return Err(Error::NotFound { what: "permission", name: (*permission).to_owned() });
        }
        let role = people::ensure_role(conn, id, permission).await?;
        people::grant(conn, id, role, permission).await?;
        people::assign(conn, id, user, role, location).await?;
    }
    Ok(user)
}

/// Takes a permission from a user: at one location, or, without one, where it was given everywhere.
pub async fn revoke(
    tx: &mut Transaction,
    tenant: &Tenant,
    who: &str,
    permission: &str,
    location: Option<i64>,
) -> Result<User> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let user = people::named(conn, id, who).await?;
    if !people::knows_permission(conn, permission).await? {
        return Err(Error::NotFound { what: "permission", name: permission.to_owned() });
    }
    let what = format!("taking {permission} from user {}", user.label());
    if !people::unassign(conn, id, user.id, permission, location).await? {
        let why = "the user does not have it there; look: fairlane erp user show USER".into();
        return Err(Error::Refused { what, why });
    }
    let left = people::places(conn, id, user.id, permission).await?;
    if left.iter().any(|(place, _)| *place == location) {
        let why = "the user has it by another role too".into();
        return Err(Error::Refused { what, why });
    }
    Ok(user)
}

fn checked_address(whose: &str, email: &str) -> Result<String> {
    let address = check_address(email).map_err(|why| Error::Invalid {
        what: format!("the address \"{}\" of {whose}", email.escape_debug()),
        why,
    })?;
    Ok(address.to_string())
}

/// Lets a user in, or out: who has left is told nothing any more.
pub async fn set_active(tx: &mut Transaction, tenant: &Tenant, who: &str, active: bool) -> Result<User> {
    let id = tenant.id().await?;
    let mut user = people::named(&mut tx.conn(), id, who).await?;
    people::set_active(&mut tx.conn(), id, user.id, active).await?;
    user.active = active;
    Ok(user)
}

/// Changes where a user's mails go.
pub async fn set_email(tx: &mut Transaction, tenant: &Tenant, who: &str, email: &str) -> Result<User> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let mut user = people::named(conn, id, who).await?;
    let email = checked_address(&format!("user {}", user.name), email)?;
    if people::find_by_email(conn, id, &email).await?.is_some_and(|other| other != user.id) {
        return Err(Error::Refused {
            what: format!("giving user {} the address {email}", user.name),
            why: "another user has it".into(),
        });
    }
    people::set_email(conn, id, user.id, &email).await?;
    user.email = Some(email);
    Ok(user)
}

/// Changes where a user's text messages go; none takes the number away. One without a country is of `country`.
pub async fn set_phone(
    tx: &mut Transaction,
    tenant: &Tenant,
    who: &str,
    phone: Option<&str>,
    country: Option<&str>,
) -> Result<(User, Option<String>)> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let user = people::named(conn, id, who).await?;
    let normal = phone.map(|phone| normalise(phone, country)).transpose().map_err(|why| Error::Invalid {
        what: format!("the number \"{}\" of user {}", phone.unwrap_or_default().escape_debug(), user.name),
        why,
    })?;
    phones::set(conn, id, user.id, normal.as_deref()).await?;
    Ok((user, normal))
}

/// Keeps whether a user wants to be told something by a channel; `*` stands for every type. Without a choice the channel's
/// default counts again.
pub async fn prefer(
    tx: &mut Transaction,
    tenant: &Tenant,
    who: &str,
    kind: &str,
    channel: &str,
    wanted: Option<bool>,
) -> Result<User> {
    let id = tenant.id().await?;
    if ![ANY_TYPE, ALERT_CAMPAIGN].contains(&kind) && Kind::named(kind).is_none() {
        return Err(Error::NotFound { what: "type of notification", name: kind.to_owned() });
    }
    if !channels().iter().any(|known| known.name() == channel) {
        return Err(Error::NotFound { what: "channel", name: channel.to_owned() });
    }
    let conn = &mut tx.conn();
    let user = people::named(conn, id, who).await?;
    match wanted {
        Some(enabled) => preferences::set(conn, id, user.id, kind, channel, enabled).await?,
        None => {
            preferences::clear(conn, id, user.id, kind, channel).await?;
        }
    }
    Ok(user)
}

/// What a reader of a bulk mail has stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribed {
    /// The reader.
    pub user: User,
    /// The type of notification that comes by mail no more.
    pub kind: String,
}

/// Stops the mails of one type to the reader that a mail's token names. Repeating it changes nothing. By a campaign's alert
/// it stops campaigns of alerts, and no alert that concerns its reader alone.
pub async fn unsubscribe(tx: &mut Transaction, tenant: &Tenant, token: &str) -> Result<Unsubscribed> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let missing = || Error::NotFound { what: "unsubscribe token", name: token.to_owned() };
    let delivery = delivery_lists::by_token(conn, id, token).await?.ok_or_else(missing)?;
    let user = match delivery.user_id {
        Some(user) => people::find(conn, id, user).await?.ok_or_else(missing)?,
        None => return Err(missing()),
    };
    // A critical campaign's mails carry no token.
    let kind = topic(&delivery.notification_key, &delivery.kind, false).to_owned();
    preferences::set(conn, id, user.id, &kind, &delivery.channel, false).await?;
    Ok(Unsubscribed { user, kind })
}

/// Lets mails go to an address again that a mail server had refused for good; messages to a number alike.
pub async fn lift_suppression(tx: &mut Transaction, tenant: &Tenant, address: &str) -> Result<()> {
    match preferences::lift(&mut tx.conn(), tenant.id().await?, address).await? {
        true => Ok(()),
        false => Err(Error::NotFound { what: "suppressed address", name: address.to_owned() }),
    }
}
