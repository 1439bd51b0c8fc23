//! Push messages to the devices of a user.

use fairlane::{Result, Tenant, Transaction};
use futures::future::BoxFuture;

use super::{Channel, Plan, Recipient, UserCopy, dispatch};
use crate::erp::store::deliveries::Status;

/// Push messages; who adds a device has asked for them.
#[derive(Debug, Clone, Copy)]
pub struct Push;

impl Channel for Push {
    fn name(&self) -> &'static str {
        "push"
    }

    fn on_by_default(&self) -> bool {
        false
    }

    fn is_quiet(&self) -> bool {
        true
    }

    fn plan(&self, to: &Recipient<'_>) -> Plan {
        match to.reach.devices {
            0 => Plan::Leave(
                Status::Skipped,
                "no_device",
                "the user has no device that takes push messages".into(),
            ),
            1 => Plan::Send("1 device".into()),
            many => Plan::Send(format!("{many} devices")),
        }
    }

    fn deliver<'t>(
        &'t self,
        tx: &'t mut Transaction,
        tenant: &'t Tenant,
        copy: &'t UserCopy<'t>,
    ) -> BoxFuture<'t, Result<()>> {
        Box::pin(dispatch(tx, tenant, "push", copy.delivery))
    }
}
