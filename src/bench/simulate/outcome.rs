//! The figures of a simulation.

use std::time::Duration;

use serde::Serialize;

use super::record::{Account, Record};
use super::scenario::{Scenario, Tenant};
use crate::bench::figures::{jain, ratio};

/// Worker time is compared in windows of so many seconds, one of which begins in every second.
const WINDOW: usize = 10;

/// What came of a scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) about: String,
    pub(crate) seed: u64,
    /// Simulated seconds that count.
    pub(crate) seconds: f64,
    pub(crate) processes: usize,
    /// Of all processes.
    pub(crate) slots: usize,
    pub(crate) jobs: u64,
    pub(crate) worker_seconds: f64,
    /// Of all slots' time.
    pub(crate) slots_used: f64,
    /// Of tenants that had work all the time and no limit; null when there are not two.
    pub(crate) jain: Option<f64>,
    /// In the worst window of ten seconds, of those that had work all through it.
    pub(crate) jain_window: Option<f64>,
    /// The largest error of a share, relative to what it should be.
    pub(crate) share_error: Option<f64>,
    /// The furthest that one was ever behind its share.
    pub(crate) largest_lag_ms: f64,
    /// The same, in longest jobs.
    pub(crate) largest_lag_jobs: f64,
    pub(crate) tenants: Vec<TenantOutcome>,
    pub(crate) limits: Vec<LimitOutcome>,
    /// Bounds of the scenario that were missed.
    pub(crate) missed: Vec<String>,
}

/// What one tenant, or all of a group, has had.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TenantOutcome {
    pub(crate) tenant: String,
    /// The entry of the file it comes from.
    pub(crate) group: String,
    pub(crate) weight: f64,
    pub(crate) jobs: u64,
    pub(crate) worker_seconds: f64,
    /// Of all worker-seconds.
    pub(crate) share: f64,
    /// By weight, of what those leave that do not always have work; null for these.
    pub(crate) expected_share: Option<f64>,
    /// Jobs that had not begun at the end; they count as having waited until then.
    pub(crate) unserved: u64,
    pub(crate) wait_p50_ms: f64,
    pub(crate) wait_p99_ms: f64,
    pub(crate) wait_max_ms: f64,
}

/// What became of a limit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LimitOutcome {
    pub(crate) tenant: String,
    /// `total`, or the queue.
    pub(crate) scope: String,
    pub(crate) limit: usize,
    /// The most jobs that were claimed and not settled at one time.
    pub(crate) peak: usize,
    /// Worker-seconds of what the limit allows.
    pub(crate) used: f64,
}

/// The record in the seconds that count.
struct Counted<'r> {
    record: &'r Record,
    from: usize,
    seconds: f64,
    weights: Vec<f64>,
    limited: Vec<bool>,
}

impl Counted<'_> {
    fn worked(&self, place: usize) -> f64 {
        self.record.accounts[place].seconds[self.from..].iter().sum()
    }

    /// Tenants that had work all through some seconds, and no limit.
    fn always(&self, from: usize, to: usize) -> Vec<usize> {
        let always = |place: &usize| {
            !self.limited[*place] && !self.record.accounts[*place].dry[from..to].iter().any(|dry| *dry)
        };
        (0..self.record.accounts.len()).filter(always).collect()
    }

    fn end(&self) -> usize {
        self.record.accounts.first().map_or(0, |account| account.seconds.len())
    }

    /// Jain's index in some seconds, by weight.
    fn jain(&self, from: usize, to: usize) -> Option<f64> {
        let places = self.always(from, to);
        let share = |place: &usize| {
            self.record.accounts[*place].seconds[from..to].iter().sum::<f64>() / self.weights[*place]
        };
        (places.len() > 1).then(|| jain(&places.iter().map(share).collect::<Vec<_>>()))
    }

    fn worst_window(&self) -> Option<f64> {
        let length = WINDOW.min(self.end() - self.from);
        let windows = (self.from..=self.end() - length).filter_map(|start| self.jain(start, start + length));
        windows.reduce(f64::min)
    }

    fn expected_shares(&self) -> Vec<Option<f64>> {
        let always = self.always(self.from, self.end());
        let worked: Vec<f64> = (0..self.weights.len()).map(|place| self.worked(place)).collect();
        let all: f64 = worked.iter().sum();
        let theirs: f64 = always.iter().map(|place| worked[*place]).sum();
        let weights: f64 = always.iter().map(|place| self.weights[*place]).sum();
        let mut shares = vec![None; worked.len()];
        for place in always {
            shares[place] = Some(ratio(theirs, all) * self.weights[place] / weights);
        }
        shares
    }
}

/// The figures of a record.
pub(super) fn of(scenario: &Scenario, tenants: &[Tenant], seed: u64, record: &Record) -> Outcome {
    let group = |tenant: &Tenant| &scenario.groups[tenant.group];
    let counted = Counted {
        record,
        from: scenario.warm_up.as_secs_f64().ceil() as usize,
        seconds: scenario.time.saturating_sub(scenario.warm_up).as_secs_f64(),
        weights: tenants.iter().map(|tenant| group(tenant).weight).collect(),
        limited: tenants.iter().map(|tenant| !group(tenant).limits.is_empty()).collect(),
    };
    let all: f64 = (0..tenants.len()).map(|place| counted.worked(place)).sum();
    let expected = counted.expected_shares();
    let row = |(place, tenant): (usize, &Tenant)| {
        let account = &record.accounts[place];
        TenantOutcome {
            expected_share: expected[place],
            ..tenant_outcome(&tenant.name, scenario, tenant.group, &[account], counted.from, all)
        }
    };
    let rows: Vec<TenantOutcome> = tenants.iter().enumerate().map(row).collect();
    let errors = rows.iter().filter_map(|row| Some((row.share / row.expected_share? - 1.0).abs()));
    let always = counted.always(counted.from, counted.end());
    let lag = always.iter().map(|place| record.accounts[*place].lag).fold(0.0, f64::max);
    let slots = scenario.worker.processes * scenario.worker.slots;
    Outcome {
        about: scenario.about.clone(),
        seed,
        seconds: counted.seconds,
        processes: scenario.worker.processes,
        slots,
        jobs: rows.iter().map(|row| row.jobs).sum(),
        worker_seconds: all,
        slots_used: ratio(all, slots as f64 * counted.seconds),
        jain: counted.jain(counted.from, counted.end()),
        jain_window: counted.worst_window(),
        share_error: errors.reduce(f64::max).filter(|_| always.len() > 1),
        largest_lag_ms: lag * 1e3,
        largest_lag_jobs: ratio(lag, record.longest.as_secs_f64()),
        limits: limit_outcomes(scenario, tenants, record, counted.seconds),
        tenants: rows,
        missed: Vec::new(),
    }
}

/// The same for all tenants of each group together, for tables.
pub(super) fn groups(scenario: &Scenario, tenants: &[Tenant], record: &Record) -> Vec<TenantOutcome> {
    let from = scenario.warm_up.as_secs_f64().ceil() as usize;
    let all: f64 = record.accounts.iter().flat_map(|account| &account.seconds[from..]).sum();
    let of_group = |place: usize| {
        let accounts = tenants.iter().zip(&record.accounts).filter(|(tenant, _)| tenant.group == place);
        let accounts: Vec<&Account> = accounts.map(|(_, account)| account).collect();
        let (name, count) = (&scenario.groups[place].name, accounts.len());
        let name = if count == 1 { name.clone() } else { format!("{name} ({count})") };
        tenant_outcome(&name, scenario, place, &accounts, from, all)
    };
    (0..scenario.groups.len()).map(of_group).collect()
}

fn tenant_outcome(
    name: &str,
    scenario: &Scenario,
    group: usize,
    accounts: &[&Account],
    from: usize,
    all: f64,
) -> TenantOutcome {
    let mut waits: Vec<(Duration, u64)> =
        accounts.iter().flat_map(|account| &account.waits).copied().collect();
    waits.sort_unstable();
    let worker_seconds: f64 = accounts.iter().flat_map(|account| &account.seconds[from..]).sum();
    let group = &scenario.groups[group];
    TenantOutcome {
        tenant: name.to_owned(),
        group: group.name.clone(),
        weight: group.weight,
        jobs: accounts.iter().map(|account| account.jobs).sum(),
        worker_seconds,
        share: ratio(worker_seconds, all),
        expected_share: None,
        unserved: accounts.iter().map(|account| account.unserved).sum(),
        wait_p50_ms: percentile(&waits, 0.5),
        wait_p99_ms: percentile(&waits, 0.99),
        wait_max_ms: percentile(&waits, 1.0),
    }
}

/// Of sorted waits, each with how many jobs waited that long; in milliseconds, and 0 of none.
fn percentile(waits: &[(Duration, u64)], share: f64) -> f64 {
    let all: u64 = waits.iter().map(|(_, jobs)| jobs).sum();
    let rank = ((share * all as f64).ceil() as u64).max(1);
    let mut before = 0;
    let reached = waits.iter().find(|(_, jobs)| {
        before += jobs;
        before >= rank
    });
    reached.map_or(0.0, |(wait, _)| wait.as_secs_f64() * 1e3)
}

fn limit_outcomes(
    scenario: &Scenario,
    tenants: &[Tenant],
    record: &Record,
    seconds: f64,
) -> Vec<LimitOutcome> {
    let slots = scenario.worker.processes * scenario.worker.slots;
    let outcome = |limit: &super::record::LimitAccount| LimitOutcome {
        tenant: tenants[super::record::place(limit.tenant)].name.clone(),
        scope: scenario.scope_name(limit.scope),
        limit: limit.limit,
        peak: limit.peak,
        used: ratio(limit.seconds, limit.limit.min(slots) as f64 * seconds),
    };
    record.limits.iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_counts_each_wait_as_often_as_it_occurred() {
        let ms = Duration::from_millis;
        let waits = [(ms(1), 98), (ms(5), 1), (ms(9), 1)];
        assert_eq!(
            (percentile(&waits, 0.5), percentile(&waits, 0.99), percentile(&waits, 1.0)),
            (1.0, 5.0, 9.0)
        );
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
