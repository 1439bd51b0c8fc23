//! What the stock is worth: the vectors of other systems, a slow model beside the fast one, and the job with everything that
//! can happen to it, on both databases. Seed 1-14.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod books;
mod job;
mod kills;
mod meanwhile;
mod model;
mod properties;
mod tenants;
mod vectors;
mod verbs;
mod warehouse;
