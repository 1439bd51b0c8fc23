//! An invoice goes to its customer by mail, and finance is told.

use fairlane::{Context, JobResult, Listener};
use serde_json::Value;

use crate::erp::Erp;
use crate::erp::events::InvoiceGenerated;
use crate::erp::jobs::send_mail::INVOICE;
use crate::erp::notifications::{
    Audience, BILLING_VIEW, InvoiceGeneratedNotification, Letter, notify_audience, post,
};
use crate::erp::store::customers;

/// Puts the mail with an invoice on its way, and tells finance; one commit. The mail is sent by a job of its own.
#[derive(Debug)]
pub struct SendInvoiceToCustomer;

impl Listener<InvoiceGenerated> for SendInvoiceToCustomer {
    const KIND: &'static str = "erp.send_invoice_to_customer";
    type State = Erp;

    async fn handle(event: InvoiceGenerated, ctx: Context<Erp>) -> JobResult {
        let (tenant, id) = (ctx.tenant(), ctx.job().tenant_id);
        let mut tx = ctx.begin().await?;
        let customer = customers::by_id(&mut tx.conn(), id, event.customer_id).await?;
        let key = format!("inv:{}", event.invoice_id);
        let letter = Letter {
            key: &key,
            dedupe_key: &format!("{key}:mail"),
            kind: INVOICE,
            // An issued invoice does not change: the mail is written from it when it is sent.
            data: Value::Null,
            subject: ("invoice", event.invoice_id),
            recipient: customer.email.as_deref(),
        };
        post(&mut tx, &tenant, &letter).await?;
        let finance = Audience::holders(BILLING_VIEW).about("invoice", event.invoice_id);
        let notification = InvoiceGeneratedNotification::from(&event);
        notify_audience(&mut tx, &tenant, &finance, &notification, &format!("{key}:generated")).await?;
        ctx.complete_in(tx).await
    }
}
