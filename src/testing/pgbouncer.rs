//! PgBouncer in transaction mode in front of the tests' server.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::cluster::{Cluster, url_for};
use super::server::{ServerUser, command_as, make_dir_for, temp_dir};

/// Ends PgBouncer and removes its folder when the pipe from the test process closes, as a killed one's does too.
const SUPERVISOR: &str = r#"
"$1" pgbouncer.ini >>pgbouncer.log 2>&1 </dev/null &
cat >/dev/null
kill -KILL $!
wait $!
rm -rf "$PWD"
"#;

/// A running PgBouncer, ended when this value is dropped or its process dies.
#[derive(Debug)]
pub struct PgBouncer {
    url: String,
    supervisor: Child,
}

impl PgBouncer {
    /// Starts PgBouncer with `pool_mode = transaction` on a private socket; `None`, said loudly, if it cannot.
    pub async fn start(cluster: &Cluster) -> Option<Self> {
        let started = match installed() {
            Some(program) => Self::launch(cluster, &program).await,
            None => Err(anyhow::anyhow!("not found; apt install pgbouncer")),
        };
        let skip = |error| writeln!(io::stderr(), "SKIPPED (PgBouncer): {error:#}");
        started.map_err(skip).ok()
    }

    /// The URL of database `db` for the administrator.
    pub fn url(&self, db: &str) -> String {
        url_for(&self.url, None, db)
    }

    /// The URL of database `db` for another login.
    pub fn url_as(&self, db: &str, role: &str) -> String {
        url_for(&self.url, Some(role), db)
    }

    /// Without the start-up parameter that a PgBouncer as it comes refuses.
    fn options(url: &str) -> Result<PgConnectOptions> {
        Ok(url.parse::<PgConnectOptions>()?.extra_float_digits(None))
    }

    async fn launch(cluster: &Cluster, program: &Path) -> Result<Self> {
        let user = ServerUser::find()?;
        let place = temp_dir(user)?.join(format!("fairlane-pgb-{:016x}", fastrand::u64(..)));
        make_dir_for(user, &place, 0o700)?;
        let login = cluster.login()?;
        fs::write(place.join("pgbouncer.ini"), login.configuration(&place))?;
        fs::write(place.join("users.txt"), format!("\"{}\" \"{}\"\n", login.user, login.password))?;
        let mut sh = command_as(user, "sh", &place);
        sh.arg("-c").arg(SUPERVISOR).arg("fairlane-pgbouncer").arg(program).stdin(Stdio::piped());
        let supervisor = sh.spawn().context("cannot start sh")?;
        let url = format!(
            "postgres://{}@localhost:6432/postgres?host={}&sslmode=disable",
            login.user,
            place.display()
        );
        let bouncer = Self { url, supervisor };
        bouncer.wait_until_it_answers(&login.database, &place).await?;
        Ok(bouncer)
    }

    async fn wait_until_it_answers(&self, database: &str, place: &Path) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            match Self::options(&self.url(database))?.connect().await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) if Instant::now() > deadline => {
                    let log = fs::read_to_string(place.join("pgbouncer.log")).unwrap_or_default();
                    bail!("no answer within 15 s: {error}\n{log}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().ok();
    }
}

/// How PgBouncer reaches the server.
struct Login {
    host: String,
    port: u16,
    user: String,
    password: String,
    database: String,
}

impl Login {
    /// Any role may log in: those that are not in the file are looked up in `pg_roles`.
    fn configuration(&self, place: &Path) -> String {
        let mut ini = "[databases]\n".to_owned();
        let (host, port, user, place) = (&self.host, self.port, &self.user, place.display());
        writeln!(ini, "* = host={host} port={port} auth_user={user}").ok();
        writeln!(ini, "[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {place}").ok();
        writeln!(ini, "unix_socket_mode = 0700\nauth_type = trust\nauth_file = {place}/users.txt").ok();
        ini.push_str("auth_query = select rolname::text, ''::text from pg_roles where rolname = $1\n");
        ini.push_str("pool_mode = transaction\n");
        ini.push_str("max_client_conn = 500\ndefault_pool_size = 20\n");
        ini
    }
}

impl Cluster {
    fn login(&self) -> Result<Login> {
        let options: PgConnectOptions = self.handle.admin_url.parse()?;
        let socket = options.get_socket().map(|socket| socket.display().to_string());
        Ok(Login {
            host: socket.unwrap_or_else(|| options.get_host().to_owned()),
            port: options.get_port(),
            user: options.get_username().to_owned(),
            password: options.to_url_lossy().password().unwrap_or_default().to_owned(),
            database: options.get_database().unwrap_or("postgres").to_owned(),
        })
    }
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let folders = std::env::split_paths(&path).chain(usual);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}
