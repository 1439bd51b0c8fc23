//! Looking at the queues, off the claim's path: which lanes have work, and what else wants doing.
//!
//! Wake-ups name the lanes that got work, so a look finds little that is new: what came late, from a retry, or from
//! somebody who does not send wake-ups. It is also all that an idle worker asks the database.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::time::sleep;
use tracing::debug;

use super::pause::Pause;
use super::process::Process;
use crate::error::Result;
use crate::fair::{Head, LaneId};
use crate::store::look::{self, LaneHead, Look};

/// Lanes of one look: a probe each, 1.0 to 1.4 ms for all of them.
const PAGE: i64 = 200;
/// How often a busy worker looks.
const BUSY: Duration = Duration::from_millis(50);
/// Looking takes no more than this share of a busy worker's time.
const BUSY_SHARE: u32 = 20;
/// Most jobs of a look at what is new.
const RECENT: i64 = 5_000;
/// What is new is looked for as far back as the look before, and as much longer as clocks differ and commits take.
const OVERLAP: Duration = Duration::from_secs(5);
/// The shortest time between two looks, however often somebody asks for one.
const SHORTEST: Duration = Duration::from_millis(5);
/// How often a worker looks that is to stop when nothing is due.
const WHILE_EMPTYING: Duration = Duration::from_millis(100);

/// One time through all lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation {
    /// When it began: what was queued before is in it.
    pub(crate) began: Instant,
    /// Whether nothing was found that this worker may run, now or as soon as it is promoted.
    pub(crate) empty: bool,
}

/// Looks until the process ends.
pub(super) async fn run(process: Arc<Process>) {
    let mut lookout = Lookout::new(process);
    let mut pause = Pause::new();
    loop {
        let began = Instant::now();
        match lookout.look().await {
            Ok(look) => {
                pause.reset();
                lookout.wait(&look, began.elapsed()).await;
            }
            Err(error) => {
                lookout.process.chores.database_was_away();
                pause.after_error("looking for work", &error).await;
            }
        }
    }
}

struct Lookout {
    process: Arc<Process>,
    /// The lane looked at last.
    after: (String, i64),
    rotation: Rotation,
    /// The first time through there is no pause between pages.
    first: bool,
    /// When the last look began.
    looked: Instant,
    /// When the last look through the lanes ended, and how long it took.
    went_through: Option<(Instant, Duration)>,
}

impl Lookout {
    fn new(process: Arc<Process>) -> Self {
        let rotation = Rotation { began: Instant::now(), empty: true };
        Self {
            process,
            after: (String::new(), 0),
            rotation,
            first: true,
            looked: Instant::now(),
            went_through: None,
        }
    }

    /// Through the next lanes; at what is new, while that takes too much of the time.
    async fn look(&mut self) -> Result<Look> {
        let (began, before) = (Instant::now(), self.looked);
        let recent = !self.may_go_through(began);
        let look = {
            let mut tx = self.process.db.read().await?;
            match recent {
                true => look::look_at_recent(&mut tx.conn(), began - before + OVERLAP, RECENT).await?,
                false => look::look(&mut tx.conn(), (&self.after.0, self.after.1), PAGE).await?,
            }
        };
        self.looked = began;
        let found = tell_scheduler(&self.process, &look.heads);
        self.process.chores.call(&look);
        if found {
            self.process.work.notify_one();
        }
        make_room(&self.process);
        if !recent {
            self.went_through = Some((Instant::now(), began.elapsed()));
            self.next_page(&look, found);
        }
        Ok(look)
    }

    fn may_go_through(&self, now: Instant) -> bool {
        let Some((ended, took)) = self.went_through else { return true };
        rested(now.saturating_duration_since(ended), took, self.process.options.poll)
    }

    fn next_page(&mut self, look: &Look, found: bool) {
        self.rotation.empty &= !found && !look.due;
        match look.heads.last() {
            Some(last) if look.heads.len() as i64 >= PAGE => {
                self.after = (last.queue.clone(), last.tenant_id);
            }
            _ => self.next_rotation(),
        }
    }

    fn next_rotation(&mut self) {
        self.after = (String::new(), 0);
        self.first = false;
        self.process.rotations.send_replace(Some(self.rotation));
        self.rotation = Rotation { began: Instant::now(), empty: true };
        self.process.scheduler().tidy();
    }

    async fn wait(&self, look: &Look, took: Duration) {
        if self.first {
            return;
        }
        sleep(SHORTEST).await;
        tokio::select! {
            () = sleep(self.pace(look, took)) => {}
            () = self.process.look_now.notified() => {}
        }
    }

    /// Often while there is work, seldom while there is none.
    fn pace(&self, look: &Look, took: Duration) -> Duration {
        let options = &self.process.options;
        let busy = BUSY.max(took * BUSY_SHARE);
        let scheduler = self.process.scheduler();
        if scheduler.running() > 0 || scheduler.has_work() || look.due || !self.after.0.is_empty() {
            return busy.min(options.poll);
        }
        drop(scheduler);
        // With jitter, so that many workers do not ask in the same instant.
        let idle = options.poll.mul_f64(0.9 + 0.1 * fastrand::f64());
        let idle = look.next_due.map_or(idle, |due| idle.min(due.max(SHORTEST)));
        if options.stop_when_empty || options.once { idle.min(WHILE_EMPTYING) } else { idle }
    }
}

/// Tells the scheduler of jobs that were seen; returns whether there is anything this worker may run.
pub(crate) fn tell_scheduler(process: &Process, seen: &[LaneHead]) -> bool {
    let now = process.now();
    let mut scheduler = process.scheduler();
    let mut found = false;
    for head in seen.iter().filter(|head| head.open) {
        let Some(queue) = process.queue(&head.queue) else { continue };
        found |= process.serves(&head.kind);
        let lane = LaneId { queue, tenant: head.tenant_id };
        scheduler.seen(lane, Head { key: head.key, kind: &head.kind, keyed: head.keyed }, now);
    }
    found
}

/// Asks long work to go back to the queue at its next checkpoint, where somebody starves.
fn make_room(process: &Process) {
    let asked = process.scheduler().make_room(process.options.yield_after, process.now());
    for id in asked {
        debug!(job = %id, "asked to make room for a tenant that has nothing running");
        process.in_flight.ask_for_room(id);
    }
}

/// Whether it is time to go through the lanes again. As long as it is quick every look does; once it takes long, it rests
/// for as long as its share of the time demands.
fn rested(since: Duration, took: Duration, poll: Duration) -> bool {
    let rest = took * BUSY_SHARE;
    rest <= poll || since >= rest
}

/// What a look found to do for the loops of `maintenance/`, and the claim loop for suspects.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    /// Jobs have become due.
    pub(crate) promote: tokio::sync::Notify,
    /// Leases have run out.
    pub(crate) rescue: tokio::sync::Notify,
    /// Schedules are to tick.
    pub(crate) tick: tokio::sync::Notify,
    /// Limits or weights have changed, or a lane waits for a permit.
    pub(crate) terms: tokio::sync::Notify,
    /// Jobs wait aside for their key.
    pub(crate) aside: tokio::sync::Notify,
    /// When limits or weights were last changed, in microseconds since 1970; 0 for never.
    changed_at: std::sync::atomic::AtomicI64,
    /// A suspect waits.
    pub(crate) suspects: std::sync::atomic::AtomicBool,
    /// How often the database has been away.
    pub(crate) outages: std::sync::atomic::AtomicU64,
}

impl Chores {
    fn call(&self, look: &Look) {
        let changed_at = look.changed_at.map_or(0, |at| at.timestamp_micros());
        let changed = self.changed_at.swap(changed_at, Ordering::Relaxed) != changed_at;
        for (wanted, chore) in [
            (look.due, &self.promote),
            (look.expired, &self.rescue),
            (look.tick, &self.tick),
            (look.aside, &self.aside),
            (changed, &self.terms),
        ] {
            if wanted {
                chore.notify_one();
            }
        }
        self.suspects.store(look.suspects, Ordering::Relaxed);
    }

    /// When limits or weights were last changed.
    pub(crate) fn changed_at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.changed_at.load(Ordering::Relaxed))
    }

    fn database_was_away(&self) {
        self.outages.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_gone_through_at_every_look_while_that_is_quick_and_seldom_while_it_is_slow() {
        let (poll, ms) = (Duration::from_secs(1), Duration::from_millis);
        assert!(rested(ms(5), ms(2), poll));
        assert!(rested(ms(5), ms(50), poll));
        assert!(!rested(ms(1500), ms(700), poll));
        assert!(rested(ms(14_000), ms(700), poll));
    }
}
