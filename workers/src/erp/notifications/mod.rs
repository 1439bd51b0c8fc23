//! Notifications: what users are told inside the application, with severity, context and an action.

use fairlane::Result;
use fairlane::db::Conn;
use serde::Serialize;
use serde_json::{Value, json};

use super::events::InvoiceGenerated;
use super::store::{notifications, people};

/// Who sees invoices, and is told about them.
pub const BILLING_VIEW: &str = "billing.view";

/// How much a notification matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should do something.
    Warning,
}

/// Something users are told.
pub trait Notification {
    /// The name under which it is stored.
    const TYPE: &'static str;

    /// What is stored: severity, title, message, context, action.
    fn data(&self) -> Value;
}

/// An invoice was made and sent.
#[derive(Debug)]
pub struct InvoiceGeneratedNotification<'a>(pub &'a InvoiceGenerated);

impl Notification for InvoiceGeneratedNotification<'_> {
    const TYPE: &'static str = "InvoiceGeneratedNotification";

    fn data(&self) -> Value {
        let invoice = self.0;
        json!({
            "severity": Severity::Info,
            "title": format!("Invoice {} sent", invoice.number),
            "message": format!(
                "{} {} to {}, due {}", invoice.total, invoice.currency, invoice.customer_name, invoice.due_on
            ),
            "context": {
                "invoice_id": invoice.invoice_id, "invoice_number": invoice.number,
                "customer_id": invoice.customer_id, "customer_name": invoice.customer_name,
                "amount": invoice.total, "currency": invoice.currency,
            },
            "action": { "label": "View invoice", "target": format!("invoice/{}", invoice.number) },
        })
    }
}

/// Something is wrong, and a person can repair it.
#[derive(Debug)]
pub struct AlertNotification {
    /// What is wrong, in a few words.
    pub title: String,
    /// What is wrong and what to do about it.
    pub message: String,
    /// The facts, for programs.
    pub context: Value,
}

impl Notification for AlertNotification {
    const TYPE: &'static str = "AlertNotification";

    fn data(&self) -> Value {
        json!({
            "severity": Severity::Warning,
            "title": self.title, "message": self.message, "context": self.context, "action": Value::Null,
        })
    }
}

/// Tells every active user who has a permission, each once for a key; returns how many were told.
pub async fn tell_holders<N: Notification>(
    conn: &mut Conn<'_>,
    tenant: i64,
    permission: &str,
    notification: &N,
    key: &str,
) -> Result<u64> {
    let data = notification.data();
    let mut told = 0;
    for user in people::holders(conn, tenant, permission).await? {
        let key = format!("{key}:user:{user}");
        told += u64::from(notifications::insert(conn, tenant, user, N::TYPE, &data, &key).await?);
    }
    Ok(told)
}
