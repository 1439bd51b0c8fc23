//! Whose turn it is to write to an SQLite file.
//!
//! SQLite's own waiting is a lottery: who finds the file locked sleeps, longer each time, and looks again. Beside writers
//! that commit every few milliseconds a heartbeat drew blanks for seconds. So writers stand in line before they ask for
//! the file: those of one process at a fair mutex, and their processes at two advisory locks of the operating system on
//! side files. `-turn` is held while a transaction is open, `-next` by the process that is next: one that has just
//! committed finds it taken and stands behind, where with one lock it would be back before the next one woke up.
//!
//! The line is a courtesy; the file stays safe by SQLite's lock alone. Programs that do not know of it wait as ever, and
//! who cannot stand in line (a folder that is read-only, a file system without locks, a process that was stopped in its
//! turn) writes without. The locks end with their process. The side files are empty, made again when missing, and may be
//! deleted: while processes run, that costs old and new ones the line between them and nothing else.

use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

/// How long a writer stands in line with other processes. Much longer than a few transactions take, and below half of a
/// short lease: a heartbeat must get through although a process was stopped in its turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// The line of the writers of one file.
#[derive(Debug)]
pub(super) struct Turn {
    process: Arc<Mutex<Place>>,
    /// None in memory.
    side_files: Option<SideFiles>,
}

/// The place of this process among the processes.
#[derive(Debug, Default)]
struct Place {
    /// A thread that still waits for a turn although its writer's patience is over. Until it gets one, nobody of this
    /// process waits for what does not come.
    in_vain: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct SideFiles {
    next: PathBuf,
    turn: PathBuf,
}

/// A turn; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    /// None when this writer goes without. Before the mutex: the turn passes to other processes first.
    _among_processes: Option<Locked>,
    _in_process: OwnedMutexGuard<Place>,
}

impl Turn {
    /// The line of a database file, which must exist; without one, of this process alone.
    pub(super) fn new(database: Option<&Path>) -> Self {
        Self { process: Arc::default(), side_files: database.map(SideFiles::beside) }
    }

    /// Waits for the turn.
    pub(super) async fn take(&self) -> Taken {
        let mut place = self.process.clone().lock_owned().await;
        let among_processes = match &self.side_files {
            Some(files) => place.stand_in_line(files).await,
            None => None,
        };
        Taken { _among_processes: among_processes, _in_process: place }
    }
}

impl Place {
    async fn stand_in_line(&mut self, files: &SideFiles) -> Option<Locked> {
        if self.in_vain.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return None;
        }
        let attempt = Attempt::start(files).inspect_err(|why| cannot_stand_in_line(files, why)).ok()?;
        match attempt {
            Attempt::Locked(turn) => Some(turn),
            Attempt::Queued(queue) => self.wait_in_a_thread(queue).await,
        }
    }

    /// Waiting for a lock can't be broken off: a thread whose writer has gone gives back what it gets. It is none of the
    /// runtime's blocking threads, whose end a runtime waits for at its own.
    async fn wait_in_a_thread(&mut self, queue: Queue) -> Option<Locked> {
        let (tell, told) = oneshot::channel();
        let wait = move || drop(queue.wait().map(|turn| tell.send(turn)));
        let thread = std::thread::Builder::new().name("fairlane-turn".into()).spawn(wait).ok()?;
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(turn) => turn.ok(),
            Err(_) => {
                self.in_vain = Some(thread);
                None
            }
        }
    }
}

fn cannot_stand_in_line(files: &SideFiles, why: &Error) {
    tracing::debug!(path = %files.turn.display(), error = %why, "writing without a turn among processes");
}

impl SideFiles {
    /// SQLite follows links before it names its companions; whoever opens the file by another name must find the same.
    fn beside(database: &Path) -> Self {
        let database = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
        let side = |end: &str| {
            let mut name = database.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        Self { next: side("-next"), turn: side("-turn") }
    }
}

/// A lock on a side file, of an open file of its own: two writers that shared one would share its lock.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    /// Said, not left to closing: a child that is being started has the open file too until it runs its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

enum Attempt {
    Locked(Locked),
    Queued(Queue),
}

/// What it takes to wait: the lock for being next, or the file to get it from, and the file of the turn.
struct Queue {
    next: std::result::Result<Locked, File>,
    turn: File,
}

impl Attempt {
    /// Takes what is free, without waiting.
    fn start(files: &SideFiles) -> Result<Self> {
        let turn = open(&files.turn)?;
        let next = match try_lock(open(&files.next)?)? {
            Ok(next) => next,
            Err(next) => return Ok(Self::Queued(Queue { next: Err(next), turn })),
        };
        Ok(match try_lock(turn)? {
            Ok(turn) => Self::Locked(turn),
            Err(turn) => Self::Queued(Queue { next: Ok(next), turn }),
        })
    }
}

impl Queue {
    fn wait(self) -> Result<Locked> {
        let _next = match self.next {
            Ok(next) => next,
            Err(file) => lock(file)?,
        };
        lock(self.turn)
    }
}

/// Made when missing. One that belongs to somebody else can be locked all the same.
fn open(path: &Path) -> Result<File> {
    File::options().read(true).append(true).create(true).open(path).or_else(|_| File::open(path))
}

fn try_lock(file: File) -> Result<std::result::Result<Locked, File>> {
    match file.try_lock() {
        Ok(()) => Ok(Ok(Locked(file))),
        Err(TryLockError::WouldBlock) => Ok(Err(file)),
        Err(TryLockError::Error(why)) => Err(why),
    }
}

fn lock(file: File) -> Result<Locked> {
    loop {
        match file.lock() {
            Ok(()) => return Ok(Locked(file)),
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
}
