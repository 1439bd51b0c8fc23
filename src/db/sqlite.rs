//! The embedded store: one writer connection with group commit, a few readers.
//!
//! SQLite allows one writer at a time. Writers of a handle queue at a fair mutex, handles and processes take turns
//! (`turn.rs`), other programs wait in `busy_timeout`. With `synchronous=FULL` a commit costs a flush to disk, so writers
//! that queue together share one: each runs in a savepoint of the open transaction. Whoever finds nobody behind it commits
//! at once; else a committer task, which queues at the same mutex, commits when its turn comes, for all that arrived
//! before it. What a power cut may undo (claims) waits for no flush, unless it joins a transaction that does.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};

use super::turn::{Taken, Turn};
use super::{DbOptions, Synchronous};
use crate::error::{Error, Result};

/// How often `begin immediate` is tried again when another process holds the file longer than `busy_timeout`.
const BEGIN_TRIES: u32 = 3;

/// An SQLite file, or a database in memory.
#[derive(Debug, Clone)]
pub struct SqliteDb {
    writer: Arc<Mutex<Writer>>,
    /// None in memory: a second connection would see another database.
    readers: Option<SqlitePool>,
    committer: Arc<Notify>,
    turn: Arc<Turn>,
    /// Writers that queue for the writer: as long as there are some, a commit can be shared.
    waiting: Arc<AtomicUsize>,
}

#[derive(Debug)]
pub(crate) struct Writer {
    conn: SqliteConnection,
    closed: bool,
    open: bool,
    /// What commits survive, unless one may be undone.
    configured: Synchronous,
    /// What they survive now; unknown after a call whose caller has gone.
    level: Option<Synchronous>,
    turn: Arc<Turn>,
    /// Held as long as a transaction is open.
    turn_held: Option<Taken>,
    /// A begin, savepoint or commit whose caller has gone before it was answered: nobody knows how it ended.
    in_doubt: bool,
    /// A savepoint whose owner has gone without a word: to be rolled back by the next one.
    savepoint: bool,
    /// Who waits for the commit of the open transaction.
    group: Vec<oneshot::Sender<Result<(), String>>>,
}

impl SqliteDb {
    pub(super) async fn open(options: &DbOptions) -> Result<Self> {
        Self::open_in_turn(options, None).await
    }

    /// Another handle on the same file, for a thread with a runtime of its own; they write in turn.
    pub(super) async fn reopen(&self, options: &DbOptions) -> Result<Self> {
        Self::open_in_turn(options, Some(self.turn.clone())).await
    }

    async fn open_in_turn(options: &DbOptions, turn: Option<Arc<Turn>>) -> Result<Self> {
        let connect = sqlite_connect_options(options)?;
        let file = sqlite_file(options)?;
        let conn = connect.connect().await?;
        let turn = turn.unwrap_or_else(|| Arc::new(Turn::new(file.as_deref())));
        let readers = file.is_some().then(|| {
            SqlitePoolOptions::new()
                .max_connections(options.max_connections.clamp(1, 4))
                .acquire_timeout(Duration::from_secs(30))
                .connect_lazy_with(connect.read_only(true).create_if_missing(false))
        });
        let writer = Writer {
            conn,
            closed: false,
            open: false,
            configured: options.synchronous,
            level: Some(options.synchronous),
            turn: turn.clone(),
            turn_held: None,
            in_doubt: false,
            savepoint: false,
            group: Vec::new(),
        };
        let db = Self {
            writer: Arc::new(Mutex::new(writer)),
            readers,
            committer: Arc::default(),
            turn,
            waiting: Arc::default(),
        };
        tokio::spawn(commit_groups(Arc::downgrade(&db.writer), db.committer.clone()));
        Ok(db)
    }

    /// The writer for one statement, in a savepoint of a transaction that others share.
    pub(super) async fn join_group(&self, least: Synchronous) -> Result<Seat> {
        let mut writer = self.lock().await?;
        let least = writer.configured.min(least);
        if writer.open && writer.level < Some(least) {
            writer = commit_apart(writer).await?;
        }
        if writer.open {
            writer.run("savepoint member").await?;
            writer.savepoint = true;
        } else {
            writer.begin(least).await?;
        }
        Ok(writer)
    }

    /// The writer for a transaction of its own; the group before it is committed first.
    pub(super) async fn begin(&self) -> Result<Seat> {
        let mut writer = self.lock().await?;
        if writer.open {
            writer = commit_apart(writer).await?;
        }
        let level = writer.configured;
        writer.begin(level).await?;
        Ok(writer)
    }

    /// Whether another writer queues behind the one who asks.
    pub(super) fn somebody_waits(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    pub(super) fn readers(&self) -> Option<&SqlitePool> {
        self.readers.as_ref()
    }

    async fn lock(&self) -> Result<Seat> {
        let waiting = Waiting::new(&self.waiting);
        let guard = self.writer.clone().lock_owned().await;
        let mut writer = Seat { guard, committer: self.committer.clone() };
        drop(waiting);
        if writer.closed {
            return Err(Error::Unreachable("the database was closed".into()));
        }
        writer.abandon_savepoint().await?;
        Ok(writer)
    }

    pub(super) async fn close(&self) {
        if let Some(readers) = &self.readers {
            readers.close().await;
        }
        let mut writer = self.writer.lock().await;
        let _ = writer.abandon_savepoint().await;
        let _ = writer.commit_group().await;
        writer.closed = true;
        drop(writer);
        self.committer.notify_one();
    }
}

/// The writer, for as long as somebody has it. Whoever leaves, also in the middle of a statement, wakes the committer,
/// which ends what was left open: a handler that was stopped while it began a transaction once kept the file locked.
#[derive(Debug)]
pub(super) struct Seat {
    guard: OwnedMutexGuard<Writer>,
    committer: Arc<Notify>,
}

impl Deref for Seat {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.guard
    }
}

impl DerefMut for Seat {
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.guard
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.committer.notify_one();
    }
}

/// Counts a writer that queues, also when it gives up.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Commits the open group whenever its turn at the mutex comes; ends with the database.
async fn commit_groups(writer: std::sync::Weak<Mutex<Writer>>, wake: Arc<Notify>) {
    loop {
        // A timeout, because the last handle may go without a wake-up.
        let _ = tokio::time::timeout(Duration::from_secs(5), wake.notified()).await;
        let Some(writer) = writer.upgrade() else { return };
        let mut writer = writer.lock_owned().await;
        if writer.closed {
            return;
        }
        if (writer.open || writer.in_doubt || writer.turn_held.is_some())
            && writer.abandon_savepoint().await.is_ok()
        {
            // Who waits for it is told; nobody asks here.
            let _ = writer.commit_group().await;
        }
    }
}

/// Commits in a task of its own: a caller that gives up half-way must not leave the others of the group in doubt.
pub(super) async fn commit_apart(mut writer: Seat) -> Result<Seat> {
    let commit = async move {
        let _ = writer.commit_group().await;
        writer
    };
    tokio::spawn(commit).await.map_err(|why| Error::Unreachable(why.to_string()))
}

impl Writer {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }

    async fn run(&mut self, statement: &'static str) -> Result<()> {
        self.in_doubt = true;
        // Never kept: a pragma takes effect when it is prepared, not when it runs.
        let result = sqlx::raw_sql(statement).execute(&mut self.conn).await;
        self.in_doubt = false;
        result?;
        Ok(())
    }

    /// Takes the write lock of the file at once: a transaction that reads first and writes later can fail half-way. What
    /// its commit is to survive can't be changed later. All in one call, because each costs two hand-overs between threads.
    async fn begin(&mut self, level: Synchronous) -> Result<()> {
        let statement = match level {
            _ if self.level == Some(level) => "begin immediate; savepoint member",
            Synchronous::Full => "pragma synchronous = full; begin immediate; savepoint member",
            Synchronous::Normal => "pragma synchronous = normal; begin immediate; savepoint member",
        };
        let mut tries = 0;
        self.turn_held = Some(self.turn.take().await);
        self.level = None;
        loop {
            match self.run(statement).await {
                Ok(()) => break,
                Err(error) if error.is_transient() && tries < BEGIN_TRIES => tries += 1,
                Err(error) => {
                    self.start_over().await;
                    return Err(error);
                }
            }
            tokio::time::sleep(Duration::from_millis(5 + fastrand::u64(..20))).await;
        }
        self.level = Some(level);
        self.open = true;
        self.savepoint = true;
        Ok(())
    }

    /// Whether others may join this transaction and be committed with it.
    pub(super) fn can_be_shared(&self) -> bool {
        self.level == Some(self.configured)
    }

    /// Keeps what the member wrote; it is committed with the group.
    pub(super) async fn keep_savepoint(&mut self) -> Result<()> {
        self.run("release member").await?;
        self.savepoint = false;
        Ok(())
    }

    /// Undoes what a member wrote that left without committing.
    pub(super) async fn abandon_savepoint(&mut self) -> Result<()> {
        if self.in_doubt {
            self.start_over().await;
        }
        if !self.open {
            // A begin that was given up in its pause for another try still had the turn: the next one waited for itself.
            self.turn_held = None;
        }
        if !self.savepoint {
            return Ok(());
        }
        // A full disk or a broken file ends the whole transaction, and the savepoint with it.
        if self.run("rollback to member").await.is_err() || self.run("release member").await.is_err() {
            self.start_over().await;
        }
        self.savepoint = false;
        Ok(())
    }

    /// Gets the connection out of whatever transaction it may be in; who waited for its commit learns that it failed.
    async fn start_over(&mut self) {
        let _ = self.run("rollback").await;
        self.open = false;
        self.turn_held = None;
        self.savepoint = false;
        for member in self.group.drain(..) {
            let _ = member.send(Err("the transaction was given up in the middle of its commit".into()));
        }
    }

    /// A place in the group: told when the commit is on disk, or why it is not.
    pub(super) fn join(&mut self) -> oneshot::Receiver<Result<(), String>> {
        let (told, receiver) = oneshot::channel();
        self.group.push(told);
        receiver
    }

    /// Commits the open transaction, with a savepoint that is still open, and tells everybody in it.
    pub(super) async fn commit_group(&mut self) -> Result<(), String> {
        if !self.open {
            return Ok(());
        }
        let result = self.run("commit").await;
        if result.is_err() {
            let _ = self.run("rollback").await;
        }
        self.open = false;
        self.savepoint = false;
        self.turn_held = None;
        let outcome = result.map_err(|error| error.to_string());
        for member in self.group.drain(..) {
            let _ = member.send(outcome.clone());
        }
        outcome
    }
}

fn invalid(why: String) -> Error {
    Error::Invalid { what: "the database URL".into(), why }
}

/// The file that the URL names; `None` in memory.
pub(crate) fn sqlite_file(options: &DbOptions) -> Result<Option<PathBuf>> {
    let connect =
        SqliteConnectOptions::from_str(&options.url).map_err(|source| invalid(source.to_string()))?;
    Ok((!options.url.contains(":memory:")).then(|| connect.get_filename().to_owned()))
}

pub(crate) fn sqlite_connect_options(options: &DbOptions) -> Result<SqliteConnectOptions> {
    let connect =
        SqliteConnectOptions::from_str(&options.url).map_err(|source| invalid(source.to_string()))?;
    if let Some(folder) = sqlite_file(options)?.as_deref().and_then(Path::parent) {
        std::fs::create_dir_all(folder)
            .map_err(|source| invalid(format!("the folder {} can't be made: {source}", folder.display())))?;
    }
    Ok(connect
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .journal_mode(SqliteJournalMode::Wal)
        .locking_mode(SqliteLockingMode::Normal)
        .synchronous(match options.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        })
        .pragma("journal_size_limit", "67108864")
        .statement_cache_capacity(300))
}
