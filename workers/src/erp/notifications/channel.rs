//! The ways to reach a user.

use fairlane::{Result, Tenant, Transaction};
use futures::future::BoxFuture;
use serde_json::Value;

use super::{Class, Kind};
use crate::erp::jobs::SendMail;
use crate::erp::mail::check_address;
use crate::erp::store::deliveries::Status;
use crate::erp::store::notifications;
use crate::erp::store::people::User;
use crate::erp::store::preferences::Suppression;

/// A user who is to be told something, with what channels need to know.
#[derive(Debug)]
pub struct Recipient<'a> {
    /// The user.
    pub user: &'a User,
    /// Why the user's mail address takes no mail, where it does not.
    pub suppressed: Option<&'a Suppression>,
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
}

/// A way to reach a user.
pub trait Channel: Sync {
    /// Its name in the database and in preferences.
    fn name(&self) -> &'static str;

    /// Whether a user who has said nothing is reached by it.
    fn on_by_default(&self) -> bool;

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
}

/// All channels.
pub fn channels() -> [&'static dyn Channel; 2] {
    [&InApp, &Mail]
}

/// The application itself: a row that the user reads there.
#[derive(Debug, Clone, Copy)]
pub struct InApp;

impl Channel for InApp {
    fn name(&self) -> &'static str {
        "in_app"
    }

    fn on_by_default(&self) -> bool {
        true
    }

    fn plan(&self, _: &Recipient<'_>) -> Plan {
        Plan::Deliver
    }

    fn deliver<'t>(
        &'t self,
        tx: &'t mut Transaction,
        _: &'t Tenant,
        copy: &'t UserCopy<'t>,
    ) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let conn = &mut tx.conn();
            notifications::insert(conn, copy.tenant_id, copy.user, copy.kind.name, copy.data, copy.dedupe_key)
                .await
        })
    }
}

/// Mail, sent by a job of its own.
#[derive(Debug, Clone, Copy)]
pub struct Mail;

impl Channel for Mail {
    fn name(&self) -> &'static str {
        "mail"
    }

    /// A mail for everything would be read by nobody.
    fn on_by_default(&self) -> bool {
        false
    }

    fn can_be_stopped(&self, kind: Kind) -> bool {
        kind.class == Class::Bulk
    }

    fn plan(&self, to: &Recipient<'_>) -> Plan {
        let none = |why: String| Plan::Leave(Status::Skipped, "no_address", why);
        let Some(address) = to.user.email.as_deref().filter(|email| !email.trim().is_empty()) else {
            return none("the user has no mail address".into());
        };
        if let Err(why) = check_address(address) {
            return none(why);
        }
        match to.suppressed {
            Some(refusal) => Plan::Leave(Status::Suppressed, "mail_suppressed", refusal.words()),
            None => Plan::Send(address.trim().to_owned()),
        }
    }

    fn deliver<'t>(
        &'t self,
        tx: &'t mut Transaction,
        tenant: &'t Tenant,
        copy: &'t UserCopy<'t>,
    ) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            tenant.dispatch(SendMail { delivery_id: copy.delivery }).in_tx(tx).await?;
            Ok(())
        })
    }
}

impl Suppression {
    /// Why nothing is sent to the address.
    pub fn words(&self) -> String {
        format!("{} takes no mail since {}: {}", self.address, self.created_at.date_naive(), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(email: Option<&str>) -> User {
        User { id: 1, name: "Ana".into(), email: email.map(Into::into), active: true }
    }

    #[test]
    fn mail_reaches_addresses_that_are_some_and_take_mail() {
        let refusal = Suppression {
            address: "ana@example.com".into(),
            reason: "550 no such user".into(),
            delivery_id: None,
            created_at: chrono::DateTime::UNIX_EPOCH,
        };
        let plan = |user: &User, suppressed| Mail.plan(&Recipient { user, suppressed });
        let ana = user(Some(" ana@example.com "));
        assert_eq!(plan(&ana, None), Plan::Send("ana@example.com".into()));
        for nobody in [user(None), user(Some(" ")), user(Some("ana(at)example.com"))] {
            assert!(matches!(plan(&nobody, None), Plan::Leave(Status::Skipped, "no_address", _)));
        }
        let Plan::Leave(Status::Suppressed, code, why) = plan(&ana, Some(&refusal)) else { panic!("sent") };
        assert_eq!((code, why.contains("550 no such user")), ("mail_suppressed", true));
    }

    #[test]
    fn the_application_tells_everybody_who_has_not_said_otherwise_and_mail_those_who_asked() {
        let defaults: Vec<_> = channels().iter().map(|c| (c.name(), c.on_by_default())).collect();
        assert_eq!(defaults, [("in_app", true), ("mail", false)]);
    }
}
