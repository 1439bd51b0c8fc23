//! Any REST interface with lists of JSON: the tenant describes it, nothing is built in.

/// There is nothing everybody has.
pub(super) const DESCRIPTION: Option<&str> = None;
