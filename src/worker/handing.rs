//! From the claim to the executor: what was claimed is noted, gets its payload, and is sent on its way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::warn;
use uuid::Uuid;

use super::backend::Lease;
use super::claiming::Catch;
use super::pause::Pause;
use super::process::Process;
use super::run::new_run;
use super::settle::Settlement;
use crate::fair::{ClaimedJob, LaneId, Take};
use crate::outcome::{Failure, Next};
use crate::store;
use crate::store::claim::{Claimed, Unreadable};
use crate::store::keys::TenantKey;
use crate::store::settle::Fence;
use crate::store::starts::StartWindow;

/// Hands what was claimed to the executor: noted at once, given over while the database works on the next claim.
pub(super) struct Hand {
    process: Arc<Process>,
    leases: mpsc::UnboundedSender<Lease>,
    noted: Vec<Lease>,
}

impl Hand {
    pub(super) fn new(process: Arc<Process>, leases: mpsc::UnboundedSender<Lease>) -> Self {
        Self { process, leases, noted: Vec::new() }
    }

    /// Notes what was claimed.
    pub(super) fn note(&mut self, takes: &[Take], catch: Catch, claimed_at: Instant) {
        let process = self.process.clone();
        let mut leased: Vec<Claimed> = Vec::with_capacity(catch.jobs.len());
        for job in catch.jobs {
            match job {
                Ok(job) => leased.push(job),
                Err(damaged) => fail_damaged(&process, damaged),
            }
        }
        let known: Vec<ClaimedJob> = leased.iter().map(|job| scheduled(&process, job)).collect();
        let now = process.now();
        let surplus = {
            let mut scheduler = process.scheduler();
            let surplus = scheduler.claimed(takes, &known, claimed_at.elapsed(), now);
            for (lane, rest) in catch.resting {
                scheduler.rest(lane, now + rest);
            }
            for id in &catch.aside {
                scheduler.settled(*id, now);
            }
            surplus
        };
        leased.retain(|job| !catch.aside.contains(&job.id));
        let (surplus, leased): (Vec<_>, Vec<_>) =
            leased.into_iter().partition(|job| surplus.contains(&job.id));
        for job in surplus {
            process.give_back(Fence { id: job.id, token: job.token });
        }
        // In flight from here on: renewed by the heartbeat, waited for by the drain.
        let start = |job: &Claimed| catch.windows.get(&job.id).copied();
        self.noted.extend(leased.into_iter().map(|job| lease(&process, start(&job), job, claimed_at)));
    }

    /// Gives what was noted to the executor. Nothing is lost when this is dropped half-way: what is left goes next time.
    pub(super) async fn over(&mut self) {
        if self.noted.is_empty() {
            return;
        }
        let events: Vec<Uuid> = self.noted.iter().filter_map(|lease| lease.claimed.event_id).collect();
        let payloads = self.event_payloads(&events).await;
        for mut lease in self.noted.drain(..) {
            if let Some(payload) = lease.claimed.event_id.and_then(|event| payloads.get(&event)) {
                lease.claimed.payload.clone_from(payload);
            }
            let _ = self.leases.send(lease);
        }
    }

    /// Gives back what was noted and can't be handed over any more.
    pub(super) fn give_back(&mut self) {
        for lease in self.noted.drain(..) {
            self.process.give_back(Fence { id: lease.claimed.id, token: lease.claimed.token });
        }
    }

    /// Listener jobs carry their event's payload; one that is missing shows itself as undecodable.
    async fn event_payloads(&self, events: &[Uuid]) -> HashMap<Uuid, String> {
        if events.is_empty() {
            return HashMap::new();
        }
        let mut pause = Pause::new();
        loop {
            match store::events::payloads(&self.process.db, events).await {
                Ok(payloads) => return payloads.into_iter().collect(),
                Err(error) if error.is_worth_repeating() => pause.after_error("reading events", &error).await,
                Err(error) => {
                    warn!(%error, "events could not be read");
                    return HashMap::new();
                }
            }
        }
    }
}

fn lease(process: &Process, start: Option<StartWindow>, claimed: Claimed, claimed_at: Instant) -> Lease {
    let run = new_run(&process.fairlane, &claimed, process.options.lease, process.draining.clone());
    let run = Arc::new(run);
    let stop = process.hold(&run, TenantKey::of(&claimed), claimed_at);
    Lease { claimed, run, start, stop }
}

fn scheduled(process: &Process, job: &Claimed) -> ClaimedJob {
    // A claim names only queues of this worker.
    let queue = process.queue(&job.queue).unwrap_or_default();
    ClaimedJob {
        id: job.id,
        lane: LaneId { queue, tenant: job.tenant_id },
        key: job.key,
        kind: job.kind.clone(),
        keyed: job.concurrency_key.is_some(),
    }
}

/// A row that can't be read is that job's problem: it fails, and its neighbours run.
fn fail_damaged(process: &Process, damaged: Unreadable) {
    warn!(job = %damaged.id, why = damaged.why, "a damaged row was taken out of the queue");
    let fence = Fence { id: damaged.id, token: damaged.token };
    let failure = Failure { code: "damaged_row".into(), message: damaged.why };
    let _ = process.settlements.send(Settlement::bare(fence, Next::Fail { failure }));
}
