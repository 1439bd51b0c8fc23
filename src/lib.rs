//! Fairlane: the engine.
