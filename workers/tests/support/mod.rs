//! What several end-to-end tests need.

#![allow(dead_code, reason = "each test uses its part")]

pub mod processes;
pub mod smtp;
