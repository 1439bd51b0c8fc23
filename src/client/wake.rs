//! Telling workers that there is work, after the commit. A hint only: polling is the truth.
//!
//! Never inside the transaction: a commit with NOTIFY takes a lock that serialises all commits of the database (11.5k
//! commits/s fell to 4.3k at 48 writers). The first wake-up goes out at once on a connection of its own; those that come
//! while it is in flight are sent together.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};

use crate::db::{Db, Dialect, query};
use crate::sql;

/// The channel on which PostgreSQL carries wake-ups.
pub(crate) const WAKE_CHANNEL: &str = "fairlane_wake";

/// How workers of other processes learn of new work before they poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WakeMode {
    /// By NOTIFY on PostgreSQL, by polling on SQLite.
    #[default]
    Auto,
    /// By polling only: nothing is sent, nothing is listened for.
    Poll,
}

/// A wake-up to fire after the commit of your own transaction.
#[derive(Debug, Clone)]
pub struct Wake {
    queues: BTreeSet<String>,
    waker: Option<Waker>,
}

impl Wake {
    pub(crate) fn none() -> Self {
        Self { queues: BTreeSet::new(), waker: None }
    }

    /// Sends it. Forgetting it costs no job, only time: polling finds the work.
    pub fn fire(self) {
        if let Some(waker) = self.waker
            && !self.queues.is_empty()
        {
            waker.fire(self.queues);
        }
    }

    /// The queues that got work.
    pub fn queues(&self) -> impl Iterator<Item = &String> {
        self.queues.iter()
    }
}

impl PartialEq for Wake {
    fn eq(&self, other: &Self) -> bool {
        self.queues == other.queues
    }
}

impl Eq for Wake {}

/// Sends wake-ups, and passes them on within the process.
#[derive(Debug, Clone)]
pub(crate) struct Waker {
    local: Arc<Notify>,
    remote: Option<Arc<Remote>>,
}

/// Sends wake-ups to other processes, from a task that the first of them starts: a client may be made where no runtime
/// is running.
#[derive(Debug)]
struct Remote {
    db: Db,
    sender: OnceLock<mpsc::UnboundedSender<BTreeSet<String>>>,
}

impl Remote {
    fn send(&self, queues: BTreeSet<String>) {
        let started = self.sender.get().or_else(|| {
            let runtime = Handle::try_current().ok()?;
            Some(self.sender.get_or_init(|| {
                let (sender, receiver) = mpsc::unbounded_channel();
                runtime.spawn(send_notifications(self.db.clone(), receiver));
                sender
            }))
        });
        if let Some(sender) = started {
            // The receiver lives as long as the runtime; when it is gone, there is nobody to wake.
            let _ = sender.send(queues);
        }
    }
}

impl Waker {
    pub(crate) fn new(db: &Db, mode: WakeMode) -> Self {
        let remote = (mode == WakeMode::Auto && db.dialect() == Dialect::Postgres)
            .then(|| Arc::new(Remote { db: db.clone(), sender: OnceLock::new() }));
        Self { local: Arc::default(), remote }
    }

    /// Notified whenever work was queued from this process or a notification came in.
    pub(crate) fn local(&self) -> Arc<Notify> {
        self.local.clone()
    }

    pub(crate) fn wake_for(&self, queues: BTreeSet<String>) -> Wake {
        Wake { queues, waker: Some(self.clone()) }
    }

    pub(crate) fn fire(&self, queues: BTreeSet<String>) {
        self.local.notify_waiters();
        self.local.notify_one();
        if let Some(remote) = &self.remote {
            remote.send(queues);
        }
    }
}

async fn send_notifications(db: Db, mut wakes: mpsc::UnboundedReceiver<BTreeSet<String>>) {
    while let Some(mut queues) = wakes.recv().await {
        while let Ok(more) = wakes.try_recv() {
            queues.extend(more);
        }
        let payload = queues.into_iter().collect::<Vec<_>>().join(",");
        // A lost hint costs a poll interval, so it is not worth a retry.
        if let Ok(mut conn) = db.single().await {
            let sent = query(sql!("select pg_notify($1, $2)"))
                .bind(WAKE_CHANNEL)
                // A notification holds 8000 bytes; the names only say where to look first.
                .bind(payload.chars().take(1000).collect::<String>())
                .fetch_optional(&mut conn.conn())
                .await;
            if sent.is_ok() {
                let _ = conn.commit().await;
            }
        }
    }
}
