//! Databases for tests: a PostgreSQL server that is found or started, one database per test, and PgBouncer.
//!
//! For Unix. Nothing here is meant for production: servers start without `fsync` and trust whoever may
//! open their socket, which is their own user and root alone.

mod claiming;
mod cluster;
mod database;
mod pgbouncer;
mod sandbox;
mod server;
mod test_db;

pub use claiming::{ClaimFrom, claim_from};
pub use cluster::{Cluster, Skip, cluster_or_skip, or_skip};
pub use database::{Template, TestDatabase};
pub use pgbouncer::PgBouncer;
pub use sandbox::{FailedJob, Sandbox};
pub use test_db::{TEST_LOGIN, TestDb};
