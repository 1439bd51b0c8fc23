//! What happens to invoices.

use chrono::NaiveDate;
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
