//! The ways to reach a user.

mod in_app;
mod mail;
mod push;
mod reach;
mod sms;
mod webhook;

use fairlane::{Result, Tenant, Transaction};
use futures::future::BoxFuture;
use serde_json::Value;

use super::{Kind, Severity};
use crate::erp::jobs::{SendMail, SendMessage};
use crate::erp::store::deliveries::Status;
use crate::erp::store::people::User;
use crate::erp::store::preferences::Suppression;
pub use in_app::InApp;
pub use mail::Mail;
pub use push::Push;
pub use reach::{Asked, OwnEndpoint, Reach, Reached, sms_from};
pub use sms::Sms;
pub use webhook::Webhook;
pub(crate) use webhook::follow;

/// A user who is to be told something, with what channels need to know.
#[derive(Debug)]
pub struct Recipient<'a> {
    /// The user.
    pub user: &'a User,
    /// Why the user's mail address takes no mail, where it does not.
    pub suppressed: Option<&'a Suppression>,
    /// How the user is reached besides the application and mail.
    pub reach: &'a Reach,
}

/// What a channel makes of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// The user has it with the commit of this transaction.
    Deliver,
    /// It is sent to this address later.
    Send(String),
    /// It is not sent: how that is told, its stable word, and why.
    Leave(Status, &'static str, String),
}

/// One user's copy on one channel.
#[derive(Debug)]
pub struct UserCopy<'a> {
    /// The tenant's number.
    pub tenant_id: i64,
    /// The delivery's number.
    pub delivery: i64,
    /// The user's number.
    pub user: i64,
    /// The kind of notification.
    pub kind: Kind,
    /// What is told.
    pub data: &'a Value,
    /// The delivery's key.
    pub dedupe_key: &'a str,
    /// How the user is reached.
    pub reach: &'a Reach,
}

/// What is told, for those who follow everything of a tenant.
#[derive(Debug, Clone, Copy)]
pub struct Followed<'a> {
    /// The tenant's number.
    pub tenant_id: i64,
    /// The same for all who are told the same.
    pub key: &'a str,
    /// The kind of notification.
    pub kind: Kind,
    /// What it is about.
    pub subject: Option<(&'a str, i64)>,
}

/// A way to reach a user.
pub trait Channel: Sync {
    /// Its name in the database and in preferences.
    fn name(&self) -> &'static str;

    /// Whether a user who has said nothing is reached by it.
    fn on_by_default(&self) -> bool;

    /// Whether nothing is written about users who have not asked for it: most never do.
    fn is_quiet(&self) -> bool {
        false
    }

    /// Whether its copies of this kind carry a token by which their readers can stop them.
    fn can_be_stopped(&self, kind: Kind) -> bool {
        let _ = kind;
        false
    }

    /// What it makes of a recipient who wants it; nothing is written yet.
    fn plan(&self, to: &Recipient<'_>) -> Plan;

    /// Puts one copy on its way, as part of the transaction that tells it.
    fn deliver<'t>(
        &'t self,
        tx: &'t mut Transaction,
        tenant: &'t Tenant,
        copy: &'t UserCopy<'t>,
    ) -> BoxFuture<'t, Result<()>>;

    /// Tells those who are no users and follow what the tenant's users are told; the same key again tells them nothing.
    fn tell_followers<'t>(
        &'t self,
        tx: &'t mut Transaction,
        tenant: &'t Tenant,
        told: &'t Followed<'t>,
    ) -> BoxFuture<'t, Result<()>> {
        let _ = (tx, tenant, told);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// All channels.
pub fn channels() -> [&'static dyn Channel; 5] {
    [&InApp, &Mail, &Sms, &Push, &Webhook]
}

/// Puts a delivery on its way that is written already: by the job that its channel has.
pub(crate) async fn dispatch(
    tx: &mut Transaction,
    tenant: &Tenant,
    channel: &str,
    delivery_id: i64,
) -> Result<()> {
    match channel {
        "mail" => tenant.dispatch(SendMail { delivery_id }).in_tx(tx).await?,
        _ => tenant.dispatch(SendMessage { delivery_id }).in_tx(tx).await?,
    };
    Ok(())
}

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Info, Self::Success, Self::Warning, Self::Critical];

    /// The severity with this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == word)
    }

    /// Whether it matters at least as much as another.
    pub fn is_at_least(self, other: Self) -> bool {
        let rank = |severity| Self::ALL.iter().position(|known| *known == severity);
        rank(self) >= rank(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_tells_everybody_who_has_not_said_otherwise_and_the_others_those_who_asked() {
        let defaults: Vec<_> = channels().iter().map(|c| (c.name(), c.on_by_default())).collect();
        let expected =
            [("in_app", true), ("mail", false), ("sms", false), ("push", false), ("webhook", false)];
        assert_eq!(defaults, expected);
    }

    #[test]
    fn severities_have_an_order() {
        assert!(Severity::Critical.is_at_least(Severity::Warning));
        assert!(Severity::Warning.is_at_least(Severity::Warning));
        assert!(!Severity::Success.is_at_least(Severity::Warning));
        assert_eq!(Severity::named("critical"), Some(Severity::Critical));
    }
}
