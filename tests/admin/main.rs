//! What administrators do, on both databases; PostgreSQL under a login that can't bypass row-level security.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cancelling;
mod failures;
mod lists;
mod operations;
mod support;
