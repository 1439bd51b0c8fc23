//! Exchange with other systems: what is taken over equals what is there, exactly once, whatever goes wrong on the way; and
//! nothing leads where it must not. Seed 1-15, 1-23.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/shop_server/mod.rs"]
mod shop_server;

mod conflicts;
mod creates;
mod desk;
mod edges;
mod facts;
mod faults;
mod kills;
mod pulls;
mod pushes;
mod secrets;
mod tokens;
mod verbs;
mod walls;
