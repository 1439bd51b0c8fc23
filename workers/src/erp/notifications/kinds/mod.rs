//! The kinds of notifications, by what they are about.

mod purchasing;
mod sales;
mod stock;
mod system;

pub use purchasing::PurchaseOrderApprovedNotification;
pub use sales::{InvoiceGeneratedNotification, OrderStatusNotification, PaymentReceivedNotification};
pub use stock::{LowStockNotification, StockExpiryNotification};
pub use system::{
    AlertNotification, AnnouncementNotification, DigestNotification, ReminderNotification,
    ReportGeneratedNotification,
};
