//! A customer who has paid gets a receipt, and finance is told.

use fairlane::{Context, JobResult, Listener, Policy};
use rust_decimal::Decimal;
use serde_json::json;

use crate::erp::Erp;
use crate::erp::events::InvoicePaymentReceived;
use crate::erp::jobs::send_mail::PAYMENT_RECEIPT;
use crate::erp::notifications::{
    Audience, BILLING_VIEW, Letter, PaymentReceivedNotification, notify_audience, post,
};
use crate::erp::store::{customers, profiles};

/// Puts the receipt of a payment on its way, and tells finance; one commit.
#[derive(Debug)]
pub struct SendPaymentConfirmation;

impl Listener<InvoicePaymentReceived> for SendPaymentConfirmation {
    const KIND: &'static str = "erp.send_payment_confirmation";
    const POLICY: Policy = Policy::HIGH;
    type State = Erp;

    async fn handle(event: InvoicePaymentReceived, ctx: Context<Erp>) -> JobResult {
        let (tenant, id) = (ctx.tenant(), ctx.job().tenant_id);
        let mut tx = ctx.begin().await?;
        let customer = customers::by_id(&mut tx.conn(), id, event.customer_id).await?;
        let received_on = profiles::find(&mut tx.conn(), id).await?.day(event.received_at);
        let key = format!("pay:{}", event.payment_id);
        let letter = Letter {
            key: &format!("{key}:customer"),
            dedupe_key: &format!("{key}:customer:mail"),
            kind: PAYMENT_RECEIPT,
            data: json!({
                "customer_id": event.customer_id, "customer_name": event.customer_name,
                "amount": event.amount.abs(), "currency": event.currency, "method": event.method,
                "reference": event.reference, "received_on": received_on,
                "invoice_number": event.invoice_number, "outstanding": event.outstanding,
                "is_settled": event.outstanding <= Decimal::ZERO,
                "is_refund": event.amount.is_sign_negative(),
            }),
            subject: ("invoice", event.invoice_id),
            recipient: customer.email.as_deref(),
        };
        post(&mut tx, &tenant, &letter).await?;
        let finance = Audience::holders(BILLING_VIEW).about("payment", event.payment_id);
        notify_audience(&mut tx, &tenant, &finance, &told(event), &key).await?;
        ctx.complete_in(tx).await
    }
}

fn told(event: InvoicePaymentReceived) -> PaymentReceivedNotification {
    PaymentReceivedNotification {
        payment_id: event.payment_id,
        reference: event.reference,
        amount: event.amount,
        currency: event.currency,
        method: event.method,
        invoice_number: event.invoice_number,
        customer_name: event.customer_name,
    }
}
