//! Fairlane: the engine.

pub mod testing;
