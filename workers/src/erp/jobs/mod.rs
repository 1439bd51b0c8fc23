//! The ERP domain's jobs.

mod generate_report;
pub mod process_bulk_import;
pub mod recalculate_inventory_valuation;
mod recompute_customer_statistics;
mod release_deferred;
mod remove_old_reports;
pub mod scan_expiring_stock;
pub mod scan_overdue_invoices;
mod send_bulk_notifications;
mod send_campaign_chunk;
pub mod send_mail;
pub mod send_message;

pub use generate_report::GenerateReport;
pub use recalculate_inventory_valuation::RecalculateInventoryValuation;
pub use recompute_customer_statistics::RecomputeCustomerStatistics;
pub use release_deferred::ReleaseDeferred;
pub use remove_old_reports::RemoveOldReports;
pub use scan_overdue_invoices::ScanOverdueInvoices;
pub use send_bulk_notifications::SendBulkNotifications;
pub use send_campaign_chunk::SendCampaignChunk;
pub use send_mail::SendMail;
pub use send_message::SendMessage;
