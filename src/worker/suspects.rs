//! Suspects: jobs whose process died under them. Each runs alone, so that it harms nobody else.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::process::Process;
use crate::error::Result;
use crate::store::claim;

/// How often a busy worker looks for suspects.
const EVERY: Duration = Duration::from_millis(500);
/// How long a suspect may keep this worker from starting other jobs.
const QUIET: Duration = Duration::from_secs(2);
/// The pause before the next such try.
const AFTER_QUIET: Duration = Duration::from_secs(10);

/// What this worker knows about suspects.
#[derive(Default)]
pub(super) struct Suspects {
    next_look: Option<Instant>,
    /// Since when nothing is started, so that a suspect can run alone.
    quiet_since: Option<Instant>,
}

/// What a look for suspects says.
pub(super) enum SuspectTurn {
    /// One waits and nothing runs: take it.
    Now,
    /// One waits until what runs is done: start nothing.
    Quiet,
    /// None waits, or none will get its moment here soon.
    NotNow,
}

impl Suspects {
    /// A suspect runs alone, so it needs a moment in which nothing runs here. One that waits keeps this worker from
    /// starting other jobs, but for a short while only: behind a long job it must not idle every slot, and whoever is
    /// free first takes it.
    pub(super) async fn turn(&mut self, process: &Process) -> Result<SuspectTurn> {
        if self.next_look.is_some_and(|at| Instant::now() < at) && !self.wants_quiet() {
            return Ok(SuspectTurn::NotNow);
        }
        if !process.chores.suspects.load(Ordering::Relaxed) && !self.wants_quiet() {
            return Ok(SuspectTurn::NotNow);
        }
        self.next_look = Some(Instant::now() + EVERY);
        if !claim::suspects_waiting(&process.db, &process.options.queues, &process.kinds).await? {
            self.quiet_since = None;
            return Ok(SuspectTurn::NotNow);
        }
        if process.running() == 0 {
            self.quiet_since = None;
            return Ok(SuspectTurn::Now);
        }
        let since = *self.quiet_since.get_or_insert_with(Instant::now);
        if since.elapsed() < QUIET {
            return Ok(SuspectTurn::Quiet);
        }
        self.quiet_since = None;
        self.next_look = Some(Instant::now() + AFTER_QUIET);
        Ok(SuspectTurn::NotNow)
    }

    /// Whether nothing is started just now.
    pub(super) fn wants_quiet(&self) -> bool {
        self.quiet_since.is_some()
    }

    /// The next one may be looked for at once.
    pub(super) fn look_again(&mut self) {
        self.next_look = None;
    }
}
