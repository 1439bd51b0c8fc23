//! The domains that ship with Fairlane.
