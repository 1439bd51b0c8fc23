//! The ERP domain's jobs.

pub mod process_bulk_import;
