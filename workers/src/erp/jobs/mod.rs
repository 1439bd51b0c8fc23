//! The ERP domain's jobs.

pub mod process_bulk_import;
pub mod recalculate_inventory_valuation;
mod recompute_customer_statistics;
pub mod scan_expiring_stock;
pub mod scan_overdue_invoices;
pub mod send_mail;

pub use recalculate_inventory_valuation::RecalculateInventoryValuation;
pub use recompute_customer_statistics::RecomputeCustomerStatistics;
pub use scan_overdue_invoices::ScanOverdueInvoices;
pub use send_mail::SendMail;
