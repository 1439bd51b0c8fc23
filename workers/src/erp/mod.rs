//! The ERP domain.

pub mod jobs;
pub mod settings;
