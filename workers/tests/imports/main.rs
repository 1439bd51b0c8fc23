//! Imports, from the file to the records and back: what is read, refused, written, resumed, told and undone.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod facts;
mod files;
mod job;
mod kills;
mod order;
mod orphans;
mod recovery;
mod shop;
mod types;
mod undo;
mod verbs;
