//! Campaigns through real workers and a real SMTP server, on both databases: everybody once, whatever happens.
//! Seed 1-12, 1-13, 1-41.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod crowd;
mod holding;
mod kills;
mod room;
mod stopping;
mod telling;
mod timing;
mod verbs;
