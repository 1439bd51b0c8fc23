//! The ERP domain's jobs.

pub mod process_bulk_import;
pub mod scan_expiring_stock;
