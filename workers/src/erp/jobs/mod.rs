//! The ERP domain's jobs.

pub mod process_bulk_import;
pub mod send_mail;

pub use send_mail::SendMail;
