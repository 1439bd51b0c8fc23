//! Where a bench's database is: made beside the one that was named, and removed.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::OBSERVER;
use crate::cli::{Exit, Failure};

/// What is to be removed in the end.
#[derive(Debug)]
pub(super) enum Place {
    Postgres { named: String, database: String },
    Sqlite { folder: tempfile::TempDir },
}

async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    let options = sqlx::postgres::PgConnectOptions::from_str(url)?.application_name(OBSERVER);
    Ok(options.connect().await.map_err(crate::Error::from)?)
}

pub(super) async fn create_database(named: &str, database: &str) -> anyhow::Result<()> {
    let mut conn = connect(named).await?;
    let made = sqlx::query(AssertSqlSafe(format!("create database {database}"))).execute(&mut conn).await;
    let _ = conn.close().await;
    made.map(drop).map_err(|why| {
        Failure::new(
            Exit::NotPermitted,
            format!("the bench wants a database of its own, and may not make one: {why}"),
        )
        .hint("name a server and a login with CREATEDB: -d postgres://..   or a file: -d sqlite:bench.db")
        .into()
    })
}

/// Best effort: at the end nobody can do anything about an error.
pub(super) async fn remove(place: Place) {
    match place {
        Place::Postgres { named, database } => {
            if let Ok(mut conn) = connect(&named).await {
                let drop_it = format!("drop database if exists {database} with (force)");
                let _ = sqlx::query(AssertSqlSafe(drop_it)).execute(&mut conn).await;
            }
        }
        Place::Sqlite { folder } => drop(folder),
    }
}

pub(super) fn folder_beside(url: &str) -> anyhow::Result<tempfile::TempDir> {
    let file: PathBuf = SqliteConnectOptions::from_str(url)?.get_filename().to_owned();
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty() && !url.contains(":memory:"));
    let parent = parent.map_or_else(|| PathBuf::from("."), ToOwned::to_owned);
    std::fs::create_dir_all(&parent).with_context(|| format!("making {}", parent.display()))?;
    tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&parent)
        .with_context(|| format!("making a folder in {}", parent.display()))
}
