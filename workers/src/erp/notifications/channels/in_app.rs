//! The application itself.

use fairlane::{Result, Tenant, Transaction};
use futures::future::BoxFuture;

use super::{Channel, Plan, Recipient, UserCopy};
use crate::erp::store::notifications;

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
