//! Webhooks: to a user's own endpoint, and to those of the tenant, which follow what its users are told.

use fairlane::{Result, Tenant, Transaction};
use futures::future::BoxFuture;

use super::{Channel, Followed, Plan, Recipient, UserCopy, dispatch};
use crate::erp::store::deliveries::{self, NewDelivery, Status};
use crate::erp::store::webhooks;

/// Webhooks; who adds an endpoint of their own has asked for them.
#[derive(Debug, Clone, Copy)]
pub struct Webhook;

impl Channel for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn on_by_default(&self) -> bool {
        false
    }

    fn is_quiet(&self) -> bool {
        true
    }

    fn plan(&self, to: &Recipient<'_>) -> Plan {
        match &to.reach.endpoint {
            None => Plan::Leave(Status::Skipped, "no_endpoint", "the user has no webhook endpoint".into()),
            Some(endpoint) => match &endpoint.disabled {
                Some(why) => {
                    let why = format!("endpoint {} is disabled: {why}", endpoint.id);
                    Plan::Leave(Status::Skipped, "endpoint_disabled", why)
                }
                None if !endpoint.takes => {
                    let why = format!("endpoint {} does not take this type", endpoint.id);
                    Plan::Leave(Status::Skipped, "endpoint_type", why)
                }
                None => Plan::Send(format!("endpoint {}", endpoint.id)),
            },
        }
    }

    fn deliver<'t>(
        &'t self,
        tx: &'t mut Transaction,
        tenant: &'t Tenant,
        copy: &'t UserCopy<'t>,
    ) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            if let Some(endpoint) = &copy.reach.endpoint {
                webhooks::address(&mut tx.conn(), copy.tenant_id, copy.delivery, endpoint.id).await?;
            }
            dispatch(tx, tenant, "webhook", copy.delivery).await
        })
    }

    fn tell_followers<'t>(
        &'t self,
        tx: &'t mut Transaction,
        tenant: &'t Tenant,
        told: &'t Followed<'t>,
    ) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let followers = webhooks::of_tenant(&mut tx.conn(), told.tenant_id).await?;
            let open = followers.iter().filter(|e| e.disabled_at.is_none() && e.takes(told.kind.name));
            for endpoint in open {
                follow(tx, tenant, told, endpoint.id).await?;
            }
            Ok(())
        })
    }
}

/// Writes the delivery of what is told to one of the tenant's endpoints, and puts it on its way.
pub(crate) async fn follow(
    tx: &mut Transaction,
    tenant: &Tenant,
    told: &Followed<'_>,
    endpoint: i64,
) -> Result<Option<i64>> {
    let (dedupe_key, recipient) =
        (format!("{}:webhook:{endpoint}", told.key), format!("endpoint {endpoint}"));
    let new = NewDelivery {
        dedupe_key: &dedupe_key,
        notification_key: told.key,
        channel: "webhook",
        kind: told.kind.name,
        subject: told.subject,
        user: None,
        recipient: Some(&recipient),
        status: Status::Pending,
        why: None,
        unsubscribe_token: None,
    };
    let Some(delivery) = deliveries::insert(&mut tx.conn(), told.tenant_id, &new).await? else {
        return Ok(None);
    };
    webhooks::address(&mut tx.conn(), told.tenant_id, delivery, endpoint).await?;
    dispatch(tx, tenant, "webhook", delivery).await?;
    Ok(Some(delivery))
}
