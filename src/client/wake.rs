//! Telling workers that there is work, after the commit. A hint only: polling is the truth.
//!
//! Never inside the transaction: a commit with NOTIFY takes a lock that serialises all commits of the database (11.5k
//! commits/s fell to 4.3k at 48 writers). The first wake-up goes out at once on a connection of its own; those that come
//! while it is in flight are sent together, and the more there were, the longer the next one waits for company.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc};

use crate::db::{Db, Dialect, query};
use crate::sql;

/// The channel on which PostgreSQL carries wake-ups.
pub(crate) const WAKE_CHANNEL: &str = "fairlane_wake";
/// A notification holds 8000 bytes.
const LONGEST_PAYLOAD: usize = 7000;
/// Ends the hint of a job that shares a key with others.
const KEYED: &str = "k";
/// Hints a worker may be behind before it looks for itself.
const HINTS_KEPT: usize = 1024;
/// How much longer the next notification waits for each wake-up that this one carried, beyond the first.
const PAUSE_EACH: Duration = Duration::from_micros(500);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// How workers of other processes learn of new work before they poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WakeMode {
    /// By NOTIFY on PostgreSQL; on SQLite by asking whether the file has changed.
    #[default]
    Auto,
    /// By polling only: nothing is sent, nothing is listened for.
    Poll,
}

/// Where work was queued.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hint {
    pub(crate) queue: String,
    /// Without it the worker has to look.
    pub(crate) lane: Option<LaneHint>,
}

/// Whose work it is, and which place it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneHint {
    pub(crate) tenant_id: i64,
    pub(crate) priority: i64,
    /// Whether the job shares a key with others: such jobs are taken only by a claim that looks at their keys.
    pub(crate) keyed: bool,
}

impl Hint {
    pub(crate) fn lane(queue: impl Into<String>, tenant_id: i64, priority: i64) -> Self {
        Self { queue: queue.into(), lane: Some(LaneHint { tenant_id, priority, keyed: false }) }
    }

    pub(crate) fn queue(queue: impl Into<String>) -> Self {
        Self { queue: queue.into(), lane: None }
    }

    /// Says of the lane's jobs whether any of them shares a key with others.
    pub(crate) fn keyed(mut self, keyed: bool) -> Self {
        if let Some(lane) = &mut self.lane {
            lane.keyed = keyed;
        }
        self
    }

    /// `queue`, `queue:tenant:priority`, or `queue:tenant:priorityk` for jobs with a key; a queue's name has no commas,
    /// but it may have colons.
    fn encode(&self) -> String {
        match self.lane {
            Some(LaneHint { tenant_id, priority, keyed }) => {
                format!("{}:{tenant_id}:{priority}{}", self.queue, if keyed { KEYED } else { "" })
            }
            None => self.queue.clone(),
        }
    }

    fn decode(word: &str) -> Self {
        let mut parts = word.rsplitn(3, ':');
        let (last, tenant) = (parts.next().unwrap_or_default(), parts.next().map(str::parse));
        let keyed = last.strip_suffix(KEYED);
        match (parts.next(), tenant, keyed.unwrap_or(last).parse()) {
            (Some(queue), Some(Ok(tenant_id)), Ok(priority)) => {
                Self::lane(queue, tenant_id, priority).keyed(keyed.is_some())
            }
            _ => Self::queue(word),
        }
    }

    /// The hints of a notification.
    pub(crate) fn decode_all(payload: &str) -> impl Iterator<Item = Self> {
        payload.split(',').map(Self::decode)
    }
}

/// A wake-up to fire after the commit of your own transaction.
#[derive(Debug, Clone)]
pub struct Wake {
    hints: BTreeSet<Hint>,
    waker: Option<Waker>,
}

impl Wake {
    pub(crate) fn none() -> Self {
        Self { hints: BTreeSet::new(), waker: None }
    }

    /// Sends it. Forgetting it costs no job, only time: polling finds the work.
    pub fn fire(self) {
        if let Some(waker) = self.waker
            && !self.hints.is_empty()
        {
            waker.fire(self.hints);
        }
    }

    /// The queues that got work.
    pub fn queues(&self) -> impl Iterator<Item = &String> {
        self.hints.iter().map(|hint| &hint.queue).collect::<BTreeSet<_>>().into_iter()
    }

    pub(crate) fn hints(&self) -> impl Iterator<Item = &Hint> {
        self.hints.iter()
    }
}

impl PartialEq for Wake {
    fn eq(&self, other: &Self) -> bool {
        self.hints == other.hints
    }
}

impl Eq for Wake {}

/// Sends wake-ups, and passes them on within the process.
#[derive(Debug, Clone)]
pub(crate) struct Waker {
    local: broadcast::Sender<Hint>,
    remote: Option<Arc<Remote>>,
}

/// Sends wake-ups to other processes, from a task that the first of them starts: a client may be made where no runtime
/// is running.
#[derive(Debug)]
struct Remote {
    db: Db,
    sender: OnceLock<mpsc::UnboundedSender<BTreeSet<Hint>>>,
}

impl Remote {
    fn send(&self, hints: BTreeSet<Hint>) {
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
            let _ = sender.send(hints);
        }
    }
}

impl Waker {
    pub(crate) fn new(db: &Db, mode: WakeMode) -> Self {
        let remote = (mode == WakeMode::Auto && db.dialect() == Dialect::Postgres)
            .then(|| Arc::new(Remote { db: db.clone(), sender: OnceLock::new() }));
        Self { local: broadcast::Sender::new(HINTS_KEPT), remote }
    }

    /// Hints of work that was queued from this process, and of notifications that a worker here has received.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Hint> {
        self.local.subscribe()
    }

    /// Passes a hint on within the process.
    pub(crate) fn pass_on(&self, hint: Hint) {
        // Nobody listens where no worker runs.
        let _ = self.local.send(hint);
    }

    pub(crate) fn wake_for(&self, hints: BTreeSet<Hint>) -> Wake {
        Wake { hints, waker: Some(self.clone()) }
    }

    pub(crate) fn fire(&self, hints: BTreeSet<Hint>) {
        if self.local.receiver_count() > 0 {
            hints.iter().cloned().for_each(|hint| self.pass_on(hint));
        }
        if let Some(remote) = &self.remote {
            remote.send(hints);
        }
    }
}

async fn send_notifications(db: Db, mut wakes: mpsc::UnboundedReceiver<BTreeSet<Hint>>) {
    while let Some(mut hints) = wakes.recv().await {
        let mut company = 0;
        while let Ok(more) = wakes.try_recv() {
            hints.extend(more);
            company += 1;
        }
        // A lost hint costs a poll interval, so it is not worth a retry.
        if let Ok(mut conn) = db.single().await {
            let sent = query(sql!("select pg_notify($1, $2)"))
                .bind(WAKE_CHANNEL)
                .bind(notification(&hints))
                .fetch_optional(&mut conn.conn())
                .await;
            if sent.is_ok() {
                let _ = conn.commit().await;
            }
        }
        // One dispatch at a time is told at once; beside thousands a second each notification would cost as much as a
        // dispatch.
        tokio::time::sleep((PAUSE_EACH * company).min(LONGEST_PAUSE)).await;
    }
}

/// All lanes, or the queues alone where those are too many: then the workers look.
fn notification(hints: &BTreeSet<Hint>) -> String {
    let lanes: Vec<String> = hints.iter().map(Hint::encode).collect();
    let payload = lanes.join(",");
    if payload.len() <= LONGEST_PAYLOAD {
        return payload;
    }
    let queues: BTreeSet<&str> = hints.iter().map(|hint| hint.queue.as_str()).collect();
    let mut payload = String::new();
    for queue in queues {
        if payload.len() + queue.len() < LONGEST_PAYLOAD {
            payload.push_str(if payload.is_empty() { "" } else { "," });
            payload.push_str(queue);
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_survives_its_way_through_the_database() {
        let hints = BTreeSet::from([
            Hint::lane("high", 17, 0),
            Hint::lane("with:colon", 3, 9),
            Hint::lane("high", 17, 0).keyed(true),
            Hint::queue("low"),
            Hint::queue("also:a:queue"),
        ]);
        assert_eq!(Hint::decode_all(&notification(&hints)).collect::<BTreeSet<_>>(), hints);
    }

    #[test]
    fn too_many_lanes_become_their_queues() {
        let hints = (0..2000).map(|tenant| Hint::lane("default", tenant, 5)).collect();
        assert_eq!(notification(&hints), "default");
    }
}
