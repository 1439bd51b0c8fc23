//! An approved order becomes an invoice.

use fairlane::{Context, Error, JobError, JobResult, Listener, Policy};

use crate::erp::Erp;
use crate::erp::events::{InvoiceGenerated, OrderApproved};
use crate::erp::services::invoices::{self, Billing};
use crate::erp::store::invoices::Invoice;

/// Bills an approved order; invoice, follow-up event and completion are one commit.
///
/// An order that was cancelled meanwhile is not billed: the job ends as cancelled and its history says why. An order
/// that has its invoice already (another event for the same approval) stays as it is.
#[derive(Debug)]
pub struct GenerateInvoiceFromOrder;

impl Listener<OrderApproved> for GenerateInvoiceFromOrder {
    const KIND: &'static str = "erp.generate_invoice_from_order";
    const POLICY: Policy = Policy::HIGH;
    type State = Erp;

    async fn handle(event: OrderApproved, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        match invoices::bill_order(&mut tx.conn(), ctx.job().tenant_id, event.order_id).await {
            Ok(Billing::Billed(invoice)) => {
                ctx.publish(InvoiceGenerated::from(*invoice)).in_tx(&mut tx).await?;
            }
            Ok(Billing::BilledBefore(_)) => {}
            Ok(Billing::Cancelled { number }) => {
                tx.rollback().await?;
                let reason = format!("no invoice: order {number} was cancelled before it was billed");
                return Err(JobError::cancel(reason).code("order_cancelled"));
            }
            // Neither a missing order nor one that cannot be billed heals by itself.
            Err(error @ (Error::NotFound { .. } | Error::Refused { .. } | Error::Invalid { .. })) => {
                tx.rollback().await?;
                return Err(JobError::discard(&error).code("order_not_billable"));
            }
            Err(error) => return Err(error.into()),
        }
        ctx.complete_in(tx).await
    }
}

impl From<Invoice> for InvoiceGenerated {
    fn from(invoice: Invoice) -> Self {
        Self {
            invoice_id: invoice.id,
            number: invoice.number,
            order_id: invoice.order_id,
            order_number: invoice.order_number,
            customer_id: invoice.customer_id,
            customer_name: invoice.customer_name,
            currency: invoice.currency,
            net: invoice.net,
            tax: invoice.tax,
            total: invoice.total,
            issued_on: invoice.issued_on,
            due_on: invoice.due_on,
        }
    }
}
