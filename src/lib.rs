//! Fairlane: the engine.

pub mod config;
