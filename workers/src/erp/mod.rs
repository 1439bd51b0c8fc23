//! The ERP domain.

pub mod events;
pub mod settings;
