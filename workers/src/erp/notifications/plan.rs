//! What happens to a user's copy on a channel.

use fairlane::Result;
use fairlane::db::Conn;

use super::channels::{Channel, Plan, Recipient, channels};
use crate::erp::store::deliveries::Status;
use crate::erp::store::preferences::{self, ANY_TYPE, Preference};

/// The word for what nobody has asked for.
pub(crate) const NOT_ASKED_FOR: &str = "preference_default";

/// What happens to one user's copy on one channel: the user's choice first, then what the channel makes of it.
pub(crate) fn plan(channel: &dyn Channel, kind: &str, choices: &[Preference], to: &Recipient<'_>) -> Plan {
    plan_reaching(channel, kind, choices, to, channel.on_by_default())
}

/// The same, where somebody says whether users are reached who have made no choice.
pub(crate) fn plan_reaching(
    channel: &dyn Channel,
    kind: &str,
    choices: &[Preference],
    to: &Recipient<'_>,
    by_default: bool,
) -> Plan {
    match preferences::choice(choices, kind, channel.name()) {
        Some(choice) if !choice.enabled => {
            let what = if choice.kind == ANY_TYPE { "notifications" } else { choice.kind.as_str() };
            let why = format!("the user does not want {what} by {}", channel.name());
            Plan::Leave(Status::Skipped, "preference_off", why)
        }
        None if !by_default => {
            let why = format!("nobody is told by {} who has not asked for it", channel.name());
            Plan::Leave(Status::Skipped, NOT_ASKED_FOR, why)
        }
        _ => channel.plan(to),
    }
}

/// The channels by which a user is told this kind of notification.
pub async fn via(conn: &mut Conn<'_>, tenant: i64, user: i64, kind: &str) -> Result<Vec<&'static str>> {
    let choices = preferences::of_user(conn, tenant, user).await?;
    let wanted = |channel: &&'static dyn Channel| {
        let choice = preferences::choice(&choices, kind, channel.name());
        choice.map_or(channel.on_by_default(), |choice| choice.enabled)
    };
    Ok(channels().into_iter().filter(wanted).map(|channel| channel.name()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{InApp, Mail, Reach};
    use super::*;
    use crate::erp::store::people::User;

    fn choice(kind: &str, channel: &str, enabled: bool) -> Preference {
        Preference { kind: kind.into(), channel: channel.into(), enabled }
    }

    #[test]
    fn a_users_choice_goes_before_the_default_and_says_so() {
        let user = User { id: 1, name: "Ana".into(), email: Some("ana@example.com".into()), active: true };
        let reach = Reach::default();
        let to = Recipient { user: &user, suppressed: None, reach: &reach };
        let code = |channel: &dyn Channel, choices: &[Preference]| match plan(channel, "Alert", choices, &to)
        {
            Plan::Leave(_, code, _) => code,
            _ => "told",
        };
        assert_eq!((code(&InApp, &[]), code(&Mail, &[])), ("told", "preference_default"));
        assert_eq!(code(&Mail, &[choice("*", "mail", true)]), "told");
        assert_eq!(
            code(&Mail, &[choice("*", "mail", true), choice("Alert", "mail", false)]),
            "preference_off"
        );
        assert_eq!(code(&InApp, &[choice("*", "in_app", false)]), "preference_off");
    }
}
