//! What is told about orders, invoices and payments.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde_json::json;

use crate::erp::events::InvoiceGenerated;
use crate::erp::notifications::{Action, Note, Notification, Severity};
use crate::erp::store::orders::OrderStatus;

/// An invoice was made, and is on its way to the customer.
#[derive(Debug, Clone)]
pub struct InvoiceGeneratedNotification {
    /// The invoice.
    pub invoice_id: i64,
    /// Its number.
    pub invoice_number: String,
    /// Who pays.
    pub customer_id: i64,
    /// The customer's name.
    pub customer_name: String,
    /// What is to be paid.
    pub amount: Decimal,
    /// The currency (ISO 4217).
    pub currency: String,
    /// The last day to pay on.
    pub due_on: NaiveDate,
}

impl From<&InvoiceGenerated> for InvoiceGeneratedNotification {
    fn from(invoice: &InvoiceGenerated) -> Self {
        Self {
            invoice_id: invoice.invoice_id,
            invoice_number: invoice.number.clone(),
            customer_id: invoice.customer_id,
            customer_name: invoice.customer_name.clone(),
            amount: invoice.total,
            currency: invoice.currency.clone(),
            due_on: invoice.due_on,
        }
    }
}

impl Notification for InvoiceGeneratedNotification {
    const TYPE: &'static str = "InvoiceGeneratedNotification";

    fn note(&self) -> Note {
        Note {
            severity: Severity::Info,
            title: format!("Invoice {} generated", self.invoice_number),
            message: format!(
                "{} {} to {}, due {}.",
                self.amount, self.currency, self.customer_name, self.due_on
            ),
            context: json!({
                "invoice_id": self.invoice_id, "invoice_number": self.invoice_number,
                "customer_id": self.customer_id, "customer_name": self.customer_name,
                "amount": self.amount, "currency": self.currency, "due_on": self.due_on,
            }),
            action: Some(Action::new("View invoice", format!("invoice/{}", self.invoice_number))),
        }
    }
}

/// A customer has paid, or has got something back.
#[derive(Debug, Clone)]
pub struct PaymentReceivedNotification {
    /// The payment.
    pub payment_id: i64,
    /// What the payer or the bank calls it.
    pub reference: String,
    /// What was paid; a refund is negative.
    pub amount: Decimal,
    /// The currency (ISO 4217).
    pub currency: String,
    /// How it was paid.
    pub method: String,
    /// The invoice it pays.
    pub invoice_number: String,
    /// Who pays.
    pub customer_name: String,
}

impl PaymentReceivedNotification {
    fn words(&self) -> (Severity, String, String) {
        let Self {
            reference,
            amount,
            currency,
            method,
            invoice_number: invoice,
            customer_name: customer,
            ..
        } = self;
        if amount.is_sign_negative() {
            let amount = amount.abs();
            return (
                Severity::Info,
                format!("Refund {reference}: {amount} {currency} to {customer}"),
                format!("{amount} {currency} by {method} to {customer} for invoice {invoice}."),
            );
        }
        (
            Severity::Success,
            format!("Payment {reference} received"),
            format!("{amount} {currency} by {method} from {customer} for invoice {invoice}."),
        )
    }
}

impl Notification for PaymentReceivedNotification {
    const TYPE: &'static str = "PaymentReceivedNotification";

    fn note(&self) -> Note {
        let (severity, title, message) = self.words();
        Note {
            severity,
            title,
            message,
            context: json!({
                "payment_id": self.payment_id, "payment_reference": self.reference, "amount": self.amount,
                "currency": self.currency, "method": self.method,
                "invoice_number": self.invoice_number, "customer_name": self.customer_name,
            }),
            action: Some(Action::new("View payment details", format!("payment/{}", self.reference))),
        }
    }
}

/// An order has come to another status.
#[derive(Debug, Clone)]
pub struct OrderStatusNotification {
    /// The order.
    pub order_id: i64,
    /// Its number.
    pub order_number: String,
    /// Where it stands now.
    pub status: OrderStatus,
    /// Who buys.
    pub customer_name: String,
}

impl OrderStatusNotification {
    /// What an order's status means to those who watch it.
    pub fn severity(status: OrderStatus) -> Severity {
        match status {
            OrderStatus::Draft => Severity::Info,
            OrderStatus::Approved | OrderStatus::Fulfilled => Severity::Success,
            OrderStatus::Cancelled => Severity::Warning,
        }
    }
}

impl Notification for OrderStatusNotification {
    const TYPE: &'static str = "OrderStatusNotification";

    fn note(&self) -> Note {
        Note {
            severity: Self::severity(self.status),
            title: format!("Order {} is {}", self.order_number, self.status),
            message: format!("Order {} of {} is {} now.", self.order_number, self.customer_name, self.status),
            context: json!({
                "order_id": self.order_id, "order_number": self.order_number, "status": self.status,
                "customer_name": self.customer_name,
            }),
            action: Some(Action::new("View order", format!("order/{}", self.order_number))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_that_goes_back_is_told_as_a_refund() {
        let told = |amount: &str| {
            let payment = PaymentReceivedNotification {
                payment_id: 1,
                reference: "P-2".into(),
                amount: amount.parse().unwrap(),
                currency: "EUR".into(),
                method: "transfer".into(),
                invoice_number: "INV-1".into(),
                customer_name: "Carl".into(),
            };
            let note = payment.note();
            (note.severity.as_str(), note.title, note.message)
        };
        let refund = (
            "info",
            "Refund P-2: 4.00 EUR to Carl".into(),
            "4.00 EUR by transfer to Carl for invoice INV-1.".into(),
        );
        assert_eq!(told("-4.00"), refund);
        assert_eq!(told("4.00").1, "Payment P-2 received");
    }

    #[test]
    fn the_severity_of_an_order_follows_its_status() {
        let of = |status| OrderStatusNotification::severity(status).as_str();
        use OrderStatus::{Approved, Cancelled, Draft, Fulfilled};
        assert_eq!(
            [of(Draft), of(Approved), of(Fulfilled), of(Cancelled)],
            ["info", "success", "success", "warning"]
        );
    }
}
