//! What is typed for a campaign: its message, where it leads, by which channels, and to whom it is meant.

use std::collections::BTreeSet;

use fairlane::db::Conn;
use fairlane::{Error, Result};

use super::CampaignAudience;
use crate::erp::notifications::channels;
use crate::erp::store::campaigns::AudienceRule;
use crate::erp::store::people;

/// Longest message of a campaign, in characters.
const LONGEST: usize = 20_000;
/// Most users that are named one by one.
const MOST_NAMED: usize = 10_000;

/// A place inside the application, or an address of the web: nothing that a browser would run.
pub(super) fn checked_target(target: &str) -> Result<()> {
    let of_the_web = target.starts_with("https://") || target.starts_with("http://");
    if of_the_web || !(target.contains(':') || target.starts_with("//")) {
        return Ok(());
    }
    Err(Error::Invalid {
        what: format!("the action's target \"{}\"", target.escape_debug()),
        why: "it must be a place inside the application, or begin with https://".into(),
    })
}

pub(super) fn checked_message(message: &str) -> Result<&str> {
    let message = message.trim();
    let why = match message.chars().count() {
        0 => "it is empty".to_owned(),
        long if long > LONGEST => format!("it has {long} characters, {LONGEST} are allowed"),
        _ => return Ok(message),
    };
    Err(Error::Invalid { what: "the campaign's message".into(), why })
}

/// The named channels, each once; all there are where none is named.
pub(super) fn checked_channels(named: &[String]) -> Result<Vec<String>> {
    let known: Vec<&str> = channels().iter().map(|channel| channel.name()).collect();
    if let Some(unknown) = named.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Error::NotFound { what: "channel", name: unknown.clone() });
    }
    let wanted = |name: &&str| named.is_empty() || named.iter().any(|one| one == name);
    Ok(known.into_iter().filter(wanted).map(str::to_owned).collect())
}

pub(super) async fn rule(
    conn: &mut Conn<'_>,
    tenant: i64,
    audience: &CampaignAudience,
) -> Result<AudienceRule> {
    let invalid = |why: &str| Error::Invalid { what: "the campaign's audience".into(), why: why.into() };
    if audience.permission.is_some() && !audience.users.is_empty() {
        return Err(invalid("it is those who may do something, or users by name, not both"));
    }
    if audience.location.is_some() && audience.permission.is_none() {
        return Err(invalid("a location is for those who may do something there: name the permission"));
    }
    if audience.users.len() > MOST_NAMED {
        return Err(invalid("more than 10000 users are named; give them a permission and name that"));
    }
    if let Some(permission) = &audience.permission
        && !people::knows_permission(conn, permission).await?
    {
        return Err(Error::NotFound { what: "permission", name: permission.clone() });
    }
    let location_id = match &audience.location {
        Some(code) => Some(people::location_id(conn, tenant, code).await?),
        None => None,
    };
    let mut named = BTreeSet::new();
    for who in &audience.users {
        named.insert(people::named(conn, tenant, who).await?.id);
    }
    let named_users = (!named.is_empty()).then(|| named.into_iter().collect());
    Ok(AudienceRule { permission: audience.permission.clone(), location_id, named_users })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_leads_into_the_application_or_to_the_web() {
        for target in
            ["invoice/INV-2026-00001", "https://example.com/x?a=b:c", "http://example.com", "reports"]
        {
            assert!(checked_target(target).is_ok(), "{target}");
        }
        for target in ["javascript:alert(1)", "data:text/html,x", "//evil.example/", "JaVaScRiPt:1"] {
            assert!(checked_target(target).is_err(), "{target}");
        }
    }
}
