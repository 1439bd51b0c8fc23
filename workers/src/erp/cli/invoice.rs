//! `erp invoice list|show`.

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, ago};
use serde::Serialize;

use super::{Limit, reading};
use crate::erp::services::invoices;
use crate::erp::store;
use crate::erp::store::deliveries::Delivery;
use crate::erp::store::delivery_lists;
use crate::erp::store::invoices::{Invoice as Row, InvoiceLine};

#[derive(Debug, Subcommand)]
pub(super) enum Invoice {
    /// List the newest invoices
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show an invoice with its lines, and what became of its mail
    Show {
        /// The invoice's number: INV-2026-00001
        number: String,
    },
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] =
        &["NUMBER", "ORDER", "CUSTOMER", "TOTAL", "STATUS", "DUE", "SENT"];

    fn cells(&self) -> Vec<String> {
        let sent = self.sent_at.map_or("-".to_owned(), |at| ago(at, chrono::Utc::now()));
        vec![
            self.number.clone(),
            self.order_number.clone(),
            self.customer_name.clone(),
            format!("{} {}", self.total, self.currency),
            self.status.clone(),
            self.due_on.to_string(),
            sent,
        ]
    }

    fn id(&self) -> String {
        self.number.clone()
    }
}

/// An invoice with everything about it.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    invoice: Row,
    lines: Vec<InvoiceLine>,
    deliveries: Vec<Delivery>,
}

pub(super) async fn run(verb: &Invoice, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    match verb {
        Invoice::List { limit } => {
            let rows = store::invoices::list(conn, id, limit.and_one()).await?;
            let empty = "No invoices yet. They follow an order's approval: fairlane erp order approve NUMBER -t TENANT";
            env.output.page(&limit.page(rows), empty)?;
        }
        Invoice::Show { number } => {
            let invoice = invoices::named(conn, id, number).await?;
            let lines = store::invoices::lines(conn, id, &invoice).await?;
            let deliveries = delivery_lists::about(conn, id, "invoice", invoice.id).await?;
            let shown = Shown { invoice, lines, deliveries };
            env.output.result(&shown, Some(number), &text(&shown))?;
        }
    }
    Ok(())
}

fn text(shown: &Shown) -> Vec<String> {
    let Shown { invoice, lines, deliveries } = shown;
    let mut text = vec![
        format!("Invoice {} of {} for order {}", invoice.number, invoice.issued_on, invoice.order_number),
        format!("Customer  {}", invoice.customer_name),
        format!("Due       {} ({})", invoice.due_on, invoice.status),
    ];
    for line in lines {
        let (currency, tax) = (&invoice.currency, line.tax_rate);
        text.push(format!(
            "{:>4}. {}  {} x {} = {} {currency} + {} {currency} tax ({tax} %)",
            line.line_no, line.description, line.quantity, line.unit_price, line.net, line.tax
        ));
    }
    text.push(format!(
        "Net {}, tax {}, total {} {}",
        invoice.net, invoice.tax, invoice.total, invoice.currency
    ));
    // Those to users are many, and `notifications why` tells of them.
    for delivery in deliveries.iter().filter(|delivery| delivery.user_id.is_none()) {
        let to = delivery.recipient.as_deref().unwrap_or("nobody");
        let why = delivery.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        text.push(format!(
            "{} to {to}: {} after {} attempts{why}",
            delivery.channel,
            delivery.status.as_str(),
            delivery.attempts
        ));
    }
    text.iter().map(|line| fairlane::cli::printable(line)).collect()
}
