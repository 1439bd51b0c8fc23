//! The ERP's three workflows end to end: worker processes of the shipped binary, each event delivered twice, workers
//! killed at random. The truth is an observer's: SQL over a connection of its own, and what a mail server received.
//! Seed 1-05, 1-22.
//!
//! By default a seeded subset; `just campaign` runs all of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod billing;
mod crew;
mod facts;
mod mails;
mod people;
mod statistics;
mod stock;
#[path = "../support/mod.rs"]
mod support;
mod twice;
