//! A real supervisord with the shipped supervisord.conf.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::processes::Site;

/// The processes that the shipped file starts.
pub(crate) const PROCESSES: usize = 3;

/// A running supervisord; it and its workers end with this value, also when the test panics.
pub(crate) struct Supervisor {
    child: Child,
    folder: PathBuf,
    path: String,
    /// Every process id it ever said.
    reported: RefCell<BTreeSet<u32>>,
}

impl Supervisor {
    /// Starts it in the site's folder and waits until every program runs; `None` where it is not installed.
    pub(crate) async fn start(site: &Site, test: &str) -> Option<Self> {
        let Some(program) = installed("supervisord") else {
            let required = std::env::var("FAIRLANE_REQUIRE_SUPERVISOR").is_ok_and(|value| value == "1");
            assert!(!required, "supervisord is required by {test}; apt install supervisor");
            // Not `eprintln!`, whose output the test harness hides.
            writeln!(std::io::stderr(), "SKIPPED (supervisor): {test} - apt install supervisor").ok();
            return None;
        };
        let folder = site.folder.path().to_owned();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../supervisord.conf");
        std::fs::copy(shipped, folder.join("supervisord.conf")).expect("the shipped supervisord.conf");
        std::fs::create_dir_all(folder.join(".fairlane")).expect("its folder");
        let binary = Path::new(env!("CARGO_BIN_EXE_fairlane")).parent().expect("a folder").display();
        let path = format!("{binary}:/usr/local/bin:/usr/bin:/bin");
        let output = File::create(folder.join("supervisord.out")).expect("a file");
        // The environment that the workers inherit is the site's.
        let child = Command::new(program)
            .args(["-n", "-c", "supervisord.conf"])
            .current_dir(&folder)
            .env_clear()
            .envs(site.fairlane(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env_remove("FAIRLANE_WORKER_DRAIN_TIMEOUT")
            .env_remove("FAIRLANE_WORKER_SLEEP")
            .env("PATH", &path)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the file again"))
            .stderr(output)
            .spawn()
            .expect("supervisord");
        let started = Self { child, folder, path, reported: RefCell::default() };
        started.until("every program to run", |s| s.pids().len() == PROCESSES).await;
        Some(started)
    }

    /// What supervisorctl answers.
    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        let output = Command::new("supervisorctl")
            .args(["-c", "supervisord.conf"])
            .args(args)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", &self.path)
            .output()
            .expect("supervisorctl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The process ids of the programs that run, as supervisord reports them.
    pub(crate) fn pids(&self) -> BTreeSet<u32> {
        let status = self.ctl(&["status"]);
        let running = status.lines().filter(|line| line.contains(" RUNNING "));
        let pids: BTreeSet<u32> = running
            .filter_map(|line| line.split("pid ").nth(1)?.split(',').next()?.trim().parse().ok())
            .collect();
        self.reported.borrow_mut().extend(&pids);
        pids
    }

    /// Its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join(".fairlane/supervisord.log")).unwrap_or_default()
    }

    /// Waits for a condition; on failure says what supervisord said last.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds(self) {
            let said = || std::fs::read_to_string(self.folder.join("supervisord.out")).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}\n{}\n{}",
                self.ctl(&["status"]),
                said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn is_ours(&self, pid: u32) -> bool {
        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == self.folder)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.pids();
            signal("TERM", self.child.id());
            let deadline = Instant::now() + Duration::from_secs(60);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in self.reported.borrow().iter().filter(|pid| self.is_ours(**pid)) {
            signal("KILL", *pid);
        }
    }
}

/// Sends a signal by name.
pub(crate) fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
}

fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
