//! Looks for invoices that should have been paid.

use chrono::{Days, NaiveDate};
use fairlane::{Context, Job, JobResult, Policy, Transaction};
use serde::{Deserialize, Serialize};

use crate::erp::Erp;
use crate::erp::events::InvoiceOverdue;
use crate::erp::store::reminders::{self, Overdue};
use crate::erp::store::{now, profiles};

/// Days after the last day to pay on which an invoice is noticed, the latest first.
pub const STAGES: [i64; 3] = [30, 7, 1];

/// Invoices of one transaction.
const PAGE: i64 = 200;

/// Tells of every open invoice that has reached 1, 7 or 30 days after its last day to pay, once for each stage.
///
/// Days are the tenant's. An invoice that reaches several stages at once, because nobody looked for a while, is told of
/// with the latest alone. What was told is kept beside the event in one transaction: running twice changes nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ScanOverdueInvoices {}

impl Job for ScanOverdueInvoices {
    const KIND: &'static str = "erp.scan_overdue_invoices";
    const POLICY: Policy = Policy::LOW;
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let tenant = ctx.job().tenant_id;
        let mut tx = ctx.begin().await?;
        let today = profiles::find(&mut tx.conn(), tenant).await?.day(now(&mut tx.conn()).await?);
        for stage in STAGES {
            while notice(&ctx, &mut tx, today, stage).await? {
                tx.commit().await?;
                tx = ctx.begin().await?;
            }
        }
        ctx.complete_in(tx).await
    }
}

/// Notices a page of invoices; returns whether there may be more.
async fn notice(
    ctx: &Context<Erp>,
    tx: &mut Transaction,
    today: NaiveDate,
    stage: i64,
) -> fairlane::Result<bool> {
    let tenant = ctx.job().tenant_id;
    let Some(day) = today.checked_sub_days(Days::new(stage.unsigned_abs())) else { return Ok(false) };
    let page = reminders::overdue(&mut tx.conn(), tenant, day, stage, PAGE).await?;
    let more = page.len() as i64 == PAGE;
    let mut events = Vec::with_capacity(page.len());
    for invoice in page {
        if reminders::note(&mut tx.conn(), tenant, invoice.invoice_id, stage).await? {
            events.push(event(invoice, today, stage));
        }
    }
    ctx.tenant().publish_all(events).in_tx(tx).await?;
    Ok(more)
}

fn event(invoice: Overdue, today: NaiveDate, stage: i64) -> InvoiceOverdue {
    InvoiceOverdue {
        invoice_id: invoice.invoice_id,
        number: invoice.number,
        customer_id: invoice.customer_id,
        customer_name: invoice.customer_name,
        outstanding: invoice.outstanding,
        currency: invoice.currency,
        due_on: invoice.due_on,
        days_overdue: (today - invoice.due_on).num_days(),
        stage,
    }
}
