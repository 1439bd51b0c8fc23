//! A PostgreSQL server of our own: found binaries, a data directory, leases and the watchdog.
//!
//! ```text
//! <temp>/fairlane-pg-<uid>-<hash>/   start.lock     held by whoever joins or starts
//!                                    watchdog.lock  held by the watchdog while the server runs
//!                                    data/          the data directory, stamped when it is complete
//!                                    run/           the socket, server.log, leases/ (one locked file per process)
//! ```

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};

/// Part of the stamp: raise it when `initdb` or the layout changes, so that older folders start over.
const LAYOUT: u32 = 1;

/// `sockaddr_un` holds 107 bytes; this leaves room for our folder and the socket's name.
const LONGEST_TEMP: usize = 50;

const SETTINGS: [&str; 10] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "port=5432",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "logging_collector=off",
];

/// The user that servers run as when the tests run as root, which PostgreSQL and PgBouncer refuse.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl ServerUser {
    /// The user to switch to: none unless this process is root's.
    pub(super) fn find() -> Result<Option<Self>> {
        if own_uid()? != 0 {
            return Ok(None);
        }
        let number = |flag, name| read_output("id", &[flag, name])?.parse::<u32>().ok();
        let user = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| Some(Self { uid: number("-u", name)?, gid: number("-g", name)? }));
        user.map(Some).context("root cannot run PostgreSQL, and there is no user `postgres` or `nobody`")
    }
}

/// A command that runs in `dir` as the server's user, silent, and outside of the terminal's process group.
pub(super) fn command_as(user: Option<ServerUser>, program: impl AsRef<Path>, dir: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Makes `dir` with `mode` and gives it to the server's user.
pub(super) fn make_dir_for(user: Option<ServerUser>, dir: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(dir)?;
    user.map_or(Ok(()), |user| chown(dir, Some(user.uid), Some(user.gid)))
}

/// A temporary folder with a path short enough for sockets, which the server's user reaches.
pub(super) fn temp_dir(user: Option<ServerUser>) -> Result<PathBuf> {
    let reachable = |dir: &PathBuf| {
        dir.as_os_str().len() <= LONGEST_TEMP
            && command_as(user, "true", dir).status().is_ok_and(|status| status.success())
    };
    let found = [std::env::temp_dir(), PathBuf::from("/tmp")].into_iter().find(reachable);
    found.context("the server's user reaches neither the temporary folder nor /tmp")
}

/// The place of one server, shared by every process that names the same key.
#[derive(Debug)]
pub(super) struct Server {
    home: PathBuf,
    bin: PathBuf,
    user: Option<ServerUser>,
    /// Settings beside the usual ones.
    settings: &'static [&'static str],
}

impl Server {
    /// Finds the binaries and the folder for `key`; `None` when PostgreSQL is not installed. A server with other settings
    /// needs another key.
    pub(super) fn locate(key: &str, settings: &'static [&'static str]) -> Result<Option<Self>> {
        let Some(bin) = installed_binaries() else { return Ok(None) };
        let (user, uid) = (ServerUser::find()?, own_uid()?);
        let hash: String = Sha256::digest(key).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let home = temp_dir(user)?.join(format!("fairlane-pg-{uid}-{hash}"));
        // Root's folder must let the server's user through; anyone else's lets nobody in.
        let made = DirBuilder::new().mode(if user.is_some() { 0o755 } else { 0o700 }).create(&home);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot make {}", home.display()));
            }
            _ => {}
        }
        let found = fs::symlink_metadata(&home)?;
        ensure!(
            found.is_dir() && found.uid() == uid,
            "{} belongs to another user: remove it",
            home.display()
        );
        Ok(Some(Self { home, bin, user, settings }))
    }

    /// The administrative URL of this server.
    pub(super) fn url(&self) -> String {
        let socket = self.run().display().to_string().replace('%', "%25").replace(' ', "%20");
        format!("postgres://postgres@localhost:5432/postgres?host={socket}&sslmode=disable")
    }

    /// Takes a lease on the running server, starting it if need be. The server runs while the file is open.
    pub(super) async fn join(&self) -> Result<File> {
        let gate = File::create(self.home.join("start.lock"))?;
        gate.lock()?;
        let (deadline, mut starts) = (Instant::now() + Duration::from_secs(60), 0);
        while Instant::now() < deadline && starts < 3 {
            if let Some(watchdog) = self.unwatched()? {
                starts += 1;
                self.start(watchdog, starts > 1)?;
            }
            if let Some(lease) = self.take_lease()? {
                while Instant::now() < deadline && self.unwatched()?.is_none() {
                    if let Ok(connection) = PgConnection::connect(&self.url()).await {
                        connection.close().await.ok();
                        return Ok(lease);
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = self.run().join("server.log");
        let said = fs::read_to_string(&log).unwrap_or_default();
        bail!("PostgreSQL did not start; {} says:\n{said}", log.display())
    }

    /// The watchdog's lock, if no watchdog holds it.
    fn unwatched(&self) -> Result<Option<File>> {
        let lock = File::create(self.home.join("watchdog.lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// A lease; none while the watchdog has closed the door to stop the server.
    fn take_lease(&self) -> Result<Option<File>> {
        let name = format!("{}.{:08x}", std::process::id(), fastrand::u32(..));
        let outside = self.home.join(&name);
        let lease = File::create(&outside)?;
        // Locked before it is seen: the watchdog takes an unlocked lease for a dead process.
        lease.lock()?;
        match fs::rename(&outside, self.run().join("leases").join(&name)) {
            Ok(()) => Ok(Some(lease)),
            Err(_) => Ok(fs::remove_file(&outside).map(|()| None)?),
        }
    }

    /// Starts the server under a watchdog that inherits the lock. Called with `start.lock` held and no watchdog;
    /// `afresh` after a start that failed, whatever the directory looks like.
    fn start(&self, watchdog: File, afresh: bool) -> Result<()> {
        let stamp = self.stamp()?;
        if afresh || !self.is_intact(&stamp) {
            self.end_orphan();
            self.initialise(&stamp)?;
        }
        remove_dir(&self.run())?;
        make_dir_for(self.user, &self.run(), 0o755)?;
        make_dir_for(self.user, &self.run().join("leases"), 0o755)?;
        let mut command = command_as(self.user, "sh", &self.run());
        command.arg("-c").arg(include_str!("watchdog.sh")).arg("fairlane-watchdog");
        command.arg(self.bin.join("postgres")).arg("-D").arg(self.data()).arg("-k").arg(self.run());
        let settings = SETTINGS.iter().chain(self.settings);
        command.args(settings.flat_map(|setting| ["-c", setting])).stdin(watchdog);
        command.spawn().context("cannot start sh")?;
        Ok(())
    }

    /// Whether the data directory was completed by this version and its server was shut down in order.
    fn is_intact(&self, stamp: &str) -> bool {
        fs::read_to_string(self.data().join("fairlane.stamp")).is_ok_and(|found| found == stamp)
            && !self.data().join("postmaster.pid").exists()
    }

    /// What a data directory must carry to be used again. Without fsync it must not outlive the machine's boot.
    fn stamp(&self) -> Result<String> {
        let postgres = self.bin.join("postgres").display().to_string();
        let version = read_output(&postgres, &["--version"]).context("`postgres --version` failed")?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Ok(format!("{LAYOUT} {version} {}", boot.trim()))
    }

    /// Ends a server whose watchdog was killed; the pid is checked, as it may be another process by now.
    fn end_orphan(&self) {
        let pid_file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let Some(pid) = pid_file.lines().next() else { return };
        let data = self.data().display().to_string();
        if read_output("ps", &["-o", "args=", "-p", pid]).is_some_and(|args| args.contains(&data)) {
            let mut stop = command_as(self.user, self.bin.join("pg_ctl"), &self.home);
            stop.args(["stop", "-m", "immediate", "-D", &data]).status().ok();
        }
    }

    /// Starts over with an empty data directory; it gets its name when it is complete.
    fn initialise(&self, stamp: &str) -> Result<()> {
        let fresh = self.home.join("init");
        remove_dir(&self.data())?;
        let mut said = String::new();
        for locale in ["C.UTF-8", "C"] {
            remove_dir(&fresh)?;
            make_dir_for(self.user, &fresh, 0o700)?;
            let mut initdb = command_as(self.user, self.bin.join("initdb"), &self.home);
            initdb.args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8"]);
            let output =
                initdb.args(["--locale", locale, "-D"]).arg(&fresh).stderr(Stdio::piped()).output()?;
            if output.status.success() {
                fs::write(fresh.join("fairlane.stamp"), stamp)?;
                return Ok(fs::rename(&fresh, self.data())?);
            }
            said = String::from_utf8_lossy(&output.stderr).into_owned();
        }
        bail!("initdb failed: {said}")
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn run(&self) -> PathBuf {
        self.home.join("run")
    }
}

/// The first folder that holds a server's binaries: pg_config's, distributions' newest first, macOS', PATH.
fn installed_binaries() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        read_output("pg_config", &["--bindir"]).map(PathBuf::from).into_iter().collect();
    folders.extend(versions("/usr/lib/postgresql", "", "bin"));
    folders.extend(versions("/usr", "pgsql-", "bin"));
    folders.extend(versions("/opt/homebrew/opt", "postgresql", "bin"));
    folders.extend(versions("/usr/local/opt", "postgresql", "bin"));
    folders.extend(versions("/Applications/Postgres.app/Contents/Versions", "", "bin"));
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect::<Vec<_>>());
    folders
        .into_iter()
        .find(|dir| ["initdb", "postgres", "pg_ctl"].iter().all(|name| dir.join(name).is_file()))
}

/// `<parent>/<prefix><version>/<leaf>`, newest version first.
fn versions(parent: &str, prefix: &str, leaf: &str) -> Vec<PathBuf> {
    let number =
        |name: &str| name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<f64>().unwrap_or(0.0);
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort_by(|a, b| number(b).total_cmp(&number(a)));
    names.iter().map(|name| Path::new(parent).join(name).join(leaf)).collect()
}

/// The effective user: what a fresh file belongs to, which needs no `unsafe` to learn.
fn own_uid() -> Result<u32> {
    Ok(tempfile::tempfile()?.metadata()?.uid())
}

fn read_output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
