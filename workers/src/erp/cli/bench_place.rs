//! The database of a bench: made beside the one that was named, and removed at its end. Movements and invoices are final, so none
//! of them can be put into a database that stays.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use fairlane::cli::{Exit, Failure};
use fairlane::db::{Db, DbOptions, Dialect};
use fairlane::store::migrate::{engine_line, migrate};
use fairlane::{ClientSettings, Fairlane, store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

/// Where it is, and what is to be removed.
#[derive(Debug)]
pub(super) enum Place {
    Postgres { named: String, database: String },
    Sqlite { folder: tempfile::TempDir },
}

impl Place {
    /// Makes an empty database.
    pub(super) async fn make(named: &DbOptions) -> anyhow::Result<Self> {
        if named.dialect()? == Dialect::Sqlite {
            let file: PathBuf = SqliteConnectOptions::from_str(&named.url)?.get_filename().to_owned();
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.map_or_else(|| PathBuf::from("."), ToOwned::to_owned);
            let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&parent);
            return Ok(Self::Sqlite {
                folder: folder.with_context(|| format!("making a folder in {}", parent.display()))?,
            });
        }
        let database = format!("fairlane_bench_{}_{}", std::process::id(), uuid::Uuid::now_v7().simple());
        execute(&named.url, format!("create database {database}")).await.map_err(|why| {
            Failure::new(
                Exit::NotPermitted,
                format!("the bench wants a database of its own, and may not make one: {why}"),
            )
            .hint("name a server and a login with CREATEDB: -d postgres://..   or a file: -d sqlite:bench.db")
        })?;
        Ok(Self::Postgres { named: named.url.clone(), database })
    }

    /// How the bench reaches it, under the login that was named.
    fn own(&self) -> String {
        match self {
            Self::Postgres { named, database } => with_parameter(named, &format!("dbname={database}")),
            Self::Sqlite { folder } => format!("sqlite:{}", folder.path().join("bench.db").display()),
        }
    }

    /// How workers reach it: under their role, so that row security is as it is in production.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Postgres { .. } => with_parameter(&self.own(), "options[role]=fairlane_worker"),
            Self::Sqlite { .. } => self.own(),
        }
    }

    /// Makes the schema and the tenant `bench`.
    pub(super) async fn open(&self) -> anyhow::Result<Fairlane> {
        let options = DbOptions {
            statement_timeout: Duration::ZERO,
            allow_bypass_rls: true,
            max_connections: 4,
            ..DbOptions::new(self.own())
        };
        migrate(&options, vec![engine_line(), crate::erp::migrations()]).await?;
        let db = Db::open(&options).await?;
        let mut tx = db.begin().await?;
        store::tenants::add(&mut tx.conn(), "bench", "Bench").await?;
        tx.commit().await?;
        Ok(Fairlane::new(db, ClientSettings::default()))
    }

    /// Lets the database know what was loaded, as its own upkeep does sooner or later.
    pub(super) async fn analyze(&self) {
        if let Self::Postgres { .. } = self {
            let _ = execute(&self.own(), "analyze".to_owned()).await;
        }
    }

    /// Best effort: at the end nobody can do anything about an error.
    pub(super) async fn remove(self) {
        match self {
            Self::Postgres { named, database } => {
                let _ = execute(&named, format!("drop database if exists {database} with (force)")).await;
            }
            Self::Sqlite { folder } => drop(folder),
        }
    }
}

/// Runs one statement whose text is made of names that were chosen here.
async fn execute(url: &str, statement: String) -> anyhow::Result<()> {
    let mut conn: PgConnection = sqlx::postgres::PgConnectOptions::from_str(url)?.connect().await?;
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await;
    let _ = conn.close().await;
    Ok(done.map(drop)?)
}

fn with_parameter(url: &str, parameter: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{parameter}")
}
