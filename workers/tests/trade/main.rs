//! Payments, customers and leads, purchasing, statistics and scanners: services, listeners, jobs and verbs, on both
//! databases.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod billing;
mod crm;
mod figures;
mod numbers;
mod purchasing;
mod scanners;
mod shop;
mod statistics;
mod verbs;
