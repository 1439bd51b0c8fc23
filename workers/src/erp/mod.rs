//! The ERP domain: its jobs and what they need.

pub mod jobs;
