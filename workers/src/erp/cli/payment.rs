//! `erp payment receive|list`.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, ago};
use rust_decimal::Decimal;
use serde_json::json;

use super::{Limit, reading, user_of};
use crate::erp::services::invoices;
use crate::erp::services::payments::{self, NewPayment, Received};
use crate::erp::store;
use crate::erp::store::payments::Payment as Row;

#[derive(Debug, Subcommand)]
pub(super) enum Payment {
    /// Book money that came in for an invoice; the same reference again is the same payment
    Receive {
        /// The invoice's number: INV-2026-00001
        invoice: String,
        /// What came in, in the invoice's currency; a refund is negative
        #[arg(allow_negative_numbers = true)]
        amount: Decimal,
        /// The bank's or the provider's reference
        #[arg(long)]
        reference: String,
        /// How it was paid: transfer, card, cash ...
        #[arg(long, default_value = "transfer")]
        method: String,
        /// When it came in, if not now: 2026-03-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        at: Option<DateTime<Utc>>,
        /// The address of the user who books it
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// List the newest payments
    List {
        /// Of this invoice
        #[arg(long, value_name = "NUMBER")]
        invoice: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] =
        &["REFERENCE", "INVOICE", "CUSTOMER", "AMOUNT", "METHOD", "RECEIVED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.reference.clone(),
            self.invoice_number.clone(),
            self.customer_name.clone(),
            format!("{} {}", self.amount, self.currency),
            self.method.clone(),
            ago(self.received_at, Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.reference.clone()
    }
}

pub(super) async fn run(verb: &Payment, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    match verb {
        Payment::Receive { invoice, amount, reference, method, at, user } => {
            let mut tx = tenant.begin().await?;
            let new = NewPayment {
                invoice: invoice.clone(),
                reference: reference.clone(),
                method: method.clone(),
                amount: *amount,
                received_at: *at,
                user: user_of(&mut tx, id, user.as_deref()).await?,
            };
            let received = payments::receive(&mut tx, tenant, new).await?;
            tx.commit().await?;
            show(&received, env)
        }
        Payment::List { invoice, limit } => {
            let mut tx = reading(tenant).await?;
            let conn = &mut tx.conn();
            let invoice = match invoice {
                Some(number) => Some(invoices::named(conn, id, number).await?.id),
                None => None,
            };
            let rows = store::payments::list(conn, id, invoice, limit.and_one()).await?;
            let empty = "No payments yet. Book one: fairlane erp payment receive INVOICE AMOUNT --reference TEXT -t TENANT";
            Ok(env.output.page(&limit.page(rows), empty)?)
        }
    }
}

fn show(received: &Received, env: &CommandEnv) -> anyhow::Result<()> {
    let Received { payment, invoice, before } = received;
    let (amount, currency) = (payment.amount, &payment.currency);
    let booked = if *before { "was booked before; nothing changed" } else { "booked" };
    let what = if amount.is_sign_negative() { "Refund" } else { "Payment" };
    let line = format!(
        "{what} {} of {amount} {currency} {booked}. Invoice {}: {} of {} {currency} paid, {} open.",
        payment.reference,
        invoice.number,
        invoice.paid,
        invoice.total,
        invoice.outstanding()
    );
    let result = json!({
        "payment": payment, "before": before, "invoice": invoice.number, "status": invoice.status,
        "outstanding": invoice.outstanding(),
    });
    Ok(env.output.result(&result, Some(&payment.reference), &[fairlane::cli::printable(&line)])?)
}
