//! Fairlane is a multi-tenant background job queue on PostgreSQL or SQLite.
//!
//! ```text
//! acme.publish(OrderApproved{..}).in_tx(&mut tx)            client/publish.rs
//!    event row + one job row per subscription               store/events.rs, store/jobs.rs
//! acme.dispatch(GenerateReports{..})                        client/dispatch.rs -> store/jobs.rs
//! worker has free slots -> claim (leases, token)            worker/source.rs -> store/claim.rs
//!    execute: span, tenant context, timeout, catch panic    worker/execute.rs
//!       registry closure: payload -> J -> J::run(ctx)       registry.rs -> your code
//!    decide(result, attempt, policy) -> Next                outcome.rs
//!    settle: complete | retry | snooze | fail, fenced       worker/settle.rs -> store/settle.rs
//! admin: fairlane failed -> fairlane retry 42               cli/ -> admin/
//! lease expired (worker died) -> rescue                     maintenance/rescue.rs
//! ```
//!
//! In reading order: what you define ([`Event`], [`Job`], [`Listener`], [`Policy`], [`Registry`]), what your
//! application calls ([`Fairlane`], [`Tenant`]), what your handlers get ([`Context`], [`Transaction`]), what runs them
//! ([`worker::Worker`]), and [`testing::Sandbox`] for your tests.

pub mod admin;
mod bench;
pub mod cli;
pub mod client;
pub mod config;
mod context;
pub mod cron;
pub mod db;
mod error;
mod event;
pub mod fair;
pub mod fingerprint;
mod job;
pub mod limits;
mod listener;
pub mod logging;
pub mod maintenance;
mod outcome;
mod policy;
mod registry;
mod state;
pub mod store;
pub mod testing;
mod transaction;
pub mod worker;

pub use client::{
    ClientSettings, Dispatch, Dispatched, Fairlane, Publish, PublishAll, Published, Tenant, Unique, Wake,
};
pub use context::{Context, JobInfo};
pub use error::{Error, Result};
pub use event::{Aggregate, Event};
pub use job::Job;
pub use listener::Listener;
pub use outcome::{AttemptFacts, AttemptResult, Failure, JobError, JobResult, Next, OrDecide, decide};
pub use policy::{Backoff, Policy, PolicyOverride};
pub use registry::{Registry, Subscription};
pub use state::{JobState, Transition};
pub use transaction::Transaction;

/// The README's code, compiled by the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
