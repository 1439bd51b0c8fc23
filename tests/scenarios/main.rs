//! What a worker promises, shown on both databases with real workers in this process.

mod delivery;
mod kinds;
mod lifecycle;
mod outcomes;
mod schedules;
mod support;
