//! The ERP on one page: what it serves, who listens to what, its state and its tables.

pub mod cli;
pub mod demo;
pub mod events;
pub mod jobs;
pub mod listeners;
pub mod mail;
pub mod money;
pub mod notifications;
pub mod services;
pub mod settings;
mod state;
pub mod store;

use fairlane::Registry;
use fairlane::store::migrate::MigrationLine;

use events::{
    InvoiceGenerated, InvoicePaymentReceived, LowStockDetected, OrderApproved, OrderFulfilled,
    PurchaseOrderApproved, StockExpiring,
};
use jobs::SendMail;
use jobs::process_bulk_import::ProcessBulkImport;
use listeners::{
    GenerateInvoiceFromOrder, NotifyOrderStatus, NotifyPurchaseOrderApproval, SendInvoiceToCustomer,
    SendLowStockNotification, SendPaymentConfirmation, SendStockExpiryAlert,
};
pub use state::Erp;

/// The domain on one page.
pub fn registry() -> Registry<Erp> {
    Registry::new()
        .job::<ProcessBulkImport>()
        .job::<SendMail>()
        .on::<OrderApproved, GenerateInvoiceFromOrder>()
        .on::<OrderApproved, NotifyOrderStatus>()
        .on::<OrderFulfilled, NotifyOrderStatus>()
        .on::<InvoiceGenerated, SendInvoiceToCustomer>()
        .on::<InvoicePaymentReceived, SendPaymentConfirmation>()
        .on::<LowStockDetected, SendLowStockNotification>()
        .on::<StockExpiring, SendStockExpiryAlert>()
        .on::<PurchaseOrderApproved, NotifyPurchaseOrderApproval>()
}

/// The ERP's tables: line `erp`, after the engine's.
pub fn migrations() -> MigrationLine {
    MigrationLine {
        name: "erp",
        postgres: sqlx::migrate!("../migrations/erp/postgres"),
        sqlite: sqlx::migrate!("../migrations/erp/sqlite"),
    }
}
