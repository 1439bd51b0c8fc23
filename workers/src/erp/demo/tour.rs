//! The parts of the tour after the orders: what a customer is worth.

use std::time::Instant;

use fairlane::Result;
use rust_decimal::Decimal;

use super::done;
use super::story::Story;
use crate::erp::money::exact;
use crate::erp::services::payments::{self, NewPayment};
use crate::erp::store::profiles::Profile;
use crate::erp::store::statistics::Statistics;
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
        Ok(match (paid, self.figures().await?) {
            (Some(invoice), Some((figures, Profile { currency, decimals, .. }))) => {
                let money = |amount| format!("{} {currency}", exact(amount, decimals));
                let result = format!(
                    "{} paid on {invoice}: {} has {} order, {} paid, {} open",
                    money(Decimal::from(100)),
                    PAYS.1,
                    figures.total_orders,
                    money(figures.total_spent),
                    money(figures.outstanding_balance)
                );
                done("customer statistics", &result, since)
            }
            _ => "   ! customer statistics    wait: is a queue paused? see: fairlane queues".into(),
        })
    }

    async fn figures(&self) -> Result<Option<(Statistics, Profile)>> {
        let id = self.tenant.id().await?;
        let mut tx = self.reading().await?;
        let conn = &mut tx.conn();
        let customer = customers::by_code(conn, id, PAYS.0).await?;
        let profile = profiles::find(conn, id).await?;
        Ok(statistics::find(conn, id, customer.id).await?.map(|(figures, _)| (figures, profile)))
    }
}
