//! The ERP on one page: what it serves, who listens to what, its state and its tables.

pub mod campaigns;
pub mod cli;
pub mod demo;
pub mod events;
pub mod jobs;
pub mod listeners;
pub mod mail;
pub mod money;
pub mod notifications;
pub mod outbound;
pub mod push;
pub mod reports;
pub mod services;
pub mod settings;
pub mod sms;
mod state;
pub mod store;
pub mod sync;
pub mod valuation;
pub mod webhooks;

use fairlane::Registry;
use fairlane::store::migrate::MigrationLine;

use events::{
    CustomerCreated, GoodsReceived, InvoiceGenerated, InvoiceOverdue, InvoicePaymentReceived, LeadConverted,
    LowStockDetected, OrderApproved, OrderCreated, OrderFulfilled, ProductUpdated, PurchaseOrderApproved,
    StockExpiring, StockMovementRecorded,
};
use jobs::process_bulk_import::ProcessBulkImport;
use jobs::process_bulk_import::undo::UndoBulkImport;
use jobs::scan_expiring_stock::ScanExpiringStock;
use jobs::{
    GenerateReport, RecalculateInventoryValuation, RecomputeCustomerStatistics, ReleaseDeferred,
    RemoveOldReports, ScanOverdueInvoices, SendBulkNotifications, SendCampaignChunk, SendMail, SendMessage,
};
use listeners::{
    CheckStockLevel, CreateCustomerFromLead, GenerateInvoiceFromOrder, NotifyOrderStatus,
    NotifyPurchaseOrderApproval, PostGoodsReceipt, SendInvoiceToCustomer, SendLowStockNotification,
    SendOverdueReminder, SendPaymentConfirmation, SendStockExpiryAlert, UpdateCustomerStatistics,
    UpdateInventoryOnSale,
};
pub use state::Erp;
use sync::SyncExternalData;

/// The domain on one page.
pub fn registry() -> Registry<Erp> {
    Registry::new()
        .job::<ProcessBulkImport>()
        .job::<UndoBulkImport>()
        .job::<RecalculateInventoryValuation>()
        .job::<RecomputeCustomerStatistics>()
        .job::<ScanOverdueInvoices>()
        .job::<ScanExpiringStock>()
        .job::<SendMail>()
        .job::<SendMessage>()
        .job::<SendBulkNotifications>()
        .job::<SendCampaignChunk>()
        .job::<ReleaseDeferred>()
        .job::<GenerateReport>()
        .job::<RemoveOldReports>()
        .job::<SyncExternalData>()
        .on::<CustomerCreated, UpdateCustomerStatistics>()
        .on::<LeadConverted, CreateCustomerFromLead>()
        .on::<OrderCreated, UpdateCustomerStatistics>()
        .on::<OrderApproved, GenerateInvoiceFromOrder>()
        .on::<OrderApproved, NotifyOrderStatus>()
        .on::<OrderFulfilled, UpdateInventoryOnSale>()
        .on::<OrderFulfilled, UpdateCustomerStatistics>()
        .on::<OrderFulfilled, NotifyOrderStatus>()
        .on::<InvoiceGenerated, SendInvoiceToCustomer>()
        .on::<InvoiceGenerated, UpdateCustomerStatistics>()
        .on::<InvoicePaymentReceived, SendPaymentConfirmation>()
        .on::<InvoicePaymentReceived, UpdateCustomerStatistics>()
        .on::<InvoiceOverdue, SendOverdueReminder>()
        .on::<PurchaseOrderApproved, NotifyPurchaseOrderApproval>()
        .on::<GoodsReceived, PostGoodsReceipt>()
        .on::<StockMovementRecorded, CheckStockLevel>()
        .on::<ProductUpdated, CheckStockLevel>()
        .on::<LowStockDetected, SendLowStockNotification>()
        .on::<StockExpiring, SendStockExpiryAlert>()
}

/// The ERP's tables: line `erp`, after the engine's.
pub fn migrations() -> MigrationLine {
    MigrationLine {
        name: "erp",
        postgres: sqlx::migrate!("../migrations/erp/postgres"),
        sqlite: sqlx::migrate!("../migrations/erp/sqlite"),
    }
}
