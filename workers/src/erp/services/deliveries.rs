//! Mails and messages of which nobody knows whether they are out.

use fairlane::{Error, Result, Tenant, Transaction};

use crate::erp::notifications::dispatch;
use crate::erp::store::deliveries::{self, Delivery, Status};
use crate::erp::store::invoices;

/// What a person has found out, or decided, about an uncertain mail or message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It has arrived.
    Sent,
    /// It has not, or may come twice: send it again.
    Resend,
}

/// Settles an uncertain delivery; any other is refused.
pub async fn resolve(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: i64,
    resolution: Resolution,
) -> Result<Delivery> {
    let tenant_id = tenant.id().await?;
    let missing = || Error::NotFound { what: "delivery", name: id.to_string() };
    let delivery = deliveries::lock(&mut tx.conn(), tenant_id, id).await?.ok_or_else(missing)?;
    let to = match resolution {
        Resolution::Sent => Status::Sent,
        Resolution::Resend => Status::Pending,
    };
    if !deliveries::resolve(&mut tx.conn(), tenant_id, id, to).await? {
        return Err(Error::Refused {
            what: format!("resolving delivery {id}"),
            why: format!("it is {}; only an uncertain one is anybody's to decide", delivery.status.as_str()),
        });
    }
    match resolution {
        Resolution::Resend => {
            dispatch(tx, tenant, &delivery.channel, id).await?;
        }
        Resolution::Sent => {
            if let (Some("invoice"), Some(invoice), "Invoice") =
                (delivery.subject_type.as_deref(), delivery.subject_id, delivery.kind.as_str())
            {
                invoices::mark_sent(&mut tx.conn(), tenant_id, invoice).await?;
            }
        }
    }
    deliveries::lock(&mut tx.conn(), tenant_id, id).await?.ok_or_else(missing)
}
