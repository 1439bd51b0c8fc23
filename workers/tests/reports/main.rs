//! Reports: their figures against independent ones, their days, files, links, jobs and verbs, on both databases.
//! Seed 1-10, 1-11, 1-41.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod books;
#[cfg(feature = "s3")]
mod bucket;
#[cfg(feature = "s3")]
mod bucket_server;
mod classes;
mod days;
mod desk;
mod files;
mod jobs;
mod kills;
mod northwind;
mod online_retail;
mod shelves;
mod verbs;
