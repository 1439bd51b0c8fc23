//! The PostgreSQL server that tests share, and its thread.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};
use tokio::sync::{OnceCell, mpsc, oneshot};

use super::database;
use super::server::Server;

const URL_VARIABLE: &str = "FAIRLANE_TEST_DATABASE_URL";
const REQUIRE_VARIABLE: &str = "FAIRLANE_REQUIRE_PG";

/// Why there is no PostgreSQL to test with.
#[derive(Debug, Clone)]
pub struct Skip {
    reason: String,
    /// A server was asked for by URL: silence about it would be a lie.
    fatal: bool,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Skip {}

/// A running PostgreSQL server for tests, kept alive by this handle and its clones.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(super) handle: Arc<Handle>,
}

/// What lives as long as the last clone: the URL, the way to the keeper's thread, the lease.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) admin_url: String,
    /// Marks this handle's databases, and its advisory lock, by which others see that it lives.
    pub(super) owner: u32,
    pub(super) has_file_copy: bool,
    keeper: mpsc::UnboundedSender<Order>,
    _lease: Option<File>,
}

/// A database to drop, and whom to tell.
type Order = (String, std::sync::mpsc::Sender<()>);

impl Cluster {
    /// The server of this `cargo test` run: the one that `FAIRLANE_TEST_DATABASE_URL` names, else a private one
    /// that all test processes of this target directory share.
    pub async fn shared() -> Result<Self, Skip> {
        static SHARED: OnceCell<Result<Cluster, Skip>> = OnceCell::const_new();
        let open = || async {
            match env::var(URL_VARIABLE) {
                Ok(url) if !url.is_empty() => Self::open(Source::Url(url)).await,
                _ => Self::open(Source::Key(target_directory(), &[])).await,
            }
        };
        SHARED.get_or_init(open).await.clone()
    }

    /// A private server shared by all processes that name the same `key`, whatever the environment says.
    pub async fn at(key: &str) -> Result<Self, Skip> {
        Self::open(Source::Key(key.to_owned(), &[])).await
    }

    /// A private server of this `cargo test` run with other settings, whatever the environment says.
    pub async fn with_settings(settings: &'static [&'static str]) -> Result<Self, Skip> {
        let key = format!("{} {}", target_directory(), settings.join(" "));
        Self::open(Source::Key(key, settings)).await
    }

    /// The administrator's URL of database `db`. Administrators bypass row-level security.
    pub fn admin_url(&self, db: &str) -> String {
        url_for(&self.handle.admin_url, None, db)
    }

    /// The URL of database `db` for another login, which must exist; a password in the administrative URL is kept.
    pub fn url_as(&self, db: &str, role: &str) -> String {
        url_for(&self.handle.admin_url, Some(role), db)
    }

    /// Drops a database and waits for it; the work is done on the keeper's thread, so any thread may ask.
    pub(super) fn drop_database(&self, name: &str) {
        let (done, dropped) = std::sync::mpsc::channel();
        if self.handle.keeper.send((name.to_owned(), done)).is_ok() {
            dropped.recv_timeout(Duration::from_secs(10)).ok();
        }
    }

    /// Opens the server on a thread of its own: tests' runtimes end with the test, the server's sessions must not.
    async fn open(source: Source) -> Result<Self, Skip> {
        let fatal = matches!(source, Source::Url(_));
        let skip = move |reason: String| Skip { reason, fatal };
        let (answer, opened) = oneshot::channel();
        let keeper = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(keep(source, answer)),
                Err(error) => drop(answer.send(Err(error.into()))),
            }
        };
        let thread = std::thread::Builder::new().name("fairlane-test-cluster".to_owned()).spawn(keeper);
        thread.map_err(|error| skip(format!("cannot start a thread: {error}")))?;
        match opened.await {
            Ok(opened) => opened.map_err(|error| skip(format!("{error:#}"))),
            Err(_) => Err(skip("the thread that keeps the server ended".to_owned())),
        }
    }
}

enum Source {
    Url(String),
    Key(String, &'static [&'static str]),
}

/// The keeper's thread: opens the server, then drops databases until the last handle is gone.
async fn keep(source: Source, answer: oneshot::Sender<Result<Cluster>>) {
    let (keeper, mut orders) = mpsc::unbounded_channel::<Order>();
    let mut session = match open_session(source, keeper).await {
        Ok((cluster, session)) => {
            // If nobody waits any more, the handle is dropped here and the loop below ends at once.
            answer.send(Ok(cluster)).ok();
            session
        }
        Err(error) => return drop(answer.send(Err(error))),
    };
    while let Some((name, done)) = orders.recv().await {
        database::drop_if_exists(&mut session, &name).await.ok();
        done.send(()).ok();
    }
    session.close().await.ok();
}

async fn open_session(
    source: Source,
    keeper: mpsc::UnboundedSender<Order>,
) -> Result<(Cluster, PgConnection)> {
    let (admin_url, lease) = match source {
        Source::Url(url) => (url, None),
        Source::Key(key, settings) => {
            let server = Server::locate(&key, settings)?;
            let server = server
                .with_context(|| format!("no server found; apt install postgresql or set {URL_VARIABLE}"))?;
            let lease = server.join().await?;
            (server.url(), Some(lease))
        }
    };
    let connecting = tokio::time::timeout(Duration::from_secs(10), PgConnection::connect(&admin_url)).await;
    let mut session = connecting
        .context("no answer within 10 s")
        .and_then(|connected| Ok(connected?))
        .with_context(|| format!("cannot connect to the server of the tests; check {URL_VARIABLE}"))?;
    let owner = fastrand::u32(..);
    database::register(&mut session, owner).await?;
    let has_file_copy = session.server_version_num().is_some_and(|version| version >= 150_000);
    let handle = Handle { admin_url, owner, has_file_copy, keeper, _lease: lease };
    Ok((Cluster { handle: Arc::new(handle) }, session))
}

/// The shared server, or `None` with a loud line; with `FAIRLANE_REQUIRE_PG=1` a missing server is a failure.
///
/// # Panics
/// If PostgreSQL is required, or a server was named by URL, and there is none.
pub async fn cluster_or_skip(test: &str) -> Option<Cluster> {
    or_skip(test, Cluster::shared().await)
}

/// A server of one's own, or `None` with a loud line, as [`cluster_or_skip`].
///
/// # Panics
/// If PostgreSQL is required and there is none.
#[allow(clippy::panic, reason = "test support: this is how a test fails")]
pub fn or_skip(test: &str, found: Result<Cluster, Skip>) -> Option<Cluster> {
    match found {
        Ok(cluster) => Some(cluster),
        Err(skip) if skip.fatal || env::var(REQUIRE_VARIABLE).is_ok_and(|value| value == "1") => {
            panic!("PostgreSQL is required by {test}: {skip}")
        }
        Err(skip) => {
            // Not `eprintln!`, whose output the test harness hides.
            writeln!(io::stderr(), "SKIPPED (PostgreSQL): {test} - {skip}").ok();
            None
        }
    }
}

/// The target directory this executable was built in: what the test processes of one run have in common.
fn target_directory() -> String {
    let exe = env::current_exe().unwrap_or_default();
    let target = exe.ancestors().skip(1).find(|dir| dir.join("CACHEDIR.TAG").is_file());
    target.or(exe.parent()).unwrap_or(Path::new(".")).display().to_string()
}

/// `url` with another database and, if given, another user.
pub(super) fn url_for(url: &str, user: Option<&str>, db: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (address, query) = rest.split_once('?').map_or((rest, String::new()), |(a, q)| (a, format!("?{q}")));
    let authority = address.split('/').next().unwrap_or_default();
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (name, password) =
        login.split_once(':').map_or((login, String::new()), |(n, p)| (n, format!(":{p}")));
    let name = user.unwrap_or(name);
    let at = if name.is_empty() { "" } else { "@" };
    format!("{scheme}://{name}{password}{at}{host}/{db}{query}")
}

#[cfg(test)]
mod tests {
    use super::url_for;

    #[test]
    fn a_url_keeps_its_password_and_options_for_another_database_and_login() {
        let url = "postgres://admin:p%40ss@db.example:6543/postgres?sslmode=require";
        assert_eq!(url_for(url, None, "x"), "postgres://admin:p%40ss@db.example:6543/x?sslmode=require");
        assert_eq!(url_for(url, Some("app"), "x"), "postgres://app:p%40ss@db.example:6543/x?sslmode=require");
        assert_eq!(url_for("postgres://localhost", None, "x"), "postgres://localhost/x");
    }
}
