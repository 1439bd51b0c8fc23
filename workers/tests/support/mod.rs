//! What several end-to-end tests need.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "these are tests")]

pub(crate) mod ledger;
pub(crate) mod load;
pub(crate) mod processes;
pub(crate) mod shop;
pub(crate) mod smtp;
pub(crate) mod supervisor;
