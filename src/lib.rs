//! Fairlane: the engine.

pub mod config;
pub mod logging;
