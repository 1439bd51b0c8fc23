//! Who sees invoices is reminded of those that should have been paid.

use fairlane::{Context, JobResult, Listener};
use serde_json::json;

use crate::erp::Erp;
use crate::erp::events::InvoiceOverdue;
use crate::erp::notifications::{Action, Audience, BILLING_VIEW, ReminderNotification, notify_audience};

/// Reminds those who see invoices of one that is overdue, once for each stage.
#[derive(Debug)]
pub struct SendOverdueReminder;

impl Listener<InvoiceOverdue> for SendOverdueReminder {
    const KIND: &'static str = "erp.send_overdue_reminder";
    type State = Erp;

    async fn handle(event: InvoiceOverdue, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        let finance = Audience::holders(BILLING_VIEW).about("invoice", event.invoice_id);
        let key = format!("overdue:{}:{}", event.invoice_id, event.stage);
        notify_audience(&mut tx, &ctx.tenant(), &finance, &reminder(&event), &key).await?;
        ctx.complete_in(tx).await
    }
}

fn reminder(event: &InvoiceOverdue) -> ReminderNotification {
    let days =
        if event.days_overdue == 1 { "a day".to_owned() } else { format!("{} days", event.days_overdue) };
    ReminderNotification {
        title: format!("Invoice {} is overdue", event.number),
        message: format!(
            "{} should have paid {} {} until {}, {days} ago",
            event.customer_name, event.outstanding, event.currency, event.due_on
        ),
        due_at: None,
        context: json!({
            "invoice_id": event.invoice_id, "invoice_number": event.number, "customer_id": event.customer_id,
            "customer_name": event.customer_name, "outstanding": event.outstanding, "currency": event.currency,
            "due_on": event.due_on, "days_overdue": event.days_overdue, "stage": event.stage,
        }),
        action: Some(Action::new("View invoice", format!("invoice/{}", event.number))),
    }
}
