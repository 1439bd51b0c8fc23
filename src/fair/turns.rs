//! When a process exchanges permits, and for how long it keeps those that others want. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Grant, Scope};

/// How often permits are exchanged while a limited tenant has work.
const EVERY: Duration = Duration::from_secs(1);
/// How often a process asks that has work and no permit for it.
const HUNGRY: Duration = Duration::from_millis(200);
/// How long a process keeps a permit that others want, where there are fewer permits than processes.
const TURN: Duration = Duration::from_secs(20);

/// Since when a process holds permits of each limit.
#[derive(Debug, Default)]
pub struct PermitTurns {
    since: BTreeMap<(i64, Scope), Duration>,
}

impl PermitTurns {
    /// Whether the process has held permits of a limit long enough to let others have a turn.
    pub fn is_over(&self, tenant: i64, scope: Scope, now: Duration) -> bool {
        self.since.get(&(tenant, scope)).is_some_and(|since| now.saturating_sub(*since) >= TURN)
    }

    /// Notes what an exchange has come to that began at this time.
    pub fn granted(&mut self, tenant: i64, scope: Scope, grant: Grant, at: Duration) {
        match grant.held {
            0 => drop(self.since.remove(&(tenant, scope))),
            _ => drop(self.since.entry((tenant, scope)).or_insert(at)),
        }
    }

    /// How long until the next exchange; sooner when work waits for a permit.
    pub fn pause(work_waits: bool) -> Duration {
        if work_waits { HUNGRY } else { EVERY }
    }
}
