//! What several end-to-end tests need.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod processes;
pub mod shop;
pub mod smtp;
