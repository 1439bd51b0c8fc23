//! Permits of limited tenants: a process runs at most as many jobs as it holds permits for.

use std::collections::{BTreeMap, BTreeSet};

use super::LaneId;

/// What a limit on concurrency is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everything of the tenant.
    Total,
    /// One queue of it, by its place in the worker's order.
    Queue(usize),
}

/// What this process may run of one limited scope.
#[derive(Debug, Clone, Copy)]
struct Cap {
    permits: usize,
    /// Planned, or claimed and not settled.
    running: usize,
    /// Whether the permits that are not used are just being exchanged: another process may get them.
    on_offer: bool,
    /// Whether the latest exchange says that this process holds or wants some.
    wanted: bool,
    /// Whether the others believe that it does: until they have been told that it does not, they leave it a share.
    believed: bool,
}

/// The limited scopes this process knows of.
#[derive(Debug, Default)]
pub(super) struct Caps {
    caps: BTreeMap<(i64, Scope), Cap>,
    /// Scopes in which one permit is kept for a suspect.
    kept: BTreeSet<(i64, Scope)>,
    /// Whether tenants nobody has said anything about are limited too: then they have no permits until they get some.
    everyone: bool,
}

impl Caps {
    /// Limits a scope to the permits this process holds.
    pub(super) fn set(&mut self, tenant: i64, scope: Scope, permits: usize, running: usize) {
        let new = Cap { permits, running, on_offer: false, wanted: true, believed: true };
        let cap = self.caps.entry((tenant, scope)).or_insert(new);
        cap.believed = if cap.on_offer { cap.wanted } else { cap.believed || permits > 0 };
        (cap.permits, cap.on_offer) = (permits, false);
    }

    /// Limits a scope for which nobody has been asked yet: there are no permits for it.
    pub(super) fn begin(&mut self, tenant: i64, scope: Scope, running: usize) {
        let new = Cap { permits: 0, running, on_offer: false, wanted: false, believed: false };
        self.caps.entry((tenant, scope)).or_insert(new);
    }

    /// Until they are set again, permits of this scope that are not used stay so.
    pub(super) fn offer(&mut self, tenant: i64, scope: Scope, wanted: bool) {
        if let Some(cap) = self.caps.get_mut(&(tenant, scope)) {
            (cap.on_offer, cap.wanted) = (true, wanted);
            cap.believed |= wanted;
        }
    }

    /// There are no permits any more. The others may believe that there are, and are told otherwise by the next exchange.
    pub(super) fn forget(&mut self) {
        self.caps.values_mut().for_each(|cap| cap.permits = 0);
    }

    /// Whether a scope is limited here.
    pub(super) fn is_limited(&self, tenant: i64, scope: Scope) -> bool {
        self.caps.contains_key(&(tenant, scope))
    }

    /// The limited scopes of which this process runs or holds something, or the others believe so.
    pub(super) fn in_use(&self) -> impl Iterator<Item = (i64, Scope)> {
        let in_use = |cap: &Cap| cap.running > 0 || cap.permits > 0 || cap.believed;
        self.caps.iter().filter(move |(_, cap)| in_use(cap)).map(|(scope, _)| *scope)
    }

    /// Whether anything is limited.
    pub(super) fn limit_anything(&self) -> bool {
        self.everyone || !self.caps.is_empty()
    }

    /// Whether every tenant has a limit in total.
    pub(super) fn limit_everyone(&mut self, everyone: bool) {
        self.everyone = everyone;
    }

    /// The scope has no limit any more.
    pub(super) fn lift(&mut self, tenant: i64, scope: Scope) {
        self.caps.remove(&(tenant, scope));
    }

    /// The scopes of a lane that are limited.
    fn of(lane: LaneId) -> [(i64, Scope); 2] {
        [(lane.tenant, Scope::Total), (lane.tenant, Scope::Queue(lane.queue))]
    }

    /// Of the permits for these lanes one is kept for a suspect, in each of their scopes; of no others.
    pub(super) fn keep_for_suspects(&mut self, lanes: &[LaneId]) {
        self.kept = lanes.iter().flat_map(|lane| Self::of(*lane)).collect();
    }

    /// How many more jobs of a lane may start here now.
    pub(super) fn left(&self, lane: LaneId) -> usize {
        if self.on_offer(lane) { 0 } else { self.unused_but(lane, &self.kept) }
    }

    /// How many suspects of a lane may: the permit that is kept is for them.
    pub(super) fn left_for_suspect(&self, lane: LaneId) -> usize {
        if self.on_offer(lane) { 0 } else { self.unused(lane) }
    }

    fn on_offer(&self, lane: LaneId) -> bool {
        Self::of(lane).into_iter().any(|scope| self.caps.get(&scope).is_some_and(|cap| cap.on_offer))
    }

    /// How many permits for a lane are not used.
    pub(super) fn unused(&self, lane: LaneId) -> usize {
        self.unused_but(lane, &BTreeSet::new())
    }

    fn unused_but(&self, lane: LaneId, kept: &BTreeSet<(i64, Scope)>) -> usize {
        if self.everyone && !self.caps.contains_key(&(lane.tenant, Scope::Total)) {
            return 0;
        }
        let caps = Self::of(lane).into_iter().filter_map(|scope| Some((scope, self.caps.get(&scope)?)));
        let unused = |(scope, cap): ((i64, Scope), &Cap)| {
            cap.permits.saturating_sub(cap.running + usize::from(kept.contains(&scope)))
        };
        caps.map(unused).min().unwrap_or(usize::MAX)
    }

    /// Counts jobs as running from the plan on.
    pub(super) fn started(&mut self, lane: LaneId, jobs: usize) {
        for scope in Self::of(lane) {
            if let Some(cap) = self.caps.get_mut(&scope) {
                cap.running += jobs;
            }
        }
    }

    /// Gives their places back: after they are settled, not when their handlers return, or the database and the
    /// processes would disagree.
    pub(super) fn ended(&mut self, lane: LaneId, jobs: usize) {
        for scope in Self::of(lane) {
            if let Some(cap) = self.caps.get_mut(&scope) {
                cap.running = cap.running.saturating_sub(jobs);
            }
        }
    }

    /// Whether more runs of a lane's scopes than this process is to run from now on: the permit of the next that ends is
    /// another process's.
    pub(super) fn are_overrun(&self, lane: LaneId) -> bool {
        let caps = Self::of(lane).into_iter().filter_map(|scope| self.caps.get(&scope));
        caps.into_iter().any(|cap| cap.running > cap.permits)
    }

    /// All limited scopes, and the permits held for them.
    pub(super) fn all(&self) -> impl Iterator<Item = (i64, Scope, usize)> {
        self.caps.iter().map(|((tenant, scope), cap)| (*tenant, *scope, cap.permits))
    }
}
