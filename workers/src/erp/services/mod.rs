//! What applications call: each change with its event, in the caller's transaction.
//!
//! The transaction decides: commit it and the change, its event and the listeners' jobs are there together; drop it
//! and nothing ever was.

pub mod callbacks;
pub mod campaigns;
pub mod customers;
pub mod deliveries;
pub mod devices;
pub mod invoices;
pub mod leads;
pub mod locations;
pub mod mail_templates;
pub mod orders;
pub mod payments;
pub mod products;
pub mod profiles;
pub mod purchase_orders;
pub mod receipts;
pub mod reports;
pub mod returns;
pub mod scanners;
pub mod statistics;
pub mod stock;
pub mod timing;
pub mod users;
pub mod valuation;
pub mod vendors;
pub mod webhooks;

use chrono::{DateTime, Datelike, Utc};
use fairlane::db::Conn;
use fairlane::{Error, Publish, Result};

use super::store::people;

/// Refuses a user who is not there or has left.
pub(crate) async fn active_user(conn: &mut Conn<'_>, tenant: i64, user: Option<i64>) -> Result<()> {
    match user {
        Some(user) if !people::is_active(conn, tenant, user).await? => {
            Err(Error::NotFound { what: "active user", name: user.to_string() })
        }
        _ => Ok(()),
    }
}

/// Says in the log of events which user caused it, where one is known.
pub(crate) fn by(publish: Publish, user: Option<i64>) -> Publish {
    match user {
        Some(user) => publish.actor(format!("user:{user}")),
        None => publish,
    }
}

/// Refuses a change by somebody who has seen another version; none was asked for where `seen` is none.
pub(crate) fn same_version(what: &str, stored: i64, seen: Option<i64>) -> Result<()> {
    match seen {
        Some(seen) if seen != stored => Err(Error::Refused {
            what: what.to_owned(),
            why: format!("it was changed meanwhile: it has version {stored}, not {seen}"),
        }),
        _ => Ok(()),
    }
}

/// The first day on which anything may have happened: what is before it is a year mistyped.
const FIRST_YEAR: i32 = 2000;

/// When something happened, as somebody says: not before the year 2000, and not more than a day ahead, which is for clocks
/// that disagree and zones that were mixed up.
pub(crate) fn happened(what: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let why = if at > now + chrono::Duration::days(1) {
        "it is in the future: more than a day from now".to_owned()
    } else if at.year() < FIRST_YEAR {
        format!("it is before the year {FIRST_YEAR}; check the date")
    } else {
        return Ok(at);
    };
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    Err(Error::Invalid { what: format!("the time {at} of {what}"), why })
}

/// A text people typed: trimmed, not empty, one line, at most `most` characters.
pub(crate) fn one_line(what: &str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    let invalid = |why: String| Err(Error::Invalid { what: what.to_owned(), why });
    if text.is_empty() {
        return invalid("it is empty".into());
    }
    if text.chars().count() > most {
        return invalid(format!("it has more than {most} characters"));
    }
    if text.chars().any(char::is_control) {
        return invalid("it contains a line break or another control character".into());
    }
    Ok(text.to_owned())
}
