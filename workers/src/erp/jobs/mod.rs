//! The ERP domain's jobs.

mod generate_report;
pub mod process_bulk_import;
mod recompute_customer_statistics;
mod remove_old_reports;
pub mod scan_expiring_stock;
pub mod scan_overdue_invoices;
pub mod send_mail;

pub use generate_report::GenerateReport;
pub use recompute_customer_statistics::RecomputeCustomerStatistics;
pub use remove_old_reports::RemoveOldReports;
pub use scan_overdue_invoices::ScanOverdueInvoices;
pub use send_mail::SendMail;
