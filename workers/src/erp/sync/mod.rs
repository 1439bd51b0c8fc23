//! Exchange with other systems: products, customers, levels and orders, from them and to them.
//!
//! ```text
//! job        one entity of one connection, one direction                 job.rs
//! pull       page by page: records and cursor in one commit              pull.rs, pages.rs, apply/, deletions.rs
//! push       the outbox: one request for each version, with a fixed key  push.rs
//! session    each request: gate, token, signature, answer                session.rs, token.rs, auth.rs
//! gate       breaker, rate, asked waits: one row for all workers         gate.rs, breaker.rs, bucket.rs
//! endpoint   one origin, permitted addresses, limited answers            http.rs, ../outbound/guard.rs
//! dialects   how each system is asked, as descriptions                   dialects/, paths.rs, record.rs
//! ```

mod apply;
pub mod auth;
pub mod breaker;
pub mod bucket;
pub mod conflict;
pub mod connection;
mod deletions;
pub mod dialects;
pub mod gate;
pub mod http;
pub mod job;
pub mod manage;
pub mod pages;
pub mod paths;
pub mod pull;
mod push;
pub mod record;
pub mod runtime;
pub mod secrets;
pub mod session;
pub mod token;

pub use job::SyncExternalData;
pub use runtime::SyncRuntime;
