//! The ERP domain.

pub mod settings;
