//! The command line as people and programs use it: the shipped binary, an empty environment, a folder of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bulk;
mod damaged;
mod lists;
mod operations;
mod postgres;
mod support;
mod tenants;
mod usage;
