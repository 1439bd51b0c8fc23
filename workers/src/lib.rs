//! The domains that ship with Fairlane.

pub mod erp;
