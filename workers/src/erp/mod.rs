//! The ERP domain.

pub mod events;
pub mod jobs;
pub mod settings;
