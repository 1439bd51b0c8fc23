//! When users want to be told: quiet hours, and messages together.

use chrono::NaiveTime;
use chrono_tz::Tz;
use fairlane::{Error, Result, Tenant, Transaction};

use crate::erp::notifications::Kind;
use crate::erp::notifications::timing::{Every, QuietHours};
use crate::erp::store::people::{self, User};
use crate::erp::store::preferences::ANY_TYPE;
use crate::erp::store::timing::{self as store, DigestChoice};

/// Keeps the hours of a user's day in which nothing but what is critical disturbs; with a zone, also where the user's days
/// begin.
pub async fn set_quiet_hours(
    tx: &mut Transaction,
    tenant: &Tenant,
    who: &str,
    (from, until): (&str, &str),
    zone: Option<&str>,
) -> Result<User> {
    let quiet = QuietHours::new(time(from)?, time(until)?).ok_or_else(|| Error::Invalid {
        what: format!("quiet hours from {from} to {until}"),
        why: "they would be the whole day; who wants no mails turns them off: erp user preferences set"
            .into(),
    })?;
    let zone: Option<Tz> = zone.map(fairlane::cron::zone).transpose()?;
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let user = people::named(conn, id, who).await?;
    if let Some(zone) = zone {
        store::set_zone(conn, id, user.id, zone).await?;
    }
    store::set_quiet(conn, id, user.id, quiet).await?;
    Ok(user)
}

/// Lets a user be told at any time again.
pub async fn clear_quiet_hours(tx: &mut Transaction, tenant: &Tenant, who: &str) -> Result<User> {
    let id = tenant.id().await?;
    let user = people::named(&mut tx.conn(), id, who).await?;
    store::clear_quiet(&mut tx.conn(), id, user.id).await?;
    Ok(user)
}

/// Keeps that a user wants mails of a type together, or (`*`) of all that have no choice of their own; without `every`,
/// each by itself again.
pub async fn digest(
    tx: &mut Transaction,
    tenant: &Tenant,
    who: &str,
    kind: &str,
    every: Option<&str>,
) -> Result<User> {
    let id = tenant.id().await?;
    if kind != ANY_TYPE && Kind::named(kind).is_none() {
        return Err(Error::NotFound { what: "type of notification", name: kind.to_owned() });
    }
    let conn = &mut tx.conn();
    let user = people::named(conn, id, who).await?;
    match every {
        Some(word) => {
            let every = Every::named(word).ok_or_else(|| Error::Invalid {
                what: format!("\"{}\"", word.escape_debug()),
                why: "digests are hourly, daily or weekly".into(),
            })?;
            let choice = DigestChoice { kind: kind.to_owned(), channel: "mail".into(), every };
            store::set_digest(conn, id, user.id, &choice).await?;
        }
        None => {
            store::clear_digest(conn, id, user.id, (kind, "mail")).await?;
        }
    }
    Ok(user)
}

fn time(text: &str) -> Result<NaiveTime> {
    NaiveTime::parse_from_str(text.trim(), "%H:%M").map_err(|_| Error::Invalid {
        what: format!("the time \"{}\"", text.escape_debug()),
        why: "it must be hours and minutes such as 22:00".into(),
    })
}
