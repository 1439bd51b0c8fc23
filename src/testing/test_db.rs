//! One migrated database a test, on SQLite and on PostgreSQL.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::sync::Mutex;

use super::cluster::{Cluster, cluster_or_skip};
use super::database::TestDatabase;
use crate::client::{ClientSettings, Fairlane};
use crate::db::{Db, DbOptions, Synchronous};
use crate::store;
use crate::store::migrate::{MigrationLine, engine_line, make_login, migrate};

/// The login of tests on PostgreSQL: it cannot bypass row-level security, or tests of it would prove nothing.
pub const TEST_LOGIN: &str = "fairlane_test";

/// A migrated database of a test's own, with one tenant, `acme`. Gone when it is dropped.
#[derive(Debug)]
pub struct TestDb {
    /// The database, connected as workers and applications are.
    pub db: Db,
    /// A client on it.
    pub fairlane: Fairlane,
    /// Its URL for other processes: workers started by a test.
    pub url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Sqlite { _folder: TempDir, path: PathBuf },
    Postgres(TestDatabase),
}

impl TestDb {
    /// A fresh SQLite file.
    pub async fn sqlite(lines: fn() -> Vec<MigrationLine>) -> anyhow::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(format!("test-{}.db", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let url = format!("sqlite:{}", path.display());
        tokio::fs::write(&path, migrated_file(lines).await?).await?;
        Self::open(url, Place::Sqlite { _folder: folder, path }).await
    }

    /// A fresh PostgreSQL database; `None` where there is no server, which is said on standard error.
    pub async fn postgres(test: &str, lines: fn() -> Vec<MigrationLine>) -> anyhow::Result<Option<Self>> {
        let Some(cluster) = cluster_or_skip(test).await else { return Ok(None) };
        Self::on(&cluster, lines).await.map(Some)
    }

    /// A fresh database on a server.
    pub async fn on(cluster: &Cluster, lines: fn() -> Vec<MigrationLine>) -> anyhow::Result<Self> {
        let template = cluster
            .template(&version(with_engine(lines)), async |url: String| {
                let options = options(&url);
                migrate(&options, with_engine(lines)).await?;
                make_login(&options, TEST_LOGIN).await
            })
            .await?;
        let database = cluster.database(&template).await?;
        Self::open(database.url_as(TEST_LOGIN), Place::Postgres(database)).await
    }

    async fn open(url: String, place: Place) -> anyhow::Result<Self> {
        let db = Db::open(&options(&url)).await?;
        let fairlane = Fairlane::new(db.clone(), ClientSettings::default());
        let mut tx = db.begin().await?;
        store::tenants::add(&mut tx.conn(), "acme", "Acme").await?;
        tx.commit().await?;
        Ok(Self { db, fairlane, url, place })
    }

    /// The URL of somebody who sees everything: a superuser on PostgreSQL, the file itself on SQLite.
    pub fn observer_url(&self) -> String {
        match &self.place {
            Place::Sqlite { path, .. } => format!("sqlite:{}", path.display()),
            Place::Postgres(database) => database.url.clone(),
        }
    }

    /// A connection of an observer outside the engine's own.
    pub async fn observer(&self) -> anyhow::Result<Db> {
        Ok(Db::open(&options(&self.observer_url())).await?)
    }

    /// Runs a statement by hand, as the observer.
    ///
    /// # Panics
    /// When the database refuses it: this is for tests.
    #[expect(clippy::expect_used, reason = "test support")]
    pub async fn execute(&self, statement: &'static str) -> u64 {
        let observer = self.observer().await.expect("an observer");
        let mut tx = observer.begin().await.expect("a transaction");
        let rows =
            crate::db::query(crate::sql!(statement)).execute(&mut tx.conn()).await.expect("a statement");
        tx.commit().await.expect("a commit");
        rows
    }
}

fn options(url: &str) -> DbOptions {
    DbOptions { synchronous: Synchronous::Normal, max_connections: 8, ..DbOptions::new(url) }
}

fn with_engine(lines: fn() -> Vec<MigrationLine>) -> Vec<MigrationLine> {
    std::iter::once(engine_line()).chain(lines()).collect()
}

/// A migrated SQLite file, made once in a process: to migrate each test's file anew took more time than many a test.
async fn migrated_file(lines: fn() -> Vec<MigrationLine>) -> anyhow::Result<Arc<[u8]>> {
    static FILES: Mutex<BTreeMap<String, Arc<[u8]>>> = Mutex::const_new(BTreeMap::new());
    let mut files = FILES.lock().await;
    let version = version(with_engine(lines));
    if let Some(file) = files.get(&version) {
        return Ok(Arc::clone(file));
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("migrated.db");
    migrate(&options(&format!("sqlite:{}", path.display())), with_engine(lines)).await?;
    let file: Arc<[u8]> = tokio::fs::read(&path).await?.into();
    files.insert(version, Arc::clone(&file));
    Ok(file)
}

/// Changes with every migration, so that a changed one makes a new template.
fn version(lines: Vec<MigrationLine>) -> String {
    let migrations = lines.iter().flat_map(|line| line.postgres.iter().chain(line.sqlite.iter()));
    let checksums = migrations.map(|migration| migration.checksum.to_vec());
    checksums.flatten().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a test once and runs it on both databases, as `name::sqlite` and `name::postgres`.
///
/// ```ignore
/// fairlane::backend_test!(
///     async fn a_tenant_exists(t: TestDb) { assert!(t.fairlane.tenant("acme").id().await.is_ok()); }
/// );
/// ```
#[macro_export]
macro_rules! backend_test {
    ($(#[$meta:meta])* async fn $name:ident($t:ident: TestDb) $body:block) => {
        $crate::backend_test!(migrations: Vec::new; $(#[$meta])* async fn $name($t: TestDb) $body);
    };
    (migrations: $lines:expr; $(#[$meta:meta])* async fn $name:ident($t:ident: TestDb) $body:block) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn case($t: $crate::testing::TestDb) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                case($crate::testing::TestDb::sqlite($lines).await.expect("a database")).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let name = concat!(module_path!(), "::postgres");
                if let Some(t) = $crate::testing::TestDb::postgres(name, $lines).await.expect("a database") {
                    case(t).await;
                }
            }
        }
    };
}
