//! Notifications: what users are told, with severity, context and an action, through the channels they want.
//!
//! ```text
//! notify / notify_audience    in the caller's transaction:
//!   notification_messages     what is told, and to whom it is meant          (one row for each key)
//!   notification_deliveries   what becomes of it, for each user and channel  (delivered, pending, skipped, suppressed)
//!   notifications             the copy in the application                    (channel in_app)
//!   jobs erp.send_mail        the mail, sent later by a job of its own       (channel mail)
//!   jobs erp.send_message     what leaves by HTTP, each by a job of its own  (channels sms, push, webhook)
//! ```
//!
//! The same key again tells nobody twice. A new kind of notification is a struct in `kinds/` and a line in [`KINDS`];
//! a new way to reach users is a [`Channel`] and a line in [`channels`].

mod audience;
mod channels;
mod kinds;
mod letters;
pub(crate) mod many;
mod notify;
mod plan;
pub mod timing;
pub mod why;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use audience::Audience;
pub use channels::{
    Asked, Channel, Followed, InApp, Mail, OwnEndpoint, Plan, Push, Reach, Reached, Recipient, Sms, UserCopy,
    Webhook, channels, sms_from,
};
pub(crate) use channels::{dispatch, follow};
pub use kinds::{
    AlertNotification, AnnouncementNotification, DigestNotification, InvoiceGeneratedNotification,
    LowStockNotification, OrderStatusNotification, PaymentReceivedNotification,
    PurchaseOrderApprovedNotification, ReminderNotification, ReportGeneratedNotification,
    StockExpiryNotification,
};
pub use letters::{Letter, post};
pub use notify::{Told, notify, notify_audience};
pub use plan::via;
pub(crate) use plan::{NOT_ASKED_FOR, plan, plan_reaching};

/// Who is told when what is connected to the tenant stops working.
pub const INTEGRATIONS: &str = "integrations";
/// Who sees invoices and payments, and is told about them.
pub const BILLING_VIEW: &str = "billing.view";
/// Who is told about low and expiring stock.
pub const INVENTORY_ALERTS: &str = "inventory.alerts";
/// Who sees purchases, and is told about them.
pub const PROCUREMENT: &str = "procurement";
/// Who sees orders, and is told about them.
pub const SALES_VIEW: &str = "sales.view";

/// Who sees reports, and is told when those are made that nobody asked for.
pub const REPORTS_VIEW: &str = "reports.view";

/// How much a notification matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something has gone well.
    Success,
    /// Somebody should do something.
    Warning,
    /// Somebody must do something at once.
    Critical,
}

impl Severity {
    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What mail programs are told about a kind: bulk mails can be stopped with one click.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// About something the reader has to do with.
    Transactional,
    /// The same for many.
    Bulk,
}

/// Where a reader can go from a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What it says: `View invoice`.
    pub label: String,
    /// Where it leads: `invoice/INV-2026-00001` inside the application, or a whole address.
    pub target: String,
}

impl Action {
    /// A place inside the application, or a whole address.
    pub fn new(label: &str, target: impl Into<String>) -> Self {
        Self { label: label.to_owned(), target: target.into() }
    }
}

/// What is told: the same for all who are told it, and what `notifications.data` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, in a few words.
    pub title: String,
    /// What has happened.
    pub message: String,
    /// The facts, for programs.
    pub context: Value,
    /// What to do next, where there is something.
    pub action: Option<Action>,
}

/// Something users are told.
pub trait Notification: Send + Sync {
    /// The name under which it is stored.
    const TYPE: &'static str;
    /// Whether mails of it can be stopped with one click.
    const CLASS: Class = Class::Transactional;

    /// What is told.
    fn note(&self) -> Note;
}

/// A kind of notification, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The name under which it is stored.
    pub name: &'static str,
    /// Whether mails of it can be stopped with one click.
    pub class: Class,
}

impl Kind {
    const fn of<N: Notification>() -> Self {
        Self { name: N::TYPE, class: N::CLASS }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.name == name)
    }
}

/// All kinds.
pub const KINDS: [Kind; 11] = [
    Kind::of::<LowStockNotification>(),
    Kind::of::<StockExpiryNotification>(),
    Kind::of::<InvoiceGeneratedNotification>(),
    Kind::of::<PaymentReceivedNotification>(),
    Kind::of::<OrderStatusNotification>(),
    Kind::of::<PurchaseOrderApprovedNotification>(),
    Kind::of::<ReportGeneratedNotification>(),
    Kind::of::<AnnouncementNotification>(),
    Kind::of::<ReminderNotification>(),
    Kind::of::<AlertNotification>(),
    Kind::of::<DigestNotification>(),
];
