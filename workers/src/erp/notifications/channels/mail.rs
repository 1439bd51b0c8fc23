//! Mail.

use fairlane::{Result, Tenant, Transaction};
use futures::future::BoxFuture;

use super::super::{Class, Kind};
use super::{Channel, Plan, Recipient, UserCopy, dispatch};
use crate::erp::mail::check_address;
use crate::erp::store::deliveries::Status;
use crate::erp::store::preferences::Suppression;

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
        Box::pin(dispatch(tx, tenant, "mail", copy.delivery))
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
    use super::super::Reach;
    use super::*;
    use crate::erp::store::people::User;

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
        let reach = Reach::default();
        let plan = |user: &User, suppressed| Mail.plan(&Recipient { user, suppressed, reach: &reach });
        let ana = user(Some(" ana@example.com "));
        assert_eq!(plan(&ana, None), Plan::Send("ana@example.com".into()));
        for nobody in [user(None), user(Some(" ")), user(Some("ana(at)example.com"))] {
            assert!(matches!(plan(&nobody, None), Plan::Leave(Status::Skipped, "no_address", _)));
        }
        let Plan::Leave(Status::Suppressed, code, why) = plan(&ana, Some(&refusal)) else { panic!("sent") };
        assert_eq!((code, why.contains("550 no such user")), ("mail_suppressed", true));
    }
}
