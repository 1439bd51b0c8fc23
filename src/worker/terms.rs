//! What tenants may use, as this process knows it: limits and weights, read again when somebody has changed them, and
//! the permits this process holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::warn;

use super::process::Process;
use crate::error::Result;
use crate::fair::{Demand, PermitTurns, Scope};
use crate::limits::{Limits, Scope as LimitScope};
use crate::store;
use crate::store::permits::{self, PermitWish};

/// A change this young may have company that was stamped before it and committed after it.
const SETTLING: chrono::TimeDelta = chrono::TimeDelta::seconds(10);

/// The weight of a tenant that nobody has given another.
const WEIGHT: f64 = 1.0;

/// What each tenant may use.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    tenants: HashMap<i64, Limits>,
    weights: HashMap<i64, f64>,
    everyone: Limits,
}

impl Terms {
    /// What a tenant may use.
    pub(crate) fn of(&self, tenant: i64) -> &Limits {
        self.tenants.get(&tenant).unwrap_or(&self.everyone)
    }

    async fn load(process: &Process) -> Result<Self> {
        let defaults = &process.fairlane.settings().limits;
        let mut tx = process.db.read().await?;
        let mut terms =
            Self { everyone: Limits { total: defaults.everyone, ..Limits::default() }, ..Self::default() };
        for tenant in store::limits::load(&mut tx.conn()).await? {
            terms.weights.insert(tenant.id, tenant.weight);
            terms.tenants.insert(tenant.id, defaults.limits_of(&tenant.slug, &tenant.limits));
        }
        for (id, slug) in store::tenants::numbers(&mut tx.conn(), defaults.tenants.keys().cloned()).await? {
            terms.tenants.entry(id).or_insert_with(|| defaults.limits_of(&slug, &Limits::default()));
        }
        Ok(terms)
    }

    /// The weights to go by from now on. Tenants with the usual one are not among those that are read, so who is missing
    /// now has it again.
    fn weights_after(&self, before: &Self) -> HashMap<i64, f64> {
        let usual = before.weights.keys().map(|tenant| (*tenant, WEIGHT));
        usual.chain(self.weights.iter().map(|(tenant, weight)| (*tenant, *weight))).collect()
    }

    /// The limit on jobs that run at the same time.
    fn concurrency(&self, process: &Process, tenant: i64, scope: Scope) -> Option<u32> {
        let limits = self.of(tenant);
        match scope {
            Scope::Total => limits.total.concurrency,
            Scope::Queue(queue) => limits.queues.get(&process.options.queues[queue])?.concurrency,
        }
    }

    /// Every scope this process serves that has a limit of its own.
    fn limited(&self, process: &Process) -> Vec<(i64, Scope)> {
        let queues = (0..process.options.queues.len()).map(Scope::Queue);
        let scopes: Vec<Scope> = std::iter::once(Scope::Total).chain(queues).collect();
        let mut limited = Vec::new();
        for tenant in self.tenants.keys() {
            let of_tenant = |scope: &&Scope| self.concurrency(process, *tenant, **scope).is_some();
            limited.extend(scopes.iter().filter(of_tenant).map(|scope| (*tenant, *scope)));
        }
        limited
    }
}

/// Keeps terms and permits up to date until the process ends.
pub(super) async fn run(process: Arc<Process>) {
    let mut desk = PermitDesk::new(process);
    loop {
        let wait = match desk.round().await {
            Ok(wait) => wait,
            Err(error) => {
                warn!(code = error.code(), %error, "limits and permits could not be looked at");
                distrust_old_permits(&desk.process);
                PermitTurns::pause(true)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = desk.process.chores.terms.notified() => {}
        }
    }
}

/// Permits last a lease and a half beyond an exchange, at least. Before that is over nothing is started on them any more: not
/// while the database does not answer, and not by a claim that is made while an exchange hangs.
pub(super) fn distrust_old_permits(process: &Process) {
    let asked = Duration::from_millis(process.permits_asked_at.load(Ordering::Relaxed));
    let lease = process.options.lease;
    if process.now().saturating_sub(asked) > lease.saturating_add(lease / 4) {
        process.scheduler().forget_permits();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

struct PermitDesk {
    process: Arc<Process>,
    seen_change: Option<DateTime<Utc>>,
    turns: PermitTurns,
}

impl PermitDesk {
    fn new(process: Arc<Process>) -> Self {
        Self { process, seen_change: None, turns: PermitTurns::default() }
    }

    /// One round; returns when the next one is due.
    async fn round(&mut self) -> Result<Duration> {
        self.follow_changes().await?;
        let asked = self.process.now();
        let (claimants, holds_any) = {
            let scheduler = self.process.scheduler();
            (scheduler.claimants(), scheduler.holds_any())
        };
        if !holds_any {
            self.process.permits_asked_at.store(millis(asked), Ordering::Relaxed);
        }
        for page in claimants.chunks(permits::PAGE) {
            self.exchange(page).await?;
        }
        // Whatever is held was asked for in this round.
        self.process.permits_asked_at.store(millis(asked), Ordering::Relaxed);
        let scheduler = self.process.scheduler();
        if !scheduler.limits_anything() {
            return Ok(Duration::from_secs(3600));
        }
        let work_waits = scheduler.parked().next().is_some();
        Ok(PermitTurns::pause(work_waits).min(self.process.options.lease / 2))
    }

    async fn follow_changes(&mut self) -> Result<()> {
        let change = self.process.chores.changed_at();
        let young = change.is_some_and(|at| Utc::now() - at < SETTLING);
        if change == self.seen_change && !young && self.process.terms_loaded() {
            return Ok(());
        }
        let terms = Terms::load(&self.process).await?;
        self.seen_change = change;
        let mut scheduler = self.process.scheduler();
        for (tenant, weight) in terms.weights_after(&self.process.terms()) {
            scheduler.set_weight(tenant, weight);
        }
        scheduler.limit_everyone(terms.everyone.total.concurrency.is_some());
        scheduler.keep_limits(&terms.limited(&self.process), self.process.now());
        drop(scheduler);
        self.process.set_terms(terms);
        Ok(())
    }

    /// Exchanges the permits of some scopes, in a transaction of their own: those of the others go on being used.
    async fn exchange(&mut self, scopes: &[(i64, Scope)]) -> Result<()> {
        let process = self.process.clone();
        let demands = process.scheduler().demands(scopes);
        let wishes: Vec<(Demand, PermitWish)> =
            demands.iter().filter_map(|demand| Some((*demand, self.wish(demand)?))).collect();
        if wishes.is_empty() {
            return Ok(());
        }
        let rows: Vec<PermitWish> = wishes.iter().map(|(_, wish)| wish.clone()).collect();
        let mut tx = process.db.begin().await?;
        let asked = process.now();
        let grants = permits::exchange(&mut tx.conn(), process.id, process.options.lease, &rows).await?;
        tx.commit().await?;
        let mut scheduler = process.scheduler();
        for ((demand, _), grant) in wishes.iter().zip(grants) {
            self.turns.granted(demand.tenant, demand.scope, grant, asked);
            scheduler.set_permits(demand.tenant, demand.scope, Some(grant.usable), process.now());
        }
        drop(scheduler);
        process.work.notify_one();
        Ok(())
    }

    fn wish(&self, demand: &Demand) -> Option<PermitWish> {
        let terms = self.process.terms();
        let limit = terms.concurrency(&self.process, demand.tenant, demand.scope)?;
        let (scope, name) = match demand.scope {
            Scope::Total => (LimitScope::Total, String::new()),
            Scope::Queue(queue) => (LimitScope::Queue, self.process.options.queues[queue].clone()),
        };
        Some(PermitWish {
            tenant_id: demand.tenant,
            scope,
            name,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            running: demand.running,
            wanted: demand.wanted,
            turn_over: self.turns.is_over(demand.tenant, demand.scope, self.process.now()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_that_was_set_back_to_the_usual_one_is_told() {
        let terms =
            |weights: &[(i64, f64)]| Terms { weights: weights.iter().copied().collect(), ..Terms::default() };
        let now = terms(&[(2, 3.0)]).weights_after(&terms(&[(1, 20.0), (2, 2.0)]));
        assert_eq!(now, HashMap::from([(1, 1.0), (2, 3.0)]));
    }
}
