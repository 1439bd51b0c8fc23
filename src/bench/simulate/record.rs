//! What happened, as far as figures are made of it.

use std::time::Duration;

use super::scenario::{Scenario, Tenant, within};
use crate::fair::{LaneId, Scope};

/// Worker-seconds are kept by the second.
const BUCKET: f64 = 1.0;

/// What one tenant has had.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// Worker-seconds in each second.
    pub(super) seconds: Vec<f64>,
    /// Seconds in which it had, at some moment, nothing that waited.
    pub(super) dry: Vec<bool>,
    /// Jobs that ended in the time that counts.
    pub(super) jobs: u64,
    /// How long jobs waited for their start, and how many did.
    pub(super) waits: Vec<(Duration, u64)>,
    /// Jobs that had not begun at the end.
    pub(super) unserved: u64,
    /// The furthest it ever was behind its share, in worker-seconds.
    pub(super) lag: f64,
    waiting: u64,
    dry_since: Duration,
    running: u64,
    /// The sum of the times at which what runs has begun.
    begun: f64,
    ended: f64,
    /// Worker-seconds at the end of the warm-up.
    before: f64,
}

/// What became of one limit.
#[derive(Debug, Clone)]
pub(super) struct LimitAccount {
    pub(super) tenant: i64,
    pub(super) scope: Scope,
    pub(super) limit: usize,
    /// The most jobs that were claimed and not settled at one time.
    pub(super) peak: usize,
    pub(super) seconds: f64,
    held: usize,
}

/// All accounts.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) accounts: Vec<Account>,
    pub(super) limits: Vec<LimitAccount>,
    /// The longest run of a job.
    pub(super) longest: Duration,
    warm_up: Duration,
    weights: Vec<f64>,
    limited: Vec<bool>,
}

impl Record {
    pub(super) fn new(scenario: &Scenario, tenants: &[Tenant]) -> Self {
        let buckets = scenario.time.as_secs_f64().ceil() as usize;
        let blank = Account { seconds: vec![0.0; buckets], dry: vec![false; buckets], ..Account::default() };
        let group = |tenant: &Tenant| &scenario.groups[tenant.group];
        let limits = tenants.iter().flat_map(|tenant| {
            group(tenant).limits.iter().map(|(scope, limit)| LimitAccount {
                tenant: tenant.id,
                scope: *scope,
                limit: *limit,
                peak: 0,
                seconds: 0.0,
                held: 0,
            })
        });
        Self {
            accounts: vec![blank; tenants.len()],
            limits: limits.collect(),
            longest: Duration::ZERO,
            warm_up: scenario.warm_up,
            weights: tenants.iter().map(|tenant| group(tenant).weight).collect(),
            limited: tenants.iter().map(|tenant| !group(tenant).limits.is_empty()).collect(),
        }
    }

    fn account(&mut self, lane: LaneId) -> &mut Account {
        &mut self.accounts[place(lane.tenant)]
    }

    fn limits_of(&mut self, lane: LaneId) -> impl Iterator<Item = &mut LimitAccount> {
        // They are in the order of the tenants.
        let first = self.limits.partition_point(|limit| limit.tenant < lane.tenant);
        let of_tenant = self.limits[first..].iter_mut().take_while(move |limit| limit.tenant == lane.tenant);
        of_tenant.filter(move |limit| within(limit.scope, lane))
    }

    /// Jobs wait.
    pub(super) fn queued(&mut self, lane: LaneId, jobs: u64, now: Duration) {
        let account = self.account(lane);
        if account.waiting == 0 {
            account.mark_dry(now);
        }
        account.waiting += jobs;
    }

    /// A job is claimed.
    pub(super) fn claimed(&mut self, lane: LaneId, now: Duration) {
        let account = self.account(lane);
        account.waiting -= 1;
        if account.waiting == 0 {
            account.dry_since = now;
        }
        for limit in self.limits_of(lane) {
            limit.held += 1;
            limit.peak = limit.peak.max(limit.held);
        }
    }

    /// A job is settled.
    pub(super) fn settled(&mut self, lane: LaneId) {
        self.limits_of(lane).for_each(|limit| limit.held -= 1);
    }

    /// A handler starts.
    pub(super) fn started(&mut self, lane: LaneId, queued: Duration, now: Duration) {
        let counts = queued >= self.warm_up;
        let account = self.account(lane);
        account.running += 1;
        account.begun += now.as_secs_f64();
        if counts {
            account.waits.push((now.saturating_sub(queued), 1));
        }
    }

    /// Jobs have not begun until the end.
    pub(super) fn unserved(&mut self, lane: LaneId, queued: Duration, jobs: u64, end: Duration) {
        if queued >= self.warm_up && queued < end {
            let account = self.account(lane);
            account.unserved += jobs;
            account.waits.push((end.saturating_sub(queued), jobs));
        }
    }

    /// A handler has run, or time is over while it runs.
    pub(super) fn ran(&mut self, lane: LaneId, began: Duration, end: Duration, done: bool) {
        let counted = (end.saturating_sub(began.max(self.warm_up))).as_secs_f64();
        let counts = done && end >= self.warm_up;
        self.longest = self.longest.max(end.saturating_sub(began));
        let account = self.account(lane);
        account.running -= 1;
        account.begun -= began.as_secs_f64();
        account.ended += end.saturating_sub(began).as_secs_f64();
        account.jobs += u64::from(counts);
        account.spread(began.as_secs_f64(), end.as_secs_f64());
        self.limits_of(lane).for_each(|limit| limit.seconds += counted);
    }

    /// What counts begins.
    pub(super) fn warmed_up(&mut self, now: Duration) {
        for account in &mut self.accounts {
            account.before = account.worked(now);
        }
    }

    /// Notes how far each tenant is behind its share of those that have had work all the time and no limit.
    pub(super) fn note_lag(&mut self, now: Duration) {
        let from = self.warm_up.as_secs_f64() as usize;
        let always = |record: &Self, place: usize| {
            !record.limited[place]
                && record.accounts[place].waiting > 0
                && !record.accounts[place].was_dry(from)
        };
        let places: Vec<usize> = (0..self.accounts.len()).filter(|place| always(self, *place)).collect();
        let worked =
            |record: &Self, place: usize| record.accounts[place].worked(now) - record.accounts[place].before;
        let all: f64 = places.iter().map(|place| worked(self, *place)).sum();
        let weights: f64 = places.iter().map(|place| self.weights[*place]).sum();
        for place in places {
            let behind = all * self.weights[place] / weights - worked(self, place);
            let account = &mut self.accounts[place];
            account.lag = account.lag.max(behind);
        }
    }

    /// Time is over.
    pub(super) fn close(&mut self, end: Duration) {
        self.accounts
            .iter_mut()
            .filter(|account| account.waiting == 0)
            .for_each(|account| account.mark_dry(end));
    }
}

/// A tenant's place among the accounts.
pub(super) fn place(tenant: i64) -> usize {
    usize::try_from(tenant - 1).unwrap_or_default()
}

impl Account {
    /// Whether it was dry in a second from this one on.
    pub(super) fn was_dry(&self, from: usize) -> bool {
        self.dry[from..].iter().any(|dry| *dry)
    }

    fn worked(&self, now: Duration) -> f64 {
        self.ended + self.running as f64 * now.as_secs_f64() - self.begun
    }

    /// It had nothing from `dry_since` until now; nothing at all is no time.
    fn mark_dry(&mut self, now: Duration) {
        if now > self.dry_since {
            let last = (now.as_secs_f64() / BUCKET).ceil() as usize;
            let (first, last) = ((self.dry_since.as_secs_f64() / BUCKET) as usize, last.min(self.dry.len()));
            self.dry[first.min(last)..last].fill(true);
        }
    }

    fn spread(&mut self, began: f64, end: f64) {
        let (mut at, mut bucket) = (began, (began / BUCKET) as usize);
        while at < end && bucket < self.seconds.len() {
            let until = end.min((bucket + 1) as f64 * BUCKET);
            self.seconds[bucket] += until - at;
            (at, bucket) = (until, bucket + 1);
        }
    }
}
