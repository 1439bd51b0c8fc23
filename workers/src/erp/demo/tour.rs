//! The parts of the tour after the orders: what a customer is worth.

use std::time::Instant;

use fairlane::Result;
use rust_decimal::Decimal;

use super::done;
use super::story::Story;
use crate::erp::services::payments::{self, NewPayment};
use crate::erp::store::{customers, invoices, profiles, statistics};

/// The customer that pays something.
const PAYS: (&str, &str) = ("NORTHSHORE", "Northshore Cafés");

impl Story {
    /// The customer pays a part of its invoice; the same reference again is the same payment, so repeating the demo books
    /// nothing. None where nothing is billed yet.
    pub(super) async fn receive_payment(&self) -> anyhow::Result<Option<String>> {
        let Some(invoice) = self.invoice_of(PAYS.1).await? else { return Ok(None) };
        let payment = NewPayment {
            invoice: invoice.number,
            reference: "DEMO-TRANSFER-1".into(),
            method: "transfer".into(),
            amount: Decimal::from(100),
            received_at: None,
            user: None,
        };
        let mut tx = self.tenant.begin().await?;
        let received = payments::receive(&mut tx, &self.tenant, payment).await?;
        tx.commit().await?;
        Ok(Some(received.invoice.number))
    }

    async fn invoice_of(&self, customer: &str) -> anyhow::Result<Option<invoices::Invoice>> {
        let mut tx = self.reading().await?;
        let all = invoices::list(&mut tx.conn(), self.tenant.id().await?, 1000).await?;
        Ok(all.into_iter().rev().find(|invoice| invoice.customer_name == customer))
    }

    /// What the queue has made of order, invoice and payment.
    pub(super) async fn statistics_line(
        &self,
        paid: Option<String>,
        since: Instant,
    ) -> anyhow::Result<String> {
        let figures = self.figures().await?;
        Ok(match (paid, figures) {
            (Some(invoice), Some((figures, currency))) => {
                let result = format!(
                    "100 {currency} paid on {invoice}: {} has {} order, {} {currency} paid, {} {currency} open",
                    PAYS.1, figures.total_orders, figures.total_spent, figures.outstanding_balance
                );
                done("customer statistics", &result, since)
            }
            _ => "   ! customer statistics    wait: is a queue paused? see: fairlane queues".into(),
        })
    }

    async fn figures(&self) -> Result<Option<(statistics::Statistics, String)>> {
        let id = self.tenant.id().await?;
        let mut tx = self.reading().await?;
        let conn = &mut tx.conn();
        let customer = customers::by_code(conn, id, PAYS.0).await?;
        let currency = profiles::find(conn, id).await?.currency;
        Ok(statistics::find(conn, id, customer.id).await?.map(|(figures, _)| (figures, currency)))
    }
}
