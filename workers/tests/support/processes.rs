//! Real worker processes of the shipped binary: started, signalled, killed, waited for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fairlane::db::{Db, query};
use fairlane::sql;
use fairlane::testing::TestDb;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How much a fault campaign does: a subset by default, all of it with FAIRLANE_TEST_CAMPAIGN=full.
pub(crate) fn campaign<T>(subset: T, full: T) -> T {
    if std::env::var("FAIRLANE_TEST_CAMPAIGN").is_ok_and(|value| value == "full") { full } else { subset }
}

/// A seed, printed so that a failing campaign can be looked at again (FAIRLANE_TEST_SEED).
pub(crate) fn seeded(test: &str) -> fastrand::Rng {
    let seed = std::env::var("FAIRLANE_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{test}: FAIRLANE_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// The place of one test: a database, a folder for files and logs, and an observer outside the engine.
pub(crate) struct Site {
    pub(crate) t: TestDb,
    pub(crate) folder: TempDir,
    pub(crate) observer: Db,
    started: std::cell::Cell<u32>,
    _turn: SemaphorePermit<'static>,
}

/// Tests with worker processes take turns: leases of two seconds do not outlive a machine that is busy with eight of them.
static TURNS: Semaphore = Semaphore::const_new(2);

impl Site {
    pub(crate) async fn new(t: TestDb) -> Self {
        let turn = TURNS.acquire().await.expect("nobody closes it");
        let observer = t.observer().await.expect("an observer");
        let folder = tempfile::tempdir().expect("a folder");
        Self { t, folder, observer, started: std::cell::Cell::new(0), _turn: turn }
    }

    /// The binary with the environment of this site and nothing else.
    pub(crate) fn fairlane(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairlane"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("FAIRLANE_DATABASE_URL", &self.t.url)
            .env("FAIRLANE_WORKER_LEASE", "2s")
            .env("FAIRLANE_WORKER_HEARTBEAT", "400ms")
            .env("FAIRLANE_WORKER_SLEEP", "100ms")
            .env("FAIRLANE_WORKER_DRAIN_TIMEOUT", "10s")
            .env("FAIRLANE_LOG", "info");
        command
    }

    /// Runs the binary to its end and returns what it printed; it must succeed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = self.fairlane(args).output().expect("the binary runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "fairlane {args:?}: {}\n{out}\n{err}", output.status);
        out.into_owned()
    }

    /// A worker process.
    pub(crate) fn worker(&self, args: &[&str]) -> Worker {
        self.start(self.fairlane(&[&["work"], args].concat()))
    }

    /// A worker process of this command.
    pub(crate) fn start(&self, mut worker: Command) -> Worker {
        let number = self.started.replace(self.started.get() + 1);
        let log = self.folder.path().join(format!("worker-{number}.log"));
        let file = File::create(&log).expect("a log file");
        let child = worker
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log file again"))
            .stderr(file)
            .spawn()
            .expect("a worker");
        Worker { child, log }
    }

    /// The `n` of a counting statement, read by the observer.
    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        let mut tx = self.observer.read().await.expect("the observer reads");
        let row = query(sql!(statement)).fetch_one(&mut tx.conn()).await.expect(statement);
        row.get("n").expect("a number")
    }

    /// Waits until a count is what it should be; on failure says what the workers logged last.
    pub(crate) async fn until(&self, what: &str, statement: &'static str, wanted: impl Fn(i64) -> bool) {
        let limit = Duration::from_secs(campaign(90, 900));
        let deadline = Instant::now() + limit;
        loop {
            let n = self.count(statement).await;
            if wanted(n) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: it is {n}\n{}", self.last_words());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn last_words(&self) -> String {
        let mut words = String::new();
        for number in 0..self.started.get() {
            let log = self.folder.path().join(format!("worker-{number}.log"));
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(4).collect();
            words.push_str(&format!(
                "worker {number}: {}\n",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n  ")
            ));
        }
        words
    }
}

/// A worker process; killed when it is dropped.
pub(crate) struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// SIGKILL: no chance to say anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT` ...).
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill(1)").success(), "SIG{name}");
    }

    /// Waits until the operating system has stopped it: a signal is on its way for a while.
    pub(crate) async fn until_stopped(&self) {
        let pid = self.child.id().to_string();
        for _ in 0..1000 {
            let state = Command::new("ps").args(["-o", "state=", "-p", &pid]).output().expect("ps(1)");
            if String::from_utf8_lossy(&state.stdout).trim().starts_with('T') {
                // The last of its threads stops within the same instant.
                tokio::time::sleep(Duration::from_millis(5)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("process {pid} does not stop");
    }

    /// SIGTERM, then the exit code and how long it took.
    pub(crate) fn terminate(self) -> (ExitStatus, Duration) {
        self.signal("TERM");
        self.wait(Duration::from_secs(60))
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(mut self, limit: Duration) -> (ExitStatus, Duration) {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("waited") {
                return (status, since.elapsed());
            }
            assert!(since.elapsed() < limit, "the worker does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where it writes.
    pub(crate) fn log_path(&self) -> &Path {
        &self.log
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
