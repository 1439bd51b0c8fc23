//! What happens in the ERP, told in the past tense: typed, self-contained, never changed once published.

pub mod billing;
pub mod catalog;
pub mod sales;

pub use billing::InvoiceGenerated;
pub use catalog::{Change, ProductCreated, ProductUpdated};
pub use sales::OrderApproved;
