//! What a scenario expects, held against what came of it.

use std::time::Duration;

use super::outcome::{Outcome, TenantOutcome};
use super::scenario::{Group, Scenario};

/// The bounds that were missed, each in words.
pub(super) fn missed(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let mut bounds = Bounds { missed: Vec::new() };
    let expect = &scenario.expect;
    bounds.at_least("jain", expect.jain, outcome.jain);
    bounds.at_least("jain_window", expect.jain_window, outcome.jain_window);
    bounds.at_most("share_error", expect.share_error, outcome.share_error);
    bounds.at_least("slots_used", expect.slots_used, Some(outcome.slots_used));
    bounds.at_most("lag_jobs", expect.lag_jobs, Some(outcome.largest_lag_jobs));
    for limit in &outcome.limits {
        let name = format!("tenant {}, {}: limit_used", limit.tenant, limit.scope);
        bounds.at_least(&name, expect.limit_used, Some(limit.used));
        if limit.peak > limit.limit {
            // Nobody has to ask for this one.
            bounds.missed.push(format!(
                "tenant {}, {}: {} jobs at one time, the limit is {}",
                limit.tenant, limit.scope, limit.peak, limit.limit
            ));
        }
    }
    for tenant in &outcome.tenants {
        if let Some(group) = scenario.groups.iter().find(|group| group.name == tenant.group) {
            bounds.of_tenant(group, tenant);
        }
    }
    bounds.missed
}

struct Bounds {
    missed: Vec<String>,
}

impl Bounds {
    fn at_least(&mut self, what: &str, bound: Option<f64>, reached: Option<f64>) {
        self.compare(what, "at least", bound, reached, |reached, bound| reached >= bound);
    }

    fn at_most(&mut self, what: &str, bound: Option<f64>, reached: Option<f64>) {
        self.compare(what, "at most", bound, reached, |reached, bound| reached <= bound);
    }

    fn compare(
        &mut self,
        what: &str,
        relation: &str,
        bound: Option<f64>,
        reached: Option<f64>,
        holds: fn(f64, f64) -> bool,
    ) {
        match (bound, reached) {
            (Some(bound), Some(reached)) if !holds(reached, bound) => {
                self.missed.push(format!("{what} is {}, expected {relation} {bound}", figure(reached)));
            }
            (Some(bound), None) => self.missed.push(format!(
                "{what} is not defined, expected {relation} {bound}: no two tenants without a limit had work \
                 all the time"
            )),
            _ => {}
        }
    }

    fn of_tenant(&mut self, group: &Group, tenant: &TenantOutcome) {
        let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        let expect = &group.expect;
        for (key, bound, reached) in [
            ("wait_p50", expect.wait_p50, tenant.wait_p50_ms),
            ("wait_p99", expect.wait_p99, tenant.wait_p99_ms),
            ("wait_max", expect.wait_max, tenant.wait_max_ms),
        ] {
            self.at_most(&format!("tenant {}: {key} in ms", tenant.tenant), ms(bound), Some(reached));
        }
        self.at_least(&format!("tenant {}: share", tenant.tenant), expect.share, Some(tenant.share));
    }
}

/// Four digits that count.
fn figure(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.1}") } else { format!("{value:.4}") }
}
