//! The scenarios of `examples/fair`, each with its bounds.
