//! What a worker promises, shown on both databases with real workers in this process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "support functions fail as tests do"
)]

mod damaged_rows;
mod delivery;
mod failing;
mod kinds;
mod lifecycle;
mod limits;
mod outcomes;
mod permits;
mod room;
mod schedules;
mod slow_database;
mod starts;
mod support;
mod suspects;
