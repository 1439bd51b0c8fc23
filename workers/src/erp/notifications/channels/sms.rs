//! Text messages to phones.

use fairlane::{Result, Tenant, Transaction};
use futures::future::BoxFuture;

use super::{Channel, Plan, Recipient, UserCopy, dispatch};
use crate::erp::store::deliveries::Status;

/// Text messages, for what matters enough: each costs money, and rings.
#[derive(Debug, Clone, Copy)]
pub struct Sms;

impl Channel for Sms {
    fn name(&self) -> &'static str {
        "sms"
    }

    fn on_by_default(&self) -> bool {
        false
    }

    fn is_quiet(&self) -> bool {
        true
    }

    fn plan(&self, to: &Recipient<'_>) -> Plan {
        let reach = to.reach;
        if !reach.severity.is_at_least(reach.sms_from) {
            let (is, from) = (reach.severity.as_str(), reach.sms_from.as_str());
            let why = format!("it is {is}, and text messages are sent from {from} on");
            return Plan::Leave(Status::Skipped, "below_threshold", why);
        }
        match (&reach.phone, &reach.phone_refusal) {
            (None, _) => Plan::Leave(Status::Skipped, "no_phone", "the user has no phone number".into()),
            (_, Some(why)) => Plan::Leave(Status::Suppressed, "sms_suppressed", why.clone()),
            (Some(phone), None) => Plan::Send(phone.clone()),
        }
    }

    fn deliver<'t>(
        &'t self,
        tx: &'t mut Transaction,
        tenant: &'t Tenant,
        copy: &'t UserCopy<'t>,
    ) -> BoxFuture<'t, Result<()>> {
        Box::pin(dispatch(tx, tenant, "sms", copy.delivery))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Reach, Severity};
    use super::*;
    use crate::erp::store::people::User;

    #[test]
    fn a_message_is_sent_for_what_matters_enough_to_a_number_that_takes_it() {
        let user = User { id: 1, name: "Ana".into(), email: None, active: true };
        let code = |reach: &Reach| match Sms.plan(&Recipient { user: &user, suppressed: None, reach }) {
            Plan::Leave(_, code, _) => code.to_owned(),
            Plan::Send(to) => to,
            Plan::Deliver => "delivered".into(),
        };
        let phone = Some("+4915112345678".to_owned());
        let critical = Reach { severity: Severity::Critical, ..Reach::default() };
        assert_eq!(code(&critical), "no_phone");
        assert_eq!(code(&Reach { phone: phone.clone(), ..critical.clone() }), "+4915112345678");
        let warning = Reach { phone: phone.clone(), severity: Severity::Warning, ..Reach::default() };
        assert_eq!(code(&warning), "below_threshold");
        assert_eq!(code(&Reach { sms_from: Severity::Warning, ..warning }), "+4915112345678");
        let stopped = Reach { phone, phone_refusal: Some("STOP".into()), ..critical };
        assert_eq!(code(&stopped), "sms_suppressed");
    }
}
