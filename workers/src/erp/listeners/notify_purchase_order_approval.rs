//! Who asked for a purchase, and purchasing, are told that it was approved; the vendor too, where that is wanted.

use fairlane::{Context, JobResult, Listener, Result, Transaction};
use serde_json::json;

use crate::erp::Erp;
use crate::erp::events::PurchaseOrderApproved;
use crate::erp::jobs::send_mail::PURCHASE_ORDER;
use crate::erp::notifications::{
    Audience, Letter, PROCUREMENT, PurchaseOrderApprovedNotification, notify_audience, post,
};
use crate::erp::store::profiles;

/// Tells requester and purchasing of an approval, and mails the vendor where `mail.purchase_orders` says so; one commit.
#[derive(Debug)]
pub struct NotifyPurchaseOrderApproval;

impl Listener<PurchaseOrderApproved> for NotifyPurchaseOrderApproval {
    const KIND: &'static str = "erp.notify_purchase_order_approval";
    type State = Erp;

    async fn handle(event: PurchaseOrderApproved, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        let audience = Audience::holders(PROCUREMENT)
            .and(event.requested_by)
            .about("purchase_order", event.purchase_order_id);
        // Approved again after a change is another approval: its version tells them apart.
        let key = format!("po:{}:{}", event.purchase_order_id, event.version);
        if ctx.state.mail_purchase_orders && event.vendor_email.is_some() {
            mail_vendor(&mut tx, &ctx, &event, &key).await?;
        }
        let notification = PurchaseOrderApprovedNotification {
            purchase_order_id: event.purchase_order_id,
            number: event.number,
            vendor_name: event.vendor_name,
            amount: event.total,
            currency: event.currency,
        };
        notify_audience(&mut tx, &ctx.tenant(), &audience, &notification, &key).await?;
        ctx.complete_in(tx).await
    }
}

async fn mail_vendor(
    tx: &mut Transaction,
    ctx: &Context<Erp>,
    event: &PurchaseOrderApproved,
    key: &str,
) -> Result<()> {
    let approved_on = profiles::find(&mut tx.conn(), ctx.job().tenant_id).await?.day(event.approved_at);
    let letter = Letter {
        key: &format!("{key}:vendor"),
        dedupe_key: &format!("{key}:vendor:mail"),
        kind: PURCHASE_ORDER,
        data: json!({
            "number": event.number, "vendor_name": event.vendor_name, "vendor_email": event.vendor_email,
            "total": event.total, "currency": event.currency, "approved_on": approved_on,
            "expected_on": event.expected_on,
        }),
        subject: ("purchase_order", event.purchase_order_id),
        recipient: event.vendor_email.as_deref(),
    };
    post(tx, &ctx.tenant(), &letter).await
}
