//! What happens to invoices.

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::{Aggregate, Event};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// An invoice was made and has its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceGenerated {
    /// The invoice.
    pub invoice_id: i64,
    /// Its number, as printed on it.
    pub number: String,
    /// The order it bills.
    pub order_id: i64,
    /// The order's number.
    pub order_number: String,
    /// Who pays.
    pub customer_id: i64,
    /// The customer's name as printed on it.
    pub customer_name: String,
    /// The currency of the amounts (ISO 4217).
    pub currency: String,
    /// The sum of the lines without tax.
    pub net: Decimal,
    /// The sum of the lines' taxes.
    pub tax: Decimal,
    /// What is to be paid.
    pub total: Decimal,
    /// The day of issue, in the tenant's time zone.
    pub issued_on: NaiveDate,
    /// The last day to pay on, in the tenant's time zone.
    pub due_on: NaiveDate,
}

impl Event for InvoiceGenerated {
    const NAME: &'static str = "billing.invoice.generated";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "invoice", id: self.invoice_id.to_string(), version: None })
    }
}

/// Money came in for an invoice; a refund has a negative amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoicePaymentReceived {
    /// The payment.
    pub payment_id: i64,
    /// The bank's or the provider's reference: once per tenant.
    pub reference: String,
    /// How it was paid: `transfer`, `card` ...
    pub method: String,
    /// What came in.
    pub amount: Decimal,
    /// Its currency (ISO 4217): the invoice's.
    pub currency: String,
    /// The invoice it pays.
    pub invoice_id: i64,
    /// The invoice's number.
    pub invoice_number: String,
    /// What is left to be paid after it.
    pub outstanding: Decimal,
    /// Who paid.
    pub customer_id: i64,
    /// The customer's name as printed on the invoice.
    pub customer_name: String,
    /// When it came in.
    pub received_at: DateTime<Utc>,
    /// The user who entered it, where one did.
    #[serde(default)]
    pub user_id: Option<i64>,
}

impl Event for InvoicePaymentReceived {
    const NAME: &'static str = "billing.payment.received";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "invoice", id: self.invoice_id.to_string(), version: None })
    }
}

/// An invoice is open after its last day to pay; told once for each stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceOverdue {
    /// The invoice.
    pub invoice_id: i64,
    /// Its number.
    pub number: String,
    /// Who has to pay.
    pub customer_id: i64,
    /// The customer's name as printed on it.
    pub customer_name: String,
    /// What is left to be paid.
    pub outstanding: Decimal,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// The last day to pay on, in the tenant's time zone.
    pub due_on: NaiveDate,
    /// Days since then, in the tenant's time zone.
    pub days_overdue: i64,
    /// The stage that was reached: 1, 7 or 30 days.
    pub stage: i64,
}

impl Event for InvoiceOverdue {
    const NAME: &'static str = "billing.invoice.overdue";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "invoice", id: self.invoice_id.to_string(), version: None })
    }
}
