//! One database per test, cloned from a template that was migrated once.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::cluster::Cluster;

/// Classes of advisory locks in the administrative database: living owners of databases, templates being made,
/// and the registration of owners.
const OWNERS: i32 = 0x6661_6972;
const TEMPLATES: i32 = 0x6c61_6e65;
const REGISTRATION: i32 = 0x7265_6769;

/// More are left over from migrations that have changed since.
const TEMPLATES_KEPT: i64 = 12;

/// A migrated database that others are cloned from.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
}

impl Template {
    /// The name of the template database.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A database of one test's own, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    /// The name of the database.
    pub name: String,
    /// The administrator's URL of the database; for others see [`Cluster::url_as`].
    pub url: String,
    cluster: Cluster,
}

impl TestDatabase {
    /// The URL of this database for another login.
    pub fn url_as(&self, role: &str) -> String {
        self.cluster.url_as(&self.name, role)
    }

    /// The server the database is on.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.cluster.drop_database(&self.name);
    }
}

impl Cluster {
    /// The template for `version`, made by `migrate` unless a test has made it before.
    ///
    /// `version` is anything that changes with the migrations, such as a hash of their text. A failing `migrate`
    /// leaves no template behind.
    pub async fn template<F, Fut, E>(&self, version: &str, migrate: F) -> Result<Template>
    where
        F: FnOnce(String) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<anyhow::Error>,
    {
        let digest = Sha256::digest(version);
        let mut name = "fairlane_tmpl_".to_owned();
        digest.iter().take(8).try_for_each(|byte| write!(name, "{byte:02x}"))?;
        let template = Template { name };
        let mut session = PgConnection::connect(&self.handle.admin_url).await?;
        if !exists(&mut session, &template.name).await? {
            let lock = i32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
            // The lock goes with the session, also when the migration fails.
            advisory_lock(&mut session, TEMPLATES, lock).await?;
            if !exists(&mut session, &template.name).await? {
                self.build(&mut session, &template.name, migrate).await?;
            }
        }
        session.close().await?;
        Ok(template)
    }

    /// Migrates under another name first, so that a template that exists is complete.
    async fn build<F, Fut, E>(&self, session: &mut PgConnection, name: &str, migrate: F) -> Result<()>
    where
        F: FnOnce(String) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<anyhow::Error>,
    {
        let raw = format!("{name}_raw");
        drop_if_exists(session, &raw).await?;
        execute(session, format!("create database {raw} template template0")).await?;
        migrate(self.admin_url(&raw))
            .await
            .map_err(Into::into)
            .context("the template's migrations failed")?;
        // With no connections allowed nobody can be in the way of those who clone it.
        execute(session, format!("alter database {raw} with allow_connections false")).await?;
        when_not_accessed(session, &format!("alter database {raw} rename to {name}")).await?;
        Ok(())
    }

    /// A new database cloned from `template`.
    pub async fn database(&self, template: &Template) -> Result<TestDatabase> {
        let name = format!("fairlane_test_{:08x}_{:08x}", self.handle.owner, fastrand::u32(..));
        let strategy = if self.handle.has_file_copy { " strategy file_copy" } else { "" };
        let mut session = PgConnection::connect(&self.handle.admin_url).await?;
        // Made before the statement, so that the database is dropped even if this future is.
        let database = TestDatabase { url: self.admin_url(&name), name, cluster: self.clone() };
        let create = format!("create database {} template {}{strategy}", database.name, template.name);
        when_not_accessed(&mut session, &create).await?;
        session.close().await?;
        Ok(database)
    }
}

/// Repeats a statement while its database "is being accessed by other users": they are on their way out.
async fn when_not_accessed(session: &mut PgConnection, statement: &str) -> sqlx::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let done = execute(session, statement.to_owned()).await;
        let is_accessed = |error: &sqlx::Error| {
            error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55006")
        };
        match done {
            Err(error) if is_accessed(&error) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            done => return done,
        }
    }
}

async fn exists(session: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar("select exists (select from pg_database where datname = $1)");
    found.bind(name).fetch_one(session).await
}

pub(super) async fn drop_if_exists(session: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    execute(session, format!("drop database if exists {name} with (force)")).await
}

/// Runs one statement whose text is made of names this module chose itself.
async fn execute(session: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(session).await.map(drop)
}

/// Sweeps what crashed runs have left, and shows while `session` lives that the databases of `owner` are in use.
pub(super) async fn register(session: &mut PgConnection, owner: u32) -> sqlx::Result<()> {
    // One at a time: whoever registers after the sweep finds the templates that it has left.
    advisory_lock(session, REGISTRATION, 0).await?;
    sweep_databases(session).await?;
    sweep_templates(session).await?;
    advisory_lock(session, OWNERS, owner.cast_signed()).await?;
    advisory_unlock(session, REGISTRATION, 0).await
}

/// Drops test databases whose owner is gone.
async fn sweep_databases(session: &mut PgConnection) -> sqlx::Result<()> {
    let names: Vec<String> = sqlx::query_scalar(
        "select datname::text from pg_database where datname ~ '^fairlane_test_[0-9a-f]{8}_[0-9a-f]{8}$'",
    )
    .fetch_all(&mut *session)
    .await?;
    let mut owned: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for name in names {
        let owner = name.split('_').nth(2).and_then(|owner| u32::from_str_radix(owner, 16).ok());
        owned.entry(owner.unwrap_or_default()).or_default().push(name);
    }
    for (owner, names) in owned {
        let is_gone = sqlx::query_scalar("select pg_try_advisory_lock($1, $2)");
        if is_gone.bind(OWNERS).bind(owner.cast_signed()).fetch_one(&mut *session).await? {
            for name in names {
                drop_if_exists(session, &name).await.ok();
            }
            advisory_unlock(session, OWNERS, owner.cast_signed()).await?;
        }
    }
    Ok(())
}

/// Drops the oldest of too many templates while nobody else uses the server.
async fn sweep_templates(session: &mut PgConnection) -> sqlx::Result<()> {
    let old: Vec<String> = sqlx::query_scalar(
        "select datname::text from pg_database where datname ~ '^fairlane_tmpl_[0-9a-f]{16}' \
         and not exists (select from pg_locks where locktype = 'advisory' and classid = $1::int4::oid) \
         order by oid desc offset $2",
    )
    .bind(OWNERS)
    .bind(TEMPLATES_KEPT)
    .fetch_all(&mut *session)
    .await?;
    for name in old {
        drop_if_exists(session, &name).await.ok();
    }
    Ok(())
}

async fn advisory_lock(session: &mut PgConnection, class: i32, key: i32) -> sqlx::Result<()> {
    let lock = sqlx::query("select pg_advisory_lock($1, $2)");
    lock.bind(class).bind(key).execute(session).await.map(drop)
}

async fn advisory_unlock(session: &mut PgConnection, class: i32, key: i32) -> sqlx::Result<()> {
    let unlock = sqlx::query("select pg_advisory_unlock($1, $2)");
    unlock.bind(class).bind(key).execute(session).await.map(drop)
}
