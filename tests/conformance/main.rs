//! Every function of the store, on both databases.
//!
//! A test is written once and runs as `name::sqlite` and `name::postgres`. What exists on one database only (row-level
//! security, the pooler, files shared by processes, plans) has a module of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "support functions fail as tests do"
)]

mod claiming;
mod concurrency_keys;
mod connections;
mod damaged_rows;
mod dispatching;
mod fencing;
mod keys;
mod leases;
mod limits;
mod looking;
mod lost_workers;
mod parity;
mod payloads;
mod permits;
mod pooler;
mod publishing;
mod quotas;
mod rates;
mod rescuing;
mod row_security;
mod schedules;
mod settling;
mod sqlite_files;
mod starts;
mod state_machine;
mod support;
mod tenants;
mod transactions;
mod upkeep;
mod usage;
